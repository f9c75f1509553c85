/* SPDX-License-Identifier: Apache-2.0 */
/* What to do at one address to get to the caller: a row of CFI made small. Rules are few, addresses
 * many: a bounded cache maps (image, address) to a rule that all addresses with equal rows share.
 */
#ifndef UNWIND_RULE_H
#define UNWIND_RULE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "arch.h"
#include "cfi.h"

enum rule_kind {
	RULE_FRAME,     /* CFA and slots tell all */
	RULE_ROOT,      /* nobody called this */
	RULE_LIBUNWIND, /* a row whose expressions are not of the simple shapes */
	RULE_NO_CFI,    /* code nothing is known of: see nocfi.h */
	RULE_BAD,       /* unwind information that is damaged */
};

enum slot_where {
	SLOT_AT_CFA, /* in memory at CFA + off */
	SLOT_IS_CFA, /* CFA + off */
	SLOT_AT_REG, /* in memory at base + off */
	SLOT_IS_REG, /* base + off */
	SLOT_LOST,   /* not to be had */
};

struct rule_slot {
	int32_t off;
	uint8_t reg, where, base, reserved;
};

enum {
	RULE_SIGNAL = 1, /* a frame the kernel made: its caller was interrupted, it did not call */
	RULE_DEREF = 2,  /* CFA = memory at (cfa_reg + cfa_off), + cfa_add */
	RULE_PLAIN = 4,  /* all slots are SLOT_AT_CFA and below it */
	RULE_SETS_SP = 16,   /* the caller's stack pointer is not the CFA but has a slot */
	RULE_CHECK_CALL = 8, /* a guess: holds only if the return address is after a call */
};

/* 16 bytes and 8 for each slot. */
struct rule {
	uint8_t kind, flags, cfa_reg, n_slots;
	int32_t cfa_off, cfa_add;
	int32_t lowest; /* RULE_PLAIN: the least off of all slots */
	struct rule_slot slots[];
};
#define RULE_MAX_SLOTS (ARCH_REGS + 1)
/* A rule with room for all slots, to build one in. */
union rule_buf {
	struct rule rule;
	uint8_t room[sizeof(struct rule) + RULE_MAX_SLOTS * sizeof(struct rule_slot)];
};
static inline size_t rule_size(const struct rule *r)
{
	return sizeof(*r) + r->n_slots * sizeof(r->slots[0]);
}
static inline void rule_add_slot(struct rule *r, unsigned reg, enum slot_where where, unsigned base,
                                 int32_t off)
{
	r->slots[r->n_slots++] = (struct rule_slot){
	        .off = off, .reg = (uint8_t)reg, .where = (uint8_t)where, .base = (uint8_t)base};
}
/* Sets RULE_PLAIN and lowest once all slots are there. */
void rule_finish(struct rule *r);

/* The compact form of a row at vaddr. RULE_LIBUNWIND where an expression does not fit it, RULE_BAD
 * where the row makes no sense. */
void rule_from_row(const struct cfi_row *row, uint64_t vaddr, struct rule *ret);

/* A DWARF expression reduced to one of four shapes. vaddr stands for the pc, of which only the low
 * 12 bits may be used: they are the same wherever the file is mapped. */
struct expr_value {
	enum { EXPR_CONST, EXPR_REG, EXPR_CFA, EXPR_MEM, EXPR_PC } shape;
	uint8_t reg; /* EXPR_REG: reg + off; EXPR_MEM: memory at (reg + off), + add */
	int64_t off, add;
};
bool expr_reduce(struct cfi_expr expr, uint64_t vaddr, bool with_cfa, struct expr_value *ret);
/* Is expr safe to hand to a general evaluator: known operators and registers, no jumps, a bounded
 * stack? */
bool expr_is_sound(struct cfi_expr expr, bool with_cfa);

struct rules;
struct rules *rules_create(void);
void rules_destroy(struct rules *rules);
/* NULL: not in the cache. Valid until the next rules_put(). */
const struct rule *rules_get(const struct rules *rules, uint32_t image, uint64_t key);
const struct rule *rules_put(struct rules *rules, uint32_t image, uint64_t key,
                             const struct rule *rule);
size_t rules_bytes(const struct rules *rules);

#endif
