/* SPDX-License-Identifier: Apache-2.0 */
#include "session.h"

#include <string.h>
#include <time.h>
#include <unistd.h>

#include <csample/clock.h>
#include <csample/log.h>
#include <csample/mem.h>

#define STARTING_NS 1000000000ULL /* for an interpreter to start up */

void session_init(struct session *s, const struct options *opt)
{
	*s = (struct session){
	        .opt = opt,
	        .launched_ns = now_ns(),
	        .child = {.go_fd = -1, .error_fd = -1},
	        .child_config = {.output_fd = -1},
	};
}

static bool lookup_name(void *arg, struct image *img, uint64_t vaddr, const char **name_ret,
                        uint64_t *start_ret)
{
	return symbols_lookup_name(arg, img, vaddr, name_ret, start_ret);
}

void session_renew_decoder(struct session *s)
{
	decoder_destroy(s->decoder);
	static const enum native_frames natives[] = {[OPT_NATIVE_OWN] = NATIVE_OWN,
	                                             [OPT_NATIVE_ALL] = NATIVE_ALL,
	                                             [OPT_NATIVE_NONE] = NATIVE_NONE};
	s->decoder = decoder_create(s->strings, natives[s->opt->native], lookup_name, s->symbols);
}

/* Of processes that were named each must be there. Who was found by a search may have ended since:
 * the others are meant as well. */
static struct err *open_selected(struct session *s)
{
	const struct options *opt = s->opt;
	bool found = selection_is_search(&opt->select);
	struct err *err = session_open_pids(s, opt->pids, opt->n_pids, !found);
	size_t gone = opt->n_pids - s->n_targets;
	if (!err && gone)
		log_warn(
		        "%zu of %zu processes that fit are left out: they have ended meanwhile, or "
		        "cannot be read any more",
		        gone, opt->n_pids);
	return err;
}

struct err *session_open(struct session *s)
{
	const struct options *opt = s->opt;
	struct err *err = NULL;
	if (opt->child_argv)
		err = child_start(opt->child_argv, &s->child_config, &s->child);
	if (!err && opt->child_argv)
		err = session_open_pids(s, &s->child.pid, 1, true);
	else if (!err)
		err = open_selected(s);
	return err;
}

struct err *session_open_pids(struct session *s, const pid_t *pids, size_t n, bool all)
{
	struct err *err = NULL;
	s->strings = strings_create();
	s->images = images_create(s->strings);
	struct symbols_config symbols_config = {0};
	s->symbols = symbols_create(s->images, s->strings, &symbols_config);
	session_renew_decoder(s);
	for (size_t i = 0; i < n && s->n_targets < OPT_MAX_PIDS && (!err || !all); i++) {
		err_free(err);
		err = target_open(pids[i], s->images, s->strings, &s->targets[s->n_targets]);
		s->n_targets += !err;
	}
	s->target = s->targets[0];
	if (!err || all || !s->n_targets)
		return err;
	err_free(err);
	return NULL;
}

struct err *session_go(struct session *s)
{
	return s->child.pid ? child_go(&s->child, s->opt->child_argv[0]) : NULL;
}

void session_wait(struct session *s, int *status, bool set_status)
{
	if (!s->child.pid)
		return;
	child_cancel(&s->child);
	child_reap(&s->child, true);
	if (set_status)
		*status = child_exit_code(&s->child);
}

void session_close(struct session *s)
{
	for (size_t i = 0; i < s->n_targets; i++)
		target_close(s->targets[i]);
	decoder_destroy(s->decoder);
	symbols_destroy(s->symbols);
	images_destroy(s->images);
	strings_destroy(s->strings);
}

bool session_is_several(const struct session *s)
{
	return s->opt->subprocesses || s->n_targets > 1;
}

struct err *session_no_lock(const struct runtime *rt)
{
	return err_new(
	        ERR_USAGE,
	        "--gil: this %s %s is a free-threaded build that runs without a GIL; leave out "
	        "--gil",
	        rt->ops->title, rt->version);
}

struct err *session_check_gil(const struct session *s)
{
	if (!s->opt->gil || s->opt->child_argv || session_is_several(s))
		return NULL;
	struct runtime *rt[4];
	struct decoding *p = decoding_open(s->decoder, s->target);
	decoding_refresh(p);
	uint64_t end = now_ns() + STARTING_NS;
	while (!decoding_runtimes(p, rt, 4) && decoding_is_starting(p) && now_ns() < end) {
		usleep(1000);
		decoding_refresh(p);
	}
	struct err *err = NULL;
	size_t i = 0, n = decoding_runtimes(p, rt, 4);
	while (i < n && !rt[i]->ops->has_lock)
		i++;
	if (i == n)
		err = err_new(ERR_USAGE, "--gil: process %d runs no Python that csample can read",
		              (int)s->target->pid);
	else if (!rt[i]->ops->has_lock(rt[i]))
		err = session_no_lock(rt[i]);
	decoding_close(p);
	return err;
}

struct engine_config session_engine_config(const struct session *s)
{
	static const enum engine_event events[] = {
	        [OPT_CPU] = ENGINE_CPU, [OPT_CYCLES] = ENGINE_CYCLES, [OPT_WALL] = ENGINE_WALL};
	static const enum engine_capture ways[] = {[OPT_CAPTURE_AUTO] = ENGINE_AUTO,
	                                           [OPT_CAPTURE_PREEMPT] = ENGINE_PREEMPT,
	                                           [OPT_CAPTURE_STOP] = ENGINE_STOP};
	return (struct engine_config){
	        .event = events[s->opt->event],
	        .capture = ways[s->opt->capture],
	        .nonblocking = s->opt->nonblocking,
	        .kernel = s->opt->kernel,
	        .rate_hz = s->opt->rate_hz,
	        .launched_ns = s->launched_ns,
	        .until_exec = s->opt->child_argv != NULL,
	        .children = s->opt->subprocesses,
	        .decoder = s->decoder,
	};
}

struct ledger_config session_ledger_config(const struct session *s)
{
	return (struct ledger_config){
	        .threads = s->opt->threads,
	        .processes = session_is_several(s),
	        .wall = s->opt->event == OPT_WALL,
	        .lock_only = s->opt->gil,
	        .period_ns = (uint64_t)(1e9 / s->opt->rate_hz),
	};
}

void session_fill_meta(const struct session *s, const struct engine *engine,
                       const struct stats *stats, struct profile *p)
{
	static const char *const events[] = {
	        [OPT_CPU] = "cpu", [OPT_CYCLES] = "cycles", [OPT_WALL] = "wall"};
	struct profile_meta *m = &p->meta;
	const char *slash = strrchr(s->target->exe, '/');
	_cleanup_free_ char *title = mem_asprintf("%s, pid %d", slash ? slash + 1 : s->target->name,
	                                          (int)s->target->pid);
	uint64_t others = stats->processes - 1;
	_cleanup_free_ char *family =
	        others ? mem_asprintf("%s and %llu other%s", title, (unsigned long long)others,
	                              others > 1 ? "s" : "")
	               : NULL;
	const char *shown = family ? family : title; /* another one with each process that comes */
	m->title = intern_passing(s->strings, shown, strlen(shown));
	m->command = intern(s->strings, s->target->command);
	m->event = events[s->opt->event];
	m->value_type = s->opt->event == OPT_WALL ? "wall" : "cpu";
	m->note = intern(s->strings, engine_note(engine));
	m->pid = s->target->pid;
	m->rate_hz = s->opt->rate_hz;
}

int64_t session_unix_ns(void)
{
	struct timespec wall;
	clock_gettime(CLOCK_REALTIME, &wall);
	return (int64_t)wall.tv_sec * 1000000000 + wall.tv_nsec;
}
