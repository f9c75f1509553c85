/* SPDX-License-Identifier: Apache-2.0 */
#include <stdlib.h>
#include <string.h>

#include <csample/hash.h>
#include <csample/mem.h>

uint64_t hash_bytes(const void *p, size_t len)
{
	const unsigned char *s = p;
	uint64_t h = len;
	while (len >= 8) {
		uint64_t w;
		memcpy(&w, s, 8);
		h = hash_mix(h, w);
		s += 8;
		len -= 8;
	}
	uint64_t tail = 0;
	memcpy(&tail, s, len);
	return hash_mix(h, tail);
}

static struct map64_slot *find(const struct map64 *m, uint64_t key)
{
	for (size_t i = hash_u64(key) & (m->cap - 1);; i = (i + 1) & (m->cap - 1)) {
		struct map64_slot *slot = &m->slots[i];
		if (!slot->used || slot->key == key)
			return slot;
	}
}

uint64_t *map64_get(const struct map64 *m, uint64_t key)
{
	if (!m->n)
		return NULL;
	struct map64_slot *slot = find(m, key);
	return slot->used ? &slot->value : NULL;
}

static void grow(struct map64 *m)
{
	struct map64 bigger = {.cap = m->cap ? m->cap * 2 : 64, .n = m->n};
	bigger.slots = mem_realloc_array(NULL, bigger.cap, sizeof(*bigger.slots));
	memset(bigger.slots, 0, bigger.cap * sizeof(*bigger.slots));
	for (size_t i = 0; i < m->cap; i++)
		if (m->slots[i].used)
			*find(&bigger, m->slots[i].key) = m->slots[i];
	free(m->slots);
	*m = bigger;
}

uint64_t *map64_put(struct map64 *m, uint64_t key)
{
	if (m->n * 4 >= m->cap * 3)
		grow(m);
	struct map64_slot *slot = find(m, key);
	if (!slot->used) {
		*slot = (struct map64_slot){.key = key, .used = true};
		m->n++;
	}
	return &slot->value;
}

void map64_clear(struct map64 *m)
{
	if (m->slots)
		memset(m->slots, 0, m->cap * sizeof(*m->slots));
	m->n = 0;
}

void map64_compact(struct map64 *m)
{
	struct map64 kept = {0};
	for (size_t i = 0; i < m->cap; i++)
		if (m->slots[i].used && m->slots[i].value)
			*map64_put(&kept, m->slots[i].key) = m->slots[i].value;
	free(m->slots);
	*m = kept;
}

void map64_free(struct map64 *m)
{
	free(m->slots);
	*m = (struct map64){0};
}
