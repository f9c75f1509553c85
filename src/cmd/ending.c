/* SPDX-License-Identifier: Apache-2.0 */
#include "ending.h"

volatile sig_atomic_t ending_asked;

static void on_signal(int sig)
{
	(void)sig;
	ending_asked = 1;
}

void ending_catch(void)
{
	struct sigaction sa = {.sa_handler = on_signal, .sa_flags = (int)SA_RESETHAND};
	sigemptyset(&sa.sa_mask);
	sigaction(SIGINT, &sa, NULL);
	sigaction(SIGTERM, &sa, NULL);
	sigaction(SIGHUP, &sa, NULL);
	signal(SIGPIPE, SIG_IGN);
}
