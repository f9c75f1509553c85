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
 * 4 takes most of the time, and a thread that ran through since its last capture does without:
 * schedstat counts how often it was switched in. If that is once more than then, it has had one
 * stint on a CPU, which the tick interrupted; where it waits now does not matter, nor whether it
 * was moved. */
#include <sched.h>
#include <string.h>

#include "copy.h"

/* Measured: 28 us at the median, 60 at the 99th percentile. */
#define MAX_LATENESS_NS 250000

/* The CPU the thread last ran on. */
#define STAT_PROCESSOR 39

/* Nobody took the thread elsewhere since the tick, where it may run now. */
static int still_here(struct witness *w, struct thread *th, const struct tick *tick, int cpu,
                      const char *schedstat)
{
	char stat[1024];
	/* Another sampler may have captured it after our tick: then the count says nothing. */
	if (tick->time_ns > th->preempted_ns && schedstat_times_run(schedstat) == th->times_run + 1)
		return CAPTURED;
	if (!witness_left_in_place(w, tick))
		return LOSS_LATE;
	if (!read_kept(th->stat_fd, stat, sizeof(stat)))
		return LOSS_GONE;
	return stat_number(stat, STAT_PROCESSOR) == (uint64_t)cpu ? CAPTURED : LOSS_MOVED;
}

int capture_preempt(struct capture *c, struct witness *w, struct thread *th,
                    const struct tick *tick, int cpu, struct snapshot *snap, uint32_t capacity)
{
	char before[SCHEDSTAT_TEXT], after[SCHEDSTAT_TEXT];
	if (!regs_known(&tick->regs, REG_SP))
		return LOSS_NO_REGS;
	if (!read_kept(th->schedstat_fd, before, sizeof(before)))
		return LOSS_GONE;
	if (!witness_woken_by(w, tick) || now_ns() - tick->time_ns > MAX_LATENESS_NS)
		return LOSS_LATE;
	if (sched_getcpu() != cpu)
		return LOSS_MOVED;
	int result = still_here(w, th, tick, cpu, before);
	snap->regs = tick->regs;
	snap->pid = tick->pid;
	snap->tid = tick->tid;
	if (result == CAPTURED)
		result = copy_memory(c, th, snap, capacity);
	if (result != CAPTURED)
		return result;
	if (!read_kept(th->schedstat_fd, after, sizeof(after)))
		return LOSS_GONE;
	if (strcmp(before, after) != 0 || sched_getcpu() != cpu)
		return LOSS_MOVED;
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
