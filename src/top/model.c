/* SPDX-License-Identifier: Apache-2.0 */
/* What is shown is a copy, made at each refresh, of what each stack had got: the last two of them
 * tell what an interval brought, also to a view that is made in between, or while the picture
 * stands still. */
#include "model.h"

#include <stdlib.h>
#include <string.h>
#include <strings.h>

void model_init(struct model *m, const struct top_config *config)
{
	*m = (struct model){.config = *config,
	                    .kind = config->kind,
	                    .no_native = config->no_native,
	                    .sort = config->by_total ? SORT_TOTAL : SORT_OWN};
}

void model_deinit(struct model *m)
{
	view_destroy(m->view);
	vec_free(&m->now);
	vec_free(&m->before);
	vec_free(&m->in_gc);
	vec_free(&m->threads);
	vec_free(&m->by_thread);
	vec_free(&m->order);
	strbuf_free(&m->command);
	strbuf_free(&m->note);
}

void model_set_profile(struct model *m, const struct profile *p)
{
	m->p = p;
	m->now.n = m->before.n = m->in_gc.n = m->threads.n = 0;
	m->gc_ns = m->recent_gc_ns = 0;
	m->shown = *p;
	m->shown.n_nodes = 0;
	model_reshape(m);
}

/* Functions that collect garbage, and all below them. */
static bool collects(const struct profile *p, uint32_t location)
{
	static const char *const names[] = {
	        "(garbage collector)",                           /* Node.js */
	        "gc_collect_main",     "gc_collect_generations", /* CPython from 3.9 */
	        "collect_generations", "collect_with_callback",  "_PyGC_Collect",      "_Py_RunGC",
	        "gc_collect_internal", "PyGC_Collect",           "_PyGC_CollectNoFail"};
	const struct location *loc = &p->locations[location];
	for (uint32_t i = 0; i < loc->n_frames; i++) {
		const char *name = loc->frames[i].function;
		size_t len = strcspn(name, "."); /* .constprop.0, .lto_priv.0 */
		for (size_t k = 0; k < ARRAY_SIZE(names); k++)
			if (!strncmp(name, names[k], len) && !names[k][len])
				return true;
	}
	return false;
}

static void meet_node(struct model *m, uint32_t i)
{
	const struct profile_node *node = &m->now.items[i];
	const struct location *loc = &m->p->locations[node->location];
	bool in_gc = i && (m->in_gc.items[node->parent] || collects(m->p, node->location));
	*vec_add(&m->in_gc) = in_gc;
	if (i && loc->raw.kind == RAW_THREAD && loc->n_frames)
		*vec_add(&m->threads) =
		        (struct thread_node){i, (int32_t)loc->raw.owner, loc->frames[0].function};
}

static void sum_gc(struct model *m)
{
	uint64_t sum = 0;
	for (uint32_t i = 0; i < m->now.n; i++) {
		const struct profile_node *node = &m->now.items[i];
		if (i == m->in_gc.n)
			meet_node(m, i);
		if (m->in_gc.items[i])
			sum += node->self[1];
	}
	m->recent_gc_ns = sum - m->gc_ns;
	m->gc_ns = sum;
}

/* The view looks at m->shown: with the nodes of a refresh, and what locations are by now. */
static void look_at(struct model *m, struct profile_node *nodes, size_t n)
{
	m->shown.locations = m->p->locations;
	m->shown.n_locations = m->p->n_locations;
	m->shown.nodes = nodes;
	m->shown.n_nodes = n;
	view_update(m->view);
}

static void copy_nodes(struct model *m)
{
	size_t n = m->p->n_nodes;
	struct profile_node *items = m->before.items;
	size_t cap = m->before.cap;
	m->before.items = m->now.items;
	m->before.n = m->now.n;
	m->before.cap = m->now.cap;
	if (cap < n) {
		cap = n + n / 4;
		items = mem_realloc_array(items, cap, sizeof(*items));
	}
	memcpy(items, m->p->nodes, n * sizeof(*items));
	m->now.items = items;
	m->now.n = n;
	m->now.cap = cap;
}

static void copy_facts(struct model *m, const struct top_facts *facts)
{
	m->facts = *facts;
	strbuf_clear(&m->command);
	strbuf_clear(&m->note);
	strbuf_add(&m->command, facts->command);
	strbuf_add(&m->note, facts->note ? facts->note : "");
	m->facts.command = m->command.s;
	m->facts.note = facts->note ? m->note.s : NULL;
	m->by_thread.n = 0;
	for (size_t i = 0; i < facts->n_by_thread; i++)
		*vec_add(&m->by_thread) = facts->by_thread[i];
	m->facts.by_thread = m->by_thread.items;
}

void model_refresh(struct model *m, const struct top_facts *facts)
{
	copy_facts(m, facts);
	copy_nodes(m);
	sum_gc(m);
	if (m->thread_unseen && model_thread(m, m->thread))
		model_reshape(m);
	look_at(m, m->now.items, m->now.n);
}

static uint32_t below(const struct model *m)
{
	const struct thread_node *thread = m->thread ? model_thread(m, m->thread) : NULL;
	return thread ? thread->node : m->thread ? UINT32_MAX : 0;
}

void model_reshape(struct model *m)
{
	struct view_config config = {.kind = m->kind, .no_native = m->no_native, .below = below(m)};
	m->thread_unseen = m->thread && config.below == UINT32_MAX;
	view_destroy(m->view);
	m->view = view_create(&m->shown, &config);
	m->order.n = 0;
	if (!m->now.n)
		return;
	look_at(m, m->before.items, m->before.n);
	look_at(m, m->now.items, m->now.n);
}

const struct thread_node *model_thread(const struct model *m, const char *name)
{
	for (size_t i = m->threads.n; i-- > 0;)
		if (m->threads.items[i].name == name)
			return &m->threads.items[i];
	return NULL;
}

struct view *model_interval_view(struct model *m)
{
	if (m->whole)
		return m->view;
	m->part = m->shown;
	m->part.nodes = mem_realloc_array(NULL, m->now.n + 1, sizeof(*m->part.nodes));
	for (size_t i = 0; i < m->now.n; i++) {
		m->part.nodes[i] = m->now.items[i];
		for (size_t k = 0; k < PROFILE_VALUES && i < m->before.n; k++)
			m->part.nodes[i].self[k] -= m->before.items[i].self[k];
	}
	const struct view_config config = {
	        .kind = m->kind, .no_native = m->no_native, .below = below(m)};
	struct view *v = view_create(&m->part, &config);
	view_update(v);
	return v;
}

void model_interval_view_done(struct model *m, struct view *v)
{
	if (v == m->view)
		return;
	view_destroy(v);
	free(m->part.nodes);
}

bool model_has_lock(const struct model *m)
{
	return m->facts.lock >= 0;
}

double model_gc(const struct model *m)
{
	/* Frames are exact, if the collector's functions have names. */
	if (m->facts.n_runtimes && m->gc_ns)
		return model_share(m, m->recent_gc_ns, m->gc_ns);
	return m->whole ? m->facts.gc_run : m->facts.gc;
}

double model_share(const struct model *m, uint64_t recent_ns, uint64_t ns)
{
	uint64_t part = m->whole ? ns : recent_ns;
	uint64_t of = m->whole ? m->facts.run_ns : m->facts.interval_ns;
	if (m->of_all)
		of = (m->whole ? view_total(m->view) : view_recent_total(m->view))[1];
	return of ? 100 * (double)part / (double)of : 0;
}

static double lock_share(const struct model *m, const char *name)
{
	const struct thread_node *thread = model_thread(m, name);
	for (size_t i = 0; thread && i < m->by_thread.n; i++)
		if (m->by_thread.items[i].tid == thread->tid)
			return model_share(m, m->by_thread.items[i].recent_locked_ns,
			                   m->by_thread.items[i].locked_ns);
	return 0;
}

void model_cells(const struct model *m, const struct view_row *row, struct cells *ret)
{
	*ret = (struct cells){
	        .own = model_share(m, row->recent_own[1], row->own[1]),
	        .total = model_share(m, row->recent_total[1], row->total[1]),
	        .own_ns = row->own[1],
	        .total_ns = row->total[1],
	        .lock = -1,
	};
	if (m->kind == VIEW_THREADS && model_has_lock(m))
		ret->lock = lock_share(m, row->frame.function);
}

/* What rows are sorted by, the first that differs decides. */
#define SORT_KEYS 4
static void sort_keys(const struct model *m, const struct view_row *row, uint64_t keys[SORT_KEYS])
{
	uint64_t own = row->own[1], total = row->total[1];
	uint64_t recent_own = m->whole ? own : row->recent_own[1];
	uint64_t recent_total = m->whole ? total : row->recent_total[1];
	switch (m->sort) {
	case SORT_TOTAL:
		memcpy(keys, (uint64_t[]){recent_total, recent_own, total, own}, 4 * sizeof(own));
		return;
	case SORT_OWN_TIME:
		memcpy(keys, (uint64_t[]){own, total, 0, 0}, 4 * sizeof(own));
		return;
	case SORT_TOTAL_TIME:
		memcpy(keys, (uint64_t[]){total, own, 0, 0}, 4 * sizeof(own));
		return;
	case SORT_NAME:
		memset(keys, 0, SORT_KEYS * sizeof(*keys));
		return;
	case SORT_OWN:
	case SORTS:
	default:
		memcpy(keys, (uint64_t[]){recent_own, recent_total, own, total}, 4 * sizeof(own));
	}
}

static int compare_rows(const void *a, const void *b, void *arg)
{
	const struct model *m = arg;
	size_t n;
	const struct view_row *rows = view_rows(m->view, &n);
	uint32_t i = *(const uint32_t *)a, k = *(const uint32_t *)b;
	uint64_t x[SORT_KEYS], y[SORT_KEYS];
	sort_keys(m, &rows[i], x);
	sort_keys(m, &rows[k], y);
	int sign = m->upside_down ? -1 : 1;
	for (size_t key = 0; key < SORT_KEYS; key++)
		if (x[key] != y[key])
			return x[key] > y[key] ? -sign : sign;
	int by_name = sign * strcasecmp(rows[i].frame.function, rows[k].frame.function);
	return by_name ? by_name : i < k ? -1 : i > k;
}

/* A few of very many: those that are not better than the worst of the best so far are passed over.
 */
size_t model_sort(struct model *m, size_t n)
{
	size_t n_rows, in_all = 0;
	const struct view_row *rows = view_rows(m->view, &n_rows);
	size_t limit = n < n_rows / 2 ? 2 * n : SIZE_MAX;
	bool cut = false;
	m->order.n = 0;
	for (uint32_t i = 0; i < n_rows; i++) {
		if (!rows[i].total[1])
			continue;
		in_all++;
		if (cut && compare_rows(&i, &m->order.items[n - 1], m) > 0)
			continue;
		*vec_add(&m->order) = i;
		if (m->order.n < limit)
			continue;
		qsort_r(m->order.items, m->order.n, sizeof(i), compare_rows, m);
		m->order.n = n;
		cut = n > 0;
	}
	if (m->order.n)
		qsort_r(m->order.items, m->order.n, sizeof(uint32_t), compare_rows, m);
	if (m->order.n > n)
		m->order.n = n;
	return in_all;
}
