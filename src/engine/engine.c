/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <string.h>
#include <sys/epoll.h>
#include <time.h>
#include <unistd.h>

#include <csample/log.h>
#include <csample/recorded.h>

#include "internal.h"

/* Around an exec a sample has the registers of one program and the memory of the other. */
#define EXEC_TORN_NS         300000
#define MAPS_MIN_INTERVAL_NS 10000000ULL

/* As start times of processes are told. */
static uint64_t ticks_since_boot(void)
{
	struct timespec ts;
	clock_gettime(CLOCK_BOOTTIME, &ts);
	uint64_t per_second = (uint64_t)sysconf(_SC_CLK_TCK);
	return (uint64_t)ts.tv_sec * per_second + (uint64_t)ts.tv_nsec * per_second / 1000000000ULL;
}

static struct err *start_samplers(struct engine *e)
{
	struct err *err = NULL;
	e->started = true;
	for (size_t i = 0; i < e->n_samplers && !err; i++)
		if (e->samplers[i])
			err = sampler_start(e->samplers[i]);
	for (size_t i = 0; i < e->n_samplers && !err; i++) {
		struct sampler *s = e->samplers[i];
		if (s)
			sampler_wait_started(s);
		if (s && s->ring)
			err = perf_ring_enable(s->ring);
	}
	return err;
}

/* Of this program. The worker has its priority while there are any. */
static unsigned n_running;

void engine_prepare(struct engine *e)
{
	for (size_t i = 0; i < e->processes.n; i++)
		process_rescan_threads(e, e->processes.items[i], e->config.until_exec);
	if (e->orphans && !e->config.until_exec)
		family_find(e);
	/* Takes its time, too, and what is sampled before it cannot be decoded. */
	for (size_t i = 0; i < e->processes.n; i++)
		if (e->processes.items[i]->decoding)
			decoding_refresh(e->processes.items[i]->decoding);
	engine_prepare_images(e);
}

struct err *engine_start(struct engine *e)
{
	engine_prepare(e);
	for (size_t i = 0; i < e->processes.n && !e->config.until_exec; i++)
		process_read_baseline(e, e->processes.items[i]);
	getrusage(RUSAGE_SELF, &e->self_start);
	e->start_ns = now_ns();
	e->start_ticks = ticks_since_boot();
	e->rescan_ns = e->start_ns;
	/* The worker should get its turn on a busy machine; what it uses in all stays the same. */
	if (!n_running++)
		setpriority(PRIO_PROCESS, 0, -5);
	struct err *err = start_samplers(e);
	if (err)
		return err;
	for (size_t i = 0; i < e->processes.n && i < FEW; i++)
		process_note_anonymous(e, e->processes.items[i]);
	engine_prepare_images(e);
	return NULL;
}

/* Where the thread's stack begins tells how much to copy next time. Where that does not hold
 * (coroutines), what this stack needed and a quarter more, falling slowly; four times as much when
 * it was too little. */
static void learn_copy_size(struct engine *e, const struct snapshot *snap)
{
	struct thread *th = threads_find(e->shared.threads, snap->tid);
	if (!th || !e->stack.n)
		return;
	bool learned = atomic_load(&th->learned);
	uint32_t copy = learned ? atomic_load(&th->copy_bytes) : snap->regions[0].len;
	if (e->stack.end == STACK_SHORT) {
		copy = copy > STACK_MAX_COPY / 4 ? STACK_MAX_COPY : copy * 4;
	} else if (e->stack.end == STACK_ROOT) {
		uint64_t root = 0;
		for (size_t i = 0; i < e->stack.n; i++)
			if (e->stack.cfas[i] > root)
				root = e->stack.cfas[i];
		uint64_t used = root - snap->regs.r[REG_SP];
		if (used > STACK_MAX_COPY)
			return;
		atomic_store(&th->stack_root, root);
		uint32_t want = (uint32_t)(used + used / 4 + 1024 + 4095) & ~(uint32_t)4095;
		copy = want >= copy || !learned ? want : copy - (copy - want + 15) / 16;
	}
	if (copy < STACK_MIN_COPY)
		copy = STACK_MIN_COPY;
	if (copy > STACK_MAX_COPY)
		copy = STACK_MAX_COPY;
	atomic_store(&th->copy_bytes, copy);
	atomic_store(&th->learned, true);
}

static bool is_torn_by_exec(const struct process *p, const struct snapshot *snap)
{
	uint64_t exec = p->exec_ns && snap->time_ns >= p->last_exec_ns + EXEC_TORN_NS
	                        ? p->exec_ns
	                        : p->last_exec_ns;
	uint64_t apart = snap->time_ns > exec ? snap->time_ns - exec : exec - snap->time_ns;
	return exec && apart < EXEC_TORN_NS;
}

static void count_decoded(struct stats *stats, const struct decoded *decoded)
{
	struct runtime_stats *of = decoded->ops ? stats_runtime(stats, decoded->ops->name) : NULL;
	if (!of)
		return;
	of->stacks += decoded->n_frames > 0;
	of->starting += decoded->end == WALK_STARTING;
	of->truncated += decoded->end == WALK_TRUNCATED;
	of->torn += decoded->end == WALK_TORN;
	of->unmerged += decoded->unmerged;
}

/* Whether a stack has frames that only the process's own notes can name. */
static bool has_anonymous(const struct stack *stack)
{
	for (size_t i = 0; i < stack->n; i++)
		if (stack->frames[i].kind == RAW_ANON)
			return true;
	return false;
}

/* A sample that goes its way: a guess counts now, and the thread's own clock less by it later. What
 * is guessed of a sample that does not is left to that clock. */
static void count_guess(struct engine *e, struct process *p, const struct snapshot *snap)
{
	if (!snap->guessed)
		return;
	p->credited_ns += snap->cpu_ns;
	debts_add(&e->debts, snap->tid, snap->cpu_ns);
}

/* One snapshot, left to right. */
static void take_sample(struct engine *e, struct process *p, struct snapshot *snap)
{
	if (!snap->guessed)
		snap->cpu_ns = debts_pay(&e->debts, snap->tid, snap->cpu_ns);
	p->credited_ns += p->execed && !snap->guessed ? snap->cpu_ns : 0;
	p->sampled = true;
	if (!p->execed || is_torn_by_exec(p, snap)) {
		e->stats.lost[LOSS_EXEC] += p->execed;
		return;
	}
	/* What runs is code: if the maps do not say so, they are old, or were read while a page of
	 * generated code was made writable. */
	const struct mapping *m = maps_find(&p->target->maps, snap->regs.r[REG_PC]);
	bool known = m && m->executable;
	if ((p->maps_dirty || !known) && now_ns() - p->maps_read_ns > MAPS_MIN_INTERVAL_NS) {
		process_refresh_maps(e, p);
		engine_drain_sideband(e); /* have we read what comes after an exec? */
	}
	if (p->maps_ahead && snap->time_ns < p->exec_ns) {
		e->stats.lost[LOSS_EXEC]++;
		return;
	}
	if (p->maps_unknown) {
		e->stats.lost[LOSS_GONE]++;
		return;
	}
	if (e->sink.snapshots)
		err_free(
		        recorded_write(e->sink.snapshots, snap)); /* the caller checks the stream */
	stack_reset(&e->stack);
	for (unsigned i = 0; i < snap->n_kernel; i++)
		stack_push(&e->stack,
		           (struct raw_frame){.kind = RAW_KERNEL, .addr = snap->kernel[i]}, 0);
	unwind(e->unwinder, &p->target->maps, (uint32_t)p->space.pid, snap, &e->stack);
	learn_copy_size(e, snap);
	struct decoded decoded = {0};
	if (p->decoding)
		decoded = decode(p->decoding, snap, &e->stack);
	if (!p->has_anonymous && has_anonymous(&e->stack))
		process_note_anonymous(e, p);
	count_decoded(&e->stats, &decoded);
	if (!e->stats.samples)
		e->stats.first_sample_ns = snap->time_ns - e->config.launched_ns;
	e->stats.samples += 1 + snap->prior_repeats;
	e->stats.captured[snap->by]++;
	e->stats.ends[e->stack.end]++;
	e->stats.reads += snap->reads;
	count_guess(e, p, snap);
	if (snap->prior_repeats)
		e->sink.on_repeat(e->sink.arg, snap->tid, snap->prior_repeats, snap->prior_wall_ns);
	e->sink.on_stack(e->sink.arg, snap, &e->stack, &decoded);
}

/* The oldest snapshot that has arrived, and its queue; NULL: there is none. */
static const struct snapshot *oldest_snapshot(struct engine *e, struct queue **queue_ret)
{
	const struct snapshot *first = NULL;
	for (size_t i = 0; i < e->n_samplers; i++) {
		const struct snapshot *snap =
		        e->samplers[i] ? queue_peek(e->samplers[i]->queue) : NULL;
		if (snap && (!first || snap->time_ns < first->time_ns)) {
			first = snap;
			*queue_ret = e->samplers[i]->queue;
		}
	}
	return first;
}

/* All snapshots that have arrived, in the order of their times. */
static void drain_queues(struct engine *e)
{
	struct queue *queue = NULL;
	const struct snapshot *snap;
	while ((snap = oldest_snapshot(e, &queue))) {
		struct process *p = process_find(e, snap->pid);
		if (!p && e->orphans)
			p = family_meet(e, snap->pid);
		if (p && p->exec_ns && snap->time_ns >= p->exec_ns)
			process_act_on_exec(e, p);
		if (p)
			take_sample(e, p,
			            (struct snapshot *)(uintptr_t)snap); /* ours until popped */
		else
			e->stats.lost[LOSS_GONE]++;
		queue_pop(queue);
	}
	for (size_t i = 0; e->n_execs && i < e->processes.n; i++)
		if (e->processes.items[i]->exec_ns)
			process_act_on_exec(e, e->processes.items[i]);
}

/* Those whose pidfd says so. */
static void note_ended(struct engine *e)
{
	struct epoll_event events[64];
	int n;
	do {
		n = epoll_wait(e->ended_fd, events, 64, 0);
		for (int i = 0; i < n; i++)
			process_end(e, events[i].data.ptr);
	} while (n == 64);
	for (size_t i = 0; i < e->processes.n && i < FEW; i++) {
		struct process *p = e->processes.items[i];
		if (p->target->pid_fd < 0 && !p->ended && !target_alive(p->target))
			process_end(e, p);
	}
}

bool engine_poll(struct engine *e, int timeout_ms)
{
	bool by_side = engine_wait(e, timeout_ms);
	engine_drain_sideband(e);
	ear_turn(&e->ear, now_ns());
	note_ended(e);
	drain_queues(e);
	process_sweep(e);
	engine_look_around(e);
	e->sleep_ms = engine_watch_young(e);
	threads_collect(e->shared.threads);
	/* A target that creates threads all the time wakes us for each: not more than once a ms. */
	if (by_side && timeout_ms > 1)
		usleep(1000);
	return e->n_alive > 0;
}

/* What no snapshot has carried. */
static void settle_threads(struct engine *e)
{
	for (size_t i = 0; i < threads_count(e->shared.threads); i++) {
		struct thread *th = threads_at(e->shared.threads, i);
		if (th->repeats)
			e->sink.on_repeat(e->sink.arg, th->tid, th->repeats, th->repeats_wall_ns);
		e->stats.samples += th->repeats;
		if (!e->sink.on_thread_end)
			continue;
		uint64_t left = th->final_ns > th->credited_ns ? th->final_ns - th->credited_ns : 0;
		left = debts_pay(&e->debts, th->tid, left);
		e->sink.on_thread_end(e->sink.arg, th->tid, th->final_ns > 0, left);
	}
}

void engine_stop(struct engine *e)
{
	if (!e->started || e->stopped)
		return;
	uint64_t one = 1;
	for (size_t i = 0; i < e->n_samplers; i++)
		if (e->samplers[i] && e->samplers[i]->ring)
			perf_ring_disable(e->samplers[i]->ring);
	if (write(e->shared.stop_fd, &one, sizeof(one)) < 0)
		log_debug(LOG_CAPTURE, "stop: %s", strerror(errno));
	for (size_t i = 0; i < e->n_samplers; i++)
		if (e->samplers[i] && !sampler_join(e->samplers[i]))
			e->abandoned = true;
	if (e->abandoned)
		log_warn("a sampler thread does not end (its CPU is kept by others); going on "
		         "without it");
	/* What is used after a hold is not ours to count. */
	if (!e->hold_ns)
		engine_note_clocks(e);
	e->stop_ns = e->hold_ns ? e->hold_ns : now_ns();
	engine_drain_sideband(e);
	note_ended(e); /* after the clocks: what is in a parent's sum must not count as alive */
	drain_queues(e);
	threads_collect(e->shared.threads);
	process_sweep(e);
	e->stopped = true;
	settle_threads(e);
	if (!--n_running)
		setpriority(PRIO_PROCESS, 0, 0);
	if (atomic_load(&e->shared.rt_lost))
		log_warn("a sampler ran longer than it may at real-time priority and went on "
		         "without it");
}

static uint64_t rusage_ns(const struct rusage *r)
{
	return ((uint64_t)r->ru_utime.tv_sec + (uint64_t)r->ru_stime.tv_sec) * 1000000000ULL +
	       ((uint64_t)r->ru_utime.tv_usec + (uint64_t)r->ru_stime.tv_usec) * 1000ULL;
}

void engine_add_counts(const struct engine *e, const struct sampler *s, struct stats *stats,
                       uint64_t *ticks)
{
	if (!e->shared.wall || s->kind == SAMPLER_TIMER)
		*ticks += atomic_load(&s->counts.ticks);
	for (unsigned k = 0; k < LOSSES; k++)
		stats->lost[k] += atomic_load(&s->counts.lost[k]);
	histogram_merge(&stats->pause, &s->pause);
}

static void sum_up(struct engine *e, struct stats *ret)
{
	struct rusage self;
	uint64_t ticks = e->retired_ticks;
	*ret = e->stats;
	for (size_t i = 0; i < e->n_samplers; i++)
		if (e->samplers[i])
			engine_add_counts(e, e->samplers[i], ret, &ticks);
	uint64_t end = e->stop_ns ? e->stop_ns : now_ns();
	if (e->hold_ns)
		end = e->hold_ns;
	ret->duration_ns = end - e->start_ns - e->held_ns;
	ret->target_cpu_ns = e->ended_cpu_ns;
	for (size_t i = 0; i < e->processes.n; i++)
		ret->target_cpu_ns += account_cpu_ns(e->processes.items[i]);
	ret->processes = e->n_processes;
	getrusage(RUSAGE_SELF, &self);
	ret->self_cpu_ns = rusage_ns(&self) - rusage_ns(&e->self_start);
	ret->self_rss_bytes = (uint64_t)self.ru_maxrss * 1024;
	ret->rate_asked = e->config.rate_hz;
	uint64_t base = e->shared.wall || !e->has_perf ? ret->duration_ns : ret->target_cpu_ns;
	ret->rate_reached = base ? (double)ticks * 1e9 / (double)base : 0;
}

/* A thread may run on, and be captured, while it is looked at: it then seems to have more to carry
 * than it has, never less. */
static uint64_t uncarried_ns(struct engine *e)
{
	uint64_t sum = 0, cpu_ns;
	for (size_t i = 0; i < threads_count(e->shared.threads); i++) {
		struct thread *th = threads_at(e->shared.threads, i);
		uint64_t credited = __atomic_load_n(&th->credited_ns, __ATOMIC_RELAXED);
		credited += debts_of(&e->debts, th->tid);
		if (thread_cpu_ns(th, &cpu_ns) && cpu_ns > credited)
			sum += cpu_ns - credited;
	}
	return sum;
}

/* What sleepers have slept through so far, but for those a sampler is just looking at. */
static void collect_repeats(struct engine *e)
{
	for (size_t i = 0; e->shared.wall && i < threads_count(e->shared.threads); i++) {
		struct thread *th = threads_at(e->shared.threads, i);
		if (!thread_try_hold(th))
			continue;
		uint64_t n = th->repeats, wall_ns = th->repeats_wall_ns;
		th->repeats = th->repeats_wall_ns = 0;
		thread_release(th);
		if (n)
			e->sink.on_repeat(e->sink.arg, th->tid, n, wall_ns);
		e->stats.samples += n;
	}
}

void engine_checkpoint(struct engine *e, struct stats *ret)
{
	for (size_t i = 0; i < e->processes.n; i++)
		if (!e->processes.items[i]->ended)
			process_read_clock(e, e->processes.items[i]);
	uint64_t uncarried = uncarried_ns(e);
	engine_drain_sideband(e);
	note_ended(e);
	drain_queues(e);    /* what was credited to threads above has become stacks */
	collect_repeats(e); /* of what has just been worked off */
	process_sweep(e);
	sum_up(e, ret);
	ret->uncarried_ns = uncarried;
}

size_t engine_pids(const struct engine *e, pid_t *ret, size_t max)
{
	size_t n = 0;
	for (size_t i = 0; i < e->processes.n && n < max; i++)
		if (!e->processes.items[i]->ended)
			ret[n++] = e->processes.items[i]->space.pid;
	return n;
}

void engine_get_stats(struct engine *e, struct stats *ret)
{
	if (e->started && !e->stopped && !e->hold_ns)
		engine_read_clocks(e);
	sum_up(e, ret);
}
