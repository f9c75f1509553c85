/* SPDX-License-Identifier: Apache-2.0 */
/* The profile's trie has a node per address; people read functions. From the root outwards, a level
 * at a time: what a node's places in the profile call is sorted by label, and each run of one label
 * is a child. So nothing below a node too small to be seen costs anything, and children are in
 * order. */
#include <stdlib.h>
#include <string.h>

#include <csample/hash.h>
#include <csample/mem.h>
#include <csample/vec.h>

#include "emit.h"

#define NO_FRAMES UINT32_MAX /* in item.node: the stacks of the profile's root */

/* A place in the profile that belongs to a node of the tree: one of its location's frames. */
struct item {
	uint32_t label, node, frame;
};

/* Nodes of one depth: their places end to end, and for each node where they end. */
struct level {
	VEC(struct item) places;
	VEC(size_t) ends;
};

struct builder {
	struct tree *t;
	const struct profile *p;
	const struct tree_config *config;
	VEC(struct tree_label) labels;
	VEC(struct tree_node) nodes;
	struct map64 text_ids, place_ids; /* by address of the interned string */
	struct map64 label_ids;           /* of text id, place id and kind; value + 1 */
	struct strbuf buf;
	uint32_t *first_label; /* per location: where its frames' labels start in frame_labels */
	VEC(uint32_t) frame_labels;
	uint32_t no_frames;                 /* label of what has none */
	uint64_t (*totals)[PROFILE_VALUES]; /* per node of the profile */
	uint32_t *first_child, *children;   /* of the profile: children[first_child[n] ...] */
	struct level level, next;
	VEC(struct item) calls; /* of one node */
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
	bool is_script = frame_kind_is_script(f->kind);
	strbuf_clear(&b->buf);
	b->config->text(f, b->config->opt, &b->buf);
	struct tree_label label = {
	        .text = intern_n(b->t->texts, b->buf.s, b->buf.len),
	        .place = is_script ? f->file : f->module,
	        .kind = f->kind,
	};
	uint64_t key = id_of(&b->text_ids, label.text);
	if (b->config->apart) /* 2^24 places and all kinds fit beside 2^32 texts: no keys are equal
	                       */
		key |= (id_of(&b->place_ids, label.place) & 0xffffff) << 32 | (uint64_t)f->kind
		                                                                      << 56;
	uint64_t *id = map64_put(&b->label_ids, key);
	if (!*id) {
		*vec_add(&b->labels) = label;
		*id = b->labels.n;
	}
	return (uint32_t)(*id - 1);
}

static int compare_labels(const void *a, const void *b, void *arg)
{
	const struct tree_label *labels = arg;
	const struct tree_label *x = &labels[*(const uint32_t *)a];
	const struct tree_label *y = &labels[*(const uint32_t *)b];
	int diff = strcmp(x->text, y->text);
	if (!diff)
		diff = (int)x->kind - (int)y->kind;
	return diff ? diff : strcmp(x->place ? x->place : "", y->place ? y->place : "");
}

/* Sorts the labels, so that their numbers are their order. */
static void sort_labels(struct builder *b)
{
	struct tree *t = b->t;
	_cleanup_free_ uint32_t *sorted = mem_realloc_array(NULL, b->labels.n, sizeof(*sorted));
	_cleanup_free_ uint32_t *rank = mem_realloc_array(NULL, b->labels.n, sizeof(*rank));
	t->n_labels = b->labels.n;
	t->labels = mem_realloc_array(NULL, t->n_labels, sizeof(*t->labels));
	for (uint32_t i = 0; i < t->n_labels; i++)
		sorted[i] = i;
	qsort_r(sorted, t->n_labels, sizeof(*sorted), compare_labels, b->labels.items);
	for (uint32_t i = 0; i < t->n_labels; i++) {
		rank[sorted[i]] = i;
		t->labels[i] = b->labels.items[sorted[i]];
	}
	for (size_t i = 0; i < b->frame_labels.n; i++)
		b->frame_labels.items[i] = rank[b->frame_labels.items[i]];
	b->no_frames = rank[b->no_frames];
}

static void label_locations(struct builder *b)
{
	const struct profile *p = b->p;
	b->first_label = mem_realloc_array(NULL, p->n_locations + 1, sizeof(*b->first_label));
	b->no_frames = label_of(b, &no_frames);
	for (size_t i = 0; i < p->n_locations; i++) {
		const struct location *loc = &p->locations[i];
		b->first_label[i] = (uint32_t)b->frame_labels.n;
		if (!loc->n_frames)
			*vec_add(&b->frame_labels) = label_of(b, &unnamed);
		for (size_t f = 0; f < loc->n_frames; f++)
			*vec_add(&b->frame_labels) = label_of(b, &loc->frames[f]);
	}
	sort_labels(b);
}

/* Who calls whom, and how much: the profile only knows parents. */
static void index_profile(struct builder *b)
{
	const struct profile *p = b->p;
	b->totals = mem_realloc_array(NULL, p->n_nodes, sizeof(*b->totals));
	b->first_child = mem_zalloc((p->n_nodes + 2) * sizeof(*b->first_child));
	b->children = mem_realloc_array(NULL, p->n_nodes, sizeof(*b->children));
	for (size_t i = 0; i < p->n_nodes; i++)
		memcpy(b->totals[i], p->nodes[i].self, sizeof(b->totals[i]));
	for (size_t i = p->n_nodes; i-- > 1;) {
		uint32_t parent = p->nodes[i].parent;
		for (size_t v = 0; v < PROFILE_VALUES; v++)
			b->totals[parent][v] += b->totals[i][v];
		b->first_child[parent + 2]++;
	}
	for (size_t i = 2; i < p->n_nodes + 2; i++)
		b->first_child[i] += b->first_child[i - 1];
	for (uint32_t i = 1; i < p->n_nodes; i++) /* moves each start on to where it belongs */
		b->children[b->first_child[p->nodes[i].parent + 1]++] = i;
}

static void call(struct builder *b, uint32_t node, uint32_t frame)
{
	uint32_t location = b->p->nodes[node].location;
	*vec_add(&b->calls) = (struct item){
	        .label = b->frame_labels.items[b->first_label[location] + frame],
	        .node = node,
	        .frame = frame,
	};
}

/* What one place calls: the next frame inlined into it, or what its node's children begin with. */
static void add_calls(struct builder *b, const struct item *item, struct tree_node *to)
{
	const struct profile *p = b->p;
	const uint64_t *self =
	        item->node == NO_FRAMES ? p->nodes[0].self : p->nodes[item->node].self;
	if (item->node != NO_FRAMES && item->frame) {
		call(b, item->node, item->frame - 1);
		return;
	}
	if (!item->node && (self[0] || self[1])) {
		*vec_add(&b->calls) = (struct item){.label = b->no_frames, .node = NO_FRAMES};
	} else if (item->node) {
		for (size_t v = 0; v < PROFILE_VALUES; v++)
			to->self[v] += self[v];
	}
	if (item->node == NO_FRAMES)
		return;
	for (uint32_t i = b->first_child[item->node]; i < b->first_child[item->node + 1]; i++) {
		uint32_t n_frames = p->locations[p->nodes[b->children[i]].location].n_frames;
		call(b, b->children[i], n_frames ? n_frames - 1 : 0);
	}
}

static int compare_items(const void *pa, const void *pb)
{
	const struct item *a = pa, *b = pb;
	if (a->label != b->label)
		return a->label < b->label ? -1 : 1;
	return a->node < b->node ? -1 : a->node > b->node;
}

/* Most nodes call one or two things. */
static void sort_items(struct item *items, size_t n)
{
	if (n > 16) {
		qsort(items, n, sizeof(*items), compare_items);
		return;
	}
	for (size_t i = 1; i < n; i++) {
		struct item item = items[i];
		size_t at = i;
		for (; at && compare_items(&items[at - 1], &item) > 0; at--)
			items[at] = items[at - 1];
		items[at] = item;
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

/* A node for places of one label. */
static void add_node(struct builder *b, uint32_t parent, const struct item *items, size_t n)
{
	struct tree_node node = {
	        .parent = parent,
	        .label = items[0].label,
	        .depth = b->nodes.items[parent].depth + 1,
	};
	for (size_t i = 0; i < n; i++) {
		bool has_frames = items[i].node != NO_FRAMES;
		const uint64_t *total = has_frames ? b->totals[items[i].node] : b->p->nodes[0].self;
		for (size_t v = 0; v < PROFILE_VALUES; v++)
			node.total[v] += total[v];
		const struct location *loc =
		        has_frames ? &b->p->locations[b->p->nodes[items[i].node].location] : NULL;
		if (loc && (loc->raw.kind == RAW_THREAD || loc->raw.kind == RAW_PROCESS))
			node.root = loc->raw.kind;
		if (loc && loc->n_frames)
			add_where(&node, &loc->frames[items[i].frame]);
	}
	*vec_add(&b->nodes) = node;
	if ((double)node.total[b->config->min_value] >= b->config->min_total)
		for (size_t i = 0; i < n; i++)
			*vec_add(&b->next.places) = items[i];
	*vec_add(&b->next.ends) = b->next.places.n;
}

/* The children of a node, from its items. */
static void expand(struct builder *b, uint32_t index, const struct item *items, size_t n)
{
	struct tree_node *node = &b->nodes.items[index];
	node->first = (uint32_t)b->nodes.n;
	b->calls.n = 0;
	for (size_t i = 0; i < n; i++)
		add_calls(b, &items[i], node);
	sort_items(b->calls.items, b->calls.n);
	for (size_t start = 0, end; start < b->calls.n; start = end) {
		for (end = start + 1; end < b->calls.n; end++)
			if (b->calls.items[end].label != b->calls.items[start].label)
				break;
		add_node(b, index, &b->calls.items[start], end - start);
	}
	b->nodes.items[index].n_children = (uint32_t)b->nodes.n - b->nodes.items[index].first;
}

static void build(struct builder *b)
{
	*vec_add(&b->nodes) = (struct tree_node){0};
	memcpy(b->nodes.items[0].total, b->totals[0], sizeof(b->totals[0]));
	*vec_add(&b->next.places) = (struct item){0};
	*vec_add(&b->next.ends) = 1;
	for (size_t index = 0; b->next.ends.n;) {
		struct level done = b->level;
		b->level = b->next;
		b->next = done;
		b->next.places.n = b->next.ends.n = 0;
		size_t start = 0;
		for (size_t i = 0; i < b->level.ends.n; i++, index++) {
			size_t end = b->level.ends.items[i];
			if (start < end)
				expand(b, (uint32_t)index, &b->level.places.items[start],
				       end - start);
			start = end;
		}
	}
}

struct tree *tree_create(const struct profile *p, const struct tree_config *config)
{
	struct tree *t = mem_zalloc(sizeof(*t));
	t->texts = strings_create();
	struct builder b = {.t = t, .p = p, .config = config};
	label_locations(&b);
	index_profile(&b);
	build(&b);
	t->nodes = b.nodes.items;
	t->n_nodes = b.nodes.n;
	vec_free(&b.labels);
	map64_free(&b.text_ids);
	map64_free(&b.place_ids);
	map64_free(&b.label_ids);
	strbuf_free(&b.buf);
	free(b.first_label);
	vec_free(&b.frame_labels);
	free(b.totals);
	free(b.first_child);
	free(b.children);
	vec_free(&b.level.places);
	vec_free(&b.level.ends);
	vec_free(&b.next.places);
	vec_free(&b.next.ends);
	vec_free(&b.calls);
	return t;
}

void tree_destroy(struct tree *t)
{
	if (!t)
		return;
	free(t->labels);
	free(t->nodes);
	strings_destroy(t->texts);
	free(t);
}
