/* SPDX-License-Identifier: Apache-2.0 */
/* The function's code is explored from its start as it would run, carrying the depth along. Three
 * queues keep what is sure before what is likely:
 *   sure    targets of jumps and branches;
 *   calls   what follows a call: code, unless the callee never returns;
 *   guesses what follows an unconditional end, in functions with a switch, whose targets are in a
 *           table that is not looked at.
 * The first visit of an instruction counts. What comes out is checked against the stack: the word
 * at that depth has to be a return address. */
#include "depth.h"

#include <stdlib.h>
#include <string.h>

#include <csample/mem.h>
#include <csample/vec.h>

#include "insn.h"

#if defined(__x86_64__)

#define MAX_DEPTH        (1 << 24)
#define MAX_INSTRUCTIONS 20000 /* half a millisecond */
#define DWARF_RBP        6

struct place {
	uint32_t at;
	struct depth depth;
};

typedef VEC(struct place) places;

struct explorer {
	const uint8_t *code;
	size_t size, target;
	bool after_call;
	uint8_t *seen; /* a bit for each byte */
	places sure, calls, guesses;
	size_t next_call; /* calls are taken in order */
	unsigned budget;  /* instructions */
	struct depth at_switch;
	bool has_switch, found;
	struct depth result;
};

static void found(struct explorer *e, const struct depth *d)
{
	e->result = *d;
	e->found = true;
}

static void enqueue(places *queue, int64_t at, size_t size, const struct depth *d)
{
	if (at >= 0 && at < (int64_t)size && queue->n < DEPTH_MAX_CODE)
		*vec_add(queue) = (struct place){(uint32_t)at, *d};
}

static void push(struct depth *d, const struct insn *i)
{
	if (d->sp == DEPTH_UNKNOWN)
		return;
	d->sp += 8;
	/* The first push of a register saves it; later ones pass arguments or align. */
	if (i->reg < 16 && (ARCH_CALLEE_SAVED & BIT(i->reg)) && !d->saved[i->reg] &&
	    d->sp <= INT16_MAX)
		d->saved[i->reg] = (int16_t)d->sp;
}

static void pop(struct depth *d, const struct insn *i)
{
	if (i->reg < 16 && d->sp != DEPTH_UNKNOWN && d->saved[i->reg] == d->sp)
		d->saved[i->reg] = 0;
	if (i->reg == DWARF_RBP)
		d->fp = DEPTH_UNKNOWN;
	if (i->reg == REG_SP)
		d->sp = DEPTH_UNKNOWN;
	else if (d->sp != DEPTH_UNKNOWN)
		d->sp -= 8;
}

static void save(struct depth *d, uint8_t reg, int32_t base, int64_t off)
{
	if (base == DEPTH_UNKNOWN || reg >= 16 || !(ARCH_CALLEE_SAVED & BIT(reg)) || d->saved[reg])
		return;
	/* rbp that is a frame pointer already is not the caller's. */
	if (reg == DWARF_RBP && d->fp != DEPTH_UNKNOWN)
		return;
	int64_t slot = base - off;
	if (slot >= 8 && slot <= INT16_MAX)
		d->saved[reg] = (int16_t)slot;
}

static int32_t moved(int32_t depth, int64_t by)
{
	if (depth == DEPTH_UNKNOWN || by < -MAX_DEPTH || by > MAX_DEPTH)
		return DEPTH_UNKNOWN;
	int64_t to = depth - by;
	return to >= 0 && to <= MAX_DEPTH ? (int32_t)to : DEPTH_UNKNOWN;
}

/* What the instruction does to the pointers. */
static void apply(struct depth *d, const struct insn *i)
{
	switch (i->kind) {
	case INSN_PUSH:
		push(d, i);
		break;
	case INSN_POP:
		pop(d, i);
		break;
	case INSN_MOVE_SP:
		d->sp = moved(d->sp, i->value);
		break;
	case INSN_SP_FROM_FP:
		d->sp = moved(d->fp, i->value);
		break;
	case INSN_FP_FROM_SP:
		d->fp = moved(d->sp, i->value);
		break;
	case INSN_LOSE_SP:
		d->sp = DEPTH_UNKNOWN;
		break;
	case INSN_LOSE_FP:
		d->fp = DEPTH_UNKNOWN;
		break;
	case INSN_LEAVE:
		d->sp = moved(d->fp, 8);
		d->fp = DEPTH_UNKNOWN;
		d->saved[DWARF_RBP] = 0;
		break;
	case INSN_SAVE_BY_SP:
		save(d, i->reg, d->sp, i->value);
		break;
	case INSN_SAVE_BY_FP:
		save(d, i->reg, d->fp, i->value);
		break;
	case INSN_OTHER:
	case INSN_CALL:
	case INSN_JUMP:
	case INSN_BRANCH:
	case INSN_JUMP_INDIRECT:
	case INSN_END:
		break;
	}
}

/* What it does to the flow; false if the next instruction is not the next one to run. */
static bool follow(struct explorer *e, const struct insn *i, size_t next, const struct depth *d)
{
	switch ((int)i->kind) {
	case INSN_CALL:
		if (e->after_call && next == e->target)
			found(e, d);
		enqueue(&e->calls, (int64_t)next, e->size, d);
		return false;
	case INSN_JUMP:
		enqueue(&e->sure, (int64_t)next + i->value, e->size, d);
		enqueue(&e->guesses, (int64_t)next, e->size, d);
		return false;
	case INSN_BRANCH:
		enqueue(&e->sure, (int64_t)next + i->value, e->size, d);
		return true;
	case INSN_JUMP_INDIRECT:
		/* At the depth of its start it is a tail call, else a switch. */
		if (d->sp != 0 && !e->has_switch) {
			e->has_switch = true;
			e->at_switch = *d;
		}
		enqueue(&e->guesses, (int64_t)next, e->size, d);
		return false;
	case INSN_END:
		enqueue(&e->guesses, (int64_t)next, e->size, d);
		return false;
	default:
		return true;
	}
}

static void run(struct explorer *e, struct place from)
{
	struct depth d = from.depth;
	for (size_t at = from.at; at < e->size && !e->found && e->budget; e->budget--) {
		struct insn i;
		if (e->seen[at / 8] >> (at % 8) & 1)
			return;
		e->seen[at / 8] |= (uint8_t)(1 << (at % 8));
		if (!e->after_call && at == e->target)
			found(e, &d);
		if (!insn_decode(e->code + at, e->size - at, &i))
			return;
		apply(&d, &i);
		at += i.len;
		if (!follow(e, &i, at, &d))
			return;
	}
}

static void explore(struct explorer *e, uint64_t from)
{
	const struct depth start = {.fp = DEPTH_UNKNOWN};
	enqueue(&e->sure, (int64_t)from, e->size, &start);
	while (!e->found && e->budget) {
		if (e->sure.n) {
			run(e, e->sure.items[--e->sure.n]);
		} else if (e->next_call < e->calls.n) {
			run(e, e->calls.items[e->next_call++]);
		} else if (e->has_switch && e->guesses.n) {
			struct place guess = e->guesses.items[--e->guesses.n];
			guess.depth = e->at_switch;
			run(e, guess);
		} else {
			return;
		}
	}
}

/* The code around start that the file has: tail calls go forward and back. */
static bool find_code(const struct image *img, uint64_t start, struct explorer *e, uint64_t *base)
{
	for (size_t i = 0; i < img->n_segments; i++) {
		const struct image_segment *s = &img->segments[i];
		uint64_t before = start - s->vaddr, after = s->filesz - before;
		if (!(s->flags & 1 /* PF_X */) || before >= s->filesz)
			continue;
		before = before < DEPTH_MAX_CODE ? before : DEPTH_MAX_CODE;
		after = after < DEPTH_MAX_CODE ? after : DEPTH_MAX_CODE;
		*base = start - before;
		e->size = before + after;
		e->code = image_bytes(img, *base, e->size);
		return e->code != NULL;
	}
	return false;
}

bool depth_at(const struct image *img, uint64_t start, uint64_t vaddr, bool after_call,
              struct depth *ret)
{
	struct explorer e = {.after_call = after_call, .budget = MAX_INSTRUCTIONS};
	uint64_t base;
	if (!find_code(img, start, &e, &base) || vaddr - base > e.size)
		return false;
	e.target = vaddr - base;
	e.seen = mem_zalloc(e.size / 8 + 1);
	explore(&e, start - base);
	free(e.seen);
	vec_free(&e.sure);
	vec_free(&e.calls);
	vec_free(&e.guesses);
	*ret = e.result;
	return e.found;
}

bool depth_rule(const struct depth *d, struct rule *ret)
{
	*ret = (struct rule){.kind = RULE_FRAME, .flags = RULE_CHECK_CALL};
	if (d->sp != DEPTH_UNKNOWN) {
		ret->cfa_reg = REG_SP;
		ret->cfa_off = d->sp + 8;
	} else if (d->fp != DEPTH_UNKNOWN) {
		ret->cfa_reg = REG_FP;
		ret->cfa_off = d->fp + 8;
	} else {
		return false;
	}
	rule_add_slot(ret, REG_PC, SLOT_AT_CFA, 0, -8);
	for (unsigned i = 0; i < 16; i++)
		if (d->saved[i])
			rule_add_slot(ret, i, SLOT_AT_CFA, 0, -d->saved[i] - 8);
	rule_finish(ret);
	return true;
}

#else

bool depth_at(const struct image *img, uint64_t start, uint64_t vaddr, bool after_call,
              struct depth *ret)
{
	(void)img, (void)start, (void)vaddr, (void)after_call, (void)ret;
	return false;
}

bool depth_rule(const struct depth *d, struct rule *ret)
{
	(void)d, (void)ret;
	return false;
}

#endif
