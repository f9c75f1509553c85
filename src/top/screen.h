/* SPDX-License-Identifier: Apache-2.0 */
/* The terminal and what it shows: screen.c opens and closes it, draw.c fills it, control.c does
 * what the keys say. */
#ifndef TOP_SCREEN_H
#define TOP_SCREEN_H

#include <curses.h>
#include <sys/types.h>

#include "callgraph.h"
#include "keys.h"

#define MAX_SEARCH 64 /* bytes */

struct screen {
	struct top *top;
	SCREEN *terminal;
	bool utf8, colour;
	int stderr_fd, log_fd; /* where stderr led; what is written to it meanwhile; -1: none */
	off_t log_read;
	struct callgraph graph;
	size_t cursor, first; /* lines of the list: chosen, and at the top of the screen */
	bool has_chosen;      /* the row of frame, wherever it goes; else what is at cursor */
	struct frame chosen;
	uint64_t chosen_path; /* the same in a call tree; 0: none */
	int shift;            /* columns that names are moved to the left by */
	bool help, searching;
	char search[MAX_SEARCH + 8];
	char message[512];
};

enum colours { COLOUR_PLAIN, COLOUR_NATIVE, COLOUR_KERNEL, COLOUR_SCRIPT, COLOUR_MARK };

/* Lines that the list has room for. */
size_t screen_page(const struct screen *s);
/* How many lines the list has. */
size_t screen_lines(const struct screen *s);
/* Sorts or lists anew, and finds what was chosen in it. */
void screen_arrange(struct screen *s);
/* Does it match what was searched for? */
bool screen_matches(const struct screen *s, size_t line);
/* The frame of a line of the list. */
const struct frame *screen_frame(const struct screen *s, size_t line);
enum screen_action screen_do(struct screen *s, enum command command);

#endif
