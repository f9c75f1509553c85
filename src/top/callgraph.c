/* SPDX-License-Identifier: Apache-2.0 */
#include "callgraph.h"

#include <stdlib.h>
#include <string.h>

#define MAX_LINES 20000

void callgraph_open(struct callgraph *g, const struct frame *root)
{
	map64_clear(&g->toggled);
	g->lines.n = 0;
	g->shown = true;
	g->root = *root;
	g->direction = VIEW_CALLEES;
}

void callgraph_turn(struct callgraph *g)
{
	map64_clear(&g->toggled);
	g->direction = g->direction == VIEW_CALLEES ? VIEW_CALLERS : VIEW_CALLEES;
}

void callgraph_toggle(struct callgraph *g, const struct callgraph_line *line)
{
	uint64_t *value = map64_put(&g->toggled, line->path);
	*value = !*value;
}

void callgraph_deinit(struct callgraph *g)
{
	map64_free(&g->toggled);
	vec_free(&g->lines);
}

static uint64_t path_of(uint64_t parent, const struct frame *f)
{
	uint64_t key = hash_mix(parent, (uintptr_t)f->function);
	key = hash_mix(key ^ f->line, (uintptr_t)f->file);
	return hash_mix(key, (uintptr_t)f->module);
}

static bool is_open(const struct callgraph *g, uint64_t path, unsigned depth)
{
	const uint64_t *toggled = map64_get(&g->toggled, path);
	return (depth == 0) != (toggled && *toggled);
}

struct walk {
	struct callgraph *g;
	const struct model *m;
	const struct view_tree *tree;
	const struct view_row *rows;
};

static void add_line(struct walk *w, uint32_t node, uint64_t path)
{
	const struct view_tree_node *n = &w->tree->nodes[node];
	const struct frame *frame = node ? &w->rows[n->row].frame : &w->g->root;
	*vec_add(&w->g->lines) = (struct callgraph_line){
	        .path = path,
	        .depth = n->depth,
	        .has_children = n->child != 0,
	        .open = is_open(w->g, path, n->depth),
	        .frame = *frame,
	        .cells = {.own = model_share(w->m, n->own[1], n->own[1]),
	                  .total = model_share(w->m, n->total[1], n->total[1]),
	                  .own_ns = n->own[1],
	                  .total_ns = n->total[1],
	                  .lock = -1},
	};
}

/* In the order of the screen: a node, its children if it is open, its next sibling. */
static void list_lines(struct walk *w)
{
	VEC(uint64_t) paths = {0}; /* by depth */
	uint32_t node = 0;
	while (w->g->lines.n < MAX_LINES) {
		const struct view_tree_node *n = &w->tree->nodes[node];
		const struct frame *frame = node ? &w->rows[n->row].frame : &w->g->root;
		uint64_t path = path_of(n->depth ? paths.items[n->depth - 1] : 0, frame);
		if (paths.n == n->depth)
			*vec_add(&paths) = path;
		paths.items[n->depth] = path;
		add_line(w, node, path);
		if (n->child && is_open(w->g, path, n->depth)) {
			node = n->child;
			continue;
		}
		while (node && !w->tree->nodes[node].next)
			node = w->tree->nodes[node].parent;
		if (!node)
			break;
		node = w->tree->nodes[node].next;
	}
	vec_free(&paths);
}

static uint32_t find_row(const struct view_row *rows, size_t n, const struct frame *f)
{
	for (uint32_t i = 0; i < n; i++) {
		const struct frame *row = &rows[i].frame;
		if (row->function == f->function && row->module == f->module &&
		    row->file == f->file && row->line == f->line)
			return i;
	}
	return VIEW_ALL;
}

void callgraph_refresh(struct callgraph *g, struct model *m)
{
	struct view_tree tree;
	struct view *v = model_interval_view(m);
	size_t n;
	const struct view_row *rows = view_rows(v, &n);
	uint32_t row = find_row(rows, n, &g->root);
	g->lines.n = 0;
	if (row == VIEW_ALL) { /* not met in the last interval */
		struct view_tree_node none = {0};
		tree = (struct view_tree){&none, 1};
		add_line(&(struct walk){g, m, &tree, rows}, 0, path_of(0, &g->root));
	} else {
		view_tree_init(&tree, v, row, g->direction, 1);
		list_lines(&(struct walk){g, m, &tree, rows});
		view_tree_deinit(&tree);
	}
	model_interval_view_done(m, v);
}
