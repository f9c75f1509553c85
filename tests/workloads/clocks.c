/* SPDX-License-Identifier: Apache-2.0 */
/* Asks for the time, which code of the vdso answers. */
#include "workload.h"

static volatile uint64_t sink;

NOINLINE static void ask_for_the_time(void)
{
	for (int i = 0; i < 10000; i++)
		sink += now_ns(CLOCK_MONOTONIC);
}

int main(void)
{
	ready();
	for (;;)
		ask_for_the_time();
}
