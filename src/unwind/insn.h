/* SPDX-License-Identifier: Apache-2.0 */
/* One machine instruction: how long it is, and what it does to the stack pointer, the frame pointer
 * and the flow. x86_64 only. */
#ifndef UNWIND_INSN_H
#define UNWIND_INSN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum insn_kind {
	INSN_OTHER,
	INSN_PUSH,       /* reg, or INSN_NO_REG */
	INSN_POP,        /* reg, or INSN_NO_REG */
	INSN_MOVE_SP,    /* stack pointer += value */
	INSN_SP_FROM_FP, /* stack pointer = frame pointer + value */
	INSN_FP_FROM_SP, /* frame pointer = stack pointer + value */
	INSN_LOSE_SP,    /* stack pointer = something else */
	INSN_LOSE_FP,    /* frame pointer = something else */
	INSN_LEAVE,
	INSN_SAVE_BY_SP, /* memory at (stack pointer + value) = reg */
	INSN_SAVE_BY_FP,
	INSN_CALL,
	INSN_JUMP,          /* to next instruction + value */
	INSN_BRANCH,        /* perhaps */
	INSN_JUMP_INDIRECT, /* a switch, or a tail call */
	INSN_END,           /* returns, or traps */
};
#define INSN_NO_REG 255

struct insn {
	enum insn_kind kind;
	uint8_t len;
	uint8_t reg; /* by DWARF number */
	int64_t value;
};

/* The instruction at p, at most n bytes; false if it is none. */
bool insn_decode(const uint8_t *p, size_t n, struct insn *ret);

#endif
