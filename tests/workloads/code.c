/* SPDX-License-Identifier: Apache-2.0 */
/* code [SECONDS [STATUS]]: works that long, prints what it was given, and exits with STATUS. */
#include "workload.h"

static volatile uint64_t sink;

NOINLINE static void first_and_last(void)
{
	sink = rounds(1000000, sink);
}

int main(int argc, char **argv)
{
	double seconds = argc > 1 ? atof(argv[1]) : 1;
	uint64_t until = now_ns(CLOCK_MONOTONIC) + (uint64_t)(seconds * 1e9);
	printf("uid %d\n", (int)getuid());
	fflush(stdout);
	alarm(120);
	while (now_ns(CLOCK_MONOTONIC) < until)
		first_and_last();
	return argc > 2 ? atoi(argv[2]) : 0;
}
