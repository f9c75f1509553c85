/* SPDX-License-Identifier: Apache-2.0 */
#include "walk.h"

bool walk_read_slow(struct walk *w, uint64_t addr, uint64_t *ret)
{
	const uint8_t *p = snapshot_at(w->snap, addr, 8);
	const struct mapping *m = p ? NULL : maps_find(w->maps, addr);
	if (m && m->image && !m->writable)
		p = image_bytes(m->image, addr - m->bias, 8);
	if (p) {
		memcpy(ret, p, 8);
		return true;
	}
	uint64_t copied_to = w->stack_addr + w->stack_len;
	bool above = m && m->writable && addr + 8 > copied_to && m->start < copied_to;
	return walk_fail(w, above ? STACK_SHORT : STACK_NO_MEMORY);
}

/* All slots lie between the lowest and the CFA, and that part is in the copy: no more questions. */
static bool step_plain(struct walk *w, const struct rule *rule, uint64_t cfa)
{
	uint64_t at = cfa - w->stack_addr + (uint64_t)(int64_t)rule->lowest;
	uint64_t size = (uint64_t) - (int64_t)rule->lowest;
	if (at >= w->stack_len || size > w->stack_len - at)
		return false;
	const uint8_t *top = w->stack + (cfa - w->stack_addr);
	uint64_t valid = w->regs.valid & ARCH_CALLEE_SAVED;
	for (unsigned i = 0; i < rule->n_slots; i++) {
		const struct rule_slot *slot = &rule->slots[i];
		memcpy(&w->regs.r[slot->reg], top + slot->off, 8);
		valid |= BIT(slot->reg);
	}
	w->regs.valid = valid;
	return true;
}

/* A register the function saved at addr. Below the stack pointer only a leaf's epilogue leaves
 * them: popped already, so that the register itself has the value again; the slot counts where it
 * was copied, for it may be of a red zone. */
static bool read_slot(struct walk *w, const struct regs *old, unsigned reg, uint64_t addr,
                      uint64_t *ret)
{
	uint64_t sp = old->r[REG_SP];
	if (walk_read(w, addr, ret))
		return true;
	if (reg == REG_PC || !w->is_exact || sp - addr > 8 * (uint64_t)ARCH_REGS ||
	    !regs_known(old, reg))
		return false;
	*ret = old->r[reg];
	return true;
}

static bool step_slots(struct walk *w, const struct rule *rule, uint64_t cfa)
{
	const struct regs old = w->regs;
	w->regs.valid &= ARCH_CALLEE_SAVED;
	for (unsigned i = 0; i < rule->n_slots; i++) {
		const struct rule_slot *slot = &rule->slots[i];
		uint64_t off = (uint64_t)(int64_t)slot->off, v = 0;
		bool ok = false;
		switch ((enum slot_where)slot->where) {
		case SLOT_AT_CFA:
			ok = read_slot(w, &old, slot->reg, cfa + off, &v);
			break;
		case SLOT_IS_CFA:
			v = cfa + off;
			ok = true;
			break;
		case SLOT_AT_REG:
		case SLOT_IS_REG:
			if (!regs_known(&old, slot->base))
				w->end = STACK_BAD_CFI;
			else if (slot->where == SLOT_AT_REG)
				ok = read_slot(w, &old, slot->reg, old.r[slot->base] + off, &v);
			else {
				v = old.r[slot->base] + off;
				ok = true;
			}
			break;
		case SLOT_LOST:
			break;
		}
		if (ok)
			regs_set(&w->regs, slot->reg, v);
		else if (slot->reg == REG_PC)
			return false;
		else
			w->regs.valid &= ~BIT(slot->reg);
	}
	return regs_known(&w->regs, REG_PC) || walk_fail(w, STACK_BAD_CFI);
}

bool walk_step(struct walk *w, const struct rule *rule)
{
	if (!regs_known(&w->regs, rule->cfa_reg))
		return walk_fail(w, STACK_BAD_CFI);
	uint64_t sp = w->regs.r[REG_SP];
	uint64_t cfa = w->regs.r[rule->cfa_reg] + (uint64_t)(int64_t)rule->cfa_off;
	if (rule->flags & RULE_DEREF) {
		if (!walk_read(w, cfa, &cfa))
			return false;
		cfa += (uint64_t)(int64_t)rule->cfa_add;
	}
	/* Stacks grow down. Only a signal's handler may run on another than what it interrupted;
	 * and where the return address is in a register, nothing needs to be on the stack. */
	uint64_t least = !w->is_exact ? 8 : (rule->flags & RULE_PLAIN) ? ARCH_MIN_FRAME : 0;
	if (!(rule->flags & (RULE_SIGNAL | RULE_SETS_SP)) && cfa < sp + least)
		return walk_fail(w, STACK_LOOP);
	if (!((rule->flags & RULE_PLAIN) && step_plain(w, rule, cfa)) && !step_slots(w, rule, cfa))
		return false;
	if (!(rule->flags & RULE_SETS_SP))
		regs_set(&w->regs, REG_SP, cfa);
	else if (!regs_known(&w->regs, REG_SP))
		return walk_fail(w, STACK_BAD_CFI);
	else if (!(rule->flags & RULE_SIGNAL) && w->regs.r[REG_SP] < sp)
		return walk_fail(w, STACK_LOOP);
	w->cfa = w->regs.r[REG_SP]; /* the CFA in longjmp is no place on the stack */
	w->is_exact = rule->flags & RULE_SIGNAL;
	w->regs.r[REG_PC] = arch_strip(w->regs.r[REG_PC]);
	return true;
}

const struct mapping *walk_code(const struct walk *w, uint64_t addr)
{
	const struct mapping *m = maps_find(w->maps, addr);
	return m && m->executable ? m : NULL;
}

/* The n bytes of code before addr, as far as a file has them. */
static const uint8_t *code_before(const struct walk *w, uint64_t addr, size_t n, bool *readable)
{
	const struct mapping *m = walk_code(w, addr - 1);
	*readable = m && m->image;
	if (!*readable || addr - n < m->start)
		return NULL;
	return image_bytes(m->image, addr - n - m->bias, n);
}

#if defined(__x86_64__)

/* Does p[0..n) end with an instruction FF /2, "call r/m64", of exactly this length? Intel SDM
 * volume 2, chapter 2: prefixes, opcode, ModRM, SIB, displacement. */
static bool is_indirect_call(const uint8_t *p, size_t n)
{
	size_t at = 0;
	while (at < n &&
	       (p[at] == 0x3e || p[at] == 0x66 || p[at] == 0x67 || (p[at] & 0xf0) == 0x40))
		at++;
	if (n - at < 2 || p[at] != 0xff || (p[at + 1] >> 3 & 7) != 2)
		return false;
	uint8_t mod = p[at + 1] >> 6, rm = p[at + 1] & 7;
	size_t len = at + 2;
	if (mod != 3 && rm == 4) {
		if (len >= n)
			return false;
		if (mod == 0 && (p[len] & 7) == 5)
			len += 4;
		len++;
	}
	if (mod == 1)
		len += 1;
	else if (mod == 2 || (mod == 0 && rm == 5))
		len += 4;
	return len == n;
}

bool walk_is_after_call(const struct walk *w, uint64_t addr)
{
	bool readable;
	const uint8_t *p = code_before(w, addr, 5, &readable);
	if (!readable)
		return walk_code(w, addr - 1) != NULL;
	if (p && p[0] == 0xe8)
		return true;
	for (size_t n = 2; n <= 9; n++) {
		p = code_before(w, addr, n, &readable);
		if (p && is_indirect_call(p, n))
			return true;
	}
	return false;
}

bool walk_call_target(const struct walk *w, uint64_t addr, uint64_t *ret)
{
	bool readable;
	int32_t rel;
	const uint8_t *p = code_before(w, addr, 5, &readable);
	if (!p || p[0] != 0xe8)
		return false;
	memcpy(&rel, p + 1, sizeof(rel));
	*ret = addr + (uint64_t)(int64_t)rel;
	return true;
}

#elif defined(__aarch64__)

bool walk_is_after_call(const struct walk *w, uint64_t addr)
{
	bool readable;
	uint32_t op;
	const uint8_t *p = code_before(w, addr, 4, &readable);
	if (!readable)
		return walk_code(w, addr - 1) != NULL;
	if (!p)
		return false;
	memcpy(&op, p, sizeof(op));
	return (op & 0xfc000000) == 0x94000000 || /* bl */
	       (op & 0xfffffc1f) == 0xd63f0000 || /* blr */
	       (op & 0xfefff800) == 0xd63f0800;   /* blraa, blrab and their forms with zero */
}

bool walk_call_target(const struct walk *w, uint64_t addr, uint64_t *ret)
{
	bool readable;
	uint32_t op;
	const uint8_t *p = code_before(w, addr, 4, &readable);
	if (!p)
		return false;
	memcpy(&op, p, sizeof(op));
	if ((op & 0xfc000000) != 0x94000000)
		return false;
	int64_t words = (int64_t)((uint64_t)op << 38) >> 38;
	*ret = addr - 4 + (uint64_t)(words * 4);
	return true;
}

#endif
