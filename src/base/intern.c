/* SPDX-License-Identifier: Apache-2.0 */
#include <stdlib.h>
#include <string.h>

#include <csample/hash.h>
#include <csample/intern.h>
#include <csample/mem.h>

struct table {
	struct arena *arena;
	const char **slots; /* open addressing; lengths are found again by strlen */
	size_t n, cap;
};

struct strings {
	struct table lasting, passing;
};

struct passed_strings {
	struct table table;
};

#define FIRST_CAP 1024

static void table_free(struct table *t)
{
	arena_destroy(t->arena);
	free(t->slots);
	*t = (struct table){0};
}

struct strings *strings_create(void)
{
	return mem_zalloc(sizeof(struct strings));
}

void strings_destroy(struct strings *s)
{
	if (!s)
		return;
	table_free(&s->lasting);
	table_free(&s->passing);
	free(s);
}

static void grow(struct table *t)
{
	size_t cap = t->cap ? t->cap * 2 : FIRST_CAP;
	const char **slots = mem_zalloc(cap * sizeof(*slots));
	for (size_t i = 0; i < t->cap; i++) {
		if (!t->slots[i])
			continue;
		size_t at = hash_bytes(t->slots[i], strlen(t->slots[i])) & (cap - 1);
		while (slots[at])
			at = (at + 1) & (cap - 1);
		slots[at] = t->slots[i];
	}
	free(t->slots);
	t->slots = slots;
	t->cap = cap;
}

/* Where the string is, or belongs. */
static const char **slot_of(const struct table *t, const char *str, size_t len)
{
	size_t at = hash_bytes(str, len) & (t->cap - 1);
	for (; t->slots[at]; at = (at + 1) & (t->cap - 1))
		if (!strncmp(t->slots[at], str, len) && !t->slots[at][len])
			break;
	return &t->slots[at];
}

static const char *add(struct table *t, const char *str, size_t len)
{
	if (t->n * 4 >= t->cap * 3)
		grow(t);
	const char **slot = slot_of(t, str, len);
	if (*slot)
		return *slot;
	if (!t->arena)
		t->arena = arena_create();
	char *copy = arena_alloc(t->arena, len + 1);
	memcpy(copy, str, len);
	copy[len] = '\0';
	t->n++;
	return *slot = copy;
}

const char *intern_n(struct strings *s, const char *str, size_t len)
{
	return str ? add(&s->lasting, str, strnlen(str, len)) : NULL;
}

const char *intern(struct strings *s, const char *str)
{
	return str ? intern_n(s, str, strlen(str)) : NULL;
}

const char *intern_passing(struct strings *s, const char *str, size_t len)
{
	if (!str)
		return NULL;
	len = strnlen(str, len);
	const char *known = s->lasting.cap ? *slot_of(&s->lasting, str, len) : NULL;
	return known ? known : add(&s->passing, str, len);
}

struct passed_strings *strings_take_passing(struct strings *s)
{
	struct passed_strings *p = mem_alloc(sizeof(*p));
	p->table = s->passing;
	s->passing = (struct table){0};
	return p;
}

void passed_strings_free(struct passed_strings *p)
{
	if (!p)
		return;
	table_free(&p->table);
	free(p);
}

static size_t table_bytes(const struct table *t)
{
	return (t->arena ? arena_bytes(t->arena) : 0) + t->cap * sizeof(*t->slots);
}

size_t strings_count(const struct strings *s)
{
	return s->lasting.n;
}

size_t strings_bytes(const struct strings *s)
{
	return table_bytes(&s->lasting) + table_bytes(&s->passing);
}
