/* SPDX-License-Identifier: Apache-2.0 */
/* What the two floors share: the command line, a histogram of pauses, and one thread per CPU. */
#ifndef BENCH_FLOOR_H
#define BENCH_FLOOR_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <sys/types.h>

#include "ring.h"

#define FLOOR_COPY (16 * 1024)

struct floor {
	pid_t pid;
	double rate_hz;
	double seconds;
	bool fifo;       /* SCHED_FIFO */
	bool pinned;     /* each sampler on the CPU whose clock it reads */
	FILE *snapshots; /* NULL: not wanted */
	/* One capture: true when done, with the pause ended before it returns. */
	bool (*capture)(const struct floor *f, const struct ring_sample *sample,
	                uint64_t regs[RING_REGS], void *copy, size_t *copied_ret,
	                uint64_t *released_ns_ret);
};

/* Samples until the time is over or the target gone and prints one JSON object. Returns the exit
 * status. f holds the defaults; the command line may change them:
 * PID [--rate HZ] [--seconds S] [--fifo | --other] [--snapshots FILE] */
int floor_main(struct floor *f, int argc, char **argv);
uint64_t floor_now_ns(void);
/* FLOOR_COPY bytes or what of them is mapped, from addr up; bytes read, 0 when none. */
size_t floor_copy(pid_t pid, uint64_t addr, void *buf);

#endif
