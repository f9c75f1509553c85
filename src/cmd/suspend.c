/* SPDX-License-Identifier: Apache-2.0 */
#include "suspend.h"

#include <signal.h>
#include <unistd.h>

#include <csample/log.h>

static volatile sig_atomic_t asked, continued;
static struct sigaction before;

static void on_signal(int sig)
{
	if (sig == SIGCONT)
		continued = 1;
	else
		asked = 1;
}

static void install(void)
{
	struct sigaction sa = {.sa_handler = on_signal, .sa_flags = SA_RESTART};
	sigemptyset(&sa.sa_mask);
	sigaction(SIGTSTP, &sa, NULL);
}

void suspend_catch(void)
{
	struct sigaction sa = {.sa_handler = on_signal, .sa_flags = SA_RESTART};
	sigemptyset(&sa.sa_mask);
	sigaction(SIGCONT, &sa, NULL);
	signal(SIGTTOU, SIG_IGN); /* progress may be written from the background */
	sigaction(SIGTSTP, NULL, &before);
	if (before.sa_handler != SIG_IGN)
		install();
}

void suspend_release(void)
{
	sigaction(SIGTSTP, &before, NULL);
	signal(SIGTTOU, SIG_DFL);
	signal(SIGCONT, SIG_DFL);
	if (asked) {
		asked = 0;
		raise(SIGTSTP);
	}
}

bool suspend_asked(void)
{
	return asked;
}

bool suspend_is_over(void)
{
	bool is_over = continued;
	continued = 0;
	return is_over;
}

/* By the default action: where nobody could continue us (an orphaned process group), the kernel
 * does not stop us. */
static void stop_by(int sig)
{
	continued = 0;
	signal(sig, SIG_DFL);
	raise(sig);
}

static void resume(struct engine *const *engines, size_t n)
{
	for (size_t i = 0; i < n; i++)
		if (engines[i])
			engine_resume(engines[i]);
}

void suspend_until_foreground(void)
{
	/* tcgetpgrp() fails without a controlling terminal: nobody has one to give then. */
	for (pid_t fg; (fg = tcgetpgrp(STDIN_FILENO)) > 0 && fg != getpgrp();) {
		struct sigaction sa = {.sa_handler = on_signal, .sa_flags = SA_RESTART};
		sigemptyset(&sa.sa_mask);
		sigaction(SIGCONT, &sa, NULL);
		stop_by(SIGTTIN);
		if (!continued) /* it did not stop us */
			return;
	}
}

bool suspend_now(struct engine *const *engines, size_t n, bool on_terminal)
{
	asked = 0;
	for (size_t i = 0; i < n; i++) {
		if (!engines[i] || engine_hold(engines[i]))
			continue;
		resume(engines, i);
		log_warn("not suspended: a thread of the target is about to be stopped, and would "
		         "stay so; try again");
		return false;
	}
	stop_by(SIGTSTP);
	if (on_terminal && continued) /* by bg, maybe: reading keys would stop us there */
		suspend_until_foreground();
	install(); /* before sampling goes on */
	continued = 1;
	resume(engines, n);
	return true;
}
