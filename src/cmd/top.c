/* SPDX-License-Identifier: Apache-2.0 */
#include <signal.h>
#include <stdlib.h>
#include <unistd.h>

#include <csample/clock.h>
#include <csample/log.h>

#include "top_run.h"

#define POLL_MS 50

static volatile sig_atomic_t interrupted;

static void on_interrupt(int sig)
{
	(void)sig;
	interrupted = 1; /* SA_RESETHAND: the second one ends us at once */
}

static void catch_signals(void)
{
	struct sigaction sa = {.sa_handler = on_interrupt, .sa_flags = (int)SA_RESETHAND};
	sigemptyset(&sa.sa_mask);
	sigaction(SIGINT, &sa, NULL);
	sigaction(SIGTERM, &sa, NULL);
	sigaction(SIGHUP, &sa, NULL);
	signal(SIGPIPE, SIG_IGN); /* an error of write() instead */
}

struct watching {
	struct options own; /* those given, but for --native none: the view hides such frames */
	const struct options *opt;
	struct session session;
	struct top_run run;
	struct top *top;
};

static void say_ended(const struct watching *w)
{
	if (session_is_several(&w->session))
		log_info("all processes have ended");
	else
		log_info("process %d has ended", (int)w->session.target->pid);
}

static void refresh(struct watching *w)
{
	struct top_facts facts;
	top_run_facts(&w->run, &facts);
	top_refresh(w->top, &facts);
}

/* Counting begins anew, in CPU or wall time. */
static struct err *restart(struct watching *w, bool wall)
{
	top_run_close(&w->run);
	session_renew_decoder(&w->session);
	struct err *err = top_run_open(&w->run, &w->session, wall, false);
	if (!err)
		top_set_profile(w->top, w->run.profile);
	return err;
}

static bool is_full(const struct top_run *r)
{
	return r->profile->n_nodes >= r->profile->max_nodes;
}

static bool print_table(struct watching *w)
{
	if (w->opt->json)
		top_print_json(w->top, stdout);
	else
		top_print(w->top, stdout);
	return fflush(stdout) == 0;
}

/* Tables one after the other. */
static struct err *watch_as_text(struct watching *w)
{
	uint64_t next = now_ns() + w->opt->delay_ns;
	for (size_t n = 0; !interrupted && (!w->opt->intervals || n < w->opt->intervals);) {
		uint64_t now = now_ns();
		uint64_t left_ms = now < next ? (next - now) / 1000000 + 1 : 0;
		bool alive = top_run_poll(&w->run, left_ms < POLL_MS ? (int)left_ms : POLL_MS);
		if (alive && now_ns() < next)
			continue;
		if (!alive)
			top_run_stop(&w->run);
		refresh(w);
		next += w->opt->delay_ns;
		n++;
		if (!print_table(w))
			return err_new(ERR_SYS, "write to stdout: it takes no more");
		if (!alive) {
			say_ended(w);
			return NULL;
		}
		if (is_full(&w->run)) {
			log_warn("more than %zu different stacks: counting begins anew",
			         w->run.profile->max_nodes);
			struct err *err = restart(w, w->run.wall);
			if (err)
				return err;
		}
	}
	return NULL;
}

static struct err *watch(struct watching *w)
{
	static const enum view_kind kinds[] = {[OPT_BY_FUNCTIONS] = VIEW_FUNCTIONS,
	                                       [OPT_BY_LINES] = VIEW_LINES,
	                                       [OPT_BY_MODULES] = VIEW_MODULES,
	                                       [OPT_BY_THREADS] = VIEW_THREADS};
	const struct options *opt = w->opt;
	const struct top_config config = {.kind = kinds[opt->by],
	                                  .by_total = opt->by_total,
	                                  .no_native = opt->native == OPT_NATIVE_NONE,
	                                  .full_filenames = opt->full_filenames,
	                                  .rows = opt->rows};
	w->session.child_config.output_fd = STDERR_FILENO; /* tables alone go to stdout */
	struct err *err = session_open(&w->session);
	if (err)
		return err;
	w->top = top_create(&config);
	catch_signals();
	err = top_run_open(&w->run, &w->session, opt->event == OPT_WALL, true);
	if (err)
		return err;
	top_set_profile(w->top, w->run.profile);
	if (engine_note(w->run.engine))
		log_warn("%s", engine_note(w->run.engine));
	return watch_as_text(w);
}

struct err *cmd_top(const struct options *opt, int *status)
{
	struct watching w = {.own = *opt, .opt = opt, .run = {.loop_fd = -1}};
	if (opt->native == OPT_NATIVE_NONE)
		w.own.native = OPT_NATIVE_OWN;
	session_init(&w.session, &w.own);
	struct err *err = watch(&w);
	session_wait(&w.session, status, !err);
	top_destroy(w.top);
	top_run_close(&w.run);
	session_close(&w.session);
	return err;
}
