/* SPDX-License-Identifier: Apache-2.0 */
/* How deep the stack is at an instruction, found by following the code of its function: for code
 * without CFI (musl, assembly), and for frames whose frame pointer is unknown. x86_64 only. */
#ifndef UNWIND_DEPTH_H
#define UNWIND_DEPTH_H

#include <csample/image.h>

#include "rule.h"

/* At one instruction. Depths are bytes below the stack pointer at the function's first instruction.
 */
struct depth {
	int32_t sp, fp;    /* DEPTH_UNKNOWN, or of the stack and frame pointer */
	int16_t saved[16]; /* by DWARF number: of the slot of a callee-saved register; 0: none */
};
#define DEPTH_UNKNOWN INT32_MIN
/* Code is looked at no further than this from the start, on either side. */
#define DEPTH_MAX_CODE 65536

/* The depth at vaddr in the function that starts at start; after_call: vaddr is a return address.
 * False if the code there is not reached. */
bool depth_at(const struct image *img, uint64_t start, uint64_t vaddr, bool after_call,
              struct depth *ret);
/* As a rule that holds if the return address it gives is after a call. */
bool depth_rule(const struct depth *d, struct rule *ret);

#endif
