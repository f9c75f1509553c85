/* SPDX-License-Identifier: Apache-2.0 */
/* What processes have used, those included that ended between two readings of their clocks.
 *
 * A process's own clock is exact, but goes away with it. What it used is then in the sum that the
 * kernel keeps of the children each process has waited for, and of theirs: in clock ticks, rounded
 * down. So of an ended process the larger of two lower bounds counts: what we saw of it, and what
 * its parent's sum grew by. A total is never more than what was used. */
#include <unistd.h>

#include "internal.h"

void account_read_reaped(struct engine *e, struct process *p)
{
	uint64_t ns;
	if (e->orphans && target_reaped_cpu_ns(p->target, &ns) && ns > p->reaped_ns)
		p->reaped_ns = ns;
}

void account_begin(struct engine *e, struct process *p)
{
	/* Two fields were rounded down. */
	uint64_t tick_ns = 1000000000ULL / (uint64_t)sysconf(_SC_CLK_TCK);
	account_read_reaped(e, p);
	p->reaped_before_ns = p->reaped_ns + 2 * tick_ns;
}

/* Of the process itself. */
static uint64_t own_ns(const struct process *p)
{
	uint64_t read = p->last_cpu_ns > p->start_cpu_ns ? p->last_cpu_ns - p->start_cpu_ns : 0;
	return read > p->credited_ns ? read : p->credited_ns;
}

uint64_t account_cpu_ns(const struct process *p)
{
	uint64_t reaped = 0;
	if (!p->reaped_unsure && p->reaped_ns > p->reaped_before_ns)
		reaped = p->reaped_ns - p->reaped_before_ns;
	return own_ns(p) + (reaped > p->children_ns ? reaped : p->children_ns);
}

/* Nobody may have waited for it whose sum we read, or any of its forebears. */
static void close_orphan(struct engine *e, const struct process *p, uint64_t used_ns)
{
	e->ended_cpu_ns += used_ns;
	for (struct process *s = p->parent; s; s = s->parent)
		s->reaped_before_ns += used_ns + p->start_cpu_ns + p->reaped_before_ns;
}

void account_end(struct engine *e, struct process *p)
{
	uint64_t used_ns = account_cpu_ns(p);
	struct process *parent = p->parent;
	if (!parent || p->is_orphan) {
		close_orphan(e, p, used_ns);
	} else {
		parent->n_ended_children--;
		parent->children_ns += used_ns;
		/* What it used before we began will be in the parent's sum, too. */
		parent->reaped_before_ns += p->start_cpu_ns + p->reaped_before_ns;
		if (!parent->ended)
			account_read_reaped(e, parent);
	}
	for (size_t i = 0; p->has_children && i < e->processes.n; i++) {
		struct process *child = e->processes.items[i];
		if (child->parent != p)
			continue;
		child->parent = parent;
		child->is_orphan = true;
		if (parent)
			parent->has_children = true;
	}
}
