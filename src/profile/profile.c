/* SPDX-License-Identifier: Apache-2.0 */
/* Two hash indices make a stack cheap to add: raw frame to location, and (parent, location) to
 * node. */
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

#include <csample/hash.h>
#include <csample/mem.h>
#include <csample/profile.h>

#define MAX_NODES               ((size_t)1 << 24) /* 40 bytes each, with the index's share */
#define MAX_FRAMES_PER_LOCATION 128

/* Open addressing over the profile's own arrays: a slot holds part of the hash, so that growing
 * touches nothing else, and index + 1, 0 for free. */
struct table {
	struct slot {
		uint32_t hash, index;
	} * slots;
	size_t n, cap;
};

struct profile_index {
	struct table locations, nodes, mappings;
	size_t cap_locations, cap_nodes, cap_mappings;
	uint64_t seed; /* the target chooses its addresses: not which of them collide */
	struct arena *frames;
};

static void table_grow(struct table *t)
{
	struct table bigger = {.cap = t->cap ? t->cap * 2 : 256, .n = t->n};
	bigger.slots = mem_zalloc(bigger.cap * sizeof(*bigger.slots));
	for (size_t i = 0; i < t->cap; i++) {
		if (!t->slots[i].index)
			continue;
		size_t at = t->slots[i].hash & (bigger.cap - 1);
		while (bigger.slots[at].index)
			at = (at + 1) & (bigger.cap - 1);
		bigger.slots[at] = t->slots[i];
	}
	free(t->slots);
	*t = bigger;
}

/* Where to start looking; with room for one more in any case. */
static inline size_t table_start(struct table *t, uint32_t hash)
{
	if (t->n * 2 >= t->cap)
		table_grow(t);
	return hash & (t->cap - 1);
}

static void table_put(struct table *t, size_t at, uint32_t hash, size_t index)
{
	t->slots[at] = (struct slot){.hash = hash, .index = (uint32_t)index + 1};
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

struct profile *profile_create(struct strings *strings)
{
	struct profile *p = mem_zalloc(sizeof(*p));
	struct profile_index *index = mem_zalloc(sizeof(*index));
	p->strings = strings;
	p->index = index;
	p->max_nodes = MAX_NODES;
	index->frames = arena_create();
	if (getrandom(&index->seed, sizeof(index->seed), GRND_NONBLOCK) != sizeof(index->seed))
		index->seed = hash_u64((uintptr_t)p);
	p->nodes = room(NULL, 0, &index->cap_nodes, sizeof(*p->nodes));
	p->nodes[p->n_nodes++] = (struct profile_node){0};
	return p;
}

void profile_destroy(struct profile *p)
{
	if (!p)
		return;
	free(p->index->locations.slots);
	free(p->index->nodes.slots);
	free(p->index->mappings.slots);
	arena_destroy(p->index->frames);
	free(p->index);
	free(p->mappings);
	free(p->locations);
	free(p->nodes);
	free(p);
}

_Static_assert(sizeof(struct raw_frame) == 24, "hashed and compared as three words");

static inline uint32_t hash_raw(uint64_t seed, const struct raw_frame *raw)
{
	uint64_t head;
	memcpy(&head, raw, sizeof(head));
	return (uint32_t)hash_mix(hash_mix(seed ^ head, raw->addr), raw->aux);
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
	uint32_t hash = hash_raw(p->index->seed, raw);
	size_t at = table_start(t, hash);
	for (; t->slots[at].index; at = (at + 1) & (t->cap - 1)) {
		uint32_t i = t->slots[at].index - 1;
		if (t->slots[at].hash == hash && !memcmp(&p->locations[i].raw, raw, sizeof(*raw)))
			return i;
	}
	if (!may_add)
		return UINT32_MAX;
	uint32_t i = append_location(p);
	p->locations[i].raw = *raw;
	table_put(t, at, hash, i);
	return i;
}

/* The child of parent for a location; UINT32_MAX if it is new and may not be added. */
static uint32_t child_of(struct profile *p, uint32_t parent, uint32_t location, bool may_add)
{
	struct table *t = &p->index->nodes;
	uint32_t hash = (uint32_t)hash_u64(p->index->seed ^ ((uint64_t)parent << 32 | location));
	size_t at = table_start(t, hash);
	for (; t->slots[at].index; at = (at + 1) & (t->cap - 1)) {
		const struct profile_node *node = &p->nodes[t->slots[at].index - 1];
		if (t->slots[at].hash == hash && node->parent == parent &&
		    node->location == location)
			return t->slots[at].index - 1;
	}
	if (!may_add)
		return UINT32_MAX;
	p->nodes = room(p->nodes, p->n_nodes, &p->index->cap_nodes, sizeof(*p->nodes));
	p->nodes[p->n_nodes] = (struct profile_node){.parent = parent, .location = location};
	table_put(t, at, hash, p->n_nodes);
	return (uint32_t)p->n_nodes++;
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
	uint64_t h = hash_mix(p->index->seed ^ (uintptr_t)mapping->file, mapping->start);
	uint32_t hash = (uint32_t)hash_mix(h ^ (uintptr_t)mapping->build_id, mapping->offset);
	size_t at = table_start(t, hash);
	for (; t->slots[at].index; at = (at + 1) & (t->cap - 1)) {
		struct profile_mapping *m = &p->mappings[t->slots[at].index - 1];
		if (t->slots[at].hash != hash || !same_mapping(m, mapping))
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
	table_put(t, at, hash, p->n_mappings);
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
	struct frame frames[MAX_FRAMES_PER_LOCATION];
	for (size_t i = 0; i < p->n_locations; i++) {
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
