/* SPDX-License-Identifier: Apache-2.0 */
#include "keys.h"

#include <curses.h>

#include <csample/mem.h>

#define CTRL(c) ((c)&0x1f)

/* clang-format off */
const struct key keys[] = {
	{ 'f', DO_FUNCTIONS, "f", "functions" },
	{ 'l', DO_LINES, "l", "lines" },
	{ 't', DO_THREADS, "t", "threads" },
	{ 'm', DO_MODULES, "m", "modules" },
	{ '\r', DO_CALLS, "Enter", "call tree; opens, closes in it" },
	{ '\n', DO_CALLS, NULL, NULL },
	{ KEY_ENTER, DO_CALLS, NULL, NULL },
	{ 'c', DO_TURN_CALLS, "c", "callees / callers" },
	{ KEY_RIGHT, DO_RIGHT, "<- ->", "close, open; else shift names" },
	{ KEY_LEFT, DO_LEFT, NULL, NULL },
	{ '+', DO_TOGGLE, "+ -", "open or close" },
	{ '-', DO_TOGGLE, NULL, NULL },
	{ 27, DO_BACK, "Esc", "back" },
	{ KEY_BACKSPACE, DO_BACK, NULL, NULL },
	{ 127, DO_BACK, NULL, NULL },
	{ 'T', DO_THREAD, "T", "only the thread chosen (in t)" },
	{ 'a', DO_ALL_THREADS, "a", "all threads" },
	{ '/', DO_SEARCH, "/", "search" },
	{ ';', DO_NEXT_MATCH, "; ,", "next, previous match" },
	{ ',', DO_PREVIOUS_MATCH, NULL, NULL },
	{ KEY_F(3), DO_NEXT_MATCH, NULL, NULL },
	{ '1', DO_SORT_OWN, "1 2", "sort by own%, total%" },
	{ '2', DO_SORT_TOTAL, NULL, NULL },
	{ '3', DO_SORT_OWN_TIME, "3 4", "by own time, total time" },
	{ '4', DO_SORT_TOTAL_TIME, NULL, NULL },
	{ '5', DO_SORT_NAME, "5", "by name" },
	{ 'I', DO_TURN_ORDER, "I", "the other way round" },
	{ ' ', DO_PAUSE, "Space", "pause the picture" },
	{ 'R', DO_RESET, "R", "count from now on" },
	{ 'w', DO_WHOLE, "w", "percent of interval / whole run" },
	{ '%', DO_OF_ALL, "%", "percent of a CPU / of all" },
	{ 'n', DO_NATIVE, "n", "native frames on, off" },
	{ 'i', DO_IDLE, "i", "idle on (wall time), off (CPU)" },
	{ 's', DO_SAVE_SVG, "s", "save as SVG" },
	{ 'p', DO_SAVE_PPROF, "p", "save for pprof" },
	{ KEY_UP, DO_UP, "Up Dn", "and PgUp, PgDn, Home, End" },
	{ KEY_DOWN, DO_DOWN, NULL, NULL },
	{ 'k', DO_UP, NULL, NULL },
	{ 'j', DO_DOWN, NULL, NULL },
	{ KEY_PPAGE, DO_PAGE_UP, NULL, NULL },
	{ KEY_NPAGE, DO_PAGE_DOWN, NULL, NULL },
	{ KEY_HOME, DO_FIRST, NULL, NULL },
	{ KEY_END, DO_LAST, NULL, NULL },
	{ 'g', DO_FIRST, NULL, NULL },
	{ 'G', DO_LAST, NULL, NULL },
	{ '?', DO_HELP, "?", "this help" },
	{ 'h', DO_HELP, NULL, NULL },
	{ KEY_F(1), DO_HELP, NULL, NULL },
	{ CTRL('L'), DO_REDRAW, "^L", "draw anew" },
	{ 'q', DO_QUIT, "q", "quit" },
	{ 'Q', DO_QUIT, NULL, NULL },
};
/* clang-format on */
const size_t n_keys = ARRAY_SIZE(keys);

enum command command_of(int key, bool is_code)
{
	for (size_t i = 0; i < n_keys; i++)
		if (keys[i].key == key && (key >= KEY_MIN) == is_code)
			return keys[i].command;
	return DO_NOTHING;
}
