/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <csample/clock.h>
#include <csample/log.h>

#include "ending.h"
#include "suspend.h"
#include "top_run.h"

#define POLL_MS     50
#define KEY_POLL_MS 25           /* from a key to what it does */
#define FIRST_NS    300000000ULL /* something to see soon */
#define TAIL        8192         /* of what a command wrote, bytes */
#define END_MS      3000         /* for a command to end once it is told to */

struct watching {
	struct options own; /* those given, but for --native none: the view hides such frames */
	const struct options *opt;
	struct session session;
	struct top_run run;
	struct top *top;
	struct screen *screen; /* NULL: text */
	int child_fd;          /* what the command writes, while there is a screen; -1: not read */
	char child_tail[TAIL]; /* the last of it */
	size_t child_len;
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

/* Counting begins anew. */
static void start_over(struct watching *w)
{
	struct profile *old = top_run_cut(&w->run);
	top_set_profile(w->top, w->run.profile);
	profile_destroy(old);
}

/* The same in the other of CPU and wall time, which other samplers take, triggered by other events:
 * those there are end, and what they have not handed over by then is lost with what was counted. */
static struct err *change_time(struct watching *w)
{
	bool wall = !w->run.wall;
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

/* Ctrl-Z: the terminal is the shell's until we are continued. */
static bool suspend_if_asked(struct watching *w)
{
	if (w->screen && suspend_asked()) {
		screen_leave(w->screen);
		suspend_now(&w->run.engine, 1, true);
	} else if (suspend_asked()) {
		suspend_now(&w->run.engine, 1, false);
	}
	bool is_over = suspend_is_over();
	if (is_over && w->screen)
		screen_return(w->screen);
	return is_over;
}

/* Tables one after the other. */
static struct err *watch_as_text(struct watching *w)
{
	uint64_t next = now_ns() + w->opt->delay_ns;
	for (size_t n = 0; !ending_asked && (!w->opt->intervals || n < w->opt->intervals);) {
		uint64_t now = now_ns();
		uint64_t left_ms = now < next ? (next - now) / 1000000 + 1 : 0;
		bool alive = top_run_poll(&w->run, left_ms < POLL_MS ? (int)left_ms : POLL_MS);
		if (suspend_if_asked(w))
			next = now_ns() + w->opt->delay_ns;
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
			start_over(w);
		}
	}
	return NULL;
}

/* The screen is not the command's: what it writes is kept, for the case that it fails. */
static void read_child(struct watching *w)
{
	char text[TAIL];
	ssize_t n;
	while (w->child_fd >= 0 && (n = read(w->child_fd, text, sizeof(text))) > 0) {
		size_t len = (size_t)n,
		       keep = TAIL - len < w->child_len ? TAIL - len : w->child_len;
		memmove(w->child_tail, w->child_tail + w->child_len - keep, keep);
		memcpy(w->child_tail + keep, text, len);
		w->child_len = keep + len;
	}
}

static struct err *pipe_child(struct watching *w, int *write_fd_ret)
{
	int fds[2];
	if (pipe2(fds, O_CLOEXEC))
		return err_errno(errno, "create a pipe");
	fcntl(fds[0], F_SETFL, O_NONBLOCK);
	fcntl(fds[1], F_SETPIPE_SZ, 1 << 20); /* it is read now and then only */
	w->child_fd = fds[0];
	*write_fd_ret = fds[1];
	return NULL;
}

/* Who looks at a command by a screen has seen enough of it, too. */
static void end_child(struct watching *w)
{
	struct child *c = &w->session.child;
	for (int ms = 0; c->pid && c->go_fd < 0 && !child_reap(c, false); ms += 10) {
		if (ms == 0)
			kill(-c->pid, SIGTERM);
		if (ms == END_MS)
			kill(-c->pid, SIGKILL);
		read_child(w);
		usleep(10000);
	}
}

static struct err *act(struct watching *w, enum screen_action action, uint64_t *next)
{
	if (w->run.ended) {
		screen_say(w->screen, "process %d has ended: nothing more can be counted",
		           (int)w->session.target->pid);
		screen_draw(w->screen);
		return NULL;
	}
	struct err *err = NULL;
	if (action == SCREEN_IDLE)
		err = change_time(w);
	else
		start_over(w);
	if (err)
		return err;
	screen_say(w->screen, action == SCREEN_IDLE
	                              ? w->run.wall ? "wall time of all threads from now on"
	                                            : "CPU time from now on"
	                              : "counting from now on");
	screen_draw(w->screen);
	*next = now_ns() + FIRST_NS;
	return NULL;
}

static void end_of_target(struct watching *w)
{
	top_run_stop(&w->run);
	refresh(w);
	if (session_is_several(&w->session))
		screen_say(w->screen, "all processes have ended; q leaves");
	else
		screen_say(w->screen, "process %d has ended; q leaves",
		           (int)w->session.target->pid);
	screen_draw(w->screen);
}

static struct err *watch_on_screen(struct watching *w)
{
	struct err *err = NULL;
	uint64_t next = now_ns() + FIRST_NS;
	refresh(w);
	screen_draw(w->screen);
	while (!ending_asked && !err) {
		struct pollfd key = {.fd = STDIN_FILENO, .events = POLLIN};
		if (w->run.ended)
			poll(&key, 1, 100);
		else if (!top_run_poll(&w->run, KEY_POLL_MS))
			end_of_target(w);
		read_child(w);
		suspend_if_asked(w);
		enum screen_action action = screen_keys(w->screen);
		if (action == SCREEN_QUIT)
			break;
		if (action != SCREEN_NOTHING)
			err = act(w, action, &next);
		if (key.revents & (POLLHUP | POLLERR))
			break;
		if (err || w->run.ended || now_ns() < next)
			continue;
		next = now_ns() + w->opt->delay_ns;
		if (!top_is_paused(w->top)) /* else it is one long interval */
			refresh(w);
		screen_draw(w->screen);
		if (is_full(&w->run)) {
			start_over(w);
			screen_say(w->screen, "too many different stacks: counting began anew");
		}
	}
	return err;
}

static void leave_screen(struct watching *w)
{
	bool ended = w->run.ended;
	if (!w->screen)
		return;
	screen_close(w->screen);
	w->screen = NULL;
	read_child(w);
	if (!ended)
		end_child(w);
	if (!ended || !w->top)
		return;
	top_print(w->top, stdout);
	say_ended(w);
}

/* As py-spy: only a command that failed is worth its words. */
static void print_child(const struct watching *w)
{
	if (w->child_fd < 0 || !child_exit_code(&w->session.child) || !w->run.ended)
		return;
	fwrite(w->child_tail, 1, w->child_len, stderr);
}

/* A screen if there can be one; else text, which goes on without. */
static bool wants_screen(const struct options *opt)
{
	if (opt->batch || opt->json)
		return false;
	struct err *err = screen_check();
	if (err && isatty(STDOUT_FILENO))
		log_info("%s: tables of text follow each other; Ctrl-C ends them", err->msg);
	bool possible = !err;
	err_free(err);
	return possible;
}

static struct err *open_session(struct watching *w, bool on_screen)
{
	int fd = STDERR_FILENO; /* tables alone go to stdout */
	bool piped = on_screen && w->opt->child_argv;
	struct err *err = piped ? pipe_child(w, &fd) : NULL;
	if (err)
		return err;
	w->session.child_config = (struct child_config){.output_fd = fd, .own_group = piped};
	err = session_open(&w->session);
	if (piped)
		close(fd);
	return err;
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
	bool on_screen = wants_screen(opt);
	if (on_screen)
		suspend_until_foreground();
	struct err *err = open_session(w, on_screen);
	if (!err)
		err = session_check_gil(&w->session);
	if (err)
		return err;
	w->top = top_create(&config);
	ending_catch();
	suspend_catch();
	err = top_run_open(&w->run, &w->session, opt->event == OPT_WALL, true);
	if (err)
		return err;
	top_set_profile(w->top, w->run.profile);
	err = on_screen ? screen_open(w->top, &w->screen) : NULL;
	if (err)
		return err;
	if (engine_note(w->run.engine))
		log_warn("%s", engine_note(w->run.engine));
	return w->screen ? watch_on_screen(w) : watch_as_text(w);
}

struct err *cmd_top(const struct options *opt, int *status)
{
	struct watching w = {.own = *opt, .opt = opt, .run = {.loop_fd = -1}, .child_fd = -1};
	if (opt->native == OPT_NATIVE_NONE)
		w.own.native = OPT_NATIVE_OWN;
	session_init(&w.session, &w.own);
	struct err *err = watch(&w);
	bool left = w.screen && !w.run.ended; /* by the user, who is not told of the command's */
	leave_screen(&w);
	session_wait(&w.session, status, !err && !left);
	print_child(&w);
	top_destroy(w.top);
	top_run_close(&w.run);
	session_close(&w.session);
	if (w.child_fd >= 0)
		close(w.child_fd);
	return err;
}
