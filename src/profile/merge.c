/* SPDX-License-Identifier: Apache-2.0 */
/* Two profiles in one. Raw frames mean something in their own run only, so what makes two locations
 * one is what they say: file (by build id where there is one), offset in it, and names. Each
 * location is looked up once, each node costs one more look-up; names compare by address. */
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

#include <csample/hash.h>
#include <csample/mem.h>

#include "merging.h"

/* Of the profile that is added to; kept from one merge to the next. */
struct merging {
	uint64_t seed;
	struct map64 mappings, locations; /* by a hash of what they say: index + 1 */
	size_t n_mappings, n_locations;   /* how many of the profile's are in there */
};

/* One merge. */
struct merge {
	struct profile *into;
	const struct profile *from;
	struct merging *known;
	struct map64 strings; /* from's to into's; unused where they are the same */
	uint32_t *mappings;   /* per mapping of from, its number in into */
	uint32_t *locations;  /* per location of from, its index + 1 in into; 0: not yet */
};

void merging_destroy(struct merging *m)
{
	if (!m)
		return;
	map64_free(&m->mappings);
	map64_free(&m->locations);
	free(m);
}

static struct merging *merging_of(struct profile *p)
{
	struct merging **at = profile_merging(p);
	if (!*at) {
		*at = mem_zalloc(sizeof(**at));
		if (getrandom(&(*at)->seed, sizeof((*at)->seed), GRND_NONBLOCK) !=
		    sizeof((*at)->seed))
			(*at)->seed = (uintptr_t)*at;
	}
	return *at;
}

static const char *own(struct merge *m, const char *s)
{
	if (!s || m->from->strings == m->into->strings)
		return s;
	uint64_t *at = map64_put(&m->strings, (uintptr_t)s);
	if (!*at)
		*at = (uintptr_t)intern(m->into->strings, s);
	return (const char *)(uintptr_t)*at;
}

static uint64_t hash_mapping(uint64_t seed, const struct profile_mapping *m)
{
	const char *id = m->build_id ? m->build_id : m->file;
	return hash_mix(seed ^ (uintptr_t)id, m->offset);
}

static bool same_file(const struct profile_mapping *a, const struct profile_mapping *b)
{
	if (a->offset != b->offset || a->build_id != b->build_id)
		return false;
	return a->build_id || a->file == b->file;
}

static uint64_t hash_location(uint64_t seed, const struct location *loc)
{
	/* Code that is in no file is told by its name: its address says nothing elsewhere. */
	uint64_t h = hash_mix(seed ^ loc->mapping, loc->mapping ? loc->address : 0);
	for (uint32_t i = 0; i < loc->n_frames; i++) {
		const struct frame *f = &loc->frames[i];
		h = hash_mix(h ^ (uintptr_t)f->function, (uint64_t)f->line << 32 | f->column);
		h = hash_mix(h ^ (uintptr_t)f->file, (uintptr_t)f->module + f->kind);
	}
	return h;
}

static bool same_location(const struct location *a, const struct location *b)
{
	if (a->mapping != b->mapping || a->n_frames != b->n_frames ||
	    (a->mapping && a->address != b->address))
		return false;
	for (uint32_t i = 0; i < a->n_frames; i++) {
		const struct frame *x = &a->frames[i], *y = &b->frames[i];
		if (x->function != y->function || x->file != y->file || x->line != y->line ||
		    x->column != y->column || x->module != y->module || x->kind != y->kind)
			return false;
	}
	return true;
}

/* Those names that make a location by themselves, wherever they are. */
static bool is_label(const struct raw_frame *raw)
{
	return raw->kind == RAW_MARK || raw->kind == RAW_THREAD || raw->kind == RAW_PROCESS;
}

/* Where a mapping is, or would be entered; it holds its index + 1. */
static uint64_t *mapping_slot(struct merging *known, const struct profile *p,
                              const struct profile_mapping *m)
{
	for (uint64_t hash = hash_mapping(known->seed, m);; hash = hash_u64(hash + 1)) {
		uint64_t *at = map64_put(&known->mappings, hash);
		if (!*at || same_file(&p->mappings[*at - 1], m))
			return at;
	}
}

static uint64_t *location_slot(struct merging *known, const struct profile *p,
                               const struct location *loc)
{
	for (uint64_t hash = hash_location(known->seed, loc);; hash = hash_u64(hash + 1)) {
		uint64_t *at = map64_put(&known->locations, hash);
		if (!*at || same_location(&p->locations[*at - 1], loc))
			return at;
	}
}

/* What was added to the profile by other ways since. */
static void catch_up(struct merging *known, const struct profile *p)
{
	for (; known->n_mappings < p->n_mappings; known->n_mappings++) {
		uint64_t *at = mapping_slot(known, p, &p->mappings[known->n_mappings]);
		if (!*at)
			*at = known->n_mappings + 1;
	}
	for (; known->n_locations < p->n_locations; known->n_locations++) {
		const struct location *loc = &p->locations[known->n_locations];
		if (!loc->n_frames || is_label(&loc->raw))
			continue;
		uint64_t *at = location_slot(known, p, loc);
		if (!*at)
			*at = known->n_locations + 1;
	}
}

static uint32_t merge_mapping(struct merge *m, const struct profile_mapping *theirs)
{
	struct profile_mapping mapping = *theirs;
	mapping.file = own(m, mapping.file);
	mapping.build_id = own(m, mapping.build_id);
	uint64_t *at = mapping_slot(m->known, m->into, &mapping);
	if (*at) {
		const struct profile_mapping *ours = &m->into->mappings[*at - 1];
		mapping.file = ours->file;
		mapping.limit = ours->start + (mapping.limit - mapping.start);
		mapping.start = ours->start;
	}
	uint32_t number = profile_mapping(m->into, &mapping);
	*at = number;
	m->known->n_mappings = m->into->n_mappings;
	return number;
}

/* The index in into of one of from's locations. */
static uint32_t merge_location(struct merge *m, uint32_t index)
{
	if (m->locations[index])
		return m->locations[index] - 1;
	const struct location *theirs = &m->from->locations[index];
	struct location loc = {.address = theirs->address, .n_frames = theirs->n_frames};
	struct frame some[16], *frames = some;
	if (loc.n_frames > ARRAY_SIZE(some))
		frames = mem_realloc_array(NULL, loc.n_frames, sizeof(*frames));
	for (uint32_t i = 0; i < loc.n_frames; i++) {
		frames[i] = theirs->frames[i];
		frames[i].function = own(m, frames[i].function);
		frames[i].module = own(m, frames[i].module);
		frames[i].file = own(m, frames[i].file);
	}
	loc.frames = frames;
	uint32_t ret;
	if (is_label(&theirs->raw)) {
		loc.raw = theirs->raw;
		loc.raw.aux = (uintptr_t)own(m, (const char *)(uintptr_t)loc.raw.aux);
		ret = profile_add_location(m->into, &loc);
	} else {
		if (theirs->mapping) {
			loc.mapping = m->mappings[theirs->mapping - 1];
			loc.address += m->into->mappings[loc.mapping - 1].start -
			               m->from->mappings[theirs->mapping - 1].start;
		}
		uint64_t *at = location_slot(m->known, m->into, &loc);
		if (!*at)
			*at = profile_add_location(m->into, &loc) + 1;
		ret = (uint32_t)*at - 1;
	}
	m->known->n_locations = m->into->n_locations;
	if (frames != some)
		free(frames);
	m->locations[index] = ret + 1;
	return ret;
}

/* What a node adds; false: nothing. */
static bool gain(const struct profile *from, uint32_t i, const uint64_t (*baseline)[PROFILE_VALUES],
                 size_t n_baseline, uint64_t ret[static PROFILE_VALUES])
{
	bool any = false;
	for (size_t v = 0; v < PROFILE_VALUES; v++) {
		uint64_t before = baseline && i < n_baseline ? baseline[i][v] : 0;
		uint64_t now = from->nodes[i].self[v];
		ret[v] = now > before ? now - before : 0;
		any |= ret[v] > 0;
	}
	return any;
}

static void merge_nodes(struct merge *m, uint32_t parent,
                        const uint64_t (*baseline)[PROFILE_VALUES], size_t n_baseline)
{
	const struct profile *from = m->from;
	uint64_t values[PROFILE_VALUES];
	/* First which of them lead to something, from the leaves; then their nodes in into. */
	_cleanup_free_ uint32_t *nodes = mem_zalloc(from->n_nodes * sizeof(*nodes));
	for (size_t i = from->n_nodes; i-- > 1;) {
		if (!nodes[i])
			nodes[i] = gain(from, (uint32_t)i, baseline, n_baseline, values);
		if (nodes[i])
			nodes[from->nodes[i].parent] = 1;
	}
	nodes[0] = parent;
	if (gain(from, 0, baseline, n_baseline, values))
		profile_add_to_node(m->into, parent, values);
	for (uint32_t i = 1; i < from->n_nodes; i++) {
		if (!nodes[i])
			continue;
		uint32_t location = merge_location(m, from->nodes[i].location);
		nodes[i] = profile_child_or_full(m->into, nodes[from->nodes[i].parent], location);
		if (gain(from, i, baseline, n_baseline, values))
			profile_add_to_node(m->into, nodes[i], values);
	}
}

static void merge_meta(struct merge *m)
{
	struct profile_meta *into = &m->into->meta;
	const struct profile_meta *from = &m->from->meta;
	const char **texts[] = {&into->title, &into->command, &into->event, &into->value_type,
	                        &into->note};
	const char *const theirs[] = {from->title, from->command, from->event, from->value_type,
	                              from->note};
	for (size_t i = 0; i < ARRAY_SIZE(texts); i++)
		if (!*texts[i])
			*texts[i] = own(m, theirs[i]);
	if (!into->pid)
		into->pid = from->pid;
	if (!(into->rate_hz > 0))
		into->rate_hz = from->rate_hz;
	if (from->start_unix_ns &&
	    (!into->start_unix_ns || from->start_unix_ns < into->start_unix_ns))
		into->start_unix_ns = from->start_unix_ns;
	into->duration_ns += from->duration_ns;
	into->lost += from->lost;
}

void profile_merge_below(struct profile *into, uint32_t parent, const struct profile *from,
                         const uint64_t (*baseline)[PROFILE_VALUES], size_t n_baseline)
{
	struct merge m = {.into = into, .from = from, .known = merging_of(into)};
	catch_up(m.known, into);
	m.mappings = mem_alloc((from->n_mappings + 1) * sizeof(*m.mappings));
	m.locations = mem_zalloc((from->n_locations + 1) * sizeof(*m.locations));
	for (size_t i = 0; i < from->n_mappings; i++)
		m.mappings[i] = merge_mapping(&m, &from->mappings[i]);
	merge_nodes(&m, parent, baseline, n_baseline);
	merge_meta(&m);
	map64_free(&m.strings);
	free(m.mappings);
	free(m.locations);
}

void profile_merge(struct profile *into, const struct profile *from,
                   const uint64_t (*baseline)[PROFILE_VALUES], size_t n_baseline)
{
	profile_merge_below(into, 0, from, baseline, n_baseline);
}
