/* SPDX-License-Identifier: Apache-2.0 */
/* Native frames, leaf first, own the stack from their stack pointer up to their canonical frame
 * address, which is the stack pointer of their caller:
 *
 *   sp          cfas[0]      cfas[1]             cfas[2]
 *   | memcpy    | list_sort  | evaluator         | ...
 *                                  ^ marker of the group of frames that it runs
 *
 * So a group finds its evaluator without a symbol, whatever the compiler made of it. */
#include "splice.h"

#include <stdlib.h>
#include <string.h>

#include <csample/mem.h>

/* Markers may be hostile: so many comparisons for a stack, then it does not fit. */
#define MARKER_BUDGET 2000000u

enum fate {
	FATE_SHOW,
	FATE_HIDE,
	FATE_GROUP, /* replaced by a group */
	FATE_ALONE, /* replaced by all groups: they do not fit between native frames */
	FATE_TORN,  /* replaced by a mark */
};

struct splice_place {
	uint64_t low, high; /* its part of the stack: [low, high) */
	uint32_t group;
	uint8_t fate, part; /* part: whose group or role it is */
	uint8_t role;       /* enum native_role */
};

struct work {
	struct splicer *s;
	const struct splice_part *parts;
	size_t n_parts;
	struct stack *stack;
	struct splice_place *places;
	enum native_frames native;
	size_t first_native;             /* behind the kernel's frames */
	bool is_whole;                   /* the native stack reaches its root */
	size_t rest[SPLICE_MAX_PARTS];   /* groups from here on lie beyond the native frames */
	bool unplaced[SPLICE_MAX_PARTS]; /* torn, and no evaluator to put the mark at */
	size_t n_frames;
	bool unmerged;
};

void splicer_init(struct splicer *s)
{
	*s = (struct splicer){0};
	stack_init(&s->out);
}

void splicer_deinit(struct splicer *s)
{
	free(s->places);
	stack_deinit(&s->out);
}

static uint8_t role_of(const struct work *w, const struct raw_frame *raw, uint8_t *part)
{
	enum native_role role = ROLE_NONE;
	for (size_t p = 0; p < w->n_parts && role == ROLE_NONE; p++) {
		role = w->parts[p].role(w->parts[p].arg, raw);
		*part = (uint8_t)p;
	}
	return (uint8_t)role;
}

static void lay_out(struct work *w, uint64_t sp)
{
	const struct stack *stack = w->stack;
	uint64_t low = sp;
	w->first_native = stack->n;
	for (size_t i = 0; i < stack->n; i++) {
		struct splice_place *place = &w->places[i];
		*place = (struct splice_place){.fate = FATE_SHOW};
		if (stack->frames[i].kind == RAW_KERNEL)
			continue;
		if (w->first_native == stack->n)
			w->first_native = i;
		place->role = role_of(w, &stack->frames[i], &place->part);
		place->low = low;
		place->high = stack->cfas[i] ? stack->cfas[i] : low;
		low = place->high;
	}
}

static void place_group(struct work *w, size_t i, size_t part, size_t group)
{
	w->places[i].fate = FATE_GROUP;
	w->places[i].part = (uint8_t)part;
	w->places[i].group = (uint32_t)group;
}

/* False: they do not fit. */
static bool place_by_marker(struct work *w, size_t p)
{
	const struct runtime_stack *rs = w->parts[p].frames;
	const size_t n = w->stack->n;
	size_t at = w->first_native, budget = MARKER_BUDGET;
	for (size_t g = 0; g < rs->n_groups; g++) {
		uint64_t marker = rs->groups[g].marker;
		size_t i = at;
		while (i < n && budget &&
		       (w->places[i].fate != FATE_SHOW || marker < w->places[i].low ||
		        marker >= w->places[i].high)) {
			i++;
			budget--;
		}
		if (i < n && budget) {
			place_group(w, i, p, g);
			at = i + 1;
			continue;
		}
		if (!budget)
			return false;
		if (!rs->groups[g].n) /* a sentinel: nothing ran there */
			continue;
		if (w->is_whole || (n > w->first_native && marker < w->places[n - 1].low))
			return false;
		w->rest[p] = g;
		break;
	}
	return true;
}

/* Without markers the k-th evaluator runs the k-th group, counted from the outermost; the innermost
 * may be about to begin or to return, and runs none. Where one of the two ends early, counted from
 * the innermost. */
static bool place_by_count(struct work *w, size_t p)
{
	const struct runtime_stack *rs = w->parts[p].frames;
	size_t n_evals = 0;
	for (size_t i = w->first_native; i < w->stack->n; i++)
		n_evals += w->places[i].role == ROLE_EVAL && w->places[i].part == p &&
		           w->stack->frames[i].kind == RAW_NATIVE;
	size_t skip = 0;
	if (rs->end == WALK_WHOLE && n_evals > rs->n_groups)
		skip = n_evals - rs->n_groups;
	if (skip > 1 || (w->is_whole && n_evals < rs->n_groups))
		return false;
	size_t g = 0;
	for (size_t i = w->first_native; i < w->stack->n && g < rs->n_groups; i++) {
		if (w->places[i].role != ROLE_EVAL || w->places[i].part != p ||
		    w->stack->frames[i].kind != RAW_NATIVE)
			continue;
		if (skip)
			skip--;
		else
			place_group(w, i, p, g++);
	}
	w->rest[p] = g;
	return true;
}

/* Its frames do not fit between the native ones: shown whole instead, with the native frames that
 * are younger or older for certain. */
static void place_alone(struct work *w, size_t p)
{
	size_t n = w->stack->n, first = n, behind = n;
	for (size_t i = w->first_native; i < n; i++) {
		struct splice_place *place = &w->places[i];
		bool mine = place->fate == FATE_GROUP && place->part == p;
		bool eval = place->role == ROLE_EVAL && place->part == p &&
		            w->stack->frames[i].kind == RAW_NATIVE;
		if (mine)
			place->fate = FATE_SHOW;
		if (!mine && !eval)
			continue;
		if (first == n)
			first = i;
		behind = i + 1;
	}
	if (first == n && w->is_whole)
		first = w->first_native;
	for (size_t i = first; i < (w->is_whole ? behind : n); i++)
		w->places[i].fate = FATE_HIDE;
	w->unmerged = true;
	w->rest[p] = w->parts[p].frames->n_groups;
	if (first < n) {
		w->places[first].fate = FATE_ALONE;
		w->places[first].part = (uint8_t)p;
	} else {
		w->rest[p] = 0;
	}
}

static void place_torn(struct work *w, size_t p)
{
	w->unplaced[p] = true;
	for (size_t i = w->first_native; i < w->stack->n; i++) {
		if (w->places[i].role != ROLE_EVAL || w->places[i].part != p ||
		    w->stack->frames[i].kind != RAW_NATIVE)
			continue;
		w->places[i].fate = FATE_TORN;
		w->unplaced[p] = false;
	}
}

static void place(struct work *w, size_t p)
{
	const struct runtime_stack *rs = w->parts[p].frames;
	w->rest[p] = rs->n_groups;
	if (rs->end == WALK_TORN) {
		place_torn(w, p);
		return;
	}
	bool has_markers = true;
	for (size_t g = 0; g < rs->n_groups; g++)
		has_markers &= rs->groups[g].marker || !rs->groups[g].n;
	if (!(has_markers ? place_by_marker(w, p) : place_by_count(w, p)))
		place_alone(w, p);
}

static bool is_replaced(const struct splice_place *place)
{
	return place->fate >= FATE_GROUP || place->role == ROLE_EVAL;
}

/* Code without a file belongs to the interpreter where it runs an evaluator or is run by one, or
 * where it hides who runs it. */
static bool is_generated_eval(const struct work *w, size_t i)
{
	const struct splice_place *at = &w->places[i];
	if (w->stack->frames[i].kind != RAW_ANON || at->role != ROLE_EVAL)
		return false;
	bool last = i + 1 == w->stack->n;
	return (last && !w->is_whole) || (!last && is_replaced(at + 1)) ||
	       (i > w->first_native && is_replaced(at - 1));
}

static void hide_plumbing(struct work *w)
{
	bool below = false; /* a frame of a runtime is younger */
	for (size_t i = w->first_native; i < w->stack->n; i++) {
		struct splice_place *place = &w->places[i];
		below |= place->fate >= FATE_GROUP;
		if (place->fate != FATE_SHOW)
			continue;
		bool hide = place->role == ROLE_PLUMBING ||
		            (place->role == ROLE_PASSAGE && below) ||
		            (place->role == ROLE_EVAL && w->stack->frames[i].kind == RAW_NATIVE) ||
		            is_generated_eval(w, i);
		if (hide)
			place->fate = FATE_HIDE;
	}
}

static void push(struct stack *out, struct raw_frame raw, uint64_t cfa)
{
	if (out->n == out->cap) {
		out->cap *= 2;
		out->frames = mem_realloc_array(out->frames, out->cap, sizeof(*out->frames));
		out->cfas = mem_realloc_array(out->cfas, out->cap, sizeof(*out->cfas));
	}
	stack_push(out, raw, cfa);
}

static void push_mark(struct stack *out, const char *text)
{
	push(out, (struct raw_frame){.kind = RAW_MARK, .aux = (uint64_t)(uintptr_t)text}, 0);
}

static void push_groups(struct work *w, size_t p, size_t first, size_t end)
{
	const struct runtime_stack *rs = w->parts[p].frames;
	for (size_t g = first; g < end; g++) {
		const struct runtime_group *group = &rs->groups[g];
		for (uint32_t i = 0; i < group->n; i++)
			push(&w->s->out, rs->frames[group->first + i], 0);
		w->n_frames += group->n;
	}
	if (end == rs->n_groups && rs->end == WALK_TRUNCATED)
		push_mark(&w->s->out, w->parts[p].truncated);
}

static void push_torn(struct work *w, size_t p)
{
	const struct stack *out = &w->s->out;
	const struct raw_frame *last = out->n ? &out->frames[out->n - 1] : NULL;
	uint64_t mark = (uint64_t)(uintptr_t)w->parts[p].torn;
	if (!last || last->kind != RAW_MARK || last->aux != mark)
		push_mark(&w->s->out, w->parts[p].torn);
}

static void emit(struct work *w)
{
	for (size_t i = 0; i < w->stack->n; i++) {
		const struct splice_place *place = &w->places[i];
		size_t p = place->part;
		switch ((enum fate)place->fate) {
		case FATE_SHOW:
			if (w->native != NATIVE_NONE)
				push(&w->s->out, w->stack->frames[i], w->stack->cfas[i]);
			break;
		case FATE_HIDE:
			break;
		case FATE_GROUP:
			/* Nothing ran there: with all native frames it is one of them. */
			if (w->native == NATIVE_ALL && !w->parts[p].frames->groups[place->group].n)
				push(&w->s->out, w->stack->frames[i], w->stack->cfas[i]);
			push_groups(w, p, place->group, place->group + 1);
			break;
		case FATE_ALONE:
			push_groups(w, p, 0, w->parts[p].frames->n_groups);
			break;
		case FATE_TORN:
			push_torn(w, p);
			break;
		}
	}
	for (size_t p = 0; p < w->n_parts; p++) {
		if (w->rest[p] < w->parts[p].frames->n_groups)
			push_groups(w, p, w->rest[p], w->parts[p].frames->n_groups);
		if (w->unplaced[p])
			push_torn(w, p);
	}
}

static void conclude(const struct work *w, struct decoded *ret)
{
	ret->n_frames = w->n_frames;
	ret->unmerged = w->unmerged;
	for (size_t p = 0; p < w->n_parts; p++) {
		const struct runtime_stack *rs = w->parts[p].frames;
		ret->holds_lock |= rs->holds_lock;
		if (ret->runtime && (!rs->n || ret->end != WALK_TORN))
			continue;
		ret->runtime = w->parts[p].rt;
		ret->ops = ret->runtime->ops;
		ret->end = rs->end;
	}
}

void splice(struct splicer *s, const struct splice_part *parts, size_t n_parts, uint64_t sp,
            enum native_frames native, struct stack *stack, struct decoded *ret)
{
	struct work w = {
	        .s = s,
	        .parts = parts,
	        .n_parts = n_parts < SPLICE_MAX_PARTS ? n_parts : SPLICE_MAX_PARTS,
	        .stack = stack,
	        .native = native,
	        .is_whole = stack->end == STACK_ROOT,
	};
	if (s->cap_places < stack->n) {
		s->cap_places = stack->n;
		s->places = mem_realloc_array(s->places, s->cap_places, sizeof(*s->places));
	}
	w.places = s->places;
	lay_out(&w, sp);
	for (size_t p = 0; p < w.n_parts; p++)
		place(&w, p);
	if (native == NATIVE_OWN)
		hide_plumbing(&w);
	s->out.n = 0;
	emit(&w);
	if (native == NATIVE_NONE && s->out.n && s->out.frames[0].flags & RAW_CATEGORY)
		s->out.n = 1;
	conclude(&w, ret);
	/* Neither has less room than stack_init() gave it. */
	struct stack out = s->out;
	out.end = stack->end;
	s->out = *stack;
	*stack = out;
}
