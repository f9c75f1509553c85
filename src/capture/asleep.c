/* SPDX-License-Identifier: Apache-2.0 */
/* A blocked thread: the kernel tells its pc and stack pointer, and its memory lies still. The same
 * syscall text before and after proves nothing (a loop sleeps in the same place again); the same
 * schedstat does, since it is current for a thread that is off its CPU and counts each run. */
#include <stdlib.h>
#include <string.h>

#include "copy.h"

/* proc(5), /proc/PID/syscall: "running"; "-1 sp pc" when blocked outside a system call; else the
 * number, six arguments, sp and pc. */
static int parse_syscall(const char *text, struct snapshot *snap)
{
	if (*text == 'r')
		return LOSS_RUNNING;
	char *p;
	snap->syscall = (int32_t)strtol(text, &p, 10);
	for (int i = 0; snap->syscall >= 0 && i < 6; i++)
		strtoull(p, &p, 16);
	uint64_t sp = strtoull(p, &p, 16), pc = strtoull(p, &p, 16);
	if (!sp || !pc)
		return LOSS_GONE; /* a zombie reads "-1 0x0 0x0" */
	snap->regs.valid = 0;
	regs_set(&snap->regs, REG_SP, sp);
	regs_set(&snap->regs, REG_PC, pc);
	return CAPTURED;
}

int capture_asleep(struct capture *c, struct thread *th, struct snapshot *snap, uint32_t capacity)
{
	char schedstat[SCHEDSTAT_TEXT], syscall[256], schedstat_after[SCHEDSTAT_TEXT],
	        syscall_after[256];
	snap->time_ns = now_ns();
	snap->pid = c->pid;
	snap->tid = th->tid;
	if (!read_kept(th->schedstat_fd, schedstat, sizeof(schedstat)) ||
	    !read_kept(th->syscall_fd, syscall, sizeof(syscall)))
		return LOSS_GONE;
	int result = parse_syscall(syscall, snap);
	if (result == CAPTURED)
		result = copy_memory(c, th, snap, capacity);
	if (result != CAPTURED)
		return result;
	if (c->while_held)
		c->while_held(c->while_held_arg, snap);
	if (!read_kept(th->syscall_fd, syscall_after, sizeof(syscall_after)) ||
	    !read_kept(th->schedstat_fd, schedstat_after, sizeof(schedstat_after)))
		return LOSS_GONE;
	if (strcmp(syscall, syscall_after) != 0 || strcmp(schedstat, schedstat_after) != 0)
		return LOSS_MOVED;
	uint64_t cpu_ns = schedstat_cpu_ns(schedstat);
	snap->by = BY_ASLEEP;
	snap->state = 'S';
	snap->pause_ns = 0;
	snap->n_kernel = 0;
	snap->cpu_ns = cpu_ns > th->credited_ns ? cpu_ns - th->credited_ns : 0;
	th->credited_ns += snap->cpu_ns;
	memcpy(th->asleep_text, schedstat, sizeof(schedstat));
	return CAPTURED;
}
