/* SPDX-License-Identifier: Apache-2.0 */
#include <stdlib.h>

#include <csample/mem.h>

#define CHUNK_BYTES ((size_t)64 * 1024)

struct chunk {
	struct chunk *next;
	size_t size, used;
	_Alignas(16) unsigned char bytes[];
};

struct arena {
	struct chunk *first, *current;
	size_t total;
};

static struct chunk *chunk_create(struct arena *a, size_t size)
{
	struct chunk *c = mem_alloc(sizeof(*c) + size);
	c->next = NULL;
	c->size = size;
	c->used = 0;
	a->total += sizeof(*c) + size;
	return c;
}

struct arena *arena_create(void)
{
	return mem_zalloc(sizeof(struct arena));
}

void arena_destroy(struct arena *a)
{
	if (!a)
		return;
	for (struct chunk *c = a->first, *next; c; c = next) {
		next = c->next;
		free(c);
	}
	free(a);
}

void *arena_alloc(struct arena *a, size_t size)
{
	size = (size + 15) & ~(size_t)15;
	struct chunk *c = a->current;
	while (c && c->size - c->used < size && c->next) {
		c = c->next;
		c->used = 0;
	}
	if (!c || c->size - c->used < size) {
		struct chunk *fresh = chunk_create(a, size > CHUNK_BYTES ? size : CHUNK_BYTES);
		if (c)
			c->next = fresh;
		else
			a->first = fresh;
		c = fresh;
	}
	a->current = c;
	void *p = c->bytes + c->used;
	c->used += size;
	return p;
}

void arena_reset(struct arena *a)
{
	a->current = a->first;
	if (a->first)
		a->first->used = 0;
}

size_t arena_bytes(const struct arena *a)
{
	return a->total;
}
