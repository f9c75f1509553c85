/* SPDX-License-Identifier: Apache-2.0 */
/* The _PyCFrame before one that is linked but not written yet (chain.c tells of that hole).
 * Compilers write both of its fields in one instruction, at the end of the evaluation function's
 * prologue:
 *
 *   load   previous = tstate->cframe     in a register, to which some go on to write something else
 *   store  tstate->cframe = new          the hole begins
 *   load   current = previous->current_frame, in a register
 *   store  frame->previous = current (3.11); shim->previous = current, frame->previous = shim
 * (3.12) store  new->current_frame, new->previous     the hole ends
 *
 * So one of the registers points to it, or to the frame that it calls current, or to a frame that
 * leads there. It lies above the new one on the C stack, and is the nearest there of all that are
 * in the list. One that is no longer in it may lie between; but that calls current a frame which
 * has ended, in the place of which is now, if any, the one that is being entered. */
#include "chain.h"

#define MAX_SCAN 65536u /* bytes of the C stack */
#define MAX_LIST 4096u

/* What registers tell of frames. */
struct clues {
	uint64_t frames[2 * REGS_MAX];
	unsigned n;
	uint64_t lowest, highest;
};

static void add_clue(struct clues *k, uint64_t frame)
{
	k->lowest = !k->n || frame < k->lowest ? frame : k->lowest;
	k->highest = frame > k->highest ? frame : k->highest;
	k->frames[k->n++] = frame;
}

static bool is_clue(const struct clues *k, uint64_t frame)
{
	if (frame < k->lowest || frame > k->highest)
		return false;
	for (unsigned i = 0; i < k->n; i++)
		if (k->frames[i] == frame)
			return true;
	return false;
}

/* Of a frame that has begun: prev_instr of one that is being entered lies before its code. */
static bool has_begun(const struct py_layout *l, struct obj o)
{
	uint64_t code, instr, owner = 0;
	obj_get(o, l->frame.owner, &owner);
	return owner <= l->owner_generator && obj_get(o, l->frame.code, &code) &&
	       obj_get(o, l->frame.instr, &instr) && code > PY_MAX_BYTECODE &&
	       instr - code - l->code.bytecode.at <= PY_MAX_BYTECODE && !(instr & 1);
}

/* Only frames of which there is a copy: a register may hold anything. */
static void find_clues(const struct py_chain *c, struct py_view *view, struct clues *k)
{
	const struct py_layout *l = c->layout;
	const struct snapshot *snap = view->snap;
	for (unsigned i = 0; i < REGS_MAX; i++) {
		uint64_t frame = snap->regs.r[i], previous, owner = 0;
		struct obj o, before;
		if (!regs_known(&snap->regs, i) || frame & 7 ||
		    !py_view_obj(view, frame, c->span, &o))
			continue;
		if (has_begun(l, o))
			add_clue(k, frame);
		if (l->owner_shim && obj_get(o, l->frame.previous, &previous) &&
		    py_view_obj(view, previous, c->span, &before) &&
		    obj_get(before, l->frame.owner, &owner) && owner >= l->owner_shim &&
		    obj_get(before, l->frame.previous, &previous) &&
		    py_view_obj(view, previous, c->span, &before) && has_begun(l, before))
			add_clue(k, previous);
	}
}

static bool read_cframe(const struct py_chain *c, struct py_view *view, uint64_t cframe,
                        uint64_t *current, uint64_t *previous)
{
	const struct py_layout *l = c->layout;
	struct obj o;
	return !(cframe & 7) && py_view_obj(view, cframe, l->cframe.size, &o) &&
	       obj_get(o, l->cframe.current_frame, current) &&
	       obj_get(o, l->cframe.previous, previous) && *current && !(*current & 7);
}

/* Does a list begin here that ends where the thread's does? Each lies above the one before. */
static bool leads_to_root(const struct py_chain *c, struct py_view *view, uint64_t cframe)
{
	uint64_t root = c->state + c->layout->thread.root_cframe.at, current, previous = 0;
	for (unsigned i = 0; i < MAX_LIST; i++, cframe = previous) {
		if (cframe == root)
			return true;
		if (!read_cframe(c, view, cframe, &current, &previous) ||
		    (previous <= cframe && previous != root))
			return false;
	}
	return false;
}

/* The current frame of what could be a _PyCFrame; 0: it cannot. */
static uint64_t current_of(const struct py_chain *c, struct py_view *view, uint64_t cframe)
{
	uint64_t current, previous;
	struct obj o;
	if (!read_cframe(c, view, cframe, &current, &previous))
		return 0;
	return py_view_obj(view, current, c->span, &o) && !has_begun(c->layout, o) ? 0 : current;
}

uint64_t py_hole_previous(const struct py_chain *c, struct py_view *view, uint64_t hole)
{
	const struct snapshot *snap = view->snap;
	uint64_t root = c->state + c->layout->thread.root_cframe.at, nearest = 0;
	bool is_first = false;
	if (!snap->n_regions || hole - snap->regions[0].addr >= snap->regions[0].len)
		return 0;
	uint64_t end = snap->regions[0].addr + snap->regions[0].len;
	for (unsigned i = 0; i < REGS_MAX; i++) {
		uint64_t v = regs_known(&snap->regs, i) ? snap->regs.r[i] : 0;
		is_first |= v == root;
		if (v > hole && v < end && (!nearest || v < nearest) && current_of(c, view, v) &&
		    leads_to_root(c, view, v))
			nearest = v;
	}
	if (nearest || is_first)
		return nearest ? nearest : root;
	struct clues clues = {0};
	find_clues(c, view, &clues);
	if (end > hole + MAX_SCAN)
		end = hole + MAX_SCAN;
	for (uint64_t v = hole + 8; clues.n && v < end; v += 8) {
		uint64_t current = current_of(c, view, v);
		if (current && is_clue(&clues, current) && leads_to_root(c, view, v))
			return v;
	}
	return 0;
}
