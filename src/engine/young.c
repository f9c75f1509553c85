/* SPDX-License-Identifier: Apache-2.0 */
/* How long the worker may sleep. A program that has just begun maps its libraries and starts its
 * interpreter within milliseconds: until then its frames cannot be had. And what an interpreter
 * runs once, a module's body say, is gone soon, with its name. */
#include <limits.h>

#include "internal.h"

#define YOUNG_NS      300000000ULL  /* after an exec: libraries may still come */
#define STARTING_NS   5000000000ULL /* an interpreter is mapped, and not up yet */
#define FIRST_NS      20000000ULL   /* it may have ended after so long */
#define MAPS_NS       2000000ULL
#define FIRST_MAPS_NS 200000ULL
#define YOUNG_MS      2
#define DECODES_MS    10
#define MANY          16            /* processes */
#define STEADY_NS     1000000000ULL /* without a new name: what runs is known */

void engine_note_young(struct engine *e, struct process *p)
{
	if (!p->is_young)
		*vec_add(&e->young) = p;
	p->is_young = true;
}

/* Whether there is more to come. */
static bool watch(struct engine *e, struct process *p)
{
	uint64_t now = now_ns(), begin_ns = p->last_exec_ns ? p->last_exec_ns : e->start_ns;
	if (p->ended)
		return false;
	if (!p->execed || p->exec_ns)
		return true;
	uint64_t age = now - begin_ns;
	bool young = p->last_exec_ns && age < YOUNG_NS;
	bool starting = p->decoding && age < STARTING_NS && decoding_is_starting(p->decoding);
	uint64_t pause = age < FIRST_NS ? FIRST_MAPS_NS : MAPS_NS;
	if (young && p->maps_dirty && now - p->maps_read_ns > pause)
		process_refresh_maps(e, p);
	else if (starting)
		decoding_refresh(p->decoding);
	return young || starting;
}

/* What runs, has run before: its names are known. */
static bool is_steady(struct engine *e)
{
	uint64_t now = now_ns();
	size_t n = strings_count(e->strings);
	if (n != e->n_names)
		e->names_ns = now;
	e->n_names = n;
	return now - e->names_ns > STEADY_NS;
}

static bool decodes(const struct engine *e)
{
	struct runtime *rt[1];
	if (e->processes.n > MANY)
		return true;
	for (size_t i = 0; i < e->processes.n; i++) {
		const struct process *p = e->processes.items[i];
		if (p->decoding && !p->ended && decoding_runtimes(p->decoding, rt, 1))
			return true;
	}
	return false;
}

int engine_watch_young(struct engine *e)
{
	size_t kept = 0;
	for (size_t i = 0; i < e->young.n; i++) {
		struct process *p = e->young.items[i];
		p->is_young = watch(e, p);
		if (p->is_young)
			e->young.items[kept++] = p;
	}
	e->young.n = kept;
	if (kept)
		return YOUNG_MS;
	return !e->config.patient && !is_steady(e) && decodes(e) ? DECODES_MS : INT_MAX;
}
