/* SPDX-License-Identifier: Apache-2.0 */
/* Who called whom, from the stacks of a view. */
#include <stdlib.h>
#include <string.h>

#include "viewing.h"

static void add(uint64_t *to, const uint64_t *values)
{
	for (size_t i = 0; i < PROFILE_VALUES; i++)
		to[i] += values[i];
}

/* The next node with stacks of the view from *i on; false at the end. */
static bool next_leaf(const struct view *v, uint32_t *i)
{
	for (; *i < v->seen.n; ++*i) {
		const struct view_seen *seen = &v->seen.items[*i];
		if (seen->inside && (seen->self[0] || seen->self[1]))
			return true;
	}
	return false;
}

static int compare_edges(const void *a, const void *b)
{
	const struct view_edge *x = a, *y = b;
	if (x->caller != y->caller)
		return x->caller < y->caller ? -1 : 1;
	return x->callee < y->callee ? -1 : x->callee > y->callee;
}

struct graph {
	VEC(struct view_edge) edges;
	VEC(uint32_t) last; /* per edge, the leaf + 1 that counted on it last */
	struct map64 known; /* caller and callee: index + 1 */
};

static void add_call(struct graph *g, uint32_t caller, uint32_t callee, uint32_t leaf,
                     const uint64_t *values)
{
	uint64_t *index = map64_put(&g->known, (uint64_t)caller << 32 | callee);
	if (!*index) {
		*vec_add(&g->edges) = (struct view_edge){.caller = caller, .callee = callee};
		*vec_add(&g->last) = 0;
		*index = g->edges.n;
	}
	if (g->last.items[*index - 1] == leaf + 1)
		return;
	g->last.items[*index - 1] = leaf + 1;
	add(g->edges.items[*index - 1].values, values);
}

struct view_edge *view_edges(struct view *v, size_t *n_ret)
{
	_cleanup_free_ struct graph *g = mem_zalloc(sizeof(*g));
	for (uint32_t leaf = 0; next_leaf(v, &leaf); leaf++) {
		size_t n;
		const uint32_t *path = view_path(v, leaf, &n);
		for (size_t i = 0; i + 1 < n; i++)
			if (path[i] != path[i + 1] || v->config.kind != VIEW_MODULES)
				add_call(g, path[i + 1], path[i], leaf, v->seen.items[leaf].self);
	}
	map64_free(&g->known);
	vec_free(&g->last);
	if (g->edges.n)
		qsort(g->edges.items, g->edges.n, sizeof(*g->edges.items), compare_edges);
	*n_ret = g->edges.n;
	return g->edges.items;
}

struct builder {
	VEC(struct view_tree_node) nodes;
	struct map64 children; /* parent and row: index */
	size_t value;
};

static uint32_t step(struct builder *b, uint32_t parent, uint32_t row, const uint64_t *values)
{
	uint64_t *index = map64_put(&b->children, (uint64_t)parent << 32 | row);
	if (!*index) {
		*index = b->nodes.n;
		uint32_t depth = b->nodes.items[parent].depth + 1;
		*vec_add(&b->nodes) =
		        (struct view_tree_node){.row = row, .parent = parent, .depth = depth};
	}
	add(b->nodes.items[*index].total, values);
	return (uint32_t)*index;
}

static void add_stack(struct builder *b, const uint32_t *path, size_t n, uint32_t row,
                      enum view_direction direction, const uint64_t *values)
{
	uint32_t node = 0;
	if (direction == VIEW_CALLEES) {
		size_t i = n;
		while (row != VIEW_ALL && i && path[i - 1] != row)
			i--;
		if (!i)
			return;
		i -= row != VIEW_ALL; /* below it, which is nodes[0] */
		while (i-- > 0)
			node = step(b, node, path[i], values);
	} else {
		size_t i = 0;
		while (row != VIEW_ALL && i < n && path[i] != row)
			i++;
		if (i == n)
			return;
		for (i += row != VIEW_ALL; i < n; i++)
			node = step(b, node, path[i], values);
	}
	add(b->nodes.items[0].total, values);
	add(b->nodes.items[node].own, values);
}

/* Smallest first: each is linked before those that were. */
static int compare_totals(const void *a, const void *b, void *arg)
{
	const struct builder *builder = arg;
	uint32_t i = *(const uint32_t *)a, k = *(const uint32_t *)b;
	uint64_t x = builder->nodes.items[i].total[builder->value];
	uint64_t y = builder->nodes.items[k].total[builder->value];
	if (x != y)
		return x < y ? -1 : 1;
	return i > k ? -1 : i < k;
}

static void link_children(struct builder *b)
{
	size_t n = b->nodes.n;
	_cleanup_free_ uint32_t *order = mem_realloc_array(NULL, n, sizeof(*order));
	for (uint32_t i = 0; i < n; i++)
		order[i] = i;
	qsort_r(order, n, sizeof(*order), compare_totals, b);
	for (size_t i = 0; i < n; i++) {
		struct view_tree_node *node = &b->nodes.items[order[i]];
		if (!order[i]) /* the root is nobody's child */
			continue;
		node->next = b->nodes.items[node->parent].child;
		b->nodes.items[node->parent].child = order[i];
	}
}

void view_tree_init(struct view_tree *t, struct view *v, uint32_t row,
                    enum view_direction direction, size_t value)
{
	struct builder b = {.value = value};
	*vec_add(&b.nodes) = (struct view_tree_node){.row = row};
	for (uint32_t leaf = 0; next_leaf(v, &leaf); leaf++) {
		size_t n;
		const uint32_t *path = view_path(v, leaf, &n);
		add_stack(&b, path, n, row, direction, v->seen.items[leaf].self);
	}
	link_children(&b);
	map64_free(&b.children);
	*t = (struct view_tree){.nodes = b.nodes.items, .n = b.nodes.n};
}

void view_tree_deinit(struct view_tree *t)
{
	free(t->nodes);
	*t = (struct view_tree){0};
}
