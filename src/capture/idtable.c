/* SPDX-License-Identifier: Apache-2.0 */
#include "idtable.h"

#include <stdlib.h>

#include <csample/hash.h>
#include <csample/mem.h>

#define MIN_SLOTS 1024

static struct id_object removed; /* marks a slot as once taken */

static struct id_slots *create_slots(size_t cap)
{
	struct id_slots *s = mem_zalloc(sizeof(*s) + cap * sizeof(s->slots[0]));
	s->cap = cap;
	return s;
}

static void insert(struct id_slots *s, struct id_object *object)
{
	size_t at = hash_u64((uint64_t)object->id) & (s->cap - 1);
	struct id_object *old;
	while ((old = atomic_load_explicit(&s->slots[at], memory_order_relaxed)) && old != &removed)
		at = (at + 1) & (s->cap - 1);
	s->used += !old;
	atomic_store_explicit(&s->slots[at], object, memory_order_release);
}

void id_table_init(struct id_table *t)
{
	t->n = 0;
	atomic_store(&t->now, create_slots(MIN_SLOTS));
}

void id_table_deinit(struct id_table *t)
{
	free(atomic_load(&t->now));
}

/* Half of the slots free, and the marks of what is gone swept out. */
static struct id_slots *make_room(struct id_table *t)
{
	struct id_slots *old = atomic_load(&t->now);
	if (old->used * 2 < old->cap)
		return NULL;
	size_t cap = MIN_SLOTS;
	while (cap < (t->n + 1) * 4)
		cap *= 2;
	struct id_slots *fresh = create_slots(cap);
	for (size_t i = 0; i < old->cap; i++) {
		struct id_object *object = atomic_load(&old->slots[i]);
		if (object && object != &removed)
			insert(fresh, object);
	}
	atomic_store(&t->now, fresh);
	return old;
}

void *id_table_add(struct id_table *t, struct id_object *object)
{
	void *old = make_room(t);
	insert(atomic_load(&t->now), object);
	t->n++;
	return old;
}

struct id_object *id_table_remove(struct id_table *t, pid_t id)
{
	struct id_slots *s = atomic_load(&t->now);
	size_t at = hash_u64((uint64_t)id) & (s->cap - 1);
	for (struct id_object *o; (o = atomic_load(&s->slots[at])); at = (at + 1) & (s->cap - 1)) {
		if (o == &removed || o->id != id)
			continue;
		atomic_store(&s->slots[at], &removed);
		t->n--;
		return o;
	}
	return NULL;
}

struct id_object *id_table_find(const struct id_table *t, pid_t id)
{
	struct id_slots *s = atomic_load_explicit(&t->now, memory_order_acquire);
	size_t at = hash_u64((uint64_t)id) & (s->cap - 1);
	for (struct id_object *o; (o = atomic_load_explicit(&s->slots[at], memory_order_acquire));
	     at = (at + 1) & (s->cap - 1))
		if (o != &removed && o->id == id)
			return o;
	return NULL;
}

struct id_object *id_table_next(const struct id_table *t, size_t *cursor)
{
	struct id_slots *s = atomic_load_explicit(&t->now, memory_order_acquire);
	while (*cursor < s->cap) {
		struct id_object *o =
		        atomic_load_explicit(&s->slots[(*cursor)++], memory_order_acquire);
		if (o && o != &removed)
			return o;
	}
	*cursor = 0;
	return NULL;
}
