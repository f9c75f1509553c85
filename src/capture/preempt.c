/* SPDX-License-Identifier: Apache-2.0 */
/* A thread held off its CPU because a real-time thread of ours runs there. Its registers are those
 * of the tick and its memory is what we read now, if these things hold; each catches what the
 * others miss:
 *
 *   1. schedstat, before all else: whatever lets the thread run from here on shows in 5;
 *   2. the tick woke us: witness.c; and it is fresh (a hog above us, or real-time throttling, lets
 *      the thread run on after it);
 *   3. we run on that CPU before and after (a cpuset or a CPU going offline moves us);
 *   4. the thread's last CPU is ours, so it does not run now;
 *   5. schedstat after equals that before: it was not switched in while we copied.
 *
 * schedstat alone does not do: of a thread running elsewhere it changes only at timer ticks.
 *
 * Reading 4 is most of the time all that takes, and a thread that ran through since its last
 * capture does without: schedstat counts how often it was switched in. If that is once more than
 * then, the thread has had one stint on a CPU, which the tick interrupted and we ended; where it
 * waits now does not matter, nor whether it was moved. So for it 2, 3 and that count, after the
 * copy, are the proof. */
#include <sched.h>
#include <string.h>

#include "copy.h"

/* Measured: 28 us at the median, 60 at the 99th percentile. */
#define MAX_LATENESS_NS 250000

/* The CPU the thread last ran on. */
#define STAT_PROCESSOR 39

static void fill(struct snapshot *snap, struct thread *th, const struct tick *tick,
                 const char *schedstat)
{
	uint64_t cpu_ns = schedstat_cpu_ns(schedstat), times_run = schedstat_times_run(schedstat);
	snap->pid = tick->pid;
	snap->tid = tick->tid;
	snap->time_ns = tick->time_ns;
	snap->by = BY_PREEMPT;
	snap->state = 'R';
	snap->syscall = -1;
	snap->cpu_ns = cpu_ns > th->credited_ns ? cpu_ns - th->credited_ns : 0;
	th->credited_ns += snap->cpu_ns;
	th->ran_through = times_run == th->times_run + 1;
	th->times_run = times_run;
	th->preempted_ns = tick->time_ns;
	th->asleep_text[0] = '\0';
	snap->n_kernel = tick->n_kernel;
	memcpy(snap->kernel, tick->kernel, tick->n_kernel * sizeof(*tick->kernel));
}

int capture_preempt(struct capture *c, struct witness *w, struct thread *th,
                    const struct tick *tick, int cpu, struct snapshot *snap, uint32_t capacity)
{
	char before[SCHEDSTAT_TEXT], after[SCHEDSTAT_TEXT], stat[1024];
	if (!regs_known(&tick->regs, REG_SP))
		return LOSS_NO_REGS;
	int result = sched_getcpu() == cpu ? CAPTURED : LOSS_MOVED;
	snap->regs = tick->regs;
	/* It did last time; another sampler may have captured it after our tick. */
	bool ran_through = th->ran_through && tick->time_ns > th->preempted_ns;
	if (ran_through && result == CAPTURED)
		result = copy_memory(c, th, snap, capacity);
	if (result != CAPTURED)
		return result;
	if (!read_kept(th->schedstat_fd, before, sizeof(before)))
		return LOSS_GONE;
	if (!witness_woken_by(w, tick) || now_ns() - tick->time_ns > MAX_LATENESS_NS)
		return LOSS_LATE;
	if (ran_through && schedstat_times_run(before) == th->times_run + 1 &&
	    sched_getcpu() == cpu) {
		fill(snap, th, tick, before);
		return CAPTURED;
	}
	if (!witness_left_in_place(w, tick))
		return LOSS_LATE;
	if (!read_kept(th->stat_fd, stat, sizeof(stat)))
		return LOSS_GONE;
	if (stat_number(stat, STAT_PROCESSOR) != (uint64_t)cpu)
		return LOSS_MOVED;
	result = copy_memory(c, th, snap, capacity);
	if (result != CAPTURED)
		return result;
	if (!read_kept(th->schedstat_fd, after, sizeof(after)))
		return LOSS_GONE;
	if (strcmp(before, after) != 0 || sched_getcpu() != cpu)
		return LOSS_MOVED;
	fill(snap, th, tick, after);
	return CAPTURED;
}
