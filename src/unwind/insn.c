/* SPDX-License-Identifier: Apache-2.0 */
/* Lengths follow the opcode maps of Intel's SDM, volume 2, appendix A; encodings chapter 2. */
#include "insn.h"

#include <csample/bytes.h>

enum { RSP = 4, RBP = 5 }; /* as instructions number them */
enum { MAP_ONE, MAP_0F, MAP_0F38, MAP_0F3A };

struct parts {
	uint8_t op, map, rex, mod, reg, rm; /* reg and rm with their REX bits */
	bool short_operands, vector;        /* prefix 66; VEX or EVEX */
	bool has_modrm, has_index, has_base;
	uint8_t base;
	int64_t disp, imm;
};

static uint8_t to_dwarf(uint8_t reg)
{
	static const uint8_t first[] = {0, 2, 1, 3, 7, 6, 4, 5};
	return reg < 8 ? first[reg] : reg;
}

static bool is_prefix(uint8_t b)
{
	return b == 0x66 || b == 0x67 || b == 0xf0 || b == 0xf2 || b == 0xf3 || b == 0x2e ||
	       b == 0x36 || b == 0x3e || b == 0x26 || b == 0x64 || b == 0x65;
}

static void read_opcode(struct bytes *b, struct parts *x)
{
	uint8_t op = bytes_u8(b);
	while (is_prefix(op) && !b->bad) {
		x->short_operands |= op == 0x66;
		op = bytes_u8(b);
	}
	if ((op & 0xf0) == 0x40) {
		x->rex = op;
		op = bytes_u8(b);
	}
	if (op == 0xc5) { /* VEX, two bytes */
		bytes_u8(b);
		x->map = MAP_0F;
		x->vector = true;
		op = bytes_u8(b);
	} else if (op == 0xc4 || op == 0x62) { /* VEX, three bytes; EVEX, four */
		x->map = bytes_u8(b) & (op == 0x62 ? 7 : 31);
		bytes_take(b, op == 0x62 ? 2 : 1);
		x->vector = true;
		op = bytes_u8(b);
	} else if (op == 0x0f) {
		op = bytes_u8(b);
		x->map = op == 0x38 ? MAP_0F38 : op == 0x3a ? MAP_0F3A : MAP_0F;
		if (x->map != MAP_0F)
			op = bytes_u8(b);
	}
	x->op = op;
}

static bool has_modrm(const struct parts *x)
{
	uint8_t op = x->op;
	if (x->map == MAP_0F && !x->vector)
		return !(op == 0x05 || op == 0x06 || op == 0x07 || op == 0x08 || op == 0x09 ||
		         op == 0x0b || op == 0x0e || (op >= 0x30 && op <= 0x37) || op == 0x77 ||
		         (op & 0xf0) == 0x80 || (op >= 0xa0 && op <= 0xa2) ||
		         (op >= 0xa8 && op <= 0xaa) || (op >= 0xc8 && op <= 0xcf));
	if (x->map != MAP_ONE)
		return !(x->map == MAP_0F && op == 0x77); /* vzeroupper */
	if (op < 0x40)
		return (op & 7) < 4;
	return op == 0x63 || op == 0x69 || op == 0x6b || (op & 0xf0) == 0x80 || op == 0xc0 ||
	       op == 0xc1 || op == 0xc6 || op == 0xc7 || (op >= 0xd0 && op <= 0xd3) ||
	       (op >= 0xd8 && op <= 0xdf) || op == 0xf6 || op == 0xf7 || op == 0xfe || op == 0xff;
}

static int64_t signed_byte(struct bytes *b)
{
	return (int64_t)((uint64_t)bytes_u8(b) << 56) >> 56;
}

static void read_modrm(struct bytes *b, struct parts *x)
{
	uint8_t modrm = bytes_u8(b), sib;
	x->has_modrm = true;
	x->mod = modrm >> 6;
	x->reg = (modrm >> 3 & 7) | (x->rex & 4) << 1;
	x->rm = (modrm & 7) | (x->rex & 1) << 3;
	if (x->mod == 3)
		return;
	x->has_base = true;
	x->base = x->rm;
	if ((modrm & 7) == 4) {
		sib = bytes_u8(b);
		x->has_index = (sib >> 3 & 7) != 4 || (x->rex & 2);
		x->base = (sib & 7) | (x->rex & 1) << 3;
		x->has_base = x->mod || (sib & 7) != 5;
	} else if (!x->mod && (modrm & 7) == 5) {
		x->has_base = false; /* relative to the pc */
		x->disp = (int32_t)bytes_u32(b);
		return;
	}
	if (x->mod == 1)
		x->disp = signed_byte(b);
	else if (x->mod == 2 || !x->has_base)
		x->disp = (int32_t)bytes_u32(b);
}

static unsigned imm_bytes_0f(uint8_t op)
{
	if ((op & 0xf0) == 0x80)
		return 4;
	return (op >= 0x70 && op <= 0x73) || op == 0xa4 || op == 0xac || op == 0xba || op == 0xc2 ||
	                       (op >= 0xc4 && op <= 0xc6) || op == 0x0f
	               ? 1
	               : 0;
}

static unsigned imm_bytes(const struct parts *x)
{
	uint8_t op = x->op;
	unsigned full = x->short_operands && !(x->rex & 8) ? 2 : 4;
	if (x->map == MAP_0F)
		return x->vector && (op & 0xf0) == 0x80 ? 0 : imm_bytes_0f(op);
	if (x->map != MAP_ONE)
		return x->map == MAP_0F3A;
	if (op < 0x40)
		return (op & 7) == 4 ? 1 : (op & 7) == 5 ? full : 0;
	if ((op & 0xf0) == 0x70 || (op >= 0xe0 && op <= 0xe7) || (op & 0xf8) == 0xb0)
		return 1;
	if ((op & 0xf8) == 0xb8)
		return x->rex & 8 ? 8 : full;
	switch (op) {
	case 0x6a:
	case 0x6b:
	case 0x80:
	case 0x82:
	case 0x83:
	case 0xa8:
	case 0xc0:
	case 0xc1:
	case 0xc6:
	case 0xcd:
	case 0xeb:
		return 1;
	case 0xf6:
		return (x->reg & 7) < 2;
	case 0xf7:
		return (x->reg & 7) < 2 ? full : 0;
	case 0x68:
	case 0x69:
	case 0x81:
	case 0xa9:
	case 0xc7:
		return full;
	case 0xe8:
	case 0xe9:
		return 4;
	case 0xc2:
	case 0xca:
		return 2;
	case 0xc8:
		return 3;
	case 0xa0:
	case 0xa1:
	case 0xa2:
	case 0xa3:
		return 8;
	default:
		return 0;
	}
}

static int64_t read_imm(struct bytes *b, unsigned n)
{
	switch (n) {
	case 1:
		return signed_byte(b);
	case 2:
		return (int16_t)bytes_u16(b);
	case 4:
		return (int32_t)bytes_u32(b);
	case 8:
		return (int64_t)bytes_u64(b);
	default:
		bytes_take(b, n);
		return 0;
	}
}

static void set(struct insn *ret, enum insn_kind kind, int64_t value)
{
	ret->kind = kind;
	ret->value = value;
}

/* lea into a pointer register. */
static void classify_lea(const struct parts *x, struct insn *ret)
{
	bool simple = x->has_base && !x->has_index && (x->rex & 8);
	if (x->reg == RSP) {
		if (simple && x->base == RSP)
			set(ret, INSN_MOVE_SP, x->disp);
		else if (simple && x->base == RBP)
			set(ret, INSN_SP_FROM_FP, x->disp);
		else
			set(ret, INSN_LOSE_SP, 0);
	} else if (x->reg == RBP) {
		if (simple && x->base == RSP)
			set(ret, INSN_FP_FROM_SP, x->disp);
		else
			set(ret, INSN_LOSE_FP, 0);
	}
}

/* to = from, both registers, or from memory (RSP + 64: none of ours). */
static void classify_move(uint8_t to, uint8_t from, bool wide, struct insn *ret)
{
	if (to == RSP && from == RBP && wide)
		set(ret, INSN_SP_FROM_FP, 0);
	else if (to == RBP && from == RSP && wide)
		set(ret, INSN_FP_FROM_SP, 0);
	else if (to == RSP)
		set(ret, INSN_LOSE_SP, 0);
	else if (to == RBP)
		set(ret, INSN_LOSE_FP, 0);
}

static void classify_store(const struct parts *x, struct insn *ret)
{
	if (!(x->rex & 8) || !x->has_base || x->has_index || (x->base != RSP && x->base != RBP))
		return;
	set(ret, x->base == RSP ? INSN_SAVE_BY_SP : INSN_SAVE_BY_FP, x->disp);
	ret->reg = to_dwarf(x->reg);
}

/* Arithmetic that ends in a register: of the stack pointer only adding constants is followed. */
static void classify_arithmetic(const struct parts *x, struct insn *ret)
{
	uint8_t op = x->op, operation = op < 0x40 ? op >> 3 : x->reg & 7;
	bool immediate = op == 0x81 || op == 0x83;
	uint8_t to = immediate || !(op & 2) ? x->rm : x->reg;
	if (operation == 7) /* cmp */
		return;
	if ((immediate || !(op & 2)) && x->mod != 3)
		return; /* into memory */
	if (to == RSP && immediate && (operation == 0 || operation == 5) && (x->rex & 8))
		set(ret, INSN_MOVE_SP, operation ? -x->imm : x->imm);
	else if (to == RSP)
		set(ret, INSN_LOSE_SP, 0);
	else if (to == RBP)
		set(ret, INSN_LOSE_FP, 0);
}

static void classify_group5(const struct parts *x, struct insn *ret)
{
	switch (x->reg & 7) {
	case 2:
	case 3:
		set(ret, INSN_CALL, 0);
		break;
	case 4:
	case 5:
		set(ret, INSN_JUMP_INDIRECT, 0);
		break;
	case 6:
		set(ret, INSN_PUSH, 0);
		break;
	default:
		if (x->mod == 3 && x->rm == RSP)
			set(ret, INSN_LOSE_SP, 0);
	}
}

static void classify_flow(const struct parts *x, struct insn *ret)
{
	switch (x->op) {
	case 0xe8:
		set(ret, INSN_CALL, x->imm);
		break;
	case 0xe9:
	case 0xeb:
		set(ret, INSN_JUMP, x->imm);
		break;
	case 0xe0:
	case 0xe1:
	case 0xe2:
	case 0xe3:
		set(ret, INSN_BRANCH, x->imm);
		break;
	case 0xc2:
	case 0xc3:
	case 0xca:
	case 0xcb:
	case 0xcc:
	case 0xcf:
	case 0xf4:
		set(ret, INSN_END, 0);
		break;
	case 0xc9:
		set(ret, INSN_LEAVE, 0);
		break;
	case 0xc8: /* enter: nobody's compiler uses it */
		set(ret, INSN_LOSE_SP, 0);
		break;
	case 0x68:
	case 0x6a:
	case 0x9c:
		set(ret, INSN_PUSH, 0);
		break;
	case 0x8f:
	case 0x9d:
		set(ret, INSN_POP, 0);
		break;
	default:
		break;
	}
}

static void classify_one(const struct parts *x, struct insn *ret)
{
	uint8_t op = x->op, low = (op & 7) | (x->rex & 1) << 3;
	if ((op & 0xf8) == 0x50 || (op & 0xf8) == 0x58) {
		set(ret, (op & 0xf8) == 0x50 ? INSN_PUSH : INSN_POP, 0);
		ret->reg = to_dwarf(low);
	} else if ((op & 0xf0) == 0x70) {
		set(ret, INSN_BRANCH, x->imm);
	} else if (op == 0x8d) {
		classify_lea(x, ret);
	} else if (op == 0x89 && x->mod != 3) {
		classify_store(x, ret);
	} else if (op == 0x89 || op == 0x8b) {
		uint8_t to = op == 0x89 ? x->rm : x->reg, from = op == 0x89 ? x->reg : x->rm;
		classify_move(to, x->mod == 3 ? from : RSP + 64, x->rex & 8, ret);
	} else if (op == 0x81 || op == 0x83 || (op < 0x40 && ((op & 7) == 1 || (op & 7) == 3))) {
		classify_arithmetic(x, ret);
	} else if (op == 0x87 && x->mod == 3 && (x->reg == RSP || x->rm == RSP)) {
		set(ret, INSN_LOSE_SP, 0);
	} else if (op == 0x63 || op == 0x69 || op == 0x6b) {
		if (x->reg == RSP || x->reg == RBP)
			set(ret, x->reg == RSP ? INSN_LOSE_SP : INSN_LOSE_FP, 0);
	} else if ((op & 0xf8) == 0xb8 && (low == RSP || low == RBP)) {
		set(ret, low == RSP ? INSN_LOSE_SP : INSN_LOSE_FP, 0);
	} else if (op == 0xff) {
		classify_group5(x, ret);
	} else {
		classify_flow(x, ret);
	}
}

bool insn_decode(const uint8_t *p, size_t n, struct insn *ret)
{
	struct bytes b = bytes_over(p, n < 15 ? n : 15);
	struct parts x = {0};
	read_opcode(&b, &x);
	if (has_modrm(&x))
		read_modrm(&b, &x);
	x.imm = read_imm(&b, imm_bytes(&x));
	if (b.bad)
		return false;
	*ret = (struct insn){.kind = INSN_OTHER, .len = (uint8_t)(b.p - p), .reg = INSN_NO_REG};
	if (x.vector)
		return true;
	if (x.map == MAP_ONE)
		classify_one(&x, ret);
	else if (x.map == MAP_0F && (x.op & 0xf0) == 0x80)
		set(ret, INSN_BRANCH, x.imm);
	else if (x.map == MAP_0F && x.op == 0x0b) /* ud2 */
		set(ret, INSN_END, 0);
	else if (x.map == MAP_0F && (x.op & 0xf0) == 0x40 && (x.reg == RSP || x.reg == RBP))
		set(ret, x.reg == RSP ? INSN_LOSE_SP : INSN_LOSE_FP, 0); /* cmov */
	else if (x.map == MAP_0F &&
	         (x.op == 0xb6 || x.op == 0xb7 || x.op == 0xbe || x.op == 0xbf || x.op == 0xaf) &&
	         x.reg == RBP)
		set(ret, INSN_LOSE_FP, 0); /* movzx, movsx, imul */
	return true;
}
