/* SPDX-License-Identifier: Apache-2.0 */
/* DWARF expressions in CFI. Real ones are of few kinds, and each reduces to a shape a rule can
 * hold: PLT stubs (binutils):		rsp + 8 + ((rip & 15) >= 11) * 8	a register and an
 * offset
 *   realigned stacks (gcc):		*(rbp - 8); slots at rbp + n		memory, then an
 * offset glibc's __restore_rt:		*(rsp + 160); slots at rsp + n
 *   OpenSSL's assembly:			*(rsp + n) + 8
 * Reducing happens once for each address, so a step costs what an ordinary one does. What does not
 * reduce (in a whole Debian: three functions of libcrypto that index the stack by a register) is
 * left to libunwind's evaluator. */
#include <dwarf.h>

#include <csample/mem.h>

#include "rule.h"

#define MAX_DEPTH      16
#define MAX_OPERATIONS 64
#define MAX_LENGTH     1024

struct stack_machine {
	struct expr_value v[MAX_DEPTH];
	unsigned n;
	uint64_t vaddr;
};

static bool push(struct stack_machine *m, struct expr_value v)
{
	if (m->n == MAX_DEPTH)
		return false;
	m->v[m->n++] = v;
	return true;
}

static bool push_const(struct stack_machine *m, int64_t value)
{
	return push(m, (struct expr_value){.shape = EXPR_CONST, .off = value});
}

static bool push_reg(struct stack_machine *m, uint64_t reg, int64_t off)
{
	if (reg >= ARCH_REGS)
		return false;
	return push(m, (struct expr_value){.shape = reg == REG_PC ? EXPR_PC : EXPR_REG,
	                                   .reg = (uint8_t)reg,
	                                   .off = off});
}

/* Arithmetic wraps as the target's does. */
static int64_t add(int64_t a, int64_t b)
{
	return (int64_t)((uint64_t)a + (uint64_t)b);
}

static bool operate(struct stack_machine *m, uint8_t op)
{
	if (m->n < 2)
		return false;
	struct expr_value b = m->v[--m->n], *a = &m->v[m->n - 1];
	if (op == DW_OP_plus && a->shape == EXPR_CONST) {
		struct expr_value tmp = *a;
		*a = b;
		b = tmp;
	}
	if (b.shape != EXPR_CONST)
		return false;
	if (op == DW_OP_minus || op == DW_OP_plus) {
		int64_t by = op == DW_OP_plus ? b.off : (int64_t) - (uint64_t)b.off;
		int64_t *to = a->shape == EXPR_MEM ? &a->add : &a->off;
		*to = add(*to, by);
		return true;
	}
	if (op == DW_OP_and && a->shape == EXPR_PC && (uint64_t)b.off <= 0xfff) {
		*a = (struct expr_value){.shape = EXPR_CONST,
		                         .off = add((int64_t)m->vaddr, a->off) & b.off};
		return true;
	}
	if (a->shape != EXPR_CONST)
		return false;
	uint64_t x = (uint64_t)a->off, y = (uint64_t)b.off;
	switch (op) {
	case DW_OP_and:
		x &= y;
		break;
	case DW_OP_or:
		x |= y;
		break;
	case DW_OP_mul:
		x *= y;
		break;
	case DW_OP_shl:
		x = y < 64 ? x << y : 0;
		break;
	case DW_OP_eq:
		x = x == y;
		break;
	case DW_OP_ne:
		x = x != y;
		break;
	case DW_OP_ge:
		x = a->off >= b.off;
		break;
	case DW_OP_gt:
		x = a->off > b.off;
		break;
	case DW_OP_le:
		x = a->off <= b.off;
		break;
	case DW_OP_lt:
		x = a->off < b.off;
		break;
	default:
		return false;
	}
	a->off = (int64_t)x;
	return true;
}

static bool deref(struct stack_machine *m)
{
	if (!m->n || m->v[m->n - 1].shape != EXPR_REG)
		return false;
	m->v[m->n - 1].shape = EXPR_MEM;
	return true;
}

static bool reduce_one(struct stack_machine *m, struct bytes *b)
{
	uint8_t op = bytes_u8(b);
	uint64_t reg;
	if (op >= DW_OP_lit0 && op <= DW_OP_lit31)
		return push_const(m, op - DW_OP_lit0);
	if (op >= DW_OP_breg0 && op <= DW_OP_breg31)
		return push_reg(m, op - DW_OP_breg0, bytes_sleb(b));
	switch (op) {
	case DW_OP_bregx:
		reg = bytes_uleb(b);
		return push_reg(m, reg, bytes_sleb(b));
	case DW_OP_const1u:
		return push_const(m, bytes_u8(b));
	case DW_OP_const1s:
		return push_const(m, (int8_t)bytes_u8(b));
	case DW_OP_const2u:
		return push_const(m, bytes_u16(b));
	case DW_OP_const2s:
		return push_const(m, (int16_t)bytes_u16(b));
	case DW_OP_const4u:
		return push_const(m, bytes_u32(b));
	case DW_OP_const4s:
		return push_const(m, (int32_t)bytes_u32(b));
	case DW_OP_constu:
		return push_const(m, (int64_t)bytes_uleb(b));
	case DW_OP_consts:
		return push_const(m, bytes_sleb(b));
	case DW_OP_plus_uconst:
		return push_const(m, (int64_t)bytes_uleb(b)) && operate(m, DW_OP_plus);
	case DW_OP_deref:
		return deref(m);
	case DW_OP_dup:
		return m->n && push(m, m->v[m->n - 1]);
	case DW_OP_drop:
		return m->n && m->n--;
	case DW_OP_nop:
		return true;
	default:
		return operate(m, op);
	}
}

bool expr_reduce(struct cfi_expr expr, uint64_t vaddr, bool with_cfa, struct expr_value *ret)
{
	struct stack_machine m = {.vaddr = vaddr};
	struct bytes b = bytes_over(expr.p, expr.len);
	if (with_cfa)
		push(&m, (struct expr_value){.shape = EXPR_CFA});
	for (unsigned n = 0; bytes_left(&b); n++)
		if (n == MAX_OPERATIONS || !reduce_one(&m, &b) || b.bad)
			return false;
	if (!m.n)
		return false;
	*ret = m.v[m.n - 1];
	return true;
}

/* Operators for expressions in CFI (DWARF 5, 6.4.2, forbids what needs more context than registers
 * and memory), but for those that libunwind does not check as it should: it evaluates loops for
 * ever, divides without looking, and takes any register number for an index. Jumps and divisions
 * are in no known CFI. */
enum operand { NONE, ONE = 1, TWO = 2, FOUR = 4, EIGHT = 8, ULEB, SLEB, REG_SLEB };
static const struct effect {
	uint8_t op, operand, pops, pushes;
} effects[] = {
        {DW_OP_const1u, ONE, 0, 1},    {DW_OP_const1s, ONE, 0, 1},
        {DW_OP_const2u, TWO, 0, 1},    {DW_OP_const2s, TWO, 0, 1},
        {DW_OP_const4u, FOUR, 0, 1},   {DW_OP_const4s, FOUR, 0, 1},
        {DW_OP_const8u, EIGHT, 0, 1},  {DW_OP_const8s, EIGHT, 0, 1},
        {DW_OP_constu, ULEB, 0, 1},    {DW_OP_consts, SLEB, 0, 1},
        {DW_OP_bregx, REG_SLEB, 0, 1}, {DW_OP_plus_uconst, ULEB, 1, 1},
        {DW_OP_deref, NONE, 1, 1},     {DW_OP_abs, NONE, 1, 1},
        {DW_OP_neg, NONE, 1, 1},       {DW_OP_not, NONE, 1, 1},
        {DW_OP_dup, NONE, 1, 2},       {DW_OP_over, NONE, 2, 3},
        {DW_OP_swap, NONE, 2, 2},      {DW_OP_rot, NONE, 3, 3},
        {DW_OP_drop, NONE, 1, 0},      {DW_OP_nop, NONE, 0, 0},
        {DW_OP_and, NONE, 2, 1},       {DW_OP_minus, NONE, 2, 1},
        {DW_OP_mul, NONE, 2, 1},       {DW_OP_or, NONE, 2, 1},
        {DW_OP_plus, NONE, 2, 1},      {DW_OP_shl, NONE, 2, 1},
        {DW_OP_shr, NONE, 2, 1},       {DW_OP_shra, NONE, 2, 1},
        {DW_OP_xor, NONE, 2, 1},       {DW_OP_eq, NONE, 2, 1},
        {DW_OP_ge, NONE, 2, 1},        {DW_OP_gt, NONE, 2, 1},
        {DW_OP_le, NONE, 2, 1},        {DW_OP_lt, NONE, 2, 1},
        {DW_OP_ne, NONE, 2, 1},
};

static bool skip_operand(struct bytes *b, uint8_t operand)
{
	if (operand == REG_SLEB && bytes_uleb(b) >= ARCH_REGS)
		return false;
	if (operand == ULEB)
		bytes_uleb(b);
	else if (operand == SLEB || operand == REG_SLEB)
		bytes_sleb(b);
	else
		bytes_take(b, operand);
	return !b->bad;
}

/* What the next operation takes from the stack and adds to it; false if it may not be there. */
static bool next_effect(struct bytes *b, struct effect *ret)
{
	uint8_t op = bytes_u8(b);
	*ret = (struct effect){.op = op, .pushes = 1};
	if (op >= DW_OP_lit0 && op <= DW_OP_lit31)
		return true;
	if (op >= DW_OP_breg0 && op <= DW_OP_breg31)
		return op - DW_OP_breg0 < ARCH_REGS && skip_operand(b, SLEB);
	for (size_t i = 0; i < ARRAY_SIZE(effects); i++)
		if (effects[i].op == op) {
			*ret = effects[i];
			return skip_operand(b, ret->operand);
		}
	return false;
}

bool expr_is_sound(struct cfi_expr expr, bool with_cfa)
{
	struct bytes b = bytes_over(expr.p, expr.len);
	unsigned depth = with_cfa;
	if (!expr.len || expr.len > MAX_LENGTH)
		return false;
	while (bytes_left(&b)) {
		struct effect e;
		if (!next_effect(&b, &e) || depth < e.pops)
			return false;
		depth = depth - e.pops + e.pushes;
		if (depth > MAX_DEPTH)
			return false;
	}
	return depth > 0;
}
