/* SPDX-License-Identifier: Apache-2.0 */
/* The CPU clock of one CPU as a perf ring: the least a floor needs of perf_event_open. */
#ifndef BENCH_RING_H
#define BENCH_RING_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

/* General registers by DWARF number, the program counter behind them. */
#if defined(__x86_64__)
#define RING_REGS 17
#define RING_SP   7
#define RING_PC   16
#elif defined(__aarch64__)
#define RING_REGS 33
#define RING_SP   31
#define RING_PC   32
#else
#error "the floors know x86_64 and aarch64"
#endif

struct ring {
	int fd;
	void *page; /* the perf_event_mmap_page, the data behind it */
	uint64_t data_bytes;
};

struct ring_sample {
	pid_t pid, tid;
	uint64_t time_ns; /* CLOCK_MONOTONIC */
	uint64_t regs[RING_REGS];
};

/* Opens, maps and enables a software clock of the given period on cpu, for all processes. False,
 * with errno, when refused (needs CAP_PERFMON or perf_event_paranoid <= 0). */
bool ring_open(struct ring *ring, int cpu, uint64_t period_ns);
void ring_close(struct ring *ring);
/* The next sample that has user registers; false when the ring is empty. */
bool ring_next(struct ring *ring, struct ring_sample *ret);

#endif
