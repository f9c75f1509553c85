/* SPDX-License-Identifier: Apache-2.0 */
/* Which runtimes live in a process. Samplers see those attached through one pointer to a list that
 * is never changed, only replaced; what they may still see lives until the process is closed. */
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include <csample/decode.h>
#include <csample/hash.h>
#include <csample/log.h>
#include <csample/vec.h>

#include "roles.h"
#include "splice.h"

#define MAX_ATTACHED SPLICE_MAX_PARTS
/* A try that finds the runtime not ready is repeated when so many times its own cost has passed. */
#define RETRY_COST    8
#define RETRY_MIN_NS  1000000ULL
#define RETRY_SLOWER  64 /* half as often after so many tries */
#define RETRY_MAX_NS  250000000ULL
#define MAX_SEEN      65536
#define REFRESH_NS    50000000ULL
#define LEAVE_WAIT_US 100
#define LEAVE_WAITS   2000

struct decoder {
	struct strings *strings;
	enum native_frames native;
	decoder_namer *namer;
	void *namer_arg;
	VEC(struct runtime *) runtimes; /* all there were, by index */
	struct map64 recognised; /* image id: bit 0 asked, bit i + 1: all_runtimes[i] is in it */
	struct map64 warned;     /* image id: its version is unsupported, and that was said */
	struct runtime_stack walked[MAX_ATTACHED];
	struct splicer splicer;
};

/* A runtime in a mapped image. */
struct candidate {
	const struct runtime_ops *ops;
	struct image *img;
	uint64_t bias, next_ns;
	unsigned tries;
	bool settled; /* attached, or never will be */
	bool seen;    /* still mapped */
};

struct attached {
	struct runtime *rt;
	struct roles roles;
	uint64_t since_ns;
	const char *torn, *truncated;
};

struct attached_list {
	size_t n;
	struct attached *items[MAX_ATTACHED];
};

struct decoding {
	struct decoder *decoder;
	struct target *target;
	_Atomic(struct attached_list *) live; /* never NULL */
	atomic_uint gathering;                /* samplers inside gather() */
	VEC(struct attached_list *) lists;    /* all there were */
	VEC(struct attached *) attached;      /* all there were */
	VEC(struct candidate) candidates;
	struct map64 seen; /* tids that had frames of a runtime */
	uint64_t generation, refreshed_ns;
	bool looked;
};

static uint64_t clock_ns(void)
{
	struct timespec t;
	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * 1000000000ULL + (uint64_t)t.tv_nsec;
}

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
		d->runtimes.items[i]->ops->destroy(d->runtimes.items[i]);
	vec_free(&d->runtimes);
	map64_free(&d->recognised);
	map64_free(&d->warned);
	for (size_t i = 0; i < MAX_ATTACHED; i++)
		runtime_stack_deinit(&d->walked[i]);
	splicer_deinit(&d->splicer);
	free(d);
}

void decoder_name(struct decoder *d, struct raw_frame raw, struct frame *out)
{
	if (raw.kind == RAW_RUNTIME && raw.owner < d->runtimes.n) {
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
		if (d->runtimes.items[i]->image->id == image)
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

static struct attached_list *new_list(struct decoding *p)
{
	struct attached_list *list = mem_zalloc(sizeof(*list));
	*vec_add(&p->lists) = list;
	return list;
}

struct decoding *decoding_open(struct decoder *d, struct target *t)
{
	struct decoding *p = mem_zalloc(sizeof(*p));
	p->decoder = d;
	p->target = t;
	atomic_store(&p->live, new_list(p));
	return p;
}

/* From now on samplers see this list; when it returns they have left the old one. Ours may be
 * preempted by theirs, never the other way round for long. */
static void publish(struct decoding *p, struct attached_list *list)
{
	atomic_store(&p->live, list);
	for (int i = 0; i < LEAVE_WAITS && atomic_load(&p->gathering); i++)
		usleep(LEAVE_WAIT_US);
}

static void publish_all_but(struct decoding *p, const struct attached *gone, struct attached *also)
{
	const struct attached_list *old = atomic_load(&p->live);
	struct attached_list *list = new_list(p);
	for (size_t i = 0; i < old->n; i++)
		if (old->items[i] != gone)
			list->items[list->n++] = old->items[i];
	if (also)
		list->items[list->n++] = also;
	publish(p, list);
}

static void detach_all(struct decoding *p)
{
	const struct attached_list *old = atomic_load(&p->live);
	if (!old->n)
		return;
	publish(p, new_list(p));
	for (size_t i = 0; i < old->n; i++)
		old->items[i]->rt->ops->detach(old->items[i]->rt);
}

void decoding_close(struct decoding *p)
{
	if (!p)
		return;
	detach_all(p);
	for (size_t i = 0; i < p->lists.n; i++)
		free(p->lists.items[i]);
	for (size_t i = 0; i < p->attached.n; i++) {
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
	detach_all(p);
	p->candidates.n = 0;
	p->looked = false;
}

static uint64_t recognise(struct decoder *d, struct image *img)
{
	uint64_t *known = map64_put(&d->recognised, img->id);
	if (*known)
		return *known;
	uint64_t bits = 1;
	for (unsigned i = 0; all_runtimes[i] && i < 63; i++)
		if (all_runtimes[i]->recognise(img))
			bits |= 2ULL << i;
	*known = bits;
	return bits;
}

static void note_candidate(struct decoding *p, const struct runtime_ops *ops,
                           const struct mapping *m)
{
	for (size_t i = 0; i < p->candidates.n; i++) {
		struct candidate *c = &p->candidates.items[i];
		if (c->ops == ops && c->img == m->image && c->bias == m->bias) {
			c->seen = true;
			return;
		}
	}
	log_debug(LOG_DECODE, "process %d: %s in %s", (int)p->target->pid, ops->title,
	          m->image->path);
	*vec_add(&p->candidates) =
	        (struct candidate){.ops = ops, .img = m->image, .bias = m->bias, .seen = true};
}

static void look_for_candidates(struct decoding *p)
{
	const struct maps *maps = &p->target->maps;
	for (size_t i = 0; i < p->candidates.n; i++)
		p->candidates.items[i].seen = false;
	const struct image *last = NULL;
	for (size_t i = 0; i < maps->n; i++) {
		const struct mapping *m = &maps->items[i];
		if (!m->image || m->image == last)
			continue;
		last = m->image;
		uint64_t bits = recognise(p->decoder, m->image);
		for (unsigned k = 0; all_runtimes[k] && k < 63; k++)
			if (bits & 2ULL << k)
				note_candidate(p, all_runtimes[k], m);
	}
	size_t n = 0;
	for (size_t i = 0; i < p->candidates.n; i++)
		if (p->candidates.items[i].seen)
			p->candidates.items[n++] = p->candidates.items[i];
	p->candidates.n = n;
	p->generation = maps->generation;
	p->looked = true;
}

static const char *mark(struct decoder *d, const struct runtime_ops *ops, const char *what)
{
	char text[128];
	snprintf(text, sizeof(text), "[%s: %s]", ops->name, what);
	return intern(d->strings, text);
}

static void adopt(struct decoding *p, struct runtime *rt)
{
	struct decoder *d = p->decoder;
	struct attached *a = mem_zalloc(sizeof(*a));
	rt->index = (uint32_t)d->runtimes.n;
	*vec_add(&d->runtimes) = rt;
	a->rt = rt;
	a->torn = mark(d, rt->ops, walk_end_names[WALK_TORN]);
	a->truncated = mark(d, rt->ops, walk_end_names[WALK_TRUNCATED]);
	roles_init(&a->roles, rt, p->target->images, d->namer, d->namer_arg);
	*vec_add(&p->attached) = a;
	publish_all_but(p, NULL, a);
	a->since_ns = clock_ns();
	log_debug(LOG_DECODE, "process %d: %s %s attached", (int)p->target->pid, rt->ops->title,
	          rt->version);
}

/* What cannot be attached for good is told once for each file. */
static void refuse(struct decoding *p, struct candidate *c, const struct err *err)
{
	uint64_t *told = map64_put(&p->decoder->warned, c->img->id);
	if (!*told && err->kind == ERR_UNSUPPORTED)
		log_warn("%s: %s; its stacks are shown as native code", c->img->path, err->msg);
	else
		log_debug(LOG_DECODE, "process %d: %s", (int)p->target->pid, err->msg);
	*told |= err->kind == ERR_UNSUPPORTED;
}

/* Often at first, when it is likely to be starting up; never at much cost. */
static uint64_t next_try(struct candidate *c, uint64_t start_ns, uint64_t end_ns)
{
	uint64_t wait = (end_ns - start_ns) * RETRY_COST;
	uint64_t least = RETRY_MIN_NS
	                 << (c->tries / RETRY_SLOWER < 8 ? c->tries / RETRY_SLOWER : 8);
	c->tries++;
	if (wait < least)
		wait = least;
	return end_ns + (wait < RETRY_MAX_NS ? wait : RETRY_MAX_NS);
}

static void try_candidate(struct decoding *p, struct candidate *c)
{
	uint64_t start = clock_ns();
	if (c->settled || start < c->next_ns)
		return;
	const struct attached_list *live = atomic_load(&p->live);
	if (live->n == MAX_ATTACHED)
		return;
	struct runtime *rt = NULL;
	struct err *err = c->ops->attach(p->target, c->img, c->bias, &rt);
	c->next_ns = next_try(c, start, clock_ns());
	if (err) {
		refuse(p, c, err);
		/* Memory that cannot be read now may be there later. */
		c->settled = err->kind == ERR_UNSUPPORTED || err->kind == ERR_FORMAT;
		err_free(err);
	} else if (rt) {
		c->settled = true;
		adopt(p, rt);
	}
}

static void try_candidates(struct decoding *p)
{
	for (size_t i = 0; i < p->candidates.n; i++)
		try_candidate(p, &p->candidates.items[i]);
}

/* The runtime has ended; another may begin in the same image. */
static void end_runtime(struct decoding *p, struct attached *a)
{
	log_debug(LOG_DECODE, "process %d: %s has ended", (int)p->target->pid, a->rt->ops->title);
	publish_all_but(p, a, NULL);
	for (size_t i = 0; i < p->candidates.n; i++) {
		struct candidate *c = &p->candidates.items[i];
		if (c->img != a->rt->image || c->bias != a->rt->bias || c->ops != a->rt->ops)
			continue;
		c->settled = false;
		c->next_ns = clock_ns() + RETRY_MAX_NS;
	}
	a->rt->ops->detach(a->rt);
}

static void refresh_attached(struct decoding *p)
{
	const struct attached_list *live = atomic_load(&p->live);
	for (size_t i = 0; i < live->n; i++) {
		struct attached *a = live->items[i];
		struct err *err = a->rt->ops->refresh(a->rt);
		if (err && err->kind == ERR_GONE)
			end_runtime(p, a);
		else if (err)
			log_debug(LOG_DECODE, "process %d: %s", (int)p->target->pid, err->msg);
		err_free(err);
	}
}

void decoding_refresh(struct decoding *p)
{
	uint64_t now = clock_ns();
	if (!p->looked || p->generation != p->target->maps.generation)
		look_for_candidates(p);
	if (now - p->refreshed_ns >= REFRESH_NS) {
		p->refreshed_ns = now;
		refresh_attached(p);
	}
	try_candidates(p);
}

static const struct runtime_ops *starting(const struct decoding *p)
{
	for (size_t i = 0; i < p->candidates.n; i++)
		if (!p->candidates.items[i].settled)
			return p->candidates.items[i].ops;
	return NULL;
}

bool decoding_is_starting(const struct decoding *p)
{
	return starting(p);
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
	try_candidates(p); /* time passes for a target while it is sampled */
	if (decoding_is_starting(p))
		note_end(&ret, WALK_STARTING, starting(p));
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
