/* SPDX-License-Identifier: Apache-2.0 */
/* The walk from leaf to root. For each frame:
 *
 *   pc → mapping → image → rule (cache) → registers of the caller
 *
 * A rule comes, when its address is first seen, from Go's table, CFI, or the code itself. Rows too
 * complex for a rule go through libunwind each time; code without either through frame pointers. */
#include <stdlib.h>
#include <string.h>

#include <csample/hash.h>
#include <csample/mem.h>
#include <csample/unwinder.h>

#include "depth.h"
#include "generic.h"
#include "go.h"
#include "nocfi.h"
#include "rule.h"
#include "tables.h"
#include "walk.h"

#define HINTS       256
#define RETRY_EVERY 8

struct unwinder {
	unwinder_namer *namer;
	void *namer_arg;
	struct rules *rules;
	struct generic *generic;
	/* Where the mapping of a page was found last; checked, so it need not be dropped when maps
	 * or targets change. */
	uint32_t hints[HINTS];
	unsigned failures; /* of code without a rule */
	struct unwinder_stats stats;
};

struct unwinder *unwinder_create(unwinder_namer *namer, void *namer_arg)
{
	struct unwinder *u = mem_zalloc(sizeof(*u));
	u->namer = namer;
	u->namer_arg = namer_arg;
	u->rules = rules_create();
	u->generic = generic_create();
	return u;
}

void unwinder_destroy(struct unwinder *u)
{
	if (!u)
		return;
	generic_destroy(u->generic);
	rules_destroy(u->rules);
	free(u);
}

void unwinder_get_stats(const struct unwinder *u, struct unwinder_stats *ret)
{
	*ret = u->stats;
	ret->bytes += sizeof(*u) + rules_bytes(u->rules);
}

static const struct mapping *find_mapping(struct unwinder *u, const struct maps *maps, uint64_t pc)
{
	uint32_t *hint = &u->hints[(pc >> 12) * 0x9e3779b97f4a7c15ULL >> 56];
	if (*hint < maps->n) {
		const struct mapping *m = &maps->items[*hint];
		if (pc >= m->start && pc < m->end)
			return m;
	}
	const struct mapping *m = maps_find(maps, pc);
	if (m)
		*hint = (uint32_t)(m - maps->items);
	return m;
}

/* Go: the table gives the distance to the return address at each instruction. */
static bool go_rule(const struct image *img, const struct go_functions *go, uint64_t vaddr,
                    bool is_exact, struct rule *ret)
{
	struct go_frame f;
	if (!go || !go_functions_find(go, vaddr - !is_exact, &f))
		return false;
	*ret = (struct rule){.kind = RULE_FRAME, .cfa_reg = REG_SP};
	if (f.is_top || (f.switches_stack && !is_exact)) {
		/* As Go's own traceback: beyond a switch of stacks there is another stack. */
		ret->kind = RULE_ROOT;
		return true;
	}
	if (f.sp_delta < 0 || f.sp_delta > INT32_MAX - 16) {
		ret->kind = RULE_BAD;
		return true;
	}
	if (nocfi_sigreturn(img, vaddr, is_exact, ret))
		return true;
	if (f.switches_stack)
		ret->flags |= RULE_CHECK_CALL;
#if defined(__x86_64__)
	ret->cfa_off = (int32_t)f.sp_delta + 8;
	rule_add_slot(ret, REG_PC, SLOT_AT_CFA, 0, -8);
	/* Prologues save the frame pointer right below the return address; it is not tracked, since
	 * no Go function needs it and none returns to code that does. */
	rule_add_slot(ret, REG_FP, SLOT_LOST, 0, 0);
#else
	/* The link register is saved at the bottom of the frame. */
	ret->cfa_off = (int32_t)f.sp_delta;
	if (f.sp_delta)
		rule_add_slot(ret, REG_PC, SLOT_AT_REG, REG_SP, 0);
	else
		rule_add_slot(ret, REG_PC, SLOT_IS_REG, ARCH_RA, 0);
#endif
	rule_finish(ret);
	return true;
}

static bool find_row(struct unwinder *u, struct image *img, uint64_t vaddr, struct cfi_row *ret,
                     bool *has_fde)
{
	struct cfi_fde fde;
	*has_fde = tables_find(tables_of(img, &u->stats.bytes), vaddr, &fde);
	return *has_fde && cfi_run(&fde, vaddr, ret);
}

/* A function put on the stack as a return address, without a call: where makecontext() has a
 * coroutine end, which is its root; or where a signal's handler returns to. */
static bool rule_of_start(struct unwinder *u, const struct walk *w, struct image *img,
                          uint64_t vaddr, struct rule *ret)
{
	struct cfi_fde fde;
	struct cfi_row row;
	if (w->is_exact || !tables_find(tables_of(img, &u->stats.bytes), vaddr, &fde) ||
	    fde.start != vaddr || !cfi_run(&fde, vaddr, &row) ||
	    walk_is_after_call(w, w->regs.r[REG_PC]))
		return false;
	rule_from_row(&row, vaddr, ret);
	if (!row.is_signal)
		*ret = (struct rule){.kind = RULE_ROOT};
	return true;
}

static void make_rule(struct unwinder *u, struct walk *w, struct image *img, uint64_t vaddr,
                      struct rule *ret)
{
	bool is_exact = w->is_exact;
	struct cfi_row row;
	bool has_fde;
	uint64_t lookup = vaddr - !is_exact;
	if (go_rule(img, tables_go(tables_of(img, &u->stats.bytes)), vaddr, is_exact, ret))
		return;
#if defined(__aarch64__)
	/* The vdso's CFI for this code knows the frame record only, which has no interrupted pc. */
	if (nocfi_sigreturn(img, vaddr, is_exact, ret))
		return;
#endif
	if (find_row(u, img, lookup, &row, &has_fde))
		rule_from_row(&row, lookup, ret);
	else if (has_fde)
		*ret = (struct rule){.kind = RULE_BAD};
	else if (!rule_of_start(u, w, img, vaddr, ret))
		nocfi_rule(w, img, vaddr, u->namer, u->namer_arg, ret);
}

/* Keys: the address, whether the rule is one of rule_by_sp(), and whether pc is exact. */
static uint64_t key_of(const struct walk *w, uint64_t vaddr)
{
	return vaddr << 2 | w->is_exact;
}

static const struct rule *put_rule(struct unwinder *u, const struct walk *w,
                                   const struct image *img, uint64_t vaddr, const struct rule *rule)
{
	u->stats.rules_made++;
	return rules_put(u->rules, img->id, key_of(w, vaddr), rule);
}

static const struct rule *rule_at(struct unwinder *u, struct walk *w, struct image *img,
                                  uint64_t vaddr)
{
	const struct rule *rule = rules_get(u->rules, img->id, key_of(w, vaddr));
	if (rule)
		return rule;
	union rule_buf buf;
	make_rule(u, w, img, vaddr, &buf.rule);
	return put_rule(u, w, img, vaddr, &buf.rule);
}

/* The same rule by the stack pointer, for a frame whose frame pointer is not known: of sleeping
 * threads only pc and stack pointer are. How deep the stack is here, the code tells. */
static const struct rule *rule_by_sp(struct unwinder *u, struct walk *w, struct image *img,
                                     uint64_t vaddr, const struct rule *by_fp)
{
	uint64_t key = key_of(w, vaddr) | 2;
	const struct rule *rule = rules_get(u->rules, img->id, key);
	if (rule)
		return rule;
	struct cfi_fde fde;
	struct depth depth;
	union rule_buf buf;
	memcpy(&buf.rule, by_fp, rule_size(by_fp));
	buf.rule.kind = RULE_BAD;
	if (tables_find(tables_of(img, &u->stats.bytes), vaddr - !w->is_exact, &fde) &&
	    depth_at(img, fde.start, vaddr, !w->is_exact, &depth) && depth.sp != DEPTH_UNKNOWN) {
		buf.rule.kind = RULE_FRAME;
		buf.rule.flags |= RULE_CHECK_CALL;
		buf.rule.cfa_reg = REG_SP;
		buf.rule.cfa_off = depth.sp + 8;
	}
	u->stats.rules_made++;
	return rules_put(u->rules, img->id, key, &buf.rule);
}

static bool step_by_frame_pointer(struct unwinder *u, struct walk *w)
{
	u->stats.by_frame_pointer++;
	return nocfi_step(w);
}

/* A rule that may be wrong: true if it leads to a return address; else w is as it was. */
static bool step_if_call(struct unwinder *u, struct walk *w, const struct rule *rule)
{
	struct walk before = *w;
	if (rule->kind == RULE_FRAME && walk_step(w, rule) &&
	    walk_is_after_call(w, w->regs.r[REG_PC])) {
		u->stats.by_rule++;
		return true;
	}
	*w = before;
	return false;
}

static bool step_by_rule(struct unwinder *u, struct walk *w, struct image *img, uint64_t vaddr,
                         const struct rule *rule)
{
	if (rule->flags & RULE_CHECK_CALL)
		return step_if_call(u, w, rule) || step_by_frame_pointer(u, w);
	if (!regs_known(&w->regs, rule->cfa_reg)) {
#if defined(__aarch64__)
		/* After a step by frame pointer the stack pointer is unknown; but the psABI has
		 * frame records, and distributions build with them. */
		return step_by_frame_pointer(u, w);
#endif
		return (rule->cfa_reg == REG_FP && !(rule->flags & RULE_DEREF) &&
		        step_if_call(u, w, rule_by_sp(u, w, img, vaddr, rule))) ||
		       walk_fail(w, STACK_BAD_CFI);
	}
	u->stats.by_rule++;
	return walk_step(w, rule);
}

/* That nothing was found when this code was first seen may be due to that stack: now and then
 * another one is asked. */
static bool step_without_rule(struct unwinder *u, struct walk *w, struct image *img, uint64_t vaddr)
{
	union rule_buf buf;
	if (step_by_frame_pointer(u, w))
		return true;
	enum stack_end end = w->end;
	if (end == STACK_NO_RULE && ++u->failures % RETRY_EVERY == 0) {
		make_rule(u, w, img, vaddr, &buf.rule);
		if (buf.rule.kind == RULE_FRAME)
			return step_if_call(u, w, put_rule(u, w, img, vaddr, &buf.rule)) ||
			       walk_fail(w, end);
	}
	return walk_fail(w, end == STACK_NO_RULE && w->wants_more ? STACK_SHORT : end);
}

static bool step(struct unwinder *u, struct walk *w, struct image *img, uint64_t vaddr,
                 const struct rule *rule)
{
	struct cfi_row row;
	bool has_fde;
	switch ((enum rule_kind)rule->kind) {
	case RULE_FRAME:
		return step_by_rule(u, w, img, vaddr, rule);
	case RULE_ROOT:
		return walk_fail(w, STACK_ROOT);
	case RULE_LIBUNWIND:
		u->stats.by_libunwind++;
		if (!u->generic || !find_row(u, img, vaddr - !w->is_exact, &row, &has_fde))
			return walk_fail(w, STACK_BAD_CFI);
		return generic_step(u->generic, w, &row);
	case RULE_NO_CFI:
		return step_without_rule(u, w, img, vaddr);
	case RULE_BAD:
		break;
	}
	return walk_fail(w, STACK_BAD_CFI);
}

/* Pushes the frame w is at and goes to its caller; false at the end of the stack. */
static bool push_and_step(struct unwinder *u, struct walk *w, uint32_t process, struct stack *stack)
{
	uint64_t pc = w->regs.r[REG_PC];
	const struct mapping *m = find_mapping(u, w->maps, pc);
	struct raw_frame raw = {.flags = w->is_exact ? 0 : RAW_RETURN};
	if (!m || !m->executable || !m->image) {
		bool is_code = m && m->executable;
		if (!is_code && !w->is_exact)
			return walk_fail(w, STACK_NO_RULE); /* data is no caller */
		raw.kind = RAW_ANON;
		raw.owner = process;
		raw.addr = pc;
		raw.aux = m ? (uint64_t)(uintptr_t)m->name : 0;
		if (!stack_push(stack, raw, 0))
			return walk_fail(w, STACK_TOO_DEEP);
		return is_code ? step_by_frame_pointer(u, w) : walk_fail(w, STACK_NO_RULE);
	}
	uint64_t vaddr = pc - m->bias;
	const struct rule *rule = rule_at(u, w, m->image, vaddr);
	/* The code that returns from a signal was not called either. */
	if (rule->flags & RULE_SIGNAL)
		raw.flags = 0;
	raw.kind = RAW_NATIVE;
	raw.owner = m->image->id;
	raw.addr = vaddr;
	if (!stack_push(stack, raw, 0))
		return walk_fail(w, STACK_TOO_DEEP);
	return step(u, w, m->image, vaddr, rule);
}

void unwind(struct unwinder *u, const struct maps *maps, uint32_t process,
            const struct snapshot *snap, struct stack *stack)
{
	struct walk w = {.snap = snap, .maps = maps, .regs = snap->regs, .is_exact = true};
	size_t first = stack->n;
	stack->end = STACK_NO_RULE;
	if (!regs_known(&w.regs, REG_PC) || !regs_known(&w.regs, REG_SP))
		return;
	if (snap->n_regions) {
		w.stack = snap->bytes + snap->regions[0].at;
		w.stack_addr = snap->regions[0].addr;
		w.stack_len = snap->regions[0].len;
	}
	while (push_and_step(u, &w, process, stack)) {
		u->stats.steps++;
		stack->cfas[stack->n - 1] = w.cfa;
		w.wants_more = false;
		if (stack->n - first >= STACK_MAX_FRAMES) {
			w.end = STACK_TOO_DEEP;
			break;
		}
		/* A return to nowhere: what the psABI's outermost frame has on its stack. */
		if (!w.regs.r[REG_PC]) {
			bool at_root = !regs_known(&w.regs, REG_FP) || !w.regs.r[REG_FP];
			w.end = at_root ? STACK_ROOT : STACK_NO_RULE;
			break;
		}
	}
	stack->end = w.end;
}
