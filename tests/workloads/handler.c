/* SPDX-License-Identifier: Apache-2.0 */
/* handler [alternate]: works in a signal handler, on the thread's stack or on one of its own
 * (sigaltstack). */
#include <signal.h>

#include "workload.h"

static volatile uint64_t sink;

NOINLINE static void handler_work(void)
{
	sink = rounds(3000000, sink);
}

static void on_signal(int sig)
{
	(void)sig;
	handler_work();
}

NOINLINE static void send_signals(void)
{
	raise(SIGUSR1);
	sink++; /* no tail call */
}

int main(int argc, char **argv)
{
	static char stack[65536];
	stack_t alternate = {.ss_sp = stack, .ss_size = sizeof(stack)};
	struct sigaction action = {.sa_handler = on_signal, .sa_flags = argc > 1 ? SA_ONSTACK : 0};
	(void)argv;
	sigaltstack(&alternate, NULL);
	sigaction(SIGUSR1, &action, NULL);
	ready();
	for (;;)
		send_signals();
}
