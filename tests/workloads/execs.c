/* SPDX-License-Identifier: Apache-2.0 */
/* execs [N]: works in image_even or image_odd for 0.3 s, then executes itself, for ever. */
#include "workload.h"

static volatile uint64_t sink;

NOINLINE static void image_even(void)
{
	sink = rounds(1000000, sink);
}

NOINLINE static void image_odd(void)
{
	sink = rounds(1000000, sink);
}

int main(int argc, char **argv)
{
	int generation = argc > 1 ? atoi(argv[1]) : 0;
	if (!generation)
		ready(); /* the alarm outlives exec */
	uint64_t until = now_ns(CLOCK_MONOTONIC) + 300000000;
	while (now_ns(CLOCK_MONOTONIC) < until) {
		if (generation % 2)
			image_odd();
		else
			image_even();
	}
	char next[16];
	snprintf(next, sizeof(next), "%d", generation + 1);
	execl("/proc/self/exe", argv[0], next, (char *)NULL);
	return 1;
}
