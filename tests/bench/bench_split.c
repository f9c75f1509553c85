/* SPDX-License-Identifier: Apache-2.0 */
/* 70, 20 and 10 percent of its CPU time in three functions, by its own CPU clock, in phases much
 * longer than a sampling period, so that the error seen is the profiler's and not that of counting.
 */
#include <stdint.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

#define PHASE_NS 1000000ULL

static volatile uint64_t sink;

static uint64_t cpu_ns(void)
{
	struct timespec ts;
	clock_gettime(CLOCK_THREAD_CPUTIME_ID, &ts);
	return (uint64_t)ts.tv_sec * 1000000000 + (uint64_t)ts.tv_nsec;
}

static inline void work_until(uint64_t end)
{
	while (cpu_ns() < end)
		for (int i = 0; i < 2000; i++)
			sink += (uint64_t)i;
}

__attribute__((noinline)) static void seventy(uint64_t end)
{
	work_until(end);
	sink += 7;
}

__attribute__((noinline)) static void twenty(uint64_t end)
{
	work_until(end);
	sink += 2;
}

__attribute__((noinline)) static void ten(uint64_t end)
{
	work_until(end);
	sink += 1;
}

int main(int argc, char **argv)
{
	uint64_t at = cpu_ns();

	alarm(argc > 1 ? (unsigned)strtoul(argv[1], NULL, 10) : 60);
	for (;;) {
		seventy(at += 70 * PHASE_NS);
		twenty(at += 20 * PHASE_NS);
		ten(at += 10 * PHASE_NS);
	}
}
