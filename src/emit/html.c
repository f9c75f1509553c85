/* SPDX-License-Identifier: Apache-2.0 */
/* A page that needs nothing else: flame graph and table of one profile.
 *
 * The page's markup (html.body), style and scripts are the same for every profile; what differs is
 * one JSON text, inert in a script element of its own, which html_model.js reads. A policy in the
 * head lets run nothing but these scripts, by their hashes, and load nothing at all: whatever the
 * names in a profile are made of, they stay text. The JSON:
 *
 *     {"meta": {"title", "command", "note", "facts", "unit": "ns|samples", "time": "CPU",
 *               "left_out", "inverted"},
 *      "strings": [...],
 *      "names", "ats", "kinds", "places": per label, the function, what follows it (" (f.py:3)"),
 *               its kind as in enum frame_kind, its module or script
 *      "kids", "labels", "samples", "ns", "files", "lines", "spans": per node of the tree, by depth
 *      "roots": [node, 0 process | 1 thread, ...]}
 *
 * Texts are indices into strings, of which [0] is none. A node has kids children, which follow
 * those of the nodes before it; samples and ns are its own; spans: how many lines the last seen is
 * after the first. */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include <csample/hash.h>
#include <csample/mem.h>
#include <csample/vec.h>

#include "emit.h"

#define MAX_SHOWN      ((size_t)200 * 1000) /* nodes: half a second in a browser */
#define MAX_TREE       ((size_t)1 << 20)    /* nodes of a profile that are all looked at */
#define FLUSH_BYTES    ((size_t)64 * 1024)
#define MAX_NAME_BYTES ((size_t)16 * 1024)
#define MAX_LINE_BYTES ((size_t)4 * 1024)
#define LABEL_LEFT_OUT "[too small to show]"

static const char body[] =
#include <html.body.inc>
        ;
static const char style[] =
#include <html.css.inc>
        ;
static const char style_hash[] =
#include <html.css.sha256.inc>
        ;
static const struct {
	const char *text, *hash;
} scripts[] = {
        {
#include <html_model.js.inc>
                ,
#include <html_model.js.sha256.inc>
        },
        {
#include <html_flame.js.inc>
                ,
#include <html_flame.js.sha256.inc>
        },
        {
#include <html.js.inc>
                ,
#include <html.js.sha256.inc>
        },
};

struct page {
	const struct profile *p;
	struct tree *t;
	FILE *out;
	struct strbuf b;
	struct strings *texts;
	struct map64 ids;        /* of interned texts */
	VEC(const char *) table; /* texts by number */
	size_t value;            /* which of the values nodes are measured by */
	double min;              /* less is left out */
	uint64_t n_left_out;
	VEC(uint32_t) names, ats; /* per label */
	const char *comma;        /* before the next number of a list */
};

static void flush(struct page *page, size_t at_least)
{
	if (!page->b.len || page->b.len < at_least)
		return;
	fwrite(page->b.s, 1, page->b.len, page->out);
	strbuf_clear(&page->b);
}

static uint32_t text_number(struct page *page, const char *s, size_t len)
{
	const char *text = intern_n(page->texts, s, len);
	uint64_t *id = map64_put(&page->ids, (uintptr_t)text);
	if (!*id) {
		*vec_add(&page->table) = text;
		*id = page->table.n;
	}
	return (uint32_t)*id - 1;
}

/* Text from a target, cut to a size and with its controls visible. */
static uint32_t foreign_number(struct page *page, const char *s)
{
	if (!s)
		return 0;
	struct strbuf b = {0};
	_cleanup_free_ char *cut = mem_strndup(s, MAX_NAME_BYTES);
	strbuf_add_terminal(&b, cut);
	uint32_t number = b.len ? text_number(page, b.s, b.len) : 0;
	strbuf_free(&b);
	return number;
}

/* JSON that no HTML parser takes for markup. */
static void add_quoted(struct strbuf *b, const char *s)
{
	struct strbuf quoted = {0};
	strbuf_add_json(&quoted, s);
	for (const char *at = quoted.s; *at;) {
		size_t n = strcspn(at, "<>&");
		strbuf_addn(b, at, n);
		at += n;
		if (*at)
			strbuf_addf(b, "\\u%04x", (unsigned char)*at++);
	}
	strbuf_free(&quoted);
}

/* A frame's function, and what tells its lines apart behind a newline, which the first part cannot
 * have. */
static void html_text(const struct frame *f, const struct emit_options *opt, struct strbuf *b)
{
	struct strbuf label = {0};
	struct emit_options plain = *opt;
	plain.functions = true;
	frame_label(f, &plain, &label);
	size_t name_len = label.len;
	strbuf_clear(&label);
	frame_label(f, opt, &label);
	_cleanup_free_ char *name =
	        mem_strndup(label.s, name_len < MAX_NAME_BYTES ? name_len : MAX_NAME_BYTES);
	strbuf_add_terminal(b, name);
	if (name_len > MAX_NAME_BYTES)
		strbuf_add(b, "\xe2\x80\xa6");
	if (label.len > name_len && label.len - name_len < MAX_NAME_BYTES) {
		strbuf_addc(b, '\n');
		strbuf_add_terminal(b, label.s + name_len);
	}
	strbuf_free(&label);
}

static bool is_shown(const struct page *page, const struct tree_node *node)
{
	return (double)node->total[page->value] >= page->min;
}

static int compare_totals(const void *pa, const void *pb)
{
	const uint64_t *a = pa, *b = pb;
	return *a > *b ? -1 : *a < *b;
}

/* Of more than a browser bears, the widest nodes are shown; no node is wider than its caller. */
static void limit_nodes(struct page *page)
{
	const struct tree *t = page->t;
	if (t->n_nodes > MAX_SHOWN) {
		_cleanup_free_ uint64_t *totals =
		        mem_realloc_array(NULL, t->n_nodes, sizeof(*totals));
		for (size_t i = 0; i < t->n_nodes; i++)
			totals[i] = t->nodes[i].total[page->value];
		qsort(totals, t->n_nodes, sizeof(*totals), compare_totals);
		double limit = (double)totals[MAX_SHOWN] + 1;
		if (limit > page->min)
			page->min = limit;
	}
	for (size_t i = 1; i < t->n_nodes; i++)
		page->n_left_out += !is_shown(page, &t->nodes[i]);
}

static void make_tree(struct page *page, const struct emit_options *opt)
{
	const struct profile *p = page->p;
	page->value = p->total[1] ? 1 : 0;
	if (p->n_nodes > MAX_TREE)
		page->min = (double)p->total[page->value] / (double)MAX_TREE;
	struct tree_config config = {
	        .opt = opt,
	        .text = html_text,
	        .apart = true,
	        .min_value = page->value,
	        .min_total = page->min,
	};
	page->t = tree_create(p, &config);
	limit_nodes(page);
}

static void begin_list(struct page *page, const char *key)
{
	strbuf_addf(&page->b, "\"%s\":[", key);
	page->comma = "";
}

static void add_number(struct page *page, uint64_t n)
{
	strbuf_addf(&page->b, "%s%" PRIu64, page->comma, n);
	page->comma = ",";
	flush(page, FLUSH_BYTES);
}

static void end_list(struct page *page)
{
	strbuf_add(&page->b, "],\n");
}

enum column { KIDS, LABELS, SAMPLES, NS, FILES, LINES, SPANS, COLUMNS };
static const char *const columns[COLUMNS] = {"kids",  "labels", "samples", "ns",
                                             "files", "lines",  "spans"};

/* What a node's children have in sum that are not shown; false: all are. */
static bool left_out(const struct page *page, const struct tree_node *node, struct tree_node *ret)
{
	bool any = false;
	*ret = (struct tree_node){.label = (uint32_t)page->t->n_labels};
	for (uint32_t k = node->first; k < node->first + node->n_children; k++) {
		const struct tree_node *child = &page->t->nodes[k];
		if (is_shown(page, child))
			continue;
		any = true;
		for (size_t v = 0; v < PROFILE_VALUES; v++)
			ret->self[v] += child->total[v];
	}
	return any;
}

static uint64_t kids(const struct page *page, const struct tree_node *node)
{
	struct tree_node rest;
	uint64_t n = left_out(page, node, &rest);
	for (uint32_t k = node->first; k < node->first + node->n_children; k++)
		n += is_shown(page, &page->t->nodes[k]);
	return n;
}

static void put_cell(struct page *page, enum column column, const struct tree_node *node)
{
	const uint64_t cells[COLUMNS] = {
	        [KIDS] = column == KIDS ? kids(page, node) : 0,
	        [LABELS] = node->label,
	        [SAMPLES] = node->self[0],
	        [NS] = node->self[1],
	        [FILES] = column == FILES ? foreign_number(page, node->file) : 0,
	        [LINES] = node->line_min,
	        [SPANS] = node->line_max - node->line_min,
	};
	add_number(page, cells[column]);
}

/* One fact of all nodes that are shown, in the order of their depths. */
static void add_column(struct page *page, enum column column)
{
	const struct tree *t = page->t;
	begin_list(page, columns[column]);
	put_cell(page, column, &t->nodes[0]);
	for (size_t i = 0; i < t->n_nodes; i++) {
		const struct tree_node *node = &t->nodes[i];
		struct tree_node rest;
		if (i && !is_shown(page, node))
			continue;
		for (uint32_t k = node->first; k < node->first + node->n_children; k++)
			if (is_shown(page, &t->nodes[k]))
				put_cell(page, column, &t->nodes[k]);
		if (left_out(page, node, &rest))
			put_cell(page, column, &rest);
	}
	end_list(page);
}

/* Threads and processes, whose node is numbered as add_column() puts it. */
static void add_roots(struct page *page)
{
	const struct tree *t = page->t;
	uint32_t at = 1;
	begin_list(page, "roots");
	for (size_t i = 0; i < t->n_nodes; i++) {
		const struct tree_node *node = &t->nodes[i];
		struct tree_node rest;
		if (i && !is_shown(page, node))
			continue;
		for (uint32_t k = node->first; k < node->first + node->n_children; k++) {
			if (!is_shown(page, &t->nodes[k]))
				continue;
			if (t->nodes[k].root) {
				add_number(page, at);
				add_number(page, t->nodes[k].root == RAW_THREAD);
			}
			at++;
		}
		at += left_out(page, node, &rest);
	}
	end_list(page);
}

static void number_labels(struct page *page)
{
	for (size_t i = 0; i < page->t->n_labels; i++) {
		const char *text = page->t->labels[i].text, *at = strchr(text, '\n');
		size_t len = at ? (size_t)(at - text) : strlen(text);
		*vec_add(&page->names) = text_number(page, text, len);
		*vec_add(&page->ats) = at ? text_number(page, at + 1, strlen(at + 1)) : 0;
	}
	*vec_add(&page->names) = text_number(page, LABEL_LEFT_OUT, strlen(LABEL_LEFT_OUT));
	*vec_add(&page->ats) = 0;
}

static void add_labels(struct page *page)
{
	size_t n = page->names.n; /* the last is LABEL_LEFT_OUT */
	begin_list(page, "names");
	for (size_t i = 0; i < n; i++)
		add_number(page, page->names.items[i]);
	end_list(page);
	begin_list(page, "ats");
	for (size_t i = 0; i < n; i++)
		add_number(page, page->ats.items[i]);
	end_list(page);
	begin_list(page, "kinds");
	for (size_t i = 0; i + 1 < n; i++)
		add_number(page, page->t->labels[i].kind);
	add_number(page, FRAME_MARK);
	end_list(page);
	begin_list(page, "places");
	for (size_t i = 0; i + 1 < n; i++)
		add_number(page, foreign_number(page, page->t->labels[i].place));
	add_number(page, 0);
	end_list(page);
}

/* ,"key":"text" as a person may read it: visible controls, no line ends. */
static void add_line(struct strbuf *b, const char *key, const char *whole)
{
	struct strbuf visible = {0};
	if (!whole)
		return;
	_cleanup_free_ char *text = mem_strndup(whole, MAX_LINE_BYTES);
	for (char *c = text; *c; c++)
		if (strchr("\n\r\t", *c))
			*c = ' ';
	strbuf_add_terminal(&visible, text);
	strbuf_addf(b, "\"%s\":", key);
	add_quoted(b, visible.s ? visible.s : "");
	strbuf_add(b, ",");
	strbuf_free(&visible);
}

static const char *title_of(const struct profile *p)
{
	return p->meta.title ? p->meta.title : p->meta.command ? p->meta.command : "csample";
}

static void add_meta(struct page *page, const struct emit_options *opt)
{
	const struct profile_meta *meta = &page->p->meta;
	struct strbuf *b = &page->b, facts = {0};
	bool is_cpu = !meta->value_type || !strcmp(meta->value_type, "cpu");
	facts_add(page->p, &facts);
	strbuf_add(b, "{\"meta\":{");
	add_line(b, "title", title_of(page->p));
	if (meta->command && strcmp(title_of(page->p), meta->command) != 0)
		add_line(b, "command", meta->command);
	add_line(b, "note", meta->note);
	add_line(b, "facts", facts.s);
	add_line(b, "time", is_cpu ? "CPU" : meta->value_type);
	strbuf_addf(b, "\"unit\":\"%s\",\"left_out\":%" PRIu64 ",\"inverted\":%s},\n",
	            page->value ? "ns" : "samples", page->n_left_out,
	            opt->inverted ? "true" : "false");
	strbuf_free(&facts);
}

static void add_profile(struct page *page, const struct emit_options *opt)
{
	text_number(page, "", 0); /* none */
	number_labels(page);
	strbuf_add(&page->b, "<script type=\"application/json\" id=\"profile\">\n");
	add_meta(page, opt);
	add_labels(page);
	for (int column = 0; column < COLUMNS; column++)
		add_column(page, (enum column)column);
	add_roots(page);
	strbuf_add(&page->b, "\"strings\":[");
	for (size_t i = 0; i < page->table.n; i++) {
		if (i)
			strbuf_add(&page->b, ",\n");
		add_quoted(&page->b, page->table.items[i]);
		flush(page, FLUSH_BYTES);
	}
	strbuf_add(&page->b, "]}\n</script>\n");
}

static void add_head(struct page *page)
{
	struct strbuf *b = &page->b, title = {0};
	strbuf_add(b, "<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n"
	              "<meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; "
	              "base-uri 'none'; form-action 'none'; style-src '");
	strbuf_add(b, style_hash);
	strbuf_add(b, "'; script-src");
	for (size_t i = 0; i < ARRAY_SIZE(scripts); i++)
		strbuf_addf(b, " '%s'", scripts[i].hash);
	strbuf_add(b, "\">\n<meta name=\"referrer\" content=\"no-referrer\">\n"
	              "<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n"
	              "<meta name=\"color-scheme\" content=\"light dark\">\n<title>");
	_cleanup_free_ char *cut = mem_strndup(title_of(page->p), MAX_LINE_BYTES);
	strbuf_add_terminal(&title, cut);
	strbuf_add_xml(b, title.s ? title.s : "");
	strbuf_add(b, " - csample</title>\n<style>");
	strbuf_add(b, style);
	strbuf_add(b, "</style>\n</head>\n");
	strbuf_free(&title);
}

static struct err *html_write(const struct profile *p, const struct emit_options *opt, FILE *out)
{
	struct page page = {.p = p, .out = out, .texts = strings_create()};
	make_tree(&page, opt);
	add_head(&page);
	strbuf_add(&page.b, body);
	add_profile(&page, opt);
	for (size_t i = 0; i < ARRAY_SIZE(scripts); i++) {
		strbuf_add(&page.b, "<script>");
		strbuf_add(&page.b, scripts[i].text);
		strbuf_add(&page.b, "</script>\n");
	}
	strbuf_add(&page.b, "</body>\n</html>\n");
	flush(&page, 0);
	strbuf_free(&page.b);
	map64_free(&page.ids);
	vec_free(&page.table);
	vec_free(&page.names);
	vec_free(&page.ats);
	strings_destroy(page.texts);
	tree_destroy(page.t);
	return NULL;
}

const struct format format_html = {
        .name = "html",
        .suffixes = (const char *const[]){".html", ".htm", NULL},
        .suffix = ".html",
        .help = "interactive page: flame graph and table, threads apart with -t",
        .write = html_write,
};
