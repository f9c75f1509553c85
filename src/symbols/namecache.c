/* SPDX-License-Identifier: Apache-2.0 */
#include "namecache.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <csample/hash.h>
#include <csample/mem.h>

#define MAX_BYTES ((size_t)2 << 20) /* of one generation */

struct entry {
	struct raw_frame raw;
	size_t n;
	struct frame frames[];
};

/* Two generations: when the young one is full it becomes the old one, and the old one goes; what is
 * used moves from the old to the young. */
struct generation {
	struct map64 by_hash; /* to struct entry *; of two with one hash, the later */
	struct arena *arena;
	size_t bytes;
};

struct name_cache {
	struct generation young, old;
};

static void generation_free(struct generation *g)
{
	map64_free(&g->by_hash);
	arena_destroy(g->arena);
	*g = (struct generation){0};
}

struct name_cache *name_cache_create(void)
{
	return mem_zalloc(sizeof(struct name_cache));
}

void name_cache_destroy(struct name_cache *c)
{
	if (!c)
		return;
	name_cache_clear(c);
	free(c);
}

void name_cache_clear(struct name_cache *c)
{
	generation_free(&c->young);
	generation_free(&c->old);
}

static struct entry *find(const struct generation *g, const struct raw_frame *raw)
{
	uint64_t *slot = map64_get(&g->by_hash, hash_bytes(raw, sizeof(*raw)));
	struct entry *e = slot ? (struct entry *)(uintptr_t)*slot : NULL;
	return e && !memcmp(&e->raw, raw, sizeof(*raw)) ? e : NULL;
}

const struct frame *name_cache_get(struct name_cache *c, const struct raw_frame *raw, size_t *n_ret)
{
	struct entry *e = find(&c->young, raw);
	if (e) {
		*n_ret = e->n;
		return e->frames;
	}
	e = find(&c->old, raw);
	if (!e)
		return NULL;
	*n_ret = e->n;
	return name_cache_put(c, raw, e->frames, e->n);
}

const struct frame *name_cache_put(struct name_cache *c, const struct raw_frame *raw,
                                   const struct frame *frames, size_t n)
{
	size_t size = sizeof(struct entry) + n * sizeof(*frames);
	struct generation gone = {0};
	if (c->young.bytes + size > MAX_BYTES) {
		gone = c->old;
		c->old = c->young;
		c->young = (struct generation){0};
	}
	struct generation *g = &c->young;
	if (!g->arena)
		g->arena = arena_create();
	struct entry *e = arena_alloc(g->arena, size);
	e->raw = *raw;
	e->n = n;
	memcpy(e->frames, frames, n * sizeof(*frames)); /* may be of the generation that goes */
	generation_free(&gone);
	g->bytes += size + 2 * sizeof(struct map64_slot);
	*map64_put(&g->by_hash, hash_bytes(raw, sizeof(*raw))) = (uintptr_t)e;
	return e->frames;
}

size_t name_cache_bytes(const struct name_cache *c)
{
	return c->young.bytes + c->old.bytes;
}
