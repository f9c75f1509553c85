/* SPDX-License-Identifier: Apache-2.0 */
/* A thread held off its CPU because a real-time thread of ours runs there. Its registers are those
 * of the tick and its memory is what we read now, if these things hold; each catches what the
 * others miss:
 *
 *   1. the tick woke us, and we have run since: witness.c; and it is fresh (a hog above us, or
 *      real-time throttling, lets the thread run on after it);
 *   2. we run on that CPU before and after (a cpuset or a CPU going offline moves us);
 *   3. the thread has not run elsewhere.
 *
 * The third is known, after the copy, in one of these ways:
 *
 *   a. Its schedstat counts how often it was switched in. If that is once more than at its last
 *      capture, it has had one stint on a CPU, which the tick interrupted.
 *   b. No other CPU has met it as one that was moved: trigger/moves.c.
 *   c. Where these are not to be had: schedstat, read before all else, equals that after the copy,
 *      so it was not switched in meanwhile; and its last CPU is ours, so it did not run already
 *      (schedstat alone does not do: of a thread running elsewhere the CPU time changes only at
 *      timer ticks). This takes two more files in the pause, which cost most when caches are cold.
 */
#include <sched.h>
#include <string.h>

#include "copy.h"

/* Measured: 28 us at the median, 60 at the 99th percentile. */
#define MAX_LATENESS_NS 250000

/* The CPU the thread last ran on. */
#define STAT_PROCESSOR 39

/* Another sampler may have captured it after our tick: then the count says nothing. */
static bool ran_through(const struct thread *th, const struct tick *tick, const char *schedstat)
{
	return tick->time_ns > th->preempted_ns &&
	       schedstat_times_run(schedstat) == th->times_run + 1;
}

/* Nobody took the thread elsewhere since the tick, where it may run now. */
static int still_here(struct witness *w, struct thread *th, const struct tick *tick, int cpu,
                      const char *schedstat)
{
	char stat[1024];
	if (ran_through(th, tick, schedstat))
		return CAPTURED;
	if (!witness_left_in_place(w, tick))
		return LOSS_LATE;
	if (!read_kept(th->stat_fd, stat, sizeof(stat)))
		return LOSS_GONE;
	return stat_number(stat, STAT_PROCESSOR) == (uint64_t)cpu ? CAPTURED : LOSS_MOVED;
}

/* What must be known before the copy when moves are not told. */
static int prove_before(struct witness *w, struct thread *th, const struct tick *tick, int cpu,
                        char before[SCHEDSTAT_TEXT])
{
	if (!read_kept(th->schedstat_fd, before, SCHEDSTAT_TEXT))
		return LOSS_GONE;
	return witness_woken_by(w, tick) ? still_here(w, th, tick, cpu, before) : LOSS_LATE;
}

/* What must be known after it. before: NULL when moves are told. */
static int prove_after(struct capture *c, struct witness *w, struct thread *th,
                       const struct tick *tick, int cpu, const char *before, const char *after)
{
	if (sched_getcpu() != cpu)
		return LOSS_MOVED;
	if (before)
		return strcmp(before, after) == 0 ? CAPTURED : LOSS_MOVED;
	if (!witness_woken_by(w, tick))
		return LOSS_LATE;
	if (ran_through(th, tick, after))
		return CAPTURED;
	return moves_ran_elsewhere(c->moves, cpu, tick->tid, tick->time_ns) ? LOSS_MOVED : CAPTURED;
}

int capture_preempt(struct capture *c, struct witness *w, struct thread *th,
                    const struct tick *tick, int cpu, struct snapshot *snap, uint32_t capacity)
{
	char before[SCHEDSTAT_TEXT], after[SCHEDSTAT_TEXT];
	bool told = moves_valid(c->moves);
	if (!regs_known(&tick->regs, REG_SP))
		return LOSS_NO_REGS;
	if (tick->time_ns <= w->sleep_ns || now_ns() - tick->time_ns > MAX_LATENESS_NS)
		return LOSS_LATE;
	if (sched_getcpu() != cpu)
		return LOSS_MOVED;
	int result = told ? CAPTURED : prove_before(w, th, tick, cpu, before);
	snap->regs = tick->regs;
	snap->pid = tick->pid;
	snap->tid = tick->tid;
	if (result == CAPTURED)
		result = copy_memory(c, th, snap, capacity);
	if (result == CAPTURED && !read_kept(th->schedstat_fd, after, sizeof(after)))
		result = LOSS_GONE;
	if (result == CAPTURED)
		result = prove_after(c, w, th, tick, cpu, told ? NULL : before, after);
	if (result != CAPTURED)
		return result;
	uint64_t cpu_ns = schedstat_cpu_ns(after);
	snap->time_ns = tick->time_ns;
	snap->by = BY_PREEMPT;
	snap->state = 'R';
	snap->syscall = -1;
	snap->cpu_ns = cpu_ns > th->credited_ns ? cpu_ns - th->credited_ns : 0;
	th->credited_ns += snap->cpu_ns;
	th->times_run = schedstat_times_run(after);
	th->preempted_ns = tick->time_ns;
	th->asleep_text[0] = '\0';
	snap->n_kernel = tick->n_kernel;
	memcpy(snap->kernel, tick->kernel, tick->n_kernel * sizeof(*tick->kernel));
	return CAPTURED;
}
