/* SPDX-License-Identifier: Apache-2.0 */
/* family KIND [N] [MS]: processes in a shape. Each works in work_KIND until it has used MS of CPU
 * time, except idle ones. At the end, or on SIGTERM, the first prints what the kernel charged it
 * and what it waited for: "used NANOSECONDS".
 *
 *   sequence   N children, one after the other, each execs itself
 *   forks      N children, one after the other, no exec
 *   double     a child that forks and ends; its child works on, N times
 *   vfork      N children by vfork and exec
 *   idle       N children that sleep, and this one works
 *   tree       N generations, each forks the next and then works
 *   leaf       works */
#include <errno.h>
#include <signal.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>

#include "workload.h"

static volatile uint64_t sink;
static volatile sig_atomic_t ended;
static uint64_t ms;

static void on_term(int sig)
{
	(void)sig;
	ended = 1;
}

static uint64_t cpu_ns(void)
{
	return now_ns(CLOCK_PROCESS_CPUTIME_ID);
}

#define WORK(name)                                                                      \
	NOINLINE static void name(void)                                                 \
	{                                                                               \
		for (uint64_t end = cpu_ns() + ms * 1000000; cpu_ns() < end && !ended;) \
			sink = rounds(20000, sink);                                     \
	}
WORK(work_fork)
WORK(work_leaf)
WORK(work_parent)
WORK(work_tree)

#define MAX_IDLE 1000
static pid_t idle[MAX_IDLE];

static pid_t start_idle(void)
{
	pid_t pid = fork();
	if (pid)
		return pid;
	signal(SIGTERM, SIG_DFL);
	alarm(120);
	pause();
	_exit(0);
}

static void wait_all(void)
{
	while (wait(NULL) > 0 || errno == EINTR)
		;
}

static void run_leaf(const char *self, int vforks)
{
	char time[24];
	snprintf(time, sizeof(time), "%llu", (unsigned long long)ms);
	pid_t pid = vforks ? vfork() : fork();
	if (!pid) {
		execl(self, "leaf", "leaf", "1", time, (char *)NULL);
		_exit(127);
	}
	waitpid(pid, NULL, 0);
}

static void fork_one(void)
{
	pid_t pid = fork();
	if (!pid) {
		work_fork();
		_exit(0);
	}
	waitpid(pid, NULL, 0);
}

static void fork_twice(void)
{
	int ends[2];
	char byte;
	if (pipe(ends))
		exit(1);
	pid_t pid = fork();
	if (!pid) {
		if (!fork()) {
			work_fork();
			_exit(0);
		}
		_exit(0);
	}
	waitpid(pid, NULL, 0);
	close(ends[1]);
	while (read(ends[0], &byte, 1) > 0)
		;
	close(ends[0]);
}

static void generations(int n)
{
	pid_t pid = n > 1 ? fork() : -1;
	if (!pid) {
		generations(n - 1);
		_exit(0);
	}
	work_tree();
	wait_all();
}

static void print_used(void)
{
	struct rusage own, children;
	getrusage(RUSAGE_SELF, &own);
	getrusage(RUSAGE_CHILDREN, &children);
	uint64_t us = 0;
	const struct rusage *both[] = {&own, &children};
	for (int i = 0; i < 2; i++)
		us += (uint64_t)(both[i]->ru_utime.tv_sec + both[i]->ru_stime.tv_sec) * 1000000 +
		      (uint64_t)(both[i]->ru_utime.tv_usec + both[i]->ru_stime.tv_usec);
	printf("used %llu\n", (unsigned long long)us * 1000);
}

int main(int argc, char **argv)
{
	const char *kind = argc > 1 ? argv[1] : "leaf";
	int n = argc > 2 ? atoi(argv[2]) : 1;
	ms = argc > 3 ? strtoull(argv[3], NULL, 10) : 100;
	struct sigaction sa = {.sa_handler = on_term};
	if (!strcmp(kind, "leaf")) {
		work_leaf();
		return 0;
	}
	sigaction(SIGTERM, &sa, NULL);
	for (int i = 0; i < n && !strcmp(kind, "idle"); i++)
		idle[i % MAX_IDLE] = start_idle();
	ready();
	if (!strcmp(kind, "idle"))
		work_parent();
	else if (!strcmp(kind, "tree"))
		generations(n);
	else
		for (int i = 0; i < n && !ended; i++) {
			if (!strcmp(kind, "forks"))
				fork_one();
			else if (!strcmp(kind, "double"))
				fork_twice();
			else
				run_leaf("/proc/self/exe", !strcmp(kind, "vfork"));
		}
	for (int i = 0; i < MAX_IDLE; i++)
		if (idle[i])
			kill(idle[i], SIGKILL);
	wait_all();
	print_used();
	return 0;
}
