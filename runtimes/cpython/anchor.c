/* SPDX-License-Identifier: Apache-2.0 */
/* Whose stack a thread state runs on. Up to 3.12 a state may be run by another thread than it
 * names: the one that created a sub-interpreter, or handed the state on. What tells is the C stack:
 *
 *   3.6-3.9    the evaluation function holds its PyFrameObject, in a slot or a register that those
 *              it calls save: the frames are words of the stack, inner ones lower
 *   3.10-3.12  the state's newest CFrame is a local of the evaluation function
 */
#include <string.h>

#include "chain.h"
#include "gather.h"

#define ENOUGH 3 /* frames that are found in their order: those further out are not looked for */

bool py_states_wander(const struct py_layout *l)
{
	return field_known(l->thread.frame) || field_known(l->thread.cframe);
}

/* The copy of the stack that sp points into. */
static const struct region *stack_of(const struct snapshot *snap)
{
	uint64_t sp = snap->regs.r[REG_SP];
	for (unsigned i = 0; i < snap->n_regions && regs_known(&snap->regs, REG_SP); i++)
		if (sp - snap->regions[i].addr < snap->regions[i].len)
			return &snap->regions[i];
	return NULL;
}

bool py_is_on_stack(const struct snapshot *snap, uint64_t addr)
{
	const struct region *stack = stack_of(snap);
	return !stack || (addr >= snap->regs.r[REG_SP] && addr - stack->addr < stack->len);
}

/* Where the word lies on the stack, from from on; 0: nowhere. */
static uint64_t find_word(const struct snapshot *snap, const struct region *stack, uint64_t from,
                          uint64_t end, uint64_t word)
{
	for (uint64_t at = (from + 7) & ~7ULL; at + 8 <= end; at += 8) {
		uint64_t v;
		memcpy(&v, snap->bytes + stack->at + (at - stack->addr), sizeof(v));
		if (v == word)
			return at;
	}
	return 0;
}

static bool in_register(const struct snapshot *snap, uint64_t word)
{
	for (unsigned i = 0; i < REGS_MAX; i++)
		if (regs_known(&snap->regs, i) && snap->regs.r[i] == word)
			return true;
	return false;
}

/* Where the stack ends at the latest: a copy may go on behind it, with whatever lies there. What
 * pthread_self() points to lies at the end of a thread's stack. */
static uint64_t end_of(const struct snapshot *snap, const struct region *stack,
                       const struct py_thread *th)
{
	uint64_t sp = snap->regs.r[REG_SP], end = stack->addr + stack->len;
	for (unsigned i = 0; i < th->n_states; i++)
		if (th->idents[i] > sp && th->idents[i] < end)
			end = th->idents[i];
	return end;
}

uint64_t py_frames_on_stack(const struct snapshot *snap, const struct py_thread *th,
                            const uint64_t *frames, size_t n)
{
	const struct region *stack = stack_of(snap);
	if (!stack)
		return 0;
	uint64_t sp = snap->regs.r[REG_SP], at = sp, first = 0, end = end_of(snap, stack, th);
	for (size_t i = 0; i < n && i < ENOUGH; i++) {
		uint64_t found = find_word(snap, stack, at, end, frames[i]);
		if (!found && (i || !in_register(snap, frames[i])))
			return 0;
		at = found ? found + 8 : sp;
		first = i ? first : at;
	}
	return first;
}

enum py_place py_place_of(const struct py_layout *l, struct py_view *view,
                          const struct py_thread *th, uint64_t addr, struct obj state)
{
	uint64_t frame = 0, cframe = 0;
	if (obj_get(state, l->thread.cframe, &cframe) && cframe) {
		if (cframe == addr + l->thread.root_cframe.at)
			return PLACE_IDLE;
		return py_is_on_stack(view->snap, cframe) ? PLACE_HERE : PLACE_ELSEWHERE;
	}
	if (!obj_get(state, l->thread.frame, &frame) || !stack_of(view->snap))
		return PLACE_HERE;
	if (!frame)
		return PLACE_IDLE;
	return py_frames_on_stack(view->snap, th, &frame, 1) ? PLACE_HERE : PLACE_ELSEWHERE;
}
