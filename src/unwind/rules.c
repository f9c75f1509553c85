/* SPDX-License-Identifier: Apache-2.0 */
/* The cache: sets of four entries, one cache line each, over a pool of distinct rules. A warm
 * look-up touches one line of the first and one of the second, and the second is small enough to
 * stay near. */
#include <stdlib.h>
#include <string.h>

#include <csample/hash.h>
#include <csample/mem.h>

#include "rule.h"

#define WAYS      4
#define MIN_SETS  ((size_t)256)
#define MAX_SETS  ((size_t)64 * 1024) /* 4 MiB: a quarter of a million addresses */
#define MAX_POOL  ((size_t)4 << 20)   /* bytes of rules */
#define POOL_UNIT 8

struct entry {
	uint64_t key;
	uint32_t image; /* 0: empty */
	uint32_t rule;  /* in the pool, in units */
};

struct rules {
	struct entry *entries;
	size_t n_sets, n; /* n counts insertions since the last growth */
	uint8_t *pool;
	size_t pool_len, pool_cap;
	struct map64 by_content; /* hash of a rule's bytes to its place + 1 */
};

static struct entry *entries_new(size_t n_sets)
{
	struct entry *entries = aligned_alloc(64, n_sets * WAYS * sizeof(struct entry));
	if (!entries)
		return mem_zalloc(n_sets * WAYS * sizeof(struct entry));
	memset(entries, 0, n_sets * WAYS * sizeof(struct entry));
	return entries;
}

struct rules *rules_create(void)
{
	struct rules *rules = mem_zalloc(sizeof(*rules));
	rules->n_sets = MIN_SETS;
	rules->entries = entries_new(rules->n_sets);
	return rules;
}

void rules_destroy(struct rules *rules)
{
	if (!rules)
		return;
	free(rules->entries);
	free(rules->pool);
	map64_free(&rules->by_content);
	free(rules);
}

static struct entry *set_of(struct entry *entries, size_t n_sets, uint32_t image, uint64_t key)
{
	uint64_t h = (key ^ (uint64_t)image << 40) * 0x9e3779b97f4a7c15ULL;
	return entries + (h >> 32 & (n_sets - 1)) * WAYS;
}

const struct rule *rules_get(const struct rules *rules, uint32_t image, uint64_t key)
{
	const struct entry *set = set_of(rules->entries, rules->n_sets, image, key);
	for (unsigned i = 0; i < WAYS; i++)
		if (set[i].key == key && set[i].image == image)
			return (const struct rule *)(rules->pool + (size_t)set[i].rule * POOL_UNIT);
	return NULL;
}

/* New entries come first in their set and push the oldest out: first in, first out. */
static void insert(struct entry *entries, size_t n_sets, struct entry e)
{
	struct entry *set = set_of(entries, n_sets, e.image, e.key);
	memmove(set + 1, set, (WAYS - 1) * sizeof(*set));
	set[0] = e;
}

static void grow(struct rules *rules)
{
	struct entry *bigger = entries_new(rules->n_sets * 4);
	for (size_t i = rules->n_sets * WAYS; i--;) /* the oldest of a set first */
		if (rules->entries[i].image)
			insert(bigger, rules->n_sets * 4, rules->entries[i]);
	free(rules->entries);
	rules->entries = bigger;
	rules->n_sets *= 4;
}

static void forget_all(struct rules *rules)
{
	memset(rules->entries, 0, rules->n_sets * WAYS * sizeof(struct entry));
	map64_clear(&rules->by_content);
	rules->pool_len = 0;
	rules->n = 0;
}

static size_t pool_add(struct rules *rules, const struct rule *rule)
{
	size_t size = rule_size(rule);
	uint64_t *place = map64_put(&rules->by_content, hash_bytes(rule, size));
	if (*place) {
		const struct rule *old =
		        (const struct rule *)(rules->pool + (*place - 1) * POOL_UNIT);
		if (rule_size(old) == size && !memcmp(old, rule, size))
			return *place - 1;
	}
	if (rules->pool_cap - rules->pool_len < size) {
		rules->pool_cap = rules->pool_cap ? rules->pool_cap * 2 : 16384;
		rules->pool = mem_realloc_array(rules->pool, rules->pool_cap, 1);
	}
	size_t at = rules->pool_len / POOL_UNIT;
	memcpy(rules->pool + rules->pool_len, rule, size);
	rules->pool_len += size;
	*place = at + 1;
	return at;
}

const struct rule *rules_put(struct rules *rules, uint32_t image, uint64_t key,
                             const struct rule *rule)
{
	/* Hostile files can make each rule different: then all start anew. */
	if (rules->pool_len + rule_size(rule) > MAX_POOL)
		forget_all(rules);
	if (rules->n > rules->n_sets * WAYS / 2 && rules->n_sets < MAX_SETS)
		grow(rules);
	size_t at = pool_add(rules, rule);
	insert(rules->entries, rules->n_sets, (struct entry){key, image, (uint32_t)at});
	rules->n++;
	return (const struct rule *)(rules->pool + at * POOL_UNIT);
}

size_t rules_bytes(const struct rules *rules)
{
	return sizeof(*rules) + rules->n_sets * WAYS * sizeof(struct entry) + rules->pool_cap +
	       rules->by_content.cap * sizeof(struct map64_slot);
}
