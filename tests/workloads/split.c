/* SPDX-License-Identifier: Apache-2.0 */
/* 70%, 20% and 10% of its CPU time in three functions: the one furthest behind its share runs next.
 * split [SECONDS]; at the end, or on SIGTERM, prints the shares by the thread's own CPU clock. */
#include <signal.h>
#include <stddef.h>

#include "workload.h"

static volatile sig_atomic_t stop;
static volatile uint64_t sink;

static void on_term(int sig)
{
	(void)sig;
	stop = 1;
}

NOINLINE static void seventy(void)
{
	sink = rounds(10000000, sink + 1);
}

NOINLINE static void twenty(void)
{
	sink = rounds(10000000, sink + 2);
}

NOINLINE static void ten(void)
{
	sink = rounds(10000000, sink + 3);
}

static const struct {
	const char *name;
	void (*run)(void);
	double share;
} parts[] = {{"seventy", seventy, 0.7}, {"twenty", twenty, 0.2}, {"ten", ten, 0.1}};
#define N_PARTS (sizeof(parts) / sizeof(parts[0]))

NOINLINE static void work(uint64_t until, double used[N_PARTS])
{
	double total = 0;
	uint64_t before = now_ns(CLOCK_THREAD_CPUTIME_ID);
	while (!stop && now_ns(CLOCK_MONOTONIC) < until) {
		size_t next = 0;
		for (size_t i = 1; i < N_PARTS; i++)
			if (parts[i].share * total - used[i] >
			    parts[next].share * total - used[next])
				next = i;
		parts[next].run();
		uint64_t after = now_ns(CLOCK_THREAD_CPUTIME_ID);
		used[next] += (double)(after - before);
		total += (double)(after - before);
		before = after;
	}
}

int main(int argc, char **argv)
{
	double seconds = argc > 1 ? atof(argv[1]) : 100;
	double used[N_PARTS] = {0}, total = 0;
	signal(SIGTERM, on_term);
	ready();
	work(now_ns(CLOCK_MONOTONIC) + (uint64_t)(seconds * 1e9), used);
	for (size_t i = 0; i < N_PARTS; i++)
		total += used[i];
	for (size_t i = 0; i < N_PARTS; i++)
		printf("%s %.4f\n", parts[i].name, used[i] / total);
	printf("cpu_seconds %.4f\n", total / 1e9);
	return 0;
}
