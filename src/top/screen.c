/* SPDX-License-Identifier: Apache-2.0 */
#include "screen.h"

#include <langinfo.h>
#include <locale.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

/* Each line of a warning would spoil the picture. */
static void take_stderr(struct screen *s)
{
	fflush(stderr);
	s->log_fd = memfd_create("csample-messages", MFD_CLOEXEC);
	s->stderr_fd = s->log_fd >= 0 ? dup(STDERR_FILENO) : -1;
	if (s->stderr_fd >= 0)
		dup2(s->log_fd, STDERR_FILENO);
}

static void give_back_stderr(struct screen *s)
{
	char text[4096];
	off_t at = 0;
	if (s->stderr_fd < 0)
		return;
	fflush(stderr);
	dup2(s->stderr_fd, STDERR_FILENO);
	close(s->stderr_fd);
	for (ssize_t n; (n = pread(s->log_fd, text, sizeof(text), at)) > 0; at += n)
		if (write(STDERR_FILENO, text, (size_t)n) < 0)
			break;
	close(s->log_fd);
	s->stderr_fd = s->log_fd = -1;
}

static void set_colours(struct screen *s)
{
	const char *no_color = getenv("NO_COLOR");
	s->colour = has_colors() && !(no_color && *no_color);
	if (!s->colour)
		return;
	start_color();
	use_default_colors();
	init_pair(COLOUR_NATIVE, COLOR_CYAN, -1);
	init_pair(COLOUR_KERNEL, COLOR_RED, -1);
	init_pair(COLOUR_SCRIPT, COLOR_GREEN, -1);
	init_pair(COLOUR_MARK, COLOR_YELLOW, -1);
}

struct err *screen_open(struct top *t, struct screen **ret)
{
	setlocale(LC_CTYPE, "");
	/* They may be of another day, and curses would believe them for good. */
	unsetenv("LINES");
	unsetenv("COLUMNS");
	SCREEN *terminal = newterm(NULL, stdout, stdin);
	if (!terminal)
		return err_new(ERR_UNSUPPORTED, "the terminal cannot be used");
	struct screen *s = mem_zalloc(sizeof(*s));
	s->top = t;
	s->terminal = terminal;
	s->utf8 = !strcmp(nl_langinfo(CODESET), "UTF-8");
	s->stderr_fd = s->log_fd = -1;
	set_colours(s);
	cbreak();
	noecho();
	nonl();
	keypad(stdscr, TRUE);
	nodelay(stdscr, TRUE);
	set_escdelay(25);
	curs_set(0);
	take_stderr(s);
	*ret = s;
	return NULL;
}

void screen_close(struct screen *s)
{
	if (!s)
		return;
	endwin();
	delscreen(s->terminal);
	give_back_stderr(s);
	callgraph_deinit(&s->graph);
	free(s);
}

void screen_leave(struct screen *s)
{
	(void)s;
	endwin();
}

void screen_return(struct screen *s)
{
	clearok(stdscr, TRUE);
	refresh();
	screen_draw(s);
}

void screen_say(struct screen *s, const char *fmt, ...)
{
	va_list ap;
	va_start(ap, fmt);
	vsnprintf(s->message, sizeof(s->message), fmt, ap);
	va_end(ap);
}

size_t screen_page(const struct screen *s)
{
	(void)s;
	int room = LINES - HEAD_LINES - 3;
	return room > 0 ? (size_t)room : 1;
}

size_t screen_lines(const struct screen *s)
{
	return s->graph.shown ? s->graph.lines.n : s->top->model.order.n;
}

const struct frame *screen_frame(const struct screen *s, size_t line)
{
	size_t n;
	if (s->graph.shown)
		return &s->graph.lines.items[line].frame;
	return &view_rows(s->top->model.view, &n)[s->top->model.order.items[line]].frame;
}

static bool same(const struct frame *a, const struct frame *b)
{
	return a->function == b->function && a->module == b->module && a->file == b->file &&
	       a->line == b->line;
}

static bool is_chosen(const struct screen *s, size_t line)
{
	if (s->graph.shown)
		return s->graph.lines.items[line].path == s->chosen_path;
	return same(screen_frame(s, line), &s->chosen);
}

/* As many as a search or the last page may need; usually those that may be seen soon. */
#define ENOUGH 512

void screen_arrange(struct screen *s)
{
	struct model *m = &s->top->model;
	size_t page = screen_page(s), wanted = s->first + 2 * page + 1;
	if (s->graph.shown)
		callgraph_refresh(&s->graph, m);
	else
		model_sort(m, s->search[0] ? SIZE_MAX : wanted < ENOUGH ? ENOUGH : wanted);
	size_t n = screen_lines(s);
	for (size_t i = 0; s->has_chosen && i < n; i++) {
		if (!is_chosen(s, i))
			continue;
		s->cursor = i;
		break;
	}
	if (s->cursor >= n)
		s->cursor = n ? n - 1 : 0;
	if (s->first > s->cursor)
		s->first = s->cursor;
	if (s->cursor >= s->first + page)
		s->first = s->cursor - page + 1;
}

bool screen_matches(const struct screen *s, size_t line)
{
	struct strbuf b = {0};
	row_name(&s->top->model, screen_frame(s, line), &b);
	bool found = s->search[0] && strcasestr(b.s, s->search);
	strbuf_free(&b);
	return found;
}
