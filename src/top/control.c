/* SPDX-License-Identifier: Apache-2.0 */
/* What keys do. */
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <wchar.h>

#include "screen.h"

static void go_to(struct screen *s, size_t line)
{
	size_t n = screen_lines(s);
	if (!n)
		return;
	s->cursor = line < n ? line : n - 1;
	if (s->cursor < s->first)
		s->first = s->cursor;
	/* At the top it is the first row, whichever that is. */
	s->has_chosen = s->cursor > 0;
	s->chosen = *screen_frame(s, s->cursor);
	s->chosen_path = s->graph.shown ? s->graph.lines.items[s->cursor].path : 0;
}

static void start_over(struct screen *s)
{
	s->cursor = s->first = 0;
	s->shift = 0;
	s->has_chosen = false;
}

static void move_cursor(struct screen *s, enum command command)
{
	size_t page = screen_page(s);
	switch ((int)command) {
	case DO_UP:
		go_to(s, s->cursor ? s->cursor - 1 : 0);
		break;
	case DO_DOWN:
		go_to(s, s->cursor + 1);
		break;
	case DO_PAGE_UP:
		go_to(s, s->cursor > page ? s->cursor - page : 0);
		break;
	case DO_PAGE_DOWN:
		go_to(s, s->cursor + page);
		break;
	case DO_FIRST:
		go_to(s, 0);
		break;
	default:
		if (!s->graph.shown)
			model_sort(&s->top->model, SIZE_MAX);
		go_to(s, SIZE_MAX);
	}
}

static void choose_view(struct screen *s, enum view_kind kind)
{
	struct model *m = &s->top->model;
	s->graph.shown = false;
	start_over(s);
	if (m->kind == kind)
		return;
	m->kind = kind;
	model_reshape(m);
}

static void choose_order(struct screen *s, enum top_sort sort)
{
	s->top->model.sort = sort;
	s->graph.shown = false;
	start_over(s);
}

static const struct callgraph_line *graph_line(const struct screen *s)
{
	return s->graph.shown && s->cursor < s->graph.lines.n ? &s->graph.lines.items[s->cursor]
	                                                      : NULL;
}

static void open_or_close(struct screen *s)
{
	const struct callgraph_line *line = graph_line(s);
	if (!line || !line->has_children)
		return;
	s->has_chosen = s->cursor > 0;
	s->chosen_path = line->path;
	callgraph_toggle(&s->graph, line);
}

/* To what called it, if it is closed already. */
static void close_or_leave(struct screen *s)
{
	const struct callgraph_line *line = graph_line(s);
	if (!line)
		return;
	if (line->open && line->has_children) {
		open_or_close(s);
		return;
	}
	size_t i = s->cursor;
	while (i && s->graph.lines.items[i].depth >= line->depth)
		i--;
	go_to(s, i);
}

static void filter_thread(struct screen *s, bool all)
{
	struct model *m = &s->top->model;
	if (all) {
		m->thread = NULL;
	} else if (m->kind != VIEW_THREADS || !screen_lines(s) || s->graph.shown) {
		screen_say(s, "which thread? t shows them; T there takes the chosen one");
		return;
	} else {
		m->thread = screen_frame(s, s->cursor)->function;
		m->kind = VIEW_FUNCTIONS;
	}
	s->graph.shown = false;
	start_over(s);
	model_reshape(m);
}

static void show_calls(struct screen *s)
{
	if (s->graph.shown) {
		open_or_close(s);
		return;
	}
	if (!screen_lines(s))
		return;
	if (s->top->model.kind == VIEW_THREADS) {
		filter_thread(s, false);
		return;
	}
	callgraph_open(&s->graph, screen_frame(s, s->cursor));
	s->cursor = s->first = 0;
	s->has_chosen = false;
}

static void leave_calls(struct screen *s)
{
	if (!s->graph.shown) {
		s->search[0] = '\0';
		return;
	}
	s->graph.shown = false;
	s->chosen = s->graph.root;
	s->has_chosen = true;
	s->cursor = s->first = 0;
	screen_arrange(s);
}

static void find(struct screen *s, bool back)
{
	if (!s->graph.shown)
		model_sort(&s->top->model, SIZE_MAX);
	size_t n = screen_lines(s);
	for (size_t i = 1; i <= n && s->search[0]; i++) {
		size_t line = (s->cursor + (back ? n - i : i)) % n;
		if (!screen_matches(s, line))
			continue;
		go_to(s, line);
		return;
	}
	screen_say(s, s->search[0] ? "no match for '%s'" : "/ searches%s", s->search);
}

static void save_as(struct screen *s, const char *suffix)
{
	char *path = NULL;
	struct err *err = save(&s->top->model, suffix, &path);
	if (err)
		screen_say(s, "%s", err->msg);
	else
		screen_say(s, "saved as %s", path);
	err_free(err);
	free(path);
}

static void toggle(struct screen *s, enum command command)
{
	struct model *m = &s->top->model;
	switch ((int)command) {
	case DO_WHOLE:
		m->whole = !m->whole;
		break;
	case DO_OF_ALL:
		m->of_all = !m->of_all;
		break;
	case DO_PAUSE:
		s->top->paused = !s->top->paused;
		break;
	case DO_TURN_ORDER:
		m->upside_down = !m->upside_down;
		start_over(s);
		break;
	case DO_TURN_CALLS:
		callgraph_turn(&s->graph);
		start_over(s);
		break;
	default:
		m->no_native = !m->no_native;
		model_reshape(m);
		start_over(s);
	}
}

static void sideways(struct screen *s, bool right)
{
	if (s->graph.shown && right && graph_line(s) && !graph_line(s)->open)
		open_or_close(s);
	else if (s->graph.shown && !right)
		close_or_leave(s);
	else if (!s->graph.shown)
		s->shift = right ? s->shift + 8 : s->shift > 8 ? s->shift - 8 : 0;
}

/* What is not a matter of ranges. */
static enum screen_action act(struct screen *s, enum command command)
{
	switch ((int)command) {
	case DO_CALLS:
		show_calls(s);
		break;
	case DO_TOGGLE:
		open_or_close(s);
		break;
	case DO_BACK:
		leave_calls(s);
		break;
	case DO_THREAD:
	case DO_ALL_THREADS:
		filter_thread(s, command == DO_ALL_THREADS);
		break;
	case DO_SEARCH:
		s->searching = true;
		s->search[0] = '\0';
		break;
	case DO_NEXT_MATCH:
	case DO_PREVIOUS_MATCH:
		find(s, command == DO_PREVIOUS_MATCH);
		break;
	case DO_SAVE_SVG:
		save_as(s, ".svg");
		break;
	case DO_SAVE_PPROF:
		save_as(s, ".pb.gz");
		break;
	case DO_HELP:
		s->help = true;
		break;
	case DO_REDRAW:
		clearok(stdscr, TRUE);
		break;
	case DO_RESET:
		return SCREEN_RESET;
	case DO_IDLE:
		return SCREEN_IDLE;
	case DO_QUIT:
		return SCREEN_QUIT;
	default:
		break;
	}
	return SCREEN_NOTHING;
}

enum screen_action screen_do(struct screen *s, enum command command)
{
	static const enum view_kind kinds[] = {[DO_FUNCTIONS - DO_FUNCTIONS] = VIEW_FUNCTIONS,
	                                       [DO_LINES - DO_FUNCTIONS] = VIEW_LINES,
	                                       [DO_THREADS - DO_FUNCTIONS] = VIEW_THREADS,
	                                       [DO_MODULES - DO_FUNCTIONS] = VIEW_MODULES};
	if (command >= DO_UP && command <= DO_LAST)
		move_cursor(s, command);
	else if (command == DO_LEFT || command == DO_RIGHT)
		sideways(s, command == DO_RIGHT);
	else if (command >= DO_FUNCTIONS && command <= DO_MODULES)
		choose_view(s, kinds[command - DO_FUNCTIONS]);
	else if (command >= DO_SORT_OWN && command <= DO_SORT_NAME)
		choose_order(s, (enum top_sort)(command - DO_SORT_OWN));
	else if (command >= DO_TURN_ORDER && command <= DO_NATIVE)
		toggle(s, command);
	else
		return act(s, command);
	return SCREEN_NOTHING;
}

/* A key of the line that is being typed. */
static void type_search(struct screen *s, wint_t key, bool is_code)
{
	size_t len = strlen(s->search);
	char bytes[MB_LEN_MAX];
	mbstate_t state = {0};
	if (key == '\r' || key == '\n' || (is_code && key == KEY_ENTER)) {
		s->searching = false;
		if (s->search[0])
			find(s, false);
	} else if (key == 27) {
		s->searching = false;
		s->search[0] = '\0';
	} else if (key == 127 || key == 8 || (is_code && key == KEY_BACKSPACE)) {
		while (len && ((unsigned char)s->search[--len] & 0xc0) == 0x80)
			;
		s->search[len] = '\0';
	} else if (!is_code && key >= ' ') {
		size_t n = wcrtomb(bytes, (wchar_t)key, &state);
		if (n != (size_t)-1 && len + n <= MAX_SEARCH) {
			memcpy(s->search + len, bytes, n);
			s->search[len + n] = '\0';
		}
	}
}

enum screen_action screen_keys(struct screen *s)
{
	wint_t key;
	bool any = false;
	enum screen_action action = SCREEN_NOTHING;
	for (int got; action == SCREEN_NOTHING && (got = get_wch(&key)) != ERR; any = true) {
		bool is_code = got == KEY_CODE_YES;
		if (is_code && key == KEY_RESIZE) {
			clearok(stdscr, TRUE);
			continue;
		}
		s->message[0] = '\0';
		if (s->searching) {
			type_search(s, key, is_code);
		} else if (s->help) {
			s->help = false;
		} else {
			action = screen_do(s, command_of((int)key, is_code));
		}
		if (action == SCREEN_NOTHING && !s->help)
			screen_arrange(s);
	}
	if (any)
		screen_draw(s);
	return action;
}
