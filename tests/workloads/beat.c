/* SPDX-License-Identifier: Apache-2.0 */
/* beat MICROSECONDS: works in first_half in the first half of each period of the clock, else in
 * second_half. On SIGTERM prints the first one's share by the thread's own CPU clock. */
#include <signal.h>

#include "workload.h"

static volatile uint64_t sink;
static volatile sig_atomic_t stop;

static void on_term(int sig)
{
	(void)sig;
	stop = 1;
}

NOINLINE static void first_half(uint64_t period)
{
	while (now_ns(CLOCK_MONOTONIC) % period < period / 2)
		sink = rounds(200, sink + 1);
}

NOINLINE static void second_half(uint64_t period)
{
	while (now_ns(CLOCK_MONOTONIC) % period >= period / 2)
		sink = rounds(200, sink + 2);
}

int main(int argc, char **argv)
{
	uint64_t period = (argc > 1 ? (uint64_t)atoi(argv[1]) : 1000) * 1000;
	uint64_t first = 0, start = now_ns(CLOCK_THREAD_CPUTIME_ID);
	signal(SIGTERM, on_term);
	ready();
	while (!stop) {
		uint64_t before = now_ns(CLOCK_THREAD_CPUTIME_ID);
		first_half(period);
		first += now_ns(CLOCK_THREAD_CPUTIME_ID) - before;
		second_half(period);
	}
	uint64_t all = now_ns(CLOCK_THREAD_CPUTIME_ID) - start;
	printf("first_half %.4f\n", (double)first / (double)all);
	return 0;
}
