/* SPDX-License-Identifier: Apache-2.0 */
#include "top_run.h"

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <csample/clock.h>
#include <csample/trigger.h>

/* Stacks that differ: 50 bytes each, and twice 24 for the view. Then counting begins anew. */
#define MAX_NODES 400000
/* The main thread of an event loop, and whether garbage is collected, is looked at so often;
 * jittered. */
#define LOOK_NS 20000000ULL
/* States of more threads than these are not read. */
#define MAX_STATES 1024

static struct top_lock *lock_of(struct top_run *r, pid_t tid)
{
	uint64_t *index = map64_put(&r->lock_of, (uint64_t)tid);
	if (!*index) {
		*vec_add(&r->locks) = (struct top_lock){.thread.tid = tid};
		*index = r->locks.n;
	}
	return &r->locks.items[*index - 1];
}

static void add_locked(struct top_run *r, struct top_lock *lock, uint64_t ns)
{
	lock->thread.locked_ns += ns;
	r->locked_ns += ns;
}

static void note_runtime(struct top_run *r, struct runtime *rt)
{
	for (size_t i = 0; i < r->n_runtimes; i++)
		if (r->runtimes[i]->ops == rt->ops && !strcmp(r->runtimes[i]->version, rt->version))
			return;
	if (r->n_runtimes < TOP_MAX_RUNTIMES)
		r->runtimes[r->n_runtimes++] = rt;
}

static void on_stack(void *arg, const struct snapshot *snap, const struct stack *stack,
                     const struct decoded *decoded)
{
	struct top_run *r = arg;
	r->ledger_sink.on_stack(r->ledger_sink.arg, snap, stack, decoded);
	if (!decoded->runtime)
		return;
	note_runtime(r, decoded->runtime);
	struct top_lock *lock = lock_of(r, snap->tid);
	lock->asleep_locked = decoded->holds_lock && snap->by == BY_ASLEEP;
	if (decoded->holds_lock)
		add_locked(r, lock, r->wall ? snap->wall_ns : snap->cpu_ns);
}

static void on_repeat(void *arg, pid_t tid, uint64_t n, uint64_t wall_ns)
{
	struct top_run *r = arg;
	r->ledger_sink.on_repeat(r->ledger_sink.arg, tid, n, wall_ns);
	uint64_t *index = map64_get(&r->lock_of, (uint64_t)tid);
	if (index && *index && r->locks.items[*index - 1].asleep_locked)
		add_locked(r, &r->locks.items[*index - 1], wall_ns);
}

static void on_thread_end(void *arg, pid_t tid, bool left, uint64_t left_ns)
{
	struct top_run *r = arg;
	r->ledger_sink.on_thread_end(r->ledger_sink.arg, tid, left, left_ns);
	uint64_t *index = map64_get(&r->lock_of, (uint64_t)tid);
	if (!left && index && *index) /* the number may be given out again */
		r->locks.items[*index - 1] = (struct top_lock){.thread.tid = tid};
}

static void on_thread_name(void *arg, pid_t tid)
{
	struct top_run *r = arg;
	r->ledger_sink.on_thread_name(r->ledger_sink.arg, tid);
}

static void forget_target(struct top_run *r, const struct target *target)
{
	for (size_t i = 0; i < r->targets.n; i++)
		if (r->targets.items[i] == target)
			r->targets.items[i--] = r->targets.items[--r->targets.n];
}

static void on_process(void *arg, struct target *target)
{
	struct top_run *r = arg;
	r->ledger_sink.on_process(r->ledger_sink.arg, target);
	forget_target(r, target);
	*vec_add(&r->targets) = target;
}

static void on_process_end(void *arg, struct target *target)
{
	struct top_run *r = arg;
	r->ledger_sink.on_process_end(r->ledger_sink.arg, target);
	forget_target(r, target);
}

static void fill_meta(struct top_run *r)
{
	struct stats stats;
	engine_get_stats(r->engine, &stats);
	session_fill_meta(r->s, r->engine, &stats, r->profile);
	r->profile->meta.event = r->wall ? "wall" : r->profile->meta.event;
	r->profile->meta.value_type = r->wall ? "wall" : "cpu";
	r->profile->meta.duration_ns = stats.duration_ns - r->base.duration_ns;
	r->profile->meta.lost = stats_lost(&stats) - r->base.lost;
}

static void new_profile(struct top_run *r)
{
	r->profile = profile_create(r->s->strings);
	r->profile->max_nodes = MAX_NODES;
	r->profile->meta.start_unix_ns = session_unix_ns();
}

struct err *top_run_open(struct top_run *r, struct session *s, bool wall, bool go)
{
	*r = (struct top_run){.s = s, .wall = wall, .loop_fd = -1, .random = now_ns() | 1};
	struct engine_config config = session_engine_config(s);
	struct ledger_config ledger = session_ledger_config(s);
	if (wall)
		config.event = ENGINE_WALL;
	else if (config.event == ENGINE_WALL)
		config.event = ENGINE_CPU;
	config.until_exec = config.until_exec && go;
	config.launched_ns = now_ns();
	ledger.threads = true;
	ledger.wall = wall;
	new_profile(r);
	r->ledger = ledger_create(r->profile, &ledger);
	r->ledger_sink = ledger_sink(r->ledger);
	if (!session_is_several(s))
		config.decoding = r->decoding = decoding_open(s->decoder, s->target);
	const struct sink sink = {
	        .arg = r,
	        .on_stack = on_stack,
	        .on_repeat = on_repeat,
	        .on_thread_end = on_thread_end,
	        .on_thread_name = on_thread_name,
	        .on_process = on_process,
	        .on_process_end = on_process_end,
	};
	struct err *err =
	        engine_create(s->targets, s->n_targets, s->symbols, &config, &sink, &r->engine);
	if (!err)
		err = engine_start(r->engine);
	if (!err && go)
		err = session_go(s);
	r->start_ns = r->before_ns = now_ns();
	return err;
}

static void forget_locks(struct top_run *r)
{
	for (size_t i = 0; i < r->locks.n; i++) {
		r->locks.items[i].before_ns = 0;
		r->locks.items[i].thread.locked_ns = 0;
	}
	r->locked_ns = r->locked_before_ns = 0;
}

/* Of processes that have ended: about to be destroyed. */
static void forget_runtimes(struct top_run *r)
{
	size_t n = 0;
	for (size_t i = 0; i < r->n_runtimes; i++)
		if (r->runtimes[i]->target)
			r->runtimes[n++] = r->runtimes[i];
	r->n_runtimes = n;
}

struct profile *top_run_cut(struct top_run *r)
{
	struct stats stats;
	struct profile *old = r->profile;
	engine_checkpoint(r->engine, &stats);
	r->base.samples = stats.samples;
	r->base.lost = stats_lost(&stats);
	r->base.duration_ns = stats.duration_ns;
	r->base.pause = stats.pause;
	ledger_settle(r->ledger, &stats);
	ledger_name(r->ledger, r->s->images, r->s->symbols, r->s->decoder);
	new_profile(r);
	ledger_cut(r->ledger, r->profile, &stats);
	forget_runtimes(r);
	decoder_collect(r->s->decoder); /* nothing of what is gone waits for a name */
	symbols_collect(r->s->symbols);
	forget_locks(r);
	r->gc_asked = r->gc_found = r->gc_asked_before = r->gc_found_before = 0;
	r->cpu_before_ns = stats.target_cpu_ns;
	r->start_ns = r->before_ns = now_ns();
	return old;
}

/* Since counting began. */
static uint64_t median_pause(const struct top_run *r, const struct stats *stats)
{
	struct histogram h = stats->pause;
	for (size_t i = 0; i < HISTOGRAM_BUCKETS; i++)
		h.buckets[i] -= r->base.pause.buckets[i];
	h.count -= r->base.pause.count;
	return histogram_quantile(&h, 0.5);
}

void top_run_stop(struct top_run *r)
{
	struct stats stats;
	if (r->ended)
		return;
	r->ended = true;
	engine_stop(r->engine);
	engine_get_stats(r->engine, &stats);
	ledger_settle(r->ledger, &stats);
}

void top_run_close(struct top_run *r)
{
	engine_destroy(r->engine);
	ledger_destroy(r->ledger);
	profile_destroy(r->profile);
	decoding_close(r->decoding);
	vec_free(&r->targets);
	vec_free(&r->locks);
	vec_free(&r->by_thread);
	map64_free(&r->lock_of);
	if (r->loop_fd >= 0)
		close(r->loop_fd);
	*r = (struct top_run){.loop_fd = -1};
}

static bool has_loop(const struct top_run *r)
{
	for (size_t i = 0; i < r->n_runtimes; i++)
		if (!strcmp(r->runtimes[i]->ops->name, "javascript"))
			return true;
	return false;
}

/* Does the main thread wait for events? A look of its own, since a thread that waits is in no
 * sample of CPU time. */
static void look_at_loop(struct top_run *r)
{
	static const long waits[] = {
#ifdef SYS_epoll_wait
	        SYS_epoll_wait,
#endif
	        SYS_epoll_pwait, SYS_epoll_pwait2};
	char path[64], text[32];
	if (!has_loop(r))
		return;
	if (r->loop_fd < 0) {
		snprintf(path, sizeof(path), "task/%d/syscall", (int)r->s->target->pid);
		r->loop_fd = openat(r->s->target->proc_fd, path, O_RDONLY | O_CLOEXEC);
	}
	ssize_t n = r->loop_fd >= 0 ? pread(r->loop_fd, text, sizeof(text) - 1, 0) : -1;
	if (n <= 0)
		return;
	text[n] = '\0';
	char *end;
	long number = strtol(text, &end, 10); /* "running": none */
	r->looks++;
	for (size_t i = 0; end > text && i < ARRAY_SIZE(waits); i++)
		r->idle_looks += number == waits[i];
}

static bool tells_of_collector(const struct top_run *r)
{
	for (size_t i = 0; i < r->n_runtimes; i++)
		if (r->runtimes[i]->ops->collecting)
			return true;
	return false;
}

static void look_at_collector(struct top_run *r)
{
	bool any = false, told = false, now;
	for (size_t i = 0; i < r->n_runtimes; i++) {
		struct runtime *rt = r->runtimes[i];
		if (!rt->ops->collecting || !rt->ops->collecting(rt, &now))
			continue;
		told = true;
		any |= now;
	}
	r->gc_asked += told;
	r->gc_found += any;
}

bool top_run_poll(struct top_run *r, int timeout_ms)
{
	if (r->ended)
		return false;
	if ((has_loop(r) || tells_of_collector(r)) && timeout_ms > (int)(LOOK_NS / 1000000))
		timeout_ms = LOOK_NS / 1000000;
	bool alive = engine_poll(r->engine, timeout_ms);
	uint64_t now = now_ns();
	if (now >= r->look_ns) {
		r->look_ns = now + jittered(LOOK_NS, &r->random);
		look_at_loop(r);
		look_at_collector(r);
	}
	return alive;
}

static bool is_running(const struct target *t, pid_t tid)
{
	char path[64], text[512];
	snprintf(path, sizeof(path), "task/%d/stat", (int)tid);
	_cleanup_close_ int fd = openat(t->proc_fd, path, O_RDONLY | O_CLOEXEC);
	ssize_t n = fd >= 0 ? read(fd, text, sizeof(text) - 1) : 0;
	text[n > 0 ? n : 0] = '\0';
	const char *paren = strrchr(text, ')');
	return paren && paren[1] == ' ' && paren[2] == 'R';
}

static void count_threads(struct top_run *r, struct top_facts *ret)
{
	size_t n_states = 0;
	for (size_t i = 0; i < r->targets.n; i++) {
		pid_t *tids;
		size_t n;
		struct err *err = target_threads(r->targets.items[i], &tids, &n);
		if (err) {
			err_free(err);
			continue;
		}
		ret->threads += n;
		for (size_t k = 0; k < n && n_states < MAX_STATES; k++, n_states++)
			ret->threads_running += is_running(r->targets.items[i], tids[k]);
		free(tids);
	}
}

static double share(uint64_t part, uint64_t of)
{
	return of ? 100 * (double)part / (double)of : 0;
}

/* Whoever does not tell shows it as frames: what is told here adds nothing to those. */
static void tell_collector(struct top_run *r, struct top_facts *ret)
{
	ret->gc = ret->gc_run = -1;
	for (size_t i = 0; i < r->n_runtimes; i++)
		if (!r->runtimes[i]->ops->collecting)
			ret->gc = ret->gc_run = 0;
	if (r->gc_asked > r->gc_asked_before)
		ret->gc = share(r->gc_found - r->gc_found_before, r->gc_asked - r->gc_asked_before);
	if (r->gc_asked)
		ret->gc_run = share(r->gc_found, r->gc_asked);
	r->gc_asked_before = r->gc_asked;
	r->gc_found_before = r->gc_found;
}

static void tell_runtimes(struct top_run *r, struct top_facts *ret)
{
	struct runtime *rt[TOP_MAX_RUNTIMES];
	size_t n = r->decoding ? decoding_runtimes(r->decoding, rt, ARRAY_SIZE(rt)) : 0;
	for (size_t i = 0; i < n; i++)
		note_runtime(r, rt[i]);
	ret->lock = ret->loop_idle = -1;
	for (size_t i = 0; i < r->n_runtimes; i++) {
		const struct runtime_ops *ops = r->runtimes[i]->ops;
		ret->runtimes[i].name = ops->name;
		ret->runtimes[i].title = ops->title;
		memcpy(ret->runtimes[i].version, r->runtimes[i]->version,
		       sizeof(ret->runtimes[i].version));
		if (ops->has_lock && ops->has_lock(r->runtimes[i]))
			ret->lock = 0;
	}
	ret->n_runtimes = r->n_runtimes;
	if (ret->lock >= 0)
		ret->lock = share(r->locked_ns - r->locked_before_ns, ret->interval_ns);
	if (r->looks)
		ret->loop_idle = share(r->idle_looks, r->looks);
	r->locked_before_ns = r->locked_ns;
	r->looks = r->idle_looks = 0;
	tell_collector(r, ret);
}

static void tell_locks(struct top_run *r, struct top_facts *ret)
{
	r->by_thread.n = 0;
	for (size_t i = 0; i < r->locks.n; i++) {
		struct top_lock *lock = &r->locks.items[i];
		lock->thread.recent_locked_ns = lock->thread.locked_ns - lock->before_ns;
		lock->before_ns = lock->thread.locked_ns;
		if (lock->thread.locked_ns)
			*vec_add(&r->by_thread) = lock->thread;
	}
	ret->by_thread = r->by_thread.items;
	ret->n_by_thread = r->by_thread.n;
}

void top_run_facts(struct top_run *r, struct top_facts *ret)
{
	struct stats stats;
	/* What threads have slept through is told when they wake, which may be never. */
	if (r->wall && !r->ended)
		engine_checkpoint(r->engine, &stats);
	else
		engine_get_stats(r->engine, &stats);
	uint64_t now = now_ns();
	fill_meta(r);
	ledger_name(r->ledger, r->s->images, r->s->symbols, r->s->decoder);
	*ret = (struct top_facts){
	        .pid = r->s->target->pid,
	        .command = r->s->target->command,
	        .processes = stats.processes,
	        .interval_ns = now - r->before_ns,
	        .run_ns = now - r->start_ns,
	        .unix_ns = session_unix_ns(),
	        .samples = stats.samples - r->base.samples,
	        .lost = stats_lost(&stats) - r->base.lost,
	        .rate_asked = stats.rate_asked,
	        .rate_reached = stats.rate_reached,
	        .pause_ns = median_pause(r, &stats),
	        .wall = r->wall,
	        .ended = r->ended,
	        .note = engine_note(r->engine),
	};
	ret->cpu = share(stats.target_cpu_ns - r->cpu_before_ns, ret->interval_ns);
	count_threads(r, ret);
	tell_runtimes(r, ret);
	tell_locks(r, ret);
	r->before_ns = now;
	r->cpu_before_ns = stats.target_cpu_ns;
}
