/* SPDX-License-Identifier: Apache-2.0 */
/* Which runtimes live in a process. Samplers see those attached through one pointer to a list that
 * is never changed, only replaced; what they may still see lives until the process is closed. */
#include <stdio.h>
#include <unistd.h>

#include <csample/clock.h>
#include <csample/log.h>

#include "internal.h"

/* A try that finds the runtime not ready is repeated when so many times its own cost has passed. */
#define RETRY_COST    8
#define RETRY_MIN_NS  1000000ULL
#define RETRY_SLOWER  64 /* half as often after so many tries */
#define RETRY_MAX_NS  250000000ULL
#define REFRESH_NS    50000000ULL
#define LEAVE_WAIT_US 100
#define LEAVE_WAITS   2000

static struct attached_list *new_list(struct decoding *p)
{
	struct attached_list *list = mem_zalloc(sizeof(*list));
	*vec_add(&p->lists) = list;
	return list;
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

void attach_none(struct decoding *p)
{
	const struct attached_list *old = atomic_load(&p->live);
	if (old && !old->n)
		return;
	publish(p, new_list(p));
	for (size_t i = 0; old && i < old->n; i++)
		old->items[i]->rt->ops->detach(old->items[i]->rt);
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
	const struct mapping *last = NULL;
	for (size_t i = 0; i < maps->n; i++) {
		const struct mapping *m = &maps->items[i];
		if (!m->image || (last && m->image == last->image && m->bias == last->bias))
			continue;
		last = m;
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
	uint32_t index = 0;
	while (index < d->runtimes.n && d->runtimes.items[index])
		index++;
	if (index == d->runtimes.n)
		vec_add(&d->runtimes);
	d->runtimes.items[index] = rt;
	rt->index = index;
	a->rt = rt;
	a->torn = mark(d, rt->ops, walk_end_names[WALK_TORN]);
	a->truncated = mark(d, rt->ops, walk_end_names[WALK_TRUNCATED]);
	roles_init(&a->roles, rt, p->target->images, d->namer, d->namer_arg);
	*vec_add(&p->attached) = a;
	publish_all_but(p, NULL, a);
	a->since_ns = now_ns();
	log_debug(LOG_DECODE, "process %d: %s %s attached", (int)p->target->pid, rt->ops->title,
	          rt->version);
}

/* What cannot be attached for good is told once for each file. */
static void refuse(struct decoding *p, struct candidate *c, const struct err *err)
{
	uint64_t *told = map64_put(&p->decoder->warned, c->img->id);
	c->why = intern(p->decoder->strings, err->msg);
	if (!*told && err->kind == ERR_UNSUPPORTED && !p->decoder->quiet)
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
	uint64_t start = now_ns();
	if (c->settled || start < c->next_ns)
		return;
	const struct attached_list *live = atomic_load(&p->live);
	if (live->n == MAX_ATTACHED)
		return;
	struct runtime *rt = NULL;
	struct err *err = c->ops->attach(p->target, c->img, c->bias, &rt);
	c->next_ns = next_try(c, start, now_ns());
	c->why = NULL;
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

void attach_try(struct decoding *p)
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
		c->next_ns = now_ns() + RETRY_MAX_NS;
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
	uint64_t now = now_ns();
	if (!p->looked || p->generation != p->target->maps.generation)
		look_for_candidates(p);
	if (now - p->refreshed_ns >= REFRESH_NS) {
		p->refreshed_ns = now;
		refresh_attached(p);
	}
	attach_try(p);
}

const struct runtime_ops *attach_pending(const struct decoding *p)
{
	for (size_t i = 0; i < p->candidates.n; i++)
		if (!p->candidates.items[i].settled)
			return p->candidates.items[i].ops;
	return NULL;
}

/* V8 maps its builtins once more, from the same file. */
static bool is_attached_elsewhere(const struct decoding *p, const struct candidate *c)
{
	const struct attached_list *live = atomic_load(&p->live);
	for (size_t i = 0; i < live->n; i++)
		if (live->items[i]->rt->ops == c->ops && live->items[i]->rt->image == c->img)
			return true;
	return false;
}

size_t decoding_unattached(const struct decoding *p, struct unattached *ret, size_t max)
{
	size_t n = 0;
	for (size_t i = 0; i < p->candidates.n && n < max; i++) {
		const struct candidate *c = &p->candidates.items[i];
		if ((!c->settled || c->why) && !is_attached_elsewhere(p, c))
			ret[n++] = (struct unattached){c->ops, c->why};
	}
	return n;
}

bool decoding_is_starting(const struct decoding *p)
{
	return attach_pending(p);
}
