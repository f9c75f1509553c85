/* SPDX-License-Identifier: Apache-2.0 */
/* Threads that live for a few milliseconds, two at a time. */
#include <pthread.h>

#include "workload.h"

static volatile uint64_t sink;

NOINLINE static void short_life(void)
{
	sink = rounds(3000000, sink);
}

static void *thread(void *arg)
{
	short_life();
	return arg;
}

int main(void)
{
	ready();
	for (;;) {
		pthread_t threads[2];
		for (int i = 0; i < 2; i++)
			if (pthread_create(&threads[i], NULL, thread, NULL))
				return 1;
		for (int i = 0; i < 2; i++)
			pthread_join(threads[i], NULL);
	}
}
