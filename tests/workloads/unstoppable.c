/* SPDX-License-Identifier: Apache-2.0 */
/* A thread that does not stop when it is asked to: it waits in the kernel for a child that has yet
 * to exec, where only the child's end wakes it. Copying memory comes before that wait, takes its
 * time, and is not interrupted either. Each SIGUSR1 begins such a wait; the child's number is
 * printed. */
#include <sched.h>
#include <signal.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#include "workload.h"

#define MEMORY (256UL << 20)

static volatile sig_atomic_t asked;
static volatile uint64_t sink;

static void on_signal(int sig)
{
	(void)sig;
	asked = 1;
}

static void wait_for_child(void)
{
	if (!syscall(SYS_clone, CLONE_VFORK | SIGCHLD, 0, 0, 0, 0)) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		alarm(60);
		printf("child %d\n", (int)getpid());
		fflush(stdout);
		for (;;)
			pause();
	}
	while (waitpid(-1, NULL, 0) > 0)
		;
	puts("over");
	fflush(stdout);
}

int main(void)
{
	char *memory =
	        mmap(NULL, MEMORY, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (memory == MAP_FAILED)
		return 1;
	madvise(memory, MEMORY, MADV_NOHUGEPAGE);
	memset(memory, 1, MEMORY);
	signal(SIGUSR1, on_signal);
	ready();
	for (;;) {
		sink = rounds(100000, sink);
		if (asked) {
			asked = 0;
			wait_for_child();
		}
	}
}
