/* SPDX-License-Identifier: Apache-2.0 */
/* How long the worker may sleep. A program that has just begun maps its libraries and starts its
 * interpreter within milliseconds: until then its frames cannot be had. And what an interpreter
 * runs once, a module's body say, is gone soon, with its name. */
#include <limits.h>

#include "internal.h"

#define YOUNG_NS    300000000ULL  /* after an exec: libraries may still come */
#define STARTING_NS 5000000000ULL /* an interpreter is mapped, and not up yet */
#define MAPS_NS     2000000ULL
#define YOUNG_MS    2
#define DECODES_MS  10
#define MANY        16 /* processes */

static bool is_starting(const struct engine *e, const struct process *p, uint64_t now)
{
	uint64_t begin_ns = p->last_exec_ns ? p->last_exec_ns : e->start_ns;
	return now - begin_ns < STARTING_NS && decoding_is_starting(p->decoding);
}

int engine_watch_young(struct engine *e)
{
	struct runtime *rt[1];
	bool any = false, decodes = false;
	if (e->processes.n > MANY)
		return DECODES_MS;
	for (size_t i = 0; i < e->processes.n; i++) {
		struct process *p = e->processes.items[i];
		uint64_t now = now_ns();
		if (p->ended || !p->decoding)
			continue;
		if (!p->execed || p->exec_ns) {
			any = true;
			continue;
		}
		bool young = p->last_exec_ns && now - p->last_exec_ns < YOUNG_NS;
		bool starting = is_starting(e, p, now);
		if (young && p->maps_dirty && now - p->maps_read_ns > MAPS_NS)
			process_refresh_maps(e, p);
		else if (starting)
			decoding_refresh(p->decoding);
		any |= young || starting;
		decodes |= decoding_runtimes(p->decoding, rt, 1) > 0;
	}
	return any ? YOUNG_MS : decodes ? DECODES_MS : INT_MAX;
}
