/* SPDX-License-Identifier: Apache-2.0 */
/* A pause of sampling, for as long as we are suspended: whoever stops us while a thread is held by
 * ptrace would stop that thread with us. What happens meanwhile does not count. */
#include <unistd.h>

#include "internal.h"

/* A thread that was asked to stop and sleeps in the kernel for longer than this. */
#define SETTLE_NS 2000000000ULL

static bool any_capturing(const struct engine *e)
{
	for (size_t i = 0; i < e->n_samplers; i++)
		if (e->samplers[i] && e->samplers[i]->started &&
		    atomic_load(&e->samplers[i]->capturing))
			return true;
	return false;
}

static void let_samplers_go(struct engine *e)
{
	atomic_store(&e->shared.held, false);
	for (size_t i = 0; i < e->n_samplers; i++) {
		struct sampler *s = e->samplers[i];
		if (!s || !s->ring)
			continue;
		s->clock_ns = 0; /* it stood still for our sake, not because its CPU is offline */
		err_free(perf_ring_enable(s->ring)); /* else it is offline by now */
	}
}

void engine_note_clocks(struct engine *e)
{
	for (size_t i = 0; i < threads_count(e->shared.threads); i++) {
		struct thread *th = threads_at(e->shared.threads, i);
		if (!thread_cpu_ns(th, &th->final_ns))
			th->final_ns = 0;
	}
	for (size_t i = 0; i < e->processes.n; i++)
		if (!e->processes.items[i]->ended)
			process_read_clock(e, e->processes.items[i]);
}

bool engine_hold(struct engine *e)
{
	if (!e->started || e->stopped || e->hold_ns)
		return true;
	atomic_fetch_add(&e->shared.holds, 1);
	atomic_store(&e->shared.held, true);
	for (size_t i = 0; i < e->n_samplers; i++)
		if (e->samplers[i] && e->samplers[i]->ring)
			perf_ring_disable(e->samplers[i]->ring);
	uint64_t end = now_ns() + SETTLE_NS;
	while (any_capturing(e)) {
		if (now_ns() > end) {
			let_samplers_go(e);
			return false;
		}
		usleep(500);
	}
	e->hold_ns = now_ns();
	engine_note_clocks(e); /* for what is to be left out later */
	return true;
}

static void skip_threads(struct engine *e, uint64_t held_ns)
{
	uint64_t cpu_ns;
	for (size_t i = 0; i < threads_count(e->shared.threads); i++) {
		struct thread *th = threads_at(e->shared.threads, i);
		th->observed_ns += held_ns;
		if (th->final_ns && thread_cpu_ns(th, &cpu_ns) && cpu_ns > th->final_ns)
			th->credited_ns += cpu_ns - th->final_ns;
		th->final_ns = 0;
	}
}

static void skip_process(struct engine *e, struct process *p)
{
	uint64_t cpu_ns = p->last_cpu_ns, reaped_ns = p->reaped_ns;
	process_read_clock(e, p);
	p->start_cpu_ns += p->last_cpu_ns - cpu_ns;
	p->reaped_before_ns += p->reaped_ns - reaped_ns;
	process_rescan_threads(e, p, false); /* those that are new have a past */
	p->maps_dirty = true;
}

void engine_resume(struct engine *e)
{
	if (!e->hold_ns)
		return;
	uint64_t held_ns = now_ns() - e->hold_ns;
	skip_threads(e, held_ns);
	for (size_t i = 0; i < e->processes.n; i++)
		if (!e->processes.items[i]->ended)
			skip_process(e, e->processes.items[i]);
	e->held_ns += held_ns;
	e->hold_ns = 0;
	let_samplers_go(e);
}
