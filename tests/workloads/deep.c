/* SPDX-License-Identifier: Apache-2.0 */
/* deep [DEPTH]: calls itself that many times (2,000), then works at the bottom. */
#include "workload.h"

static volatile uint64_t sink;

NOINLINE static uint64_t bottom(void)
{
	ready();
	for (;;)
		sink = rounds(100000, sink);
}

NOINLINE static uint64_t descend(int depth)
{
	volatile char frame[48];
	frame[depth % 48] = (char)depth;
	uint64_t below = depth > 1 ? descend(depth - 1) : bottom();
	return below + (uint64_t)frame[depth % 48];
}

int main(int argc, char **argv)
{
	return (int)descend(argc > 1 ? atoi(argv[1]) : 2000);
}
