/* SPDX-License-Identifier: Apache-2.0 */
/* Two hash indices make a stack cheap to add: raw frame to location, and (parent, location) to
 * node. */
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

#include <csample/hash.h>
#include <csample/mem.h>
#include <csample/profile.h>

#include "merging.h"

#define MAX_NODES               ((size_t)1 << 24) /* 40 bytes each, with the index's share */
#define MAX_FRAMES_PER_LOCATION 128

/* Open addressing over the profile's own arrays. A node's key says all, so that finding one touches
 * one line of the cache; a location's and a mapping's is a hash, and the array decides. */
struct table {
	struct slot {
		uint32_t key[2];
		uint32_t index; /* + 1; 0: free */
	} * slots;
	size_t n, cap;
	uint64_t seed; /* the target chooses its addresses: not which of them collide */
};

struct profile_index {
	struct table locations, nodes, mappings;
	uint32_t *recent; /* per node: the child last asked for; 0: none */
	size_t cap_locations, cap_nodes, cap_mappings;
	struct arena *frames;
	struct merging *merging;
};

/* Where a key would be if nothing were in its way. */
static inline size_t table_home(const struct table *t, uint32_t key0, uint32_t key1)
{
	return hash_u64(t->seed ^ ((uint64_t)key0 << 32 | key1)) & (t->cap - 1);
}

static void table_grow(struct table *t)
{
	struct table bigger = {.cap = t->cap ? t->cap * 2 : 256, .n = t->n, .seed = t->seed};
	bigger.slots = mem_zalloc(bigger.cap * sizeof(*bigger.slots));
	for (size_t i = 0; i < t->cap; i++) {
		const struct slot *slot = &t->slots[i];
		if (!slot->index)
			continue;
		size_t at = table_home(&bigger, slot->key[0], slot->key[1]);
		while (bigger.slots[at].index)
			at = (at + 1) & (bigger.cap - 1);
		bigger.slots[at] = *slot;
	}
	free(t->slots);
	*t = bigger;
}

/* The next slot from at on that is free or has this key. */
static inline size_t table_find(const struct table *t, size_t at, uint32_t key0, uint32_t key1)
{
	for (;; at = (at + 1) & (t->cap - 1)) {
		const struct slot *slot = &t->slots[at];
		if (!slot->index || (slot->key[0] == key0 && slot->key[1] == key1))
			return at;
	}
}

/* The same from its home on; with room for one more in any case. */
static inline size_t table_first(struct table *t, uint32_t key0, uint32_t key1)
{
	if (t->n * 2 >= t->cap)
		table_grow(t);
	return table_find(t, table_home(t, key0, key1), key0, key1);
}

static inline size_t table_next(const struct table *t, size_t at, uint32_t key0, uint32_t key1)
{
	return table_find(t, (at + 1) & (t->cap - 1), key0, key1);
}

static void table_put(struct table *t, size_t at, uint32_t key0, uint32_t key1, size_t index)
{
	t->slots[at] = (struct slot){.key = {key0, key1}, .index = (uint32_t)index + 1};
	t->n++;
}

/* Room for one more in an array of n. */
static void *room(void *array, size_t n, size_t *cap, size_t size)
{
	if (n < *cap)
		return array;
	*cap = *cap ? *cap * 2 : 64;
	return mem_realloc_array(array, *cap, size);
}

static uint32_t append_node(struct profile *p, uint32_t parent, uint32_t location)
{
	struct profile_index *index = p->index;
	if (p->n_nodes == index->cap_nodes) {
		p->nodes = room(p->nodes, p->n_nodes, &index->cap_nodes, sizeof(*p->nodes));
		index->recent =
		        mem_realloc_array(index->recent, index->cap_nodes, sizeof(*index->recent));
	}
	p->nodes[p->n_nodes] = (struct profile_node){.parent = parent, .location = location};
	index->recent[p->n_nodes] = 0;
	return (uint32_t)p->n_nodes++;
}

struct profile *profile_create(struct strings *strings)
{
	struct profile *p = mem_zalloc(sizeof(*p));
	struct profile_index *index = mem_zalloc(sizeof(*index));
	p->strings = strings;
	p->index = index;
	p->max_nodes = MAX_NODES;
	index->frames = arena_create();
	uint64_t seed;
	if (getrandom(&seed, sizeof(seed), GRND_NONBLOCK) != sizeof(seed))
		seed = hash_u64((uintptr_t)p);
	index->locations.seed = index->nodes.seed = index->mappings.seed = seed;
	append_node(p, 0, 0); /* the root */
	return p;
}

void profile_destroy(struct profile *p)
{
	if (!p)
		return;
	free(p->index->locations.slots);
	free(p->index->nodes.slots);
	free(p->index->mappings.slots);
	free(p->index->recent);
	merging_destroy(p->index->merging);
	arena_destroy(p->index->frames);
	free(p->index);
	free(p->threads);
	free(p->samples);
	free(p->mappings);
	free(p->locations);
	free(p->nodes);
	free(p);
}

_Static_assert(sizeof(struct raw_frame) == 24, "hashed and compared as three words");

static inline uint64_t hash_raw(uint64_t seed, const struct raw_frame *raw)
{
	uint64_t head;
	memcpy(&head, raw, sizeof(head));
	return hash_mix(hash_mix(seed ^ head, raw->addr), raw->aux);
}

static uint32_t append_location(struct profile *p)
{
	p->locations =
	        room(p->locations, p->n_locations, &p->index->cap_locations, sizeof(*p->locations));
	p->locations[p->n_locations] = (struct location){0};
	return (uint32_t)p->n_locations++;
}

/* The location of a raw frame; UINT32_MAX if it is new and may not be added. */
static uint32_t location_of(struct profile *p, const struct raw_frame *raw, bool may_add)
{
	struct table *t = &p->index->locations;
	uint64_t hash = hash_raw(t->seed, raw);
	uint32_t key0 = (uint32_t)(hash >> 32), key1 = (uint32_t)hash;
	size_t at = table_first(t, key0, key1);
	for (; t->slots[at].index; at = table_next(t, at, key0, key1)) {
		uint32_t i = t->slots[at].index - 1;
		if (!memcmp(&p->locations[i].raw, raw, sizeof(*raw)))
			return i;
	}
	if (!may_add)
		return UINT32_MAX;
	uint32_t i = append_location(p);
	p->locations[i].raw = *raw;
	table_put(t, at, key0, key1, i);
	return i;
}

/* The child of parent for a location; UINT32_MAX if it is new and may not be added. Stacks come
 * again, and far from the root most nodes have one child, which is next to them in memory. */
static uint32_t child_of(struct profile *p, uint32_t parent, uint32_t location, bool may_add)
{
	uint32_t recent = p->index->recent[parent];
	if (recent && p->nodes[recent].location == location)
		return recent;
	struct table *t = &p->index->nodes;
	size_t at = table_first(t, parent, location);
	if (!t->slots[at].index) {
		if (!may_add)
			return UINT32_MAX;
		table_put(t, at, parent, location, append_node(p, parent, location));
	}
	return p->index->recent[parent] = t->slots[at].index - 1;
}

/* Where stacks count that there is no room for: time is never lost, only its place. */
static uint32_t full_node(struct profile *p)
{
	struct raw_frame raw = {.kind = RAW_MARK};
	raw.aux = (uintptr_t)intern(p->strings, "[too many distinct stacks]");
	return child_of(p, 0, location_of(p, &raw, true), true);
}

uint32_t profile_add(struct profile *p, const struct raw_frame *leaf_first, size_t n,
                     const uint64_t values[PROFILE_VALUES])
{
	uint32_t node = 0;
	for (size_t i = n; i-- > 0;) {
		bool may_add = p->n_nodes < p->max_nodes;
		uint32_t location = location_of(p, &leaf_first[i], may_add);
		if (location != UINT32_MAX)
			node = child_of(p, node, location, may_add);
		if (location == UINT32_MAX || node == UINT32_MAX) {
			node = full_node(p);
			break;
		}
	}
	profile_add_to_node(p, node, values);
	return node;
}

void profile_add_to_node(struct profile *p, uint32_t node, const uint64_t values[PROFILE_VALUES])
{
	for (size_t v = 0; v < PROFILE_VALUES; v++) {
		p->nodes[node].self[v] += values[v];
		p->total[v] += values[v];
	}
}

uint32_t profile_child(struct profile *p, uint32_t parent, uint32_t location)
{
	return child_of(p, parent, location, true);
}

static bool same_mapping(const struct profile_mapping *a, const struct profile_mapping *b)
{
	return a->file == b->file && a->build_id == b->build_id && a->start == b->start &&
	       a->offset == b->offset;
}

uint32_t profile_mapping(struct profile *p, const struct profile_mapping *mapping)
{
	struct table *t = &p->index->mappings;
	uint64_t hash = hash_mix(t->seed ^ (uintptr_t)mapping->file, mapping->start);
	hash = hash_mix(hash ^ (uintptr_t)mapping->build_id, mapping->offset);
	uint32_t key0 = (uint32_t)(hash >> 32), key1 = (uint32_t)hash;
	size_t at = table_first(t, key0, key1);
	for (; t->slots[at].index; at = table_next(t, at, key0, key1)) {
		struct profile_mapping *m = &p->mappings[t->slots[at].index - 1];
		if (!same_mapping(m, mapping))
			continue;
		if (m->limit < mapping->limit)
			m->limit = mapping->limit;
		m->has_functions |= mapping->has_functions;
		m->has_filenames |= mapping->has_filenames;
		m->has_lines |= mapping->has_lines;
		m->has_inlines |= mapping->has_inlines;
		return t->slots[at].index;
	}
	p->mappings =
	        room(p->mappings, p->n_mappings, &p->index->cap_mappings, sizeof(*p->mappings));
	p->mappings[p->n_mappings] = *mapping;
	table_put(t, at, key0, key1, p->n_mappings);
	return (uint32_t)++p->n_mappings;
}

static void set_frames(struct profile *p, struct location *loc, const struct frame *frames,
                       size_t n)
{
	static const struct frame unknown = {.kind = FRAME_MARK, .function = "[unknown]"};
	if (!n) {
		frames = &unknown;
		n = 1;
	}
	struct frame *copy = arena_alloc(p->index->frames, n * sizeof(*copy));
	memcpy(copy, frames, n * sizeof(*copy));
	for (size_t i = 0; i < n; i++)
		if (!copy[i].function || !copy[i].function[0])
			copy[i].function = unknown.function;
	loc->frames = copy;
	loc->n_frames = (uint32_t)n;
}

void profile_name(struct profile *p, profile_namer *namer, void *arg)
{
	profile_name_range(p, 0, p->n_locations, namer, arg);
}

void profile_name_range(struct profile *p, size_t first, size_t end, profile_namer *namer,
                        void *arg)
{
	struct frame frames[MAX_FRAMES_PER_LOCATION];
	for (size_t i = first; i < end; i++) {
		struct location *loc = &p->locations[i];
		if (loc->n_frames)
			continue;
		if (loc->raw.kind == RAW_MARK) { /* says its name itself */
			frames[0] = (struct frame){.kind = FRAME_MARK,
			                           .function = (const char *)loc->raw.aux};
			set_frames(p, loc, frames, 1);
			continue;
		}
		memset(frames, 0, sizeof(frames[0]));
		size_t n = namer(arg, loc, frames, MAX_FRAMES_PER_LOCATION);
		set_frames(p, loc, frames,
		           n < MAX_FRAMES_PER_LOCATION ? n : MAX_FRAMES_PER_LOCATION);
	}
}

uint32_t profile_add_location(struct profile *p, const struct location *loc)
{
	uint32_t i = loc->raw.kind ? location_of(p, &loc->raw, true) : append_location(p);
	struct location *own = &p->locations[i];
	if (own->n_frames)
		return i;
	own->mapping = loc->mapping;
	own->address = loc->address;
	set_frames(p, own, loc->frames, loc->n_frames);
	return i;
}

struct merging **profile_merging(struct profile *p)
{
	return &p->index->merging;
}

static uint32_t named_full_node(struct profile *p)
{
	uint32_t node = full_node(p);
	struct location *loc = &p->locations[p->nodes[node].location];
	struct frame f = {.kind = FRAME_MARK, .function = (const char *)loc->raw.aux};
	if (!loc->n_frames)
		set_frames(p, loc, &f, 1);
	return node;
}

uint32_t profile_child_or_full(struct profile *p, uint32_t parent, uint32_t location)
{
	uint32_t node = child_of(p, parent, location, p->n_nodes < p->max_nodes);
	return node == UINT32_MAX ? named_full_node(p) : node;
}
