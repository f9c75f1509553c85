/* SPDX-License-Identifier: Apache-2.0 */
/* Rows of a view. What a location's rows are is found once; what a node had when it was last looked
 * at is kept, so that an update walks only the stacks that grew. */
#include <stdlib.h>
#include <string.h>

#include "viewing.h"

struct view *view_create(const struct profile *p, const struct view_config *config)
{
	struct view *v = mem_zalloc(sizeof(*v));
	v->p = p;
	v->config = *config;
	return v;
}

void view_destroy(struct view *v)
{
	if (!v)
		return;
	vec_free(&v->rows);
	vec_free(&v->stamps);
	map64_free(&v->by_key);
	vec_free(&v->located);
	vec_free(&v->frame_rows);
	vec_free(&v->seen);
	vec_free(&v->path);
	free(v);
}

/* Names are interned: equal ones have one address, and which one the target cannot choose. */
static uint32_t row_of(struct view *v, const struct frame *f)
{
	uint64_t key = hash_mix((uintptr_t)f->function, (uintptr_t)f->module);
	key = hash_mix(key ^ f->line, (uintptr_t)f->file);
	uint64_t *index = map64_put(&v->by_key, key);
	if (!*index) {
		*vec_add(&v->rows) = (struct view_row){.frame = *f};
		*vec_add(&v->stamps) = 0;
		*index = v->rows.n;
	}
	return (uint32_t)*index - 1;
}

static uint32_t row_without(struct view *v)
{
	static const struct frame none = {.kind = FRAME_MARK, .function = "[no frames]"};
	static const struct frame all = {.kind = FRAME_MARK, .function = "[all threads]"};
	return row_of(v, v->config.kind == VIEW_THREADS ? &all : &none);
}

static bool is_root(const struct location *loc)
{
	return loc->raw.kind == RAW_THREAD || loc->raw.kind == RAW_PROCESS;
}

/* Is it in a view of this kind, and as what? */
static bool shown(const struct view *v, const struct location *loc, const struct frame *f,
                  struct frame *ret)
{
	bool native =
	        f->kind == FRAME_NATIVE || f->kind == FRAME_INLINED || f->kind == FRAME_KERNEL;
	if (is_root(loc) != (v->config.kind == VIEW_THREADS) || (native && v->config.no_native))
		return false;
	*ret = *f;
	ret->column = 0;
	if (v->config.kind != VIEW_LINES)
		ret->line = 0;
	if (v->config.kind != VIEW_MODULES)
		return true;
	const char *name = f->module ? f->module : f->file;
	if (f->kind == FRAME_MARK || !name)
		name = f->kind == FRAME_MARK ? f->function : "[unknown]";
	*ret = (struct frame){.kind = f->kind == FRAME_INLINED ? FRAME_NATIVE : f->kind,
	                      .function = name};
	return true;
}

/* Where the rows of a location are in frame_rows: the count comes first. */
static uint32_t locate(struct view *v, uint32_t location)
{
	static const struct frame unknown = {.kind = FRAME_NATIVE, .function = "[unknown]"};
	const struct location *loc = &v->p->locations[location];
	while (v->located.n <= location)
		*vec_add(&v->located) = 0;
	if (v->located.items[location])
		return v->located.items[location] - 1;
	uint32_t at = (uint32_t)v->frame_rows.n, n = 0;
	*vec_add(&v->frame_rows) = 0;
	for (uint32_t i = 0; i < (loc->n_frames ? loc->n_frames : 1); i++) {
		struct frame frame;
		if (!shown(v, loc, loc->n_frames ? &loc->frames[i] : &unknown, &frame))
			continue;
		*vec_add(&v->frame_rows) = row_of(v, &frame);
		n++;
	}
	v->frame_rows.items[at] = n;
	if (loc->n_frames) /* else it may be named the next time */
		v->located.items[location] = at + 1;
	return at;
}

const uint32_t *view_path(struct view *v, uint32_t leaf, size_t *n_ret)
{
	const struct profile *p = v->p;
	v->path.n = 0;
	for (uint32_t i = leaf; i; i = p->nodes[i].parent) {
		uint32_t at = locate(v, p->nodes[i].location);
		for (uint32_t k = 0; k < v->frame_rows.items[at]; k++)
			*vec_add(&v->path) = v->frame_rows.items[at + 1 + k];
		if (!v->located.items[p->nodes[i].location])
			v->frame_rows.n = at; /* not to be found again */
	}
	if (!v->path.n)
		*vec_add(&v->path) = row_without(v);
	*n_ret = v->path.n;
	return v->path.items;
}

static void add(uint64_t *to, const uint64_t *values)
{
	for (size_t i = 0; i < PROFILE_VALUES; i++)
		to[i] += values[i];
}

static void count(struct view *v, uint32_t leaf, const uint64_t grown[PROFILE_VALUES])
{
	size_t n;
	const uint32_t *path = view_path(v, leaf, &n);
	if (!++v->stamp) { /* once in four thousand million stacks */
		memset(v->stamps.items, 0, v->stamps.n * sizeof(*v->stamps.items));
		v->stamp = 1;
	}
	add(v->total, grown);
	add(v->recent_total, grown);
	add(v->rows.items[path[0]].own, grown);
	add(v->rows.items[path[0]].recent_own, grown);
	for (size_t i = 0; i < n; i++) {
		if (v->stamps.items[path[i]] == v->stamp)
			continue;
		v->stamps.items[path[i]] = v->stamp;
		add(v->rows.items[path[i]].total, grown);
		add(v->rows.items[path[i]].recent_total, grown);
	}
}

void view_update(struct view *v)
{
	const struct profile *p = v->p;
	memset(v->recent_total, 0, sizeof(v->recent_total));
	for (size_t i = 0; i < v->rows.n; i++) {
		memset(v->rows.items[i].recent_own, 0, sizeof(v->rows.items[i].recent_own));
		memset(v->rows.items[i].recent_total, 0, sizeof(v->rows.items[i].recent_total));
	}
	for (uint32_t i = 0; i < p->n_nodes; i++) {
		const struct profile_node *node = &p->nodes[i];
		if (i == v->seen.n) { /* its parent has been seen */
			bool inside =
			        i == v->config.below || (i && v->seen.items[node->parent].inside);
			*vec_add(&v->seen) = (struct view_seen){.inside = inside};
		}
		uint64_t grown[PROFILE_VALUES], any = 0;
		for (size_t k = 0; k < PROFILE_VALUES; k++) {
			grown[k] = node->self[k] - v->seen.items[i].self[k];
			v->seen.items[i].self[k] = node->self[k];
			any |= grown[k];
		}
		if (any && v->seen.items[i].inside)
			count(v, i, grown);
	}
}

void view_reset(struct view *v)
{
	memset(v->total, 0, sizeof(v->total));
	memset(v->recent_total, 0, sizeof(v->recent_total));
	for (size_t i = 0; i < v->rows.n; i++)
		v->rows.items[i] = (struct view_row){.frame = v->rows.items[i].frame};
}

const struct view_row *view_rows(const struct view *v, size_t *n_ret)
{
	*n_ret = v->rows.n;
	return v->rows.items;
}

const uint64_t *view_total(const struct view *v)
{
	return v->total;
}

const uint64_t *view_recent_total(const struct view *v)
{
	return v->recent_total;
}
