/* SPDX-License-Identifier: Apache-2.0 */
/* The parent works in parent_work; children of its own work in child_work, one after the other. */
#include <sys/wait.h>

#include "workload.h"

static volatile uint64_t sink;

NOINLINE static void parent_work(void)
{
	sink = rounds(1000000, sink);
}

NOINLINE static void child_work(void)
{
	sink = rounds(100000000, sink);
}

int main(void)
{
	ready();
	for (;;) {
		pid_t pid = fork();
		if (!pid) {
			child_work();
			_exit(0);
		}
		while (waitpid(pid, NULL, WNOHANG) == 0)
			parent_work();
	}
}
