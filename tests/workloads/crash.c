/* SPDX-License-Identifier: Apache-2.0 */
/* crash [alternate]: dies of SIGSEGV in a thread of its own, three functions deep; alternate: of
 * SIGABRT, raised by the handler of that signal, on a stack of its own (sigaltstack). Another
 * thread sleeps meanwhile. */
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>

#include "workload.h"

static volatile int *volatile nowhere;
static volatile int sink;

NOINLINE static void innermost(void)
{
	*nowhere = 1;
	sink++; /* no tail call */
}

NOINLINE static void middle(void)
{
	innermost();
	sink++;
}

NOINLINE static void give_up(void)
{
	abort();
}

static void on_fault(int sig)
{
	(void)sig;
	give_up();
}

static void *crashing(void *arg)
{
	static char stack[65536];
	stack_t alternate = {.ss_sp = stack, .ss_size = sizeof(stack)};
	struct sigaction sa = {.sa_handler = on_fault, .sa_flags = SA_ONSTACK};
	if (arg && (sigaltstack(&alternate, NULL) || sigaction(SIGSEGV, &sa, NULL)))
		return NULL;
	middle();
	return NULL;
}

int main(int argc, char **argv)
{
	pthread_t t;
	(void)argv;
	if (pthread_create(&t, NULL, crashing, argc > 1 ? &t : NULL))
		return 1;
	pthread_join(t, NULL);
	return 0;
}
