/* SPDX-License-Identifier: Apache-2.0 */
/* The frames of one thread state, in what was copied and nowhere else. gather.c follows them to
 * find out what is missing, walk.c to show them. */
#ifndef CPYTHON_CHAIN_H
#define CPYTHON_CHAIN_H

#include <csample/snapshot.h>

#include "layout.h"

/* A snapshot, and the region that answered last: most questions are about its neighbourhood. */
struct py_view {
	const struct snapshot *snap;
	unsigned last;
};
/* As snapshot_at(). */
const uint8_t *py_view_at(struct py_view *view, uint64_t addr, size_t len);
/* The object of len bytes at addr; false when it was not copied whole. */
bool py_view_obj(struct py_view *view, uint64_t addr, size_t len, struct obj *ret);

enum py_step {
	STEP_FRAME,    /* a frame of Python code, further out than the last */
	STEP_BOUNDARY, /* the frames since the last boundary are what one native activation of the
	                * evaluation function runs; there may be none */
	STEP_RESTART,  /* those before did not hold: begin anew */
	STEP_END,      /* there are no more: proven */
	STEP_MISSING,  /* goes on where nothing was copied: see missing; may be repeated */
	STEP_BAD,      /* what was copied does not fit together */
};

struct py_link {
	uint64_t addr, code; /* code: untagged */
	int64_t lasti;       /* byte offset, see struct py_frame_at; meaningless with tlbc */
	uint64_t instr;      /* where frame.instr is a pointer */
	uint64_t tlbc;       /* index of the thread's own copy of the bytecode; 0: the code's */
	uint64_t marker;     /* STEP_BOUNDARY: an address in the native frame; 0: not known */
	bool in_generator;
};

/* Fields are chain.c's, except missing. Plain data: lies in preallocated memory. */
struct py_chain {
	const struct py_layout *layout;
	uint64_t state;               /* thread state */
	uint64_t frame;               /* the next one */
	uint64_t cframe;              /* of the group under way; 3.11, 3.12 */
	uint64_t base;                /* the sentinel at the end; 3.15 */
	uint64_t chunk, top, older;   /* the data stack's newest chunk, its top, the chunk before */
	uint64_t frame_type;          /* of the first frame object; to 3.10 */
	uint64_t newest;              /* last frame that lay in chunk */
	uint64_t closing;             /* marker of the boundary that is due */
	uint64_t saved;               /* a frame some steps ago: for loops */
	uint32_t steps, save_at;      /* Brent's */
	uint32_t span;                /* bytes of a frame that are looked at */
	uint32_t frames;              /* so far in the group under way; anybody may look */
	bool first_group, after_hole; /* 3.11, 3.12: see chain.c */
	bool begun, close, looped, restarted;
	struct region missing; /* addr and len */
};
/* Begins at a thread state whose copy (layout->thread.size bytes) is state. What comes first is
 * asked of py_chain_next(). */
void py_chain_start(struct py_chain *c, const struct py_layout *layout, uint64_t addr,
                    struct obj state);
enum py_step py_chain_next(struct py_chain *c, struct py_view *view, struct py_link *ret);
/* The last STEP_FRAME is known to be none, or the first one is STEP_MISSING and not to be had:
 * where another beginning is possible, true, and STEP_RESTART is next. */
bool py_chain_restart(struct py_chain *c, struct py_view *view);

/* hole.c: the _PyCFrame before the one at hole, of which nothing is believed; 0: not known. */
uint64_t py_hole_previous(const struct py_chain *c, struct py_view *view, uint64_t hole);

/* Bytes of a frame that the chain needs, from its start. */
uint32_t py_frame_span(const struct py_layout *layout);
/* Bytes of a thread state: its fields, and the last _PyCFrame in it. */
uint32_t py_state_span(const struct py_layout *layout);

#endif
