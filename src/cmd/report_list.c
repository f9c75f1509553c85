/* SPDX-License-Identifier: Apache-2.0 */
/* Figures per line of functions, beside their source where that is on this machine. A profile may
 * name any file: only regular ones of a bounded size are read, and what they hold cannot steer the
 * terminal. */
#include <fcntl.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <csample/mem.h>
#include <csample/strbuf.h>

#include "report.h"

#define MAX_SOURCE_BYTES ((off_t)16 << 20)
#define CONTEXT          3   /* lines around those with figures */
#define MAX_LINE_SHOWN   400 /* bytes */

struct source {
	char *text;
	size_t len, at; /* at: where line `next` begins */
	uint32_t next;
};

static void source_open(const char *path, struct source *ret)
{
	*ret = (struct source){.next = 1};
	_cleanup_close_ int fd =
	        path ? open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY) : -1;
	struct stat st;
	if (fd < 0 || fstat(fd, &st) || !S_ISREG(st.st_mode) || st.st_size > MAX_SOURCE_BYTES)
		return;
	ret->text = mem_alloc((size_t)st.st_size + 1);
	ssize_t n = read(fd, ret->text, (size_t)st.st_size);
	ret->len = n > 0 ? (size_t)n : 0;
	ret->text[ret->len] = '\0';
}

/* A line's text; lines are asked for in rising order. NULL: the file has no such line. Free it. */
static char *source_line(struct source *s, uint32_t line)
{
	while (s->text && s->at < s->len) {
		const char *begin = s->text + s->at;
		const char *end = memchr(begin, '\n', s->len - s->at);
		size_t n = end ? (size_t)(end - begin) : s->len - s->at;
		s->at += n + 1;
		if (s->next++ == line)
			return mem_strndup(begin, n < MAX_LINE_SHOWN ? n : MAX_LINE_SHOWN);
	}
	return NULL;
}

/* Those of a function, its lines in order. */
static int compare_lines(const void *a, const void *b, void *arg)
{
	const struct view_row *rows = arg;
	const struct frame *x = &rows[*(const uint32_t *)a].frame;
	const struct frame *y = &rows[*(const uint32_t *)b].frame;
	int diff = strcmp(x->function, y->function);
	if (!diff)
		diff = strcmp(x->file ? x->file : "", y->file ? y->file : "");
	if (!diff)
		diff = strcmp(x->module ? x->module : "", y->module ? y->module : "");
	return diff ? diff : (x->line > y->line) - (x->line < y->line);
}

static bool same_function(const struct frame *x, const struct frame *y)
{
	return x->function == y->function && x->file == y->file && x->module == y->module;
}

static void print_text(const struct report *r, const char *text)
{
	struct strbuf tabs = {0}, shown = {0};
	for (; text && *text; text++)
		if (*text == '\t')
			strbuf_add(&tabs, "    ");
		else
			strbuf_addc(&tabs, *text);
	if (tabs.s)
		strbuf_add_terminal(&shown, tabs.s);
	fprintf(r->out, "%s\n", shown.s ? shown.s : "");
	strbuf_free(&tabs);
	strbuf_free(&shown);
}

static void print_line(const struct report *r, uint32_t number, const struct view_row *row,
                       struct source *source)
{
	char own[32] = ".", total[32] = ".";
	_cleanup_free_ char *text = source_line(source, number);
	if (!row && !text)
		return;
	if (row && row->own[r->value])
		report_value(r, row->own[r->value], own);
	if (row && row->total[r->value])
		report_value(r, row->total[r->value], total);
	fprintf(r->out, "%10s %10s %6" PRIu32 ": ", own, total, number);
	print_text(r, text);
}

/* Lines of one function: order[0..n). */
static void print_function(const struct report *r, const struct view_row *rows,
                           const uint32_t *order, size_t n)
{
	const struct frame *f = &rows[order[0]].frame;
	struct source source;
	source_open(f->file, &source);
	fputs("\n== ", r->out);
	struct view_row name = {.frame = *f};
	name.frame.line = 0;
	name.frame.file = NULL;
	report_name(r, &name);
	fputs(" in ", r->out);
	print_text(r, f->file ? f->file : f->module ? f->module : "[unknown]");
	fprintf(r->out, "%10s %10s\n", "own", "total");
	uint32_t printed = 0; /* up to this line */
	for (size_t i = 0; i < n; i++) {
		uint32_t line = rows[order[i]].frame.line;
		uint32_t from = line > CONTEXT ? line - CONTEXT : 1;
		uint32_t next = i + 1 < n ? rows[order[i + 1]].frame.line : UINT32_MAX;
		if (printed && from > printed + 1 && source.text)
			fprintf(r->out, "%29s\n", "...");
		for (from = from > printed ? from : printed + 1; source.text && from < line; from++)
			print_line(r, from, NULL, &source);
		print_line(r, line, &rows[order[i]], &source);
		printed = line;
		for (uint32_t k = 1; k <= CONTEXT && line + k < next && source.text && line; k++) {
			print_line(r, line + k, NULL, &source);
			printed = line + k;
		}
	}
	free(source.text);
}

size_t report_list(const struct report *r, const regex_t *pattern)
{
	size_t n, n_matching = 0, n_functions = 0;
	const struct view_row *rows = view_rows(r->view, &n);
	_cleanup_free_ uint32_t *order = mem_realloc_array(NULL, n + 1, sizeof(*order));
	for (uint32_t i = 0; i < n; i++)
		if (!regexec(pattern, rows[i].frame.function, 0, NULL, 0))
			order[n_matching++] = i;
	qsort_r(order, n_matching, sizeof(*order), compare_lines, (void *)rows);
	for (size_t i = 0, end; i < n_matching; i = end) {
		for (end = i + 1; end < n_matching; end++)
			if (!same_function(&rows[order[i]].frame, &rows[order[end]].frame))
				break;
		if (n_functions++ < r->n_rows)
			print_function(r, rows, order + i, end - i);
	}
	return n_functions;
}
