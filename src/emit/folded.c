/* SPDX-License-Identifier: Apache-2.0 */
/* Collapsed stacks: "root;caller;leaf 12" a line, sorted as bytes, each stack once.
 *
 * A frame's text holds neither ";" nor anything that ends a line or steers a terminal: those are
 * written as \x3b, \n, \t, \x1b, \u202e, and a backslash as two, so that the text can be had back.
 * Counts are samples; stacks that were credited time but no sample have no line. */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include <csample/vec.h>

#include "emit.h"
#include "readers.h"

/* Code points beyond ASCII that reorder text or end lines, in valid UTF-8. Returns their length. */
static size_t display_control(const unsigned char *s, unsigned *cp)
{
	if (s[0] == 0xc2 && s[1] < 0xa0) { /* C1 */
		*cp = s[1];
		return 2;
	}
	if (s[0] == 0xd8 && s[1] == 0x9c) {
		*cp = 0x61c;
		return 2;
	}
	if (s[0] != 0xe2 && s[0] != 0xef)
		return 0;
	*cp = (s[0] & 0x0fu) << 12 | (s[1] & 0x3fu) << 6 | (s[2] & 0x3fu);
	return (*cp >= 0x200b && *cp <= 0x200f) || (*cp >= 0x2028 && *cp <= 0x202e) ||
	                       (*cp >= 0x2066 && *cp <= 0x2069) || *cp == 0xfeff
	               ? 3
	               : 0;
}

static void add_escaped(struct strbuf *b, const char *text)
{
	struct strbuf valid = {0};
	strbuf_add_utf8(&valid, text);
	size_t n;
	unsigned cp = 0;
	for (const unsigned char *s = (unsigned char *)valid.s; s && *s; s += n) {
		n = display_control(s, &cp);
		if (n) {
			strbuf_addf(b, "\\u%04x", cp);
			continue;
		}
		n = 1;
		if (*s == '\n')
			strbuf_add(b, "\\n");
		else if (*s == '\t')
			strbuf_add(b, "\\t");
		else if (*s == '\\')
			strbuf_add(b, "\\\\");
		else if (*s < 0x20 || *s == 0x7f || *s == ';')
			strbuf_addf(b, "\\x%02x", *s);
		else
			strbuf_addc(b, (char)*s);
	}
	strbuf_free(&valid);
}

static void folded_text(const struct frame *f, const struct emit_options *opt, struct strbuf *b)
{
	/* What flamegraph.pl takes for its colours. */
	static const char *const suffixes[FRAME_KINDS] = {
	        [FRAME_INLINED] = "_[i]",
	        [FRAME_KERNEL] = "_[k]",
	        [FRAME_JAVASCRIPT] = "_[j]",
	};
	struct strbuf label = {0};
	frame_label(f, opt, &label);
	add_escaped(b, label.s);
	if (opt->annotate && suffixes[f->kind])
		strbuf_add(b, suffixes[f->kind]);
	strbuf_free(&label);
}

/* What is still to be written: a node's own line, or the lines of what it calls. */
struct entry {
	uint32_t node;
	bool own;
};

/* The order of the lines, which is not that of the names: "a b 1" is before "a;b 1", after "a 1".
 */
static int compare_entries(const void *pa, const void *pb, void *arg)
{
	const struct tree *t = arg;
	const struct entry *entries[2] = {pa, pb};
	const char *text[2];
	for (int i = 0; i < 2; i++)
		text[i] = t->labels[t->nodes[entries[i]->node].label].text;
	while (*text[0] && *text[0] == *text[1]) {
		text[0]++;
		text[1]++;
	}
	if (*text[0] && *text[1]) /* last first */
		return (unsigned char)*text[1] - (unsigned char)*text[0];
	char own[2][32]; /* what follows the names in the lines */
	const char *tail[2];
	for (int i = 0; i < 2; i++) {
		snprintf(own[i], sizeof(own[i]), " %" PRIu64, t->nodes[entries[i]->node].self[0]);
		tail[i] = entries[i]->own ? own[i] : ";";
	}
	for (;; text[0]++, text[1]++) {
		for (int i = 0; i < 2; i++) {
			if (!*text[i] && tail[i]) {
				text[i] = tail[i];
				tail[i] = NULL;
			}
		}
		if (*text[0] != *text[1] || !*text[0])
			return (unsigned char)*text[1] - (unsigned char)*text[0];
	}
}

struct writer {
	struct tree *t;
	VEC(struct entry) todo; /* a stack; the next line's entry is its last */
	VEC(size_t) ends;       /* per depth, the length of the path down to there */
	struct strbuf path;
};

static void push_children(struct writer *w, uint32_t node)
{
	size_t before = w->todo.n;
	const struct tree_node *nodes = w->t->nodes;
	for (uint32_t i = 0; i < nodes[node].n_children; i++) {
		uint32_t child = nodes[node].first + i;
		if (nodes[child].self[0])
			*vec_add(&w->todo) = (struct entry){child, true};
		if (nodes[child].total[0] > nodes[child].self[0])
			*vec_add(&w->todo) = (struct entry){child, false};
	}
	if (w->todo.n > before)
		qsort_r(w->todo.items + before, w->todo.n - before, sizeof(*w->todo.items),
		        compare_entries, w->t);
}

static struct err *folded_write(const struct profile *p, const struct emit_options *opt, FILE *out)
{
	struct tree_config config = {.opt = opt, .text = folded_text};
	struct writer w = {.t = tree_create(p, &config)};
	*vec_add(&w.ends) = 0;
	push_children(&w, 0);
	while (w.todo.n) {
		struct entry entry = w.todo.items[--w.todo.n];
		const struct tree_node *node = &w.t->nodes[entry.node];
		const char *text = w.t->labels[node->label].text;
		w.path.len = w.ends.items[node->depth - 1];
		strbuf_add(&w.path, text);
		if (entry.own) {
			strbuf_addf(&w.path, " %" PRIu64 "\n", node->self[0]);
			fwrite(w.path.s, 1, w.path.len, out);
			continue;
		}
		strbuf_addc(&w.path, ';');
		w.ends.n = node->depth;
		*vec_add(&w.ends) = w.path.len;
		push_children(&w, entry.node);
	}
	tree_destroy(w.t);
	vec_free(&w.todo);
	vec_free(&w.ends);
	strbuf_free(&w.path);
	return NULL;
}

const struct format format_collapsed = {
        .name = "collapsed",
        .aliases = (const char *const[]){"folded", "raw", NULL},
        .suffixes = (const char *const[]){".collapsed", ".folded", ".txt", NULL},
        .suffix = ".collapsed",
        .help = "collapsed stacks, a line each: frame;frame count",
        .write = folded_write,
        .is_it = folded_is_it,
        .read = folded_read,
};
