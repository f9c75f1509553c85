/* SPDX-License-Identifier: Apache-2.0 */
/* One stack on its way from leaf to root: the registers of the current frame, and the only memory
 * it may look at. */
#ifndef UNWIND_WALK_H
#define UNWIND_WALK_H

#include <stdbool.h>
#include <stdint.h>
#include <string.h>

#include <csample/frame.h>
#include <csample/snapshot.h>
#include <csample/target.h>

#include "rule.h"

struct walk {
	const struct snapshot *snap;
	const struct maps *maps;
	const uint8_t *stack; /* bytes of regions[0] */
	uint64_t stack_addr, stack_len;
	struct regs regs;
	/* pc is where the thread is or was interrupted, not where a call will return to. */
	bool is_exact;
	bool wants_more; /* of the stack: a return address was looked for up to the end of the copy
	                  */
	uint64_t cfa;    /* of the frame last stepped over */
	enum stack_end end; /* why the last step was the last */
};

/* The eight bytes at addr: of the snapshot, or of a file where the target maps it read-only. False
 * sets w->end: STACK_SHORT above the copied part of the stack, else STACK_NO_MEMORY. */
bool walk_read_slow(struct walk *w, uint64_t addr, uint64_t *ret);
static inline bool walk_read(struct walk *w, uint64_t addr, uint64_t *ret)
{
	uint64_t at = addr - w->stack_addr;
	if (at < w->stack_len && w->stack_len - at >= 8) {
		memcpy(ret, w->stack + at, 8);
		return true;
	}
	return walk_read_slow(w, addr, ret);
}

static inline bool walk_fail(struct walk *w, enum stack_end end)
{
	w->end = end;
	return false;
}

/* Goes to the caller as a RULE_FRAME says: registers, w->cfa, w->is_exact. False sets w->end. */
bool walk_step(struct walk *w, const struct rule *rule);

/* The mapping of addr if code may run there, else NULL. */
const struct mapping *walk_code(const struct walk *w, uint64_t addr);
/* Could addr be a return address: is there a call before it? True too where the code's bytes are
 * not to be had, which is so in memory without a file. */
bool walk_is_after_call(const struct walk *w, uint64_t addr);
/* The target of the direct call before addr; false if there is none. */
bool walk_call_target(const struct walk *w, uint64_t addr, uint64_t *ret);

#endif
