/* SPDX-License-Identifier: Apache-2.0 */
/* The runtimes of a run and of its processes, and what becomes of a stack. */
#include <stdlib.h>

#include "internal.h"

#define MAX_SEEN 65536 /* threads */

struct decoder *decoder_create(struct strings *strings, enum native_frames native,
                               decoder_namer *namer, void *namer_arg)
{
	struct decoder *d = mem_zalloc(sizeof(*d));
	d->strings = strings;
	d->native = native;
	d->namer = namer;
	d->namer_arg = namer_arg;
	for (size_t i = 0; i < MAX_ATTACHED; i++)
		runtime_stack_init(&d->walked[i]);
	splicer_init(&d->splicer);
	return d;
}

void decoder_destroy(struct decoder *d)
{
	if (!d)
		return;
	for (size_t i = 0; i < d->runtimes.n; i++)
		if (d->runtimes.items[i])
			d->runtimes.items[i]->ops->destroy(d->runtimes.items[i]);
	vec_free(&d->runtimes);
	vec_free(&d->closed);
	map64_free(&d->recognised);
	map64_free(&d->warned);
	for (size_t i = 0; i < MAX_ATTACHED; i++)
		runtime_stack_deinit(&d->walked[i]);
	splicer_deinit(&d->splicer);
	free(d);
}

void decoder_warn(struct decoder *d, bool warn)
{
	d->quiet = !warn;
}

void decoder_name(struct decoder *d, struct raw_frame raw, struct frame *out)
{
	if (raw.kind == RAW_RUNTIME && raw.owner < d->runtimes.n && d->runtimes.items[raw.owner]) {
		struct runtime *rt = d->runtimes.items[raw.owner];
		rt->ops->describe(rt, raw, out);
		return;
	}
	*out = (struct frame){.kind = FRAME_MARK, .function = intern(d->strings, "[unknown]")};
}

/* The first of the run that lives in this image; processes that share it do not differ. */
static struct runtime *runtime_in(const struct decoder *d, uint32_t image)
{
	for (size_t i = 0; i < d->runtimes.n; i++)
		if (d->runtimes.items[i] && d->runtimes.items[i]->image->id == image)
			return d->runtimes.items[i];
	return NULL;
}

size_t decoder_hide_inlined(struct decoder *d, struct raw_frame raw, struct frame *frames, size_t n)
{
	struct runtime *rt = NULL;
	if (d->native == NATIVE_OWN && raw.kind == RAW_NATIVE && n > 1)
		rt = runtime_in(d, raw.owner);
	if (!rt)
		return n;
	size_t left = 0;
	for (size_t i = 0; i < n; i++)
		if (frames[i].kind != FRAME_INLINED ||
		    rt->ops->role(rt, rt->image, frames[i].function, 0) != ROLE_PLUMBING)
			frames[left++] = frames[i];
	return left;
}

void decoder_collect(struct decoder *d)
{
	for (size_t i = 0; i < d->closed.n; i++) {
		struct runtime **rt = &d->runtimes.items[d->closed.items[i]];
		(*rt)->ops->destroy(*rt);
		*rt = NULL;
	}
	vec_free(&d->closed);
}

size_t decoder_runtimes(const struct decoder *d)
{
	size_t n = 0;
	for (size_t i = 0; i < d->runtimes.n; i++)
		n += d->runtimes.items[i] != NULL;
	return n;
}

struct decoding *decoding_open(struct decoder *d, struct target *t)
{
	struct decoding *p = mem_zalloc(sizeof(*p));
	p->decoder = d;
	p->target = t;
	attach_none(p);
	return p;
}

void decoding_close(struct decoding *p)
{
	if (!p)
		return;
	attach_none(p);
	for (size_t i = 0; i < p->lists.n; i++)
		free(p->lists.items[i]);
	for (size_t i = 0; i < p->attached.n; i++) {
		*vec_add(&p->decoder->closed) = p->attached.items[i]->rt->index;
		roles_deinit(&p->attached.items[i]->roles);
		free(p->attached.items[i]);
	}
	vec_free(&p->lists);
	vec_free(&p->attached);
	vec_free(&p->candidates);
	map64_free(&p->seen);
	free(p);
}

void decoding_restart(struct decoding *p)
{
	attach_none(p);
	p->candidates.n = 0;
	p->looked = false;
}

static size_t gather(void *arg, unsigned round, const struct snapshot *snap, struct region *more,
                     size_t max)
{
	struct decoding *p = arg;
	size_t n = 0;
	atomic_fetch_add(&p->gathering, 1);
	const struct attached_list *live = atomic_load(&p->live);
	for (size_t i = 0; i < live->n && n < max; i++) {
		struct runtime *rt = live->items[i]->rt;
		size_t got = rt->ops->gather(rt, round, snap, more + n, max - n);
		n += got < max - n ? got : max - n;
	}
	atomic_fetch_sub(&p->gathering, 1);
	return n;
}

struct gatherer decoding_gatherer(struct decoding *p)
{
	return (struct gatherer){gather, p};
}

size_t decoding_runtimes(const struct decoding *p, struct runtime **ret, size_t max)
{
	const struct attached_list *live = atomic_load(&p->live);
	size_t n = live->n < max ? live->n : max;
	for (size_t i = 0; i < n; i++)
		ret[i] = live->items[i]->rt;
	return n;
}

static void note_end(struct decoded *ret, enum walk_end end, const struct runtime_ops *ops)
{
	if (end <= ret->end)
		return;
	ret->end = end;
	ret->ops = ops;
}

/* Nothing of a runtime in it: as it is, or one mark when only runtimes are wanted. */
static void leave_native(struct decoder *d, struct stack *stack)
{
	if (d->native != NATIVE_NONE || !stack->n)
		return;
	stack->n = 0;
	stack_push(stack,
	           (struct raw_frame){.kind = RAW_MARK,
	                              .aux = (uint64_t)(uintptr_t)intern(d->strings, "[native]")},
	           0);
	stack->end = STACK_ROOT;
}

/* An evaluator that is not just being entered. */
static bool has_evaluator(struct attached *a, const struct stack *stack)
{
	size_t i = 0;
	while (i < stack->n && stack->frames[i].kind == RAW_KERNEL)
		i++;
	while (++i < stack->n)
		if (stack->frames[i].kind == RAW_NATIVE &&
		    roles_of(&a->roles, &stack->frames[i]) == ROLE_EVAL)
			return true;
	return false;
}

static void walk(struct decoding *p, struct attached *a, const struct snapshot *snap,
                 const struct stack *stack, struct runtime_stack *ret)
{
	runtime_stack_reset(ret);
	ret->native = stack;
	a->rt->ops->walk(a->rt, snap, ret);
	if (ret->n) {
		if (p->seen.n >= MAX_SEEN)
			map64_clear(&p->seen);
		*map64_put(&p->seen, (uint64_t)snap->tid) = 1;
	} else if ((ret->end == WALK_NONE || ret->end == WALK_WHOLE) && has_evaluator(a, stack)) {
		/* Its evaluators run something: we do not know the thread yet, or lost it. */
		ret->end = map64_get(&p->seen, (uint64_t)snap->tid) ? WALK_TORN : WALK_STARTING;
	}
}

struct decoded decode(struct decoding *p, const struct snapshot *snap, struct stack *stack)
{
	struct decoder *d = p->decoder;
	struct decoded ret = {.end = WALK_NONE};
	struct splice_part parts[MAX_ATTACHED];
	size_t n = 0;
	bool is_live = p->target->rm == &p->target->mem.rm;
	attach_try(p); /* time passes for a target while it is sampled */
	if (decoding_is_starting(p))
		note_end(&ret, WALK_STARTING, attach_pending(p));
	const struct attached_list *live = atomic_load(&p->live);
	for (size_t i = 0; i < live->n; i++) {
		struct attached *a = live->items[i];
		struct runtime_stack *walked = &d->walked[n];
		if (is_live && snap->time_ns < a->since_ns) { /* nothing was gathered for it */
			note_end(&ret, WALK_STARTING, a->rt->ops);
			continue;
		}
		walk(p, a, snap, stack, walked);
		if (!walked->n && walked->end != WALK_TORN) {
			note_end(&ret, walked->end, a->rt->ops);
			ret.holds_lock |= walked->holds_lock;
			continue;
		}
		parts[n++] = (struct splice_part){a->rt,     walked,  roles_of,
		                                  &a->roles, a->torn, a->truncated};
	}
	if (!n) {
		leave_native(d, stack);
		return ret;
	}
	uint64_t sp = regs_known(&snap->regs, REG_SP) ? snap->regs.r[REG_SP] : 0;
	splice(&d->splicer, parts, n, sp, d->native, stack, &ret);
	if (d->native == NATIVE_NONE && ret.end != WALK_TORN && !ret.unmerged)
		stack->end = STACK_ROOT; /* of what is shown */
	return ret;
}
