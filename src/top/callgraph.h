/* SPDX-License-Identifier: Apache-2.0 */
/* The call tree of one row: what it calls, or who calls it, as far as it was opened. */
#ifndef TOP_CALLGRAPH_H
#define TOP_CALLGRAPH_H

#include "model.h"

struct callgraph_line {
	uint64_t path; /* stands for the node as long as the tree is shown */
	unsigned depth;
	bool has_children, open;
	struct frame frame;
	struct cells cells;
};

struct callgraph {
	bool shown;
	struct frame root; /* the row it is of */
	enum view_direction direction;
	struct map64 toggled; /* by path: not as open or closed as it is at first */
	VEC(struct callgraph_line) lines;
};

/* Of a row from now on, all closed below its first level. */
void callgraph_open(struct callgraph *g, const struct frame *root);
void callgraph_turn(struct callgraph *g); /* callers for callees */
void callgraph_toggle(struct callgraph *g, const struct callgraph_line *line);
/* Brings lines up to date. */
void callgraph_refresh(struct callgraph *g, struct model *m);
void callgraph_deinit(struct callgraph *g);

#endif
