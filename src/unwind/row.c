/* SPDX-License-Identifier: Apache-2.0 */
/* Rows of CFI to compact rules. */
#include "rule.h"

void rule_finish(struct rule *r)
{
	r->lowest = 0;
	r->flags |= RULE_PLAIN;
	for (unsigned i = 0; i < r->n_slots; i++) {
		if (r->slots[i].where != SLOT_AT_CFA || r->slots[i].off > -8)
			r->flags &= (uint8_t)~RULE_PLAIN;
		if (r->slots[i].reg == REG_SP)
			r->flags |= RULE_SETS_SP;
		if (r->slots[i].off < r->lowest)
			r->lowest = r->slots[i].off;
	}
}

static bool fits(int64_t v)
{
	return v == (int32_t)v;
}

static bool reduce_cfa(const struct cfi_row *row, uint64_t vaddr, struct rule *ret)
{
	struct expr_value v;
	if (row->cfa.where == CFI_IS_CFA)
		v = (struct expr_value){.shape = row->cfa_reg < ARCH_REGS && row->cfa_reg != REG_PC
		                                         ? EXPR_REG
		                                         : EXPR_CONST,
		                        .reg = (uint8_t)row->cfa_reg,
		                        .off = row->cfa.off};
	else if (!expr_reduce(row->cfa.expr, vaddr, false, &v))
		return false;
	if ((v.shape != EXPR_REG && v.shape != EXPR_MEM) || !fits(v.off) || !fits(v.add))
		return false;
	ret->cfa_reg = v.reg;
	ret->cfa_off = (int32_t)v.off;
	ret->cfa_add = (int32_t)v.add;
	if (v.shape == EXPR_MEM)
		ret->flags |= RULE_DEREF;
	return true;
}

/* Adds how to get register reg; false if only libunwind can. */
static bool reduce_column(const struct cfi_column *c, unsigned reg, uint64_t vaddr,
                          struct rule *ret)
{
	struct expr_value v;
	bool at = c->where == CFI_AT_EXPR;
	switch (c->where) {
	case CFI_DEFAULT:
	case CFI_SAME:
		return true;
	case CFI_UNDEFINED:
		rule_add_slot(ret, reg, SLOT_LOST, 0, 0);
		return true;
	case CFI_AT_CFA:
	case CFI_IS_CFA:
		if (!fits(c->off))
			return false;
		rule_add_slot(ret, reg, c->where == CFI_AT_CFA ? SLOT_AT_CFA : SLOT_IS_CFA, 0,
		              (int32_t)c->off);
		return true;
	case CFI_REGISTER:
		if (c->off < 0 || c->off >= ARCH_REGS || c->off == REG_PC)
			return false;
		rule_add_slot(ret, reg, SLOT_IS_REG, (unsigned)c->off, 0);
		return true;
	case CFI_AT_EXPR:
	case CFI_IS_EXPR:
		if (!expr_reduce(c->expr, vaddr, true, &v) || !fits(v.off))
			return false;
		if (v.shape == EXPR_REG)
			rule_add_slot(ret, reg, at ? SLOT_AT_REG : SLOT_IS_REG, v.reg,
			              (int32_t)v.off);
		else if (v.shape == EXPR_CFA)
			rule_add_slot(ret, reg, at ? SLOT_AT_CFA : SLOT_IS_CFA, 0, (int32_t)v.off);
		else if (v.shape == EXPR_MEM && !at && !v.add)
			rule_add_slot(ret, reg, SLOT_AT_REG, v.reg, (int32_t)v.off);
		else
			return false;
		return true;
	}
	return false;
}

static bool exprs_are_sound(const struct cfi_row *row)
{
	if (row->cfa.where == CFI_IS_EXPR && !expr_is_sound(row->cfa.expr, false))
		return false;
	for (unsigned i = 0; i < ARCH_REGS; i++) {
		const struct cfi_column *c = &row->columns[i];
		if ((c->where == CFI_AT_EXPR || c->where == CFI_IS_EXPR) &&
		    !expr_is_sound(c->expr, true))
			return false;
		if (c->where == CFI_REGISTER && (c->off < 0 || c->off >= ARCH_REGS))
			return false;
	}
	return row->cfa.where == CFI_IS_EXPR || row->cfa_reg < ARCH_REGS;
}

void rule_from_row(const struct cfi_row *row, uint64_t vaddr, struct rule *ret)
{
	const struct cfi_column *ra = &row->columns[row->ra_column];
	*ret = (struct rule){.kind = RULE_FRAME, .flags = row->is_signal ? RULE_SIGNAL : 0};
	if (ra->where == CFI_UNDEFINED) {
		ret->kind = RULE_ROOT;
		return;
	}
	bool in_place = ra->where == CFI_DEFAULT || ra->where == CFI_SAME;
	/* Without a link register the return address has to be somewhere. */
	if (row->ra_column != ARCH_RA || (in_place && ARCH_RA == REG_PC)) {
		ret->kind = RULE_BAD;
		return;
	}
	bool ok = reduce_cfa(row, vaddr, ret);
	for (unsigned i = 0; ok && i < ARCH_REGS; i++)
		ok = i == ARCH_RA || i == REG_PC || reduce_column(&row->columns[i], i, vaddr, ret);
	if (ok && in_place) {
		rule_add_slot(ret, REG_PC, SLOT_IS_REG, ARCH_RA, 0);
	} else if (ok) {
		ok = reduce_column(ra, REG_PC, vaddr, ret);
		if (ok && ARCH_RA != REG_PC)
			ok = reduce_column(ra, ARCH_RA, vaddr, ret);
	}
	if (!ok) {
		ret->kind = exprs_are_sound(row) ? RULE_LIBUNWIND : RULE_BAD;
		ret->flags &= RULE_SIGNAL;
		ret->n_slots = 0;
		ret->cfa_reg = 0;
		ret->cfa_off = ret->cfa_add = 0;
	}
	rule_finish(ret);
}
