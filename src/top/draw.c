/* SPDX-License-Identifier: Apache-2.0 */
/* What the screen shows. All text passes put(), which lets nothing through that a terminal would
 * obey. */
#include <string.h>
#include <unistd.h>
#include <wchar.h>

#include "screen.h"

#define NARROW   60 /* columns */
#define NARROWER 32

/* One character of valid UTF-8. */
static wchar_t next_character(const char **s)
{
	const unsigned char *c = (const unsigned char *)*s;
	size_t n = *c < 0x80 ? 1 : *c < 0xe0 ? 2 : *c < 0xf0 ? 3 : 4;
	wchar_t wc = n == 1 ? *c : (wchar_t)(*c & (0xff >> (n + 1)));
	for (size_t i = 1; i < n; i++)
		wc = (wchar_t)(wc << 6 | (c[i] & 0x3f));
	*s += n;
	return wc;
}

/* From column x on, up to limit, the text from its column skip on; returns the column after it. */
static int put_shifted(const struct screen *s, int y, int x, int limit, int skip, const char *text)
{
	struct strbuf safe = {0};
	strbuf_add_terminal(&safe, text ? text : "");
	if (limit > COLS)
		limit = COLS;
	for (const char *c = safe.s; c && *c;) {
		wchar_t wc = next_character(&c);
		int width = wcwidth(wc);
		if (width < 0 || (!s->utf8 && wc >= 0x80)) {
			wc = L'?';
			width = 1;
		}
		if (skip > 0) {
			skip -= width;
			continue;
		}
		if (x + width > limit)
			break;
		/* What has no width would join with what stands there already. */
		if (width > 0)
			mvaddnwstr(y, x, &wc, 1);
		x += width;
	}
	strbuf_free(&safe);
	return x;
}

static int put(const struct screen *s, int y, int x, const char *text)
{
	return put_shifted(s, y, x, COLS, 0, text);
}

static void draw_head(struct screen *s)
{
	struct strbuf b = {0};
	for (unsigned i = 0; i < HEAD_LINES; i++) {
		strbuf_clear(&b);
		head_line(&s->top->model, i, &b);
		put(s, (int)i, 0, b.s);
	}
	strbuf_free(&b);
}

/* What is shown, and how. */
static void draw_state(struct screen *s)
{
	static const enum view_kind kinds[] = {VIEW_FUNCTIONS, VIEW_LINES, VIEW_THREADS,
	                                       VIEW_MODULES};
	const struct model *m = &s->top->model;
	struct strbuf b = {0};
	for (size_t i = 0; i < ARRAY_SIZE(kinds); i++)
		strbuf_addf(&b, m->kind == kinds[i] ? "[%s] " : "%s ", kind_names[kinds[i]]);
	strbuf_addf(&b, "| %s%s | %s%s%s", m->whole ? "whole run" : "interval",
	            m->of_all ? ", of all" : "", m->facts.wall ? "idle on" : "CPU",
	            m->no_native ? " | native off" : "", s->top->paused ? " | PAUSED" : "");
	if (m->thread)
		strbuf_addf(&b, " | %s", m->thread);
	put(s, HEAD_LINES, 0, b.s);
	strbuf_free(&b);
}

static bool has_lock_column(const struct screen *s)
{
	return COLS >= NARROW && !s->graph.shown && s->top->model.kind == VIEW_THREADS &&
	       model_has_lock(&s->top->model);
}

/* Names need room as well: on a narrow screen shares or times are shown, whichever the order is by,
 * and on one that is narrower still only one of them. */
static bool has_column(const struct screen *s, enum top_sort column)
{
	enum top_sort sort = s->top->model.sort;
	bool by_time = sort == SORT_OWN_TIME || sort == SORT_TOTAL_TIME;
	bool is_time = column == SORT_OWN_TIME || column == SORT_TOTAL_TIME;
	if (COLS >= NARROW)
		return true;
	if (COLS >= NARROWER)
		return is_time == by_time;
	return column == (sort == SORT_NAME ? SORT_OWN : sort);
}

static const int widths[SORTS] = {
        [SORT_OWN] = 7, [SORT_TOTAL] = 8, [SORT_OWN_TIME] = 11, [SORT_TOTAL_TIME] = 12};

static void add_cells(const struct screen *s, const struct cells *c, struct strbuf *b)
{
	char text[32];
	if (has_column(s, SORT_OWN))
		strbuf_addf(b, "%*.1f", widths[SORT_OWN], c->own);
	if (has_column(s, SORT_TOTAL))
		strbuf_addf(b, "%*.1f", widths[SORT_TOTAL], c->total);
	if (has_column(s, SORT_OWN_TIME))
		strbuf_addf(b, "%*s", widths[SORT_OWN_TIME], time_text(c->own_ns, text));
	if (has_column(s, SORT_TOTAL_TIME))
		strbuf_addf(b, "%*s", widths[SORT_TOTAL_TIME], time_text(c->total_ns, text));
	if (has_lock_column(s))
		strbuf_addf(b, " %6.1f", c->lock);
	strbuf_add(b, "  ");
}

static void draw_columns(struct screen *s)
{
	static const char *const names[SORTS] = {[SORT_OWN] = "own%",
	                                         [SORT_TOTAL] = "total%",
	                                         [SORT_OWN_TIME] = "own time",
	                                         [SORT_TOTAL_TIME] = "total time",
	                                         [SORT_NAME] = "name"};
	const struct model *m = &s->top->model;
	struct strbuf b = {0};
	char text[32];
	for (int i = 0; i < SORT_NAME; i++) {
		if (!has_column(s, (enum top_sort)i))
			continue;
		bool sorted = !s->graph.shown && i == (int)m->sort;
		snprintf(text, sizeof(text), "%s%s", sorted ? "*" : "", names[i]);
		strbuf_addf(&b, "%*s", widths[i], text);
	}
	strbuf_addf(&b, "%s  ", has_lock_column(s) ? "   gil%" : "");
	if (s->graph.shown)
		strbuf_add(&b, s->graph.direction == VIEW_CALLEES ? "callees (Esc: back)"
		                                                  : "callers (Esc: back)");
	else
		strbuf_addf(&b, "%s%s%s", m->sort == SORT_NAME ? "*" : "", names[SORT_NAME],
		            m->upside_down ? " (turned round)" : "");
	attron(A_REVERSE);
	mvhline(HEAD_LINES + 1, 0, ' ', COLS);
	put(s, HEAD_LINES + 1, 0, b.s);
	attroff(A_REVERSE);
	strbuf_free(&b);
}

static attr_t colour_of(const struct screen *s, enum frame_kind kind)
{
	static const enum colours colours[FRAME_KINDS] = {
	        [FRAME_NATIVE] = COLOUR_NATIVE,     [FRAME_INLINED] = COLOUR_NATIVE,
	        [FRAME_KERNEL] = COLOUR_KERNEL,     [FRAME_PYTHON] = COLOUR_SCRIPT,
	        [FRAME_JAVASCRIPT] = COLOUR_SCRIPT, [FRAME_MARK] = COLOUR_MARK};
	return s->colour ? (attr_t)COLOR_PAIR(colours[kind]) : 0;
}

static void add_marker(const struct screen *s, const struct callgraph_line *line, struct strbuf *b)
{
	strbuf_addf(b, "%*s", (int)(line->depth < 200 ? 2 * line->depth : 400), "");
	if (!line->has_children)
		strbuf_add(b, "  ");
	else if (s->utf8)
		strbuf_add(b, line->open ? "\u25be " : "\u25b8 ");
	else
		strbuf_add(b, line->open ? "- " : "+ ");
}

static void draw_line(struct screen *s, size_t line, int y)
{
	const struct model *m = &s->top->model;
	const struct frame *frame = screen_frame(s, line);
	struct strbuf b = {0}, name = {0};
	struct cells c;
	size_t n;
	if (s->graph.shown) {
		c = s->graph.lines.items[line].cells;
		add_marker(s, &s->graph.lines.items[line], &name);
	} else {
		model_cells(m, &view_rows(m->view, &n)[m->order.items[line]], &c);
	}
	add_cells(s, &c, &b);
	row_name(m, frame, &name);
	attr_t attributes = line == s->cursor ? A_REVERSE : 0;
	attr_t of_name = attributes | (attributes ? 0 : colour_of(s, frame->kind));
	if (s->search[0] && screen_matches(s, line))
		of_name |= A_BOLD | A_UNDERLINE;
	attrset(attributes);
	if (attributes)
		mvhline(y, 0, ' ', COLS);
	int x = put(s, y, 0, b.s);
	attrset(of_name);
	put_shifted(s, y, x, COLS, s->shift, name.s);
	attrset(0);
	strbuf_free(&b);
	strbuf_free(&name);
}

/* The last thing that was written to stderr, if that is new. */
static void read_log(struct screen *s)
{
	char text[512];
	off_t end = s->log_fd >= 0 ? lseek(s->log_fd, 0, SEEK_CUR) : 0;
	if (end <= s->log_read)
		return;
	s->log_read = end;
	off_t from = end > (off_t)sizeof(text) - 1 ? end - (off_t)sizeof(text) + 1 : 0;
	ssize_t n = pread(s->log_fd, text, sizeof(text) - 1, from);
	text[n > 0 ? n : 0] = '\0';
	while (n > 0 && text[n - 1] == '\n')
		text[--n] = '\0';
	const char *line = strrchr(text, '\n');
	screen_say(s, "%s", line ? line + 1 : text);
}

static void draw_foot(struct screen *s)
{
	int y = LINES - 1;
	char text[sizeof(s->message) + MAX_SEARCH];
	read_log(s);
	if (s->searching)
		snprintf(text, sizeof(text), "/%s_", s->search);
	else if (s->message[0])
		snprintf(text, sizeof(text), "%s", s->message);
	else
		snprintf(text, sizeof(text), "%s",
		         "? help  q quit  f l t m views  1-5 sort  Enter calls  / search  Space "
		         "pause");
	put(s, y, 0, text);
}

static void draw_help(struct screen *s)
{
	struct strbuf b = {0};
	size_t n = 0, shown = 0;
	for (size_t i = 0; i < n_keys; i++)
		n += keys[i].help != NULL;
	int rows = (int)(n + 1) / 2;
	put(s, 0, 0, "csample top: keys (any key: back)");
	for (size_t i = 0; i < n_keys; i++) {
		if (!keys[i].help)
			continue;
		strbuf_clear(&b);
		strbuf_addf(&b, "%-6s %s", keys[i].name, keys[i].help);
		int column = (int)shown / rows, x = column ? COLS / 2 : 0;
		put_shifted(s, 2 + (int)shown % rows, x, column ? COLS : COLS / 2 - 1, 0, b.s);
		shown++;
	}
	put(s, rows + 3, 0,
	    "own: time in a row itself; total: with all it calls. Shares are of the last");
	put(s, rows + 4, 0,
	    "interval, 100% is one CPU (idle on: one thread); times since counting began.");
	strbuf_free(&b);
}

void screen_draw(struct screen *s)
{
	erase();
	if (s->help) {
		draw_help(s);
		refresh();
		return;
	}
	screen_arrange(s);
	draw_head(s);
	draw_state(s);
	draw_columns(s);
	size_t n = screen_lines(s), page = screen_page(s);
	for (size_t i = s->first; i < n && i < s->first + page; i++)
		draw_line(s, i, HEAD_LINES + 2 + (int)(i - s->first));
	draw_foot(s);
	refresh();
}
