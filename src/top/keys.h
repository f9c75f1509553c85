/* SPDX-License-Identifier: Apache-2.0 */
/* Which key does what: a table, which is also the help. */
#ifndef TOP_KEYS_H
#define TOP_KEYS_H

#include <stdbool.h>
#include <stddef.h>

enum command {
	DO_NOTHING,
	DO_UP,
	DO_DOWN,
	DO_PAGE_UP,
	DO_PAGE_DOWN,
	DO_FIRST,
	DO_LAST,
	DO_LEFT,
	DO_RIGHT,
	DO_FUNCTIONS,
	DO_LINES,
	DO_THREADS,
	DO_MODULES,
	DO_SORT_OWN,
	DO_SORT_TOTAL,
	DO_SORT_OWN_TIME,
	DO_SORT_TOTAL_TIME,
	DO_SORT_NAME,
	DO_TURN_ORDER,
	DO_TURN_CALLS,
	DO_PAUSE,
	DO_WHOLE,
	DO_OF_ALL,
	DO_NATIVE,
	DO_CALLS,
	DO_RESET,
	DO_TOGGLE,
	DO_BACK,
	DO_THREAD,
	DO_ALL_THREADS,
	DO_SEARCH,
	DO_NEXT_MATCH,
	DO_PREVIOUS_MATCH,
	DO_IDLE,
	DO_SAVE_SVG,
	DO_SAVE_PPROF,
	DO_HELP,
	DO_REDRAW,
	DO_QUIT,
};

struct key {
	int key; /* a character, or one of the KEY_... of curses.h */
	enum command command;
	const char *name, *help; /* NULL: another key for a command that has its help */
};
extern const struct key keys[];
extern const size_t n_keys;

/* is_code: key is one of curses.h's. */
enum command command_of(int key, bool is_code);

#endif
