/* SPDX-License-Identifier: Apache-2.0 */
/* csample report: the tables of go tool pprof's -top, -tree, -peek and -list. */
#include "report.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include <csample/format.h>
#include <csample/mem.h>
#include <csample/strbuf.h>

#include "options.h"

#define MIN_EDGE 0.001 /* of all: less is not shown beside a row, as pprof's -edgefraction */

const char *report_value(const struct report *r, uint64_t value, char text[static 32])
{
	if (!r->value)
		snprintf(text, 32, "%" PRIu64, value);
	else if (value >= 1000000000)
		snprintf(text, 32, "%.2fs", (double)value / 1e9);
	else if (value >= 1000000)
		snprintf(text, 32, "%.2fms", (double)value / 1e6);
	else
		snprintf(text, 32, value ? "%.2fus" : "0", (double)value / 1e3);
	return text;
}

double report_share(const struct report *r, uint64_t value)
{
	uint64_t all = view_total(r->view)[r->value];
	return all ? 100 * (double)value / (double)all : 0;
}

void report_name(const struct report *r, const struct view_row *row)
{
	static const struct emit_options opt = {0};
	struct strbuf label = {0}, shown = {0};
	frame_label(&row->frame, &opt, &label);
	if (row->frame.line && row->frame.file && !frame_kind_is_script(row->frame.kind))
		strbuf_addf(&label, " (%s:%" PRIu32 ")", frame_short_path(row->frame.file),
		            row->frame.line);
	strbuf_add_terminal(&shown, label.s);
	fputs(shown.s, r->out);
	strbuf_free(&label);
	strbuf_free(&shown);
}

static int compare_rows(const void *a, const void *b, void *arg)
{
	const struct report *r = arg;
	size_t n;
	const struct view_row *rows = view_rows(r->view, &n);
	const struct view_row *x = &rows[*(const uint32_t *)a], *y = &rows[*(const uint32_t *)b];
	uint64_t own[2] = {x->own[r->value], y->own[r->value]};
	uint64_t total[2] = {x->total[r->value], y->total[r->value]};
	const uint64_t *first = r->by_total ? total : own, *then = r->by_total ? own : total;
	if (first[0] != first[1])
		return first[0] > first[1] ? -1 : 1;
	if (then[0] != then[1])
		return then[0] > then[1] ? -1 : 1;
	return strcmp(x->frame.function, y->frame.function);
}

/* Indices of all rows, the heaviest first. Free it. */
static uint32_t *sorted_rows(struct report *r, size_t *n_ret)
{
	view_rows(r->view, n_ret);
	uint32_t *order = mem_realloc_array(NULL, *n_ret + 1, sizeof(*order));
	for (uint32_t i = 0; i < *n_ret; i++)
		order[i] = i;
	qsort_r(order, *n_ret, sizeof(*order), compare_rows, r);
	return order;
}

static void print_head(struct report *r, size_t shown, size_t n)
{
	const struct profile_meta *m = &r->p->meta;
	char all[32];
	struct strbuf b = {0};
	if (m->title)
		strbuf_add_terminal(&b, m->title);
	fprintf(r->out, "%s%s%s, %s", b.len ? b.s : "", b.len ? ": " : "",
	        m->value_type ? m->value_type : "cpu",
	        report_value(r, view_total(r->view)[r->value], all));
	strbuf_free(&b);
	fprintf(r->out, " in %" PRIu64 " samples", view_total(r->view)[0]);
	if (m->duration_ns)
		fprintf(r->out, " over %.2fs", (double)m->duration_ns / 1e9);
	fprintf(r->out, "\n%zu of %zu rows, by %s\n", shown, n, r->by_total ? "total" : "own");
}

static void print_row(struct report *r, const struct view_row *row, uint64_t *sum)
{
	char own[32], total[32];
	*sum += row->own[r->value];
	fprintf(r->out, "%10s %6.2f%% %6.2f%% %10s %6.2f%%",
	        report_value(r, row->own[r->value], own), report_share(r, row->own[r->value]),
	        report_share(r, *sum), report_value(r, row->total[r->value], total),
	        report_share(r, row->total[r->value]));
}

static void print_top(struct report *r)
{
	size_t n, n_rows;
	_cleanup_free_ uint32_t *order = sorted_rows(r, &n);
	const struct view_row *rows = view_rows(r->view, &n_rows);
	size_t shown = n < r->n_rows ? n : r->n_rows;
	uint64_t sum = 0;
	print_head(r, shown, n);
	fprintf(r->out, "%10s %7s %7s %10s %7s\n", "own", "own%", "sum%", "total", "total%");
	for (size_t i = 0; i < shown; i++) {
		print_row(r, &rows[order[i]], &sum);
		fputs("  ", r->out);
		report_name(r, &rows[order[i]]);
		fputc('\n', r->out);
	}
}

struct edges {
	struct view_edge *items;
	size_t n;
};

static int heavier_edge(const void *a, const void *b, void *arg)
{
	const struct report *r = arg;
	const struct view_edge *x = a, *y = b;
	if (x->values[r->value] != y->values[r->value])
		return x->values[r->value] > y->values[r->value] ? -1 : 1;
	return x->caller < y->caller   ? -1
	       : x->caller > y->caller ? 1
	       : x->callee < y->callee ? -1
	                               : x->callee > y->callee;
}

/* The callers of a row, above it, or its callees, below it. */
static void print_neighbours(struct report *r, const struct edges *edges, uint32_t row,
                             bool callers)
{
	size_t n;
	const struct view_row *rows = view_rows(r->view, &n);
	uint64_t total = rows[row].total[r->value];
	for (size_t i = 0; i < edges->n; i++) {
		const struct view_edge *e = &edges->items[i];
		uint64_t value = e->values[r->value];
		char text[32];
		if ((callers ? e->callee : e->caller) != row || !value ||
		    report_share(r, value) < 100 * MIN_EDGE)
			continue;
		fprintf(r->out, "%45s %10s %6.2f%% |   ", "", report_value(r, value, text),
		        total ? 100 * (double)value / (double)total : 0);
		report_name(r, &rows[callers ? e->caller : e->callee]);
		fputc('\n', r->out);
	}
}

/* pattern NULL: all. Returns how many rows were shown. */
static size_t print_graph(struct report *r, const regex_t *pattern)
{
	static const char rule[] =
	        "----------------------------------------------------------------+"
	        "-------------\n";
	size_t n, n_rows, shown = 0;
	_cleanup_free_ uint32_t *order = sorted_rows(r, &n);
	const struct view_row *rows = view_rows(r->view, &n_rows);
	struct edges edges = {0};
	edges.items = view_edges(r->view, &edges.n);
	if (edges.n)
		qsort_r(edges.items, edges.n, sizeof(*edges.items), heavier_edge, r);
	uint64_t sum = 0;
	size_t n_matching = 0; /* which come first in order, the heaviest of them first */
	for (size_t i = 0; i < n; i++)
		if (!pattern || !regexec(pattern, rows[order[i]].frame.function, 0, NULL, 0))
			order[n_matching++] = order[i];
	for (size_t i = 0; i < n_matching && shown < r->n_rows; i++) {
		const struct view_row *row = &rows[order[i]];
		if (!shown++) {
			print_head(r, n_matching < r->n_rows ? n_matching : r->n_rows, n);
			fprintf(r->out, "%10s %7s %7s %10s %7s %10s %7s | %s\n%s", "own", "own%",
			        "sum%", "total", "total%", "calls", "calls%", "context", rule);
		}
		print_neighbours(r, &edges, order[i], true);
		print_row(r, row, &sum);
		fprintf(r->out, "%19s | ", "");
		report_name(r, row);
		fputc('\n', r->out);
		print_neighbours(r, &edges, order[i], false);
		fputs(rule, r->out);
	}
	free(edges.items);
	return shown;
}

static struct err *compile(const char *text, const char *option, regex_t *ret)
{
	char why[128];
	int r = regcomp(ret, text, REG_EXTENDED | REG_NOSUB);
	if (!r)
		return NULL;
	regerror(r, ret, why, sizeof(why));
	return err_new(ERR_USAGE, "%s: '%s' is no regular expression: %s", option, text, why);
}

static struct err *print_matching(struct report *r, const struct options *opt)
{
	const char *text = opt->peek ? opt->peek : opt->list;
	regex_t pattern;
	struct err *err = compile(text, opt->peek ? "--peek" : "--list", &pattern);
	if (err)
		return err;
	size_t n = opt->peek ? print_graph(r, &pattern) : report_list(r, &pattern);
	regfree(&pattern);
	return n ? NULL : err_new(ERR_FORMAT, "no function matches '%s'", text);
}

struct err *report_print(const struct profile *p, const struct options *opt)
{
	static const enum view_kind kinds[] = {[OPT_BY_FUNCTIONS] = VIEW_FUNCTIONS,
	                                       [OPT_BY_LINES] = VIEW_LINES,
	                                       [OPT_BY_MODULES] = VIEW_MODULES,
	                                       [OPT_BY_THREADS] = VIEW_THREADS};
	struct view_config config = {.kind = opt->list ? VIEW_LINES : kinds[opt->by]};
	struct report r = {.p = p,
	                   .value = p->total[1] ? 1 : 0,
	                   .by_total = opt->by_total,
	                   .n_rows = opt->rows ? opt->rows : SIZE_MAX,
	                   .out = stdout};
	struct err *err = NULL;
	r.view = view_create(p, &config);
	view_update(r.view);
	if (opt->peek || opt->list)
		err = print_matching(&r, opt);
	else if (opt->tree)
		print_graph(&r, NULL);
	else
		print_top(&r);
	view_destroy(r.view);
	return err;
}

struct err *cmd_report(const struct options *opt, int *status)
{
	(void)status;
	struct strings *strings = strings_create();
	struct profile *p = profile_create(strings);
	struct err *err = profile_read(opt->operands[0], p);
	if (!err)
		err = report_print(p, opt);
	profile_destroy(p);
	strings_destroy(strings);
	return err;
}
