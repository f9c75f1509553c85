/* SPDX-License-Identifier: Apache-2.0 */
/* A library for host.c to load. */
#include "workload.h"

static volatile uint64_t sink;

NOINLINE static void plugin_inner(void)
{
	sink = rounds(1000000, sink);
}

void plugin_work(void);
NOINLINE void plugin_work(void)
{
	plugin_inner();
	sink++; /* no tail call */
}
