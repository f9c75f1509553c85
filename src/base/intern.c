/* SPDX-License-Identifier: Apache-2.0 */
#include <stdlib.h>
#include <string.h>

#include <csample/hash.h>
#include <csample/intern.h>
#include <csample/mem.h>

struct strings {
	struct arena *arena;
	const char **slots; /* open addressing; lengths are found again by strlen */
	size_t n, cap;
};

struct strings *strings_create(void)
{
	struct strings *s = mem_zalloc(sizeof(*s));
	s->arena = arena_create();
	s->cap = 1024;
	s->slots = mem_zalloc(s->cap * sizeof(*s->slots));
	return s;
}

void strings_destroy(struct strings *s)
{
	if (!s)
		return;
	arena_destroy(s->arena);
	free(s->slots);
	free(s);
}

static void grow(struct strings *s)
{
	size_t cap = s->cap * 2;
	const char **slots = mem_zalloc(cap * sizeof(*slots));
	for (size_t i = 0; i < s->cap; i++) {
		if (!s->slots[i])
			continue;
		size_t at = hash_bytes(s->slots[i], strlen(s->slots[i])) & (cap - 1);
		while (slots[at])
			at = (at + 1) & (cap - 1);
		slots[at] = s->slots[i];
	}
	free(s->slots);
	s->slots = slots;
	s->cap = cap;
}

const char *intern_n(struct strings *s, const char *str, size_t len)
{
	if (!str)
		return NULL;
	len = strnlen(str, len);
	if (s->n * 4 >= s->cap * 3)
		grow(s);
	size_t at = hash_bytes(str, len) & (s->cap - 1);
	for (; s->slots[at]; at = (at + 1) & (s->cap - 1))
		if (!strncmp(s->slots[at], str, len) && !s->slots[at][len])
			return s->slots[at];
	char *copy = arena_alloc(s->arena, len + 1);
	memcpy(copy, str, len);
	copy[len] = '\0';
	s->slots[at] = copy;
	s->n++;
	return copy;
}

const char *intern(struct strings *s, const char *str)
{
	return str ? intern_n(s, str, strlen(str)) : NULL;
}

size_t strings_bytes(const struct strings *s)
{
	return arena_bytes(s->arena) + s->cap * sizeof(*s->slots);
}
