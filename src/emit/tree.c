/* SPDX-License-Identifier: Apache-2.0 */
/* The profile's trie has a node per address; people read functions. Two passes: each location's
 * frames become label numbers, then each node of the profile finds its place below its parent's. */
#include <stdlib.h>
#include <string.h>

#include <csample/hash.h>
#include <csample/mem.h>
#include <csample/vec.h>

#include "emit.h"

struct builder {
	struct tree *t;
	const struct profile *p;
	const struct emit_options *opt;
	tree_text *text;
	bool apart;
	VEC(struct tree_label) labels;
	VEC(struct tree_node) nodes;
	struct map64 text_ids, place_ids; /* by address of the interned string */
	struct map64 label_ids;           /* of text id, place id and kind; value + 1 */
	struct map64 children;            /* of parent and label; value + 1 */
	struct strbuf buf;
	uint32_t *first; /* per location: where its frames' labels start in ids */
	VEC(uint32_t) ids;
};

static const struct frame unnamed = {.kind = FRAME_MARK, .function = "[unknown]"};
static const struct frame no_frames = {.kind = FRAME_MARK, .function = LABEL_NO_FRAMES};

/* A dense number for each distinct pointer. */
static uint64_t id_of(struct map64 *ids, const char *s)
{
	if (!s)
		return 0;
	uint64_t *id = map64_put(ids, (uintptr_t)s);
	if (!*id)
		*id = ids->n;
	return *id;
}

static uint32_t label_of(struct builder *b, const struct frame *f)
{
	bool is_script = f->kind == FRAME_PYTHON || f->kind == FRAME_JAVASCRIPT;
	strbuf_clear(&b->buf);
	b->text(f, b->opt, &b->buf);
	struct tree_label label = {
	        .text = intern_n(b->t->texts, b->buf.s, b->buf.len),
	        .place = is_script ? f->file : f->module,
	        .kind = f->kind,
	};
	uint64_t key = id_of(&b->text_ids, label.text);
	if (b->apart) /* 16 million places and all kinds fit beside 2^32 texts: no two keys are
	                 equal */
		key |= (id_of(&b->place_ids, label.place) & 0xffffff) << 32 | (uint64_t)f->kind
		                                                                      << 56;
	uint64_t *id = map64_put(&b->label_ids, key);
	if (!*id) {
		*vec_add(&b->labels) = label;
		*id = b->labels.n;
	}
	return (uint32_t)(*id - 1);
}

static void label_locations(struct builder *b)
{
	b->first = mem_realloc_array(NULL, b->p->n_locations + 1, sizeof(*b->first));
	for (size_t i = 0; i < b->p->n_locations; i++) {
		const struct location *loc = &b->p->locations[i];
		b->first[i] = (uint32_t)b->ids.n;
		if (!loc->n_frames)
			*vec_add(&b->ids) = label_of(b, &unnamed);
		for (size_t f = 0; f < loc->n_frames; f++)
			*vec_add(&b->ids) = label_of(b, &loc->frames[f]);
	}
}

static void add_where(struct tree_node *node, const struct frame *f)
{
	if (!f->file)
		return;
	if (!node->file)
		node->file = f->file;
	if (node->file != f->file) {
		node->other_files = true;
		return;
	}
	if (f->line && (!node->line_min || f->line < node->line_min))
		node->line_min = f->line;
	if (f->line > node->line_max)
		node->line_max = f->line;
}

static uint32_t child_of(struct builder *b, uint32_t parent, uint32_t label, const struct frame *f)
{
	uint64_t *child = map64_put(&b->children, (uint64_t)parent << 32 | label);
	if (!*child) {
		*vec_add(&b->nodes) = (struct tree_node){.parent = parent, .label = label};
		*child = b->nodes.n;
	}
	add_where(&b->nodes.items[*child - 1], f);
	return (uint32_t)(*child - 1);
}

static void add_self(struct tree_node *node, const uint64_t values[PROFILE_VALUES])
{
	for (size_t v = 0; v < PROFILE_VALUES; v++)
		node->self[v] += values[v];
}

static void merge_nodes(struct builder *b)
{
	const struct profile *p = b->p;
	_cleanup_free_ uint32_t *merged = mem_realloc_array(NULL, p->n_nodes, sizeof(*merged));
	merged[0] = 0;
	*vec_add(&b->nodes) = (struct tree_node){0};
	if (p->nodes[0].self[0] || p->nodes[0].self[1]) {
		uint32_t node = child_of(b, 0, label_of(b, &no_frames), &no_frames);
		add_self(&b->nodes.items[node], p->nodes[0].self);
	}
	for (size_t i = 1; i < p->n_nodes; i++) {
		const struct profile_node *node = &p->nodes[i];
		const struct location *loc = &p->locations[node->location];
		const uint32_t *ids = &b->ids.items[b->first[node->location]];
		uint32_t at = merged[node->parent];
		if (!loc->n_frames)
			at = child_of(b, at, ids[0], &unnamed);
		for (size_t f = loc->n_frames; f-- > 0;) /* the caller first */
			at = child_of(b, at, ids[f], &loc->frames[f]);
		merged[i] = at;
		add_self(&b->nodes.items[at], node->self);
	}
}

static void sum_up(struct tree *t)
{
	for (size_t i = 1; i < t->n_nodes; i++)
		t->nodes[i].depth = t->nodes[t->nodes[i].parent].depth + 1;
	for (size_t i = t->n_nodes; i-- > 0;) {
		struct tree_node *node = &t->nodes[i];
		for (size_t v = 0; v < PROFILE_VALUES; v++) {
			node->total[v] += node->self[v];
			if (i)
				t->nodes[node->parent].total[v] += node->total[v];
		}
	}
}

static int compare_texts(const char *a, const char *b)
{
	return strcmp(a ? a : "", b ? b : "");
}

static int compare_labels(const void *a, const void *b, void *arg)
{
	const struct tree_label *labels = arg;
	const struct tree_label *x = &labels[*(const uint32_t *)a];
	const struct tree_label *y = &labels[*(const uint32_t *)b];
	int diff = strcmp(x->text, y->text);
	if (!diff)
		diff = (int)x->kind - (int)y->kind;
	return diff ? diff : compare_texts(x->place, y->place);
}

/* Children by name: labels are sorted once, then nodes are dealt out in the order of their labels,
 * to their parents. */
static void sort_children(struct tree *t)
{
	_cleanup_free_ uint32_t *sorted = mem_realloc_array(NULL, t->n_labels, sizeof(*sorted));
	_cleanup_free_ uint32_t *start = mem_zalloc((t->n_labels + 1) * sizeof(*start));
	_cleanup_free_ uint32_t *rank = mem_realloc_array(NULL, t->n_labels, sizeof(*rank));
	_cleanup_free_ uint32_t *dealt = mem_realloc_array(NULL, t->n_nodes, sizeof(*dealt));
	t->order = mem_realloc_array(NULL, t->n_nodes, sizeof(*t->order));
	for (uint32_t i = 0; i < t->n_labels; i++)
		sorted[i] = i;
	qsort_r(sorted, t->n_labels, sizeof(*sorted), compare_labels, t->labels);
	for (uint32_t i = 0; i < t->n_labels; i++)
		rank[sorted[i]] = i;
	for (size_t i = 1; i < t->n_nodes; i++) {
		start[rank[t->nodes[i].label] + 1]++;
		t->nodes[t->nodes[i].parent].n_children++;
	}
	for (size_t i = 0; i < t->n_labels; i++)
		start[i + 1] += start[i];
	for (uint32_t i = 1; i < t->n_nodes; i++)
		dealt[start[rank[t->nodes[i].label]]++] = i;
	uint32_t first = 0;
	for (size_t i = 0; i < t->n_nodes; i++) {
		t->nodes[i].first = first;
		first += t->nodes[i].n_children;
		t->nodes[i].n_children = 0;
	}
	for (size_t i = 0; i + 1 < t->n_nodes; i++) {
		struct tree_node *parent = &t->nodes[t->nodes[dealt[i]].parent];
		t->order[parent->first + parent->n_children++] = dealt[i];
	}
}

struct tree *tree_create(const struct profile *p, const struct emit_options *opt, tree_text *text,
                         bool apart)
{
	struct tree *t = mem_zalloc(sizeof(*t));
	t->texts = strings_create();
	struct builder b = {.t = t, .p = p, .opt = opt, .text = text, .apart = apart};
	label_locations(&b);
	merge_nodes(&b);
	t->labels = b.labels.items;
	t->n_labels = b.labels.n;
	t->nodes = b.nodes.items;
	t->n_nodes = b.nodes.n;
	sum_up(t);
	sort_children(t);
	map64_free(&b.text_ids);
	map64_free(&b.place_ids);
	map64_free(&b.label_ids);
	map64_free(&b.children);
	strbuf_free(&b.buf);
	free(b.first);
	vec_free(&b.ids);
	return t;
}

void tree_destroy(struct tree *t)
{
	if (!t)
		return;
	free(t->labels);
	free(t->nodes);
	free(t->order);
	strings_destroy(t->texts);
	free(t);
}
