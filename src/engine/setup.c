/* SPDX-License-Identifier: Apache-2.0 */
/* What is permitted, and which ways of capturing that gives. */
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <csample/log.h>
#include <csample/vec.h>

#include "internal.h"

#define QUEUE_BYTES      ((size_t)2 << 20)
#define QUEUE_BYTES_MANY ((size_t)1 << 20) /* on machines with many CPUs */
#define RT_PRIORITY      55 /* above interrupt threads (50), which would make us late */
#define RT_PRIORITY_MAX  98

static bool lookup_name(void *arg, struct image *img, uint64_t vaddr, const char **name_ret,
                        uint64_t *start_ret)
{
	struct engine *e = arg;
	return symbols_lookup_name(e->symbols, img, vaddr, name_ret, start_ret);
}

static void add_note(struct engine *e, const char *note)
{
	char *joined = e->note ? mem_asprintf("%s; %s", e->note, note) : mem_strdup(note);
	free(e->note);
	e->note = joined;
}

#define ONLINE_CPUS "/sys/devices/system/cpu/online"

/* Online CPUs, from the kernel's list such as "0-3,6"; the kernel wrote it, within bounds. */
size_t engine_online_cpus(int *cpus, size_t max)
{
	char text[4096] = "";
	FILE *f = fopen(ONLINE_CPUS, "re");
	if (f && !fgets(text, sizeof(text), f))
		text[0] = '\0';
	if (f)
		fclose(f);
	size_t n = 0;
	for (char *p = text; *p >= '0' && *p <= '9';) {
		long first = strtol(p, &p, 10), last = first;
		if (*p == '-')
			last = strtol(p + 1, &p, 10);
		for (long cpu = first; cpu <= last && n < max; cpu++)
			cpus[n++] = (int)cpu;
		if (*p == ',')
			p++;
	}
	for (long cpu = 0; !n && cpu < sysconf(_SC_NPROCESSORS_ONLN) && (size_t)cpu < max; cpu++)
		cpus[cpu] = (int)cpu, n = (size_t)cpu + 1;
	return n;
}

/* A priority above the target's own threads and this one, or 0 when there is none. */
static int priority_above(struct target *t, int priority)
{
	pid_t *tids = NULL;
	size_t n = 0;
	struct err *err = target_threads(t, &tids, &n);
	err_free(err);
	for (size_t i = 0; i < n; i++) {
		struct sched_param param;
		if (!sched_getparam(tids[i], &param) && param.sched_priority >= priority)
			priority = param.sched_priority + 1;
	}
	free(tids);
	return priority;
}

/* Without CONFIG_SCHED_INFO schedstat reads zeros, and there is no proof. */
static bool schedstat_works(void)
{
	/* CPU time, waiting time, times run: the last counts at once, the first at ticks. */
	char text[SCHEDSTAT_TEXT];
	unsigned long long times_run = 0;
	FILE *f = fopen("/proc/self/schedstat", "re");
	if (f && fgets(text, sizeof(text), f)) {
		char *third = strrchr(text, ' ');
		times_run = third ? strtoull(third, NULL, 10) : 0;
	}
	if (f)
		fclose(f);
	return times_run > 0;
}

static struct sampler *new_sampler(struct engine *e, enum sampler_kind kind, int cpu,
                                   size_t queue_bytes, struct err **err)
{
	struct sampler *s = mem_zalloc(sizeof(*s));
	s->shared = &e->shared;
	s->kind = kind;
	s->cpu = cpu;
	s->wait_fd = -1;
	capture_init(&s->capture);
	s->capture.own_child = e->config.until_exec ? e->perf_config.pid : 0;
	*err = queue_create(queue_bytes, &s->queue);
	if (!*err)
		return s;
	free(s);
	return NULL;
}

/* Per-thread events: those of /proc, listed until a pass adds none; ended ones are skipped. Threads
 * created by opened ones are covered; opened twice they only tick twice. */
static struct err *add_all_threads(struct target *target, struct perf_ring *ring)
{
	struct map64 seen = {0};
	struct err *err = NULL;
	for (bool more = true; more && !err;) {
		pid_t *tids = NULL;
		size_t n = 0;
		more = false;
		err = target_threads(target, &tids, &n);
		for (size_t i = 0; i < n && !err; i++) {
			if (map64_get(&seen, (uint64_t)tids[i]))
				continue;
			*map64_put(&seen, (uint64_t)tids[i]) = 1;
			more = true;
			err = perf_ring_add_thread(ring, tids[i]);
			if (err == &err_gone)
				err = NULL;
		}
		free(tids);
	}
	map64_free(&seen);
	return err;
}

struct err *engine_add_events(struct engine *e, const struct process *p, struct perf_ring *ring)
{
	if (!e->has_perf || e->perf_access.scope != PERF_PER_THREAD)
		return NULL;
	struct err *err = ring ? add_all_threads(p->target, ring) : NULL;
	for (size_t i = 0; !ring && !err && i < e->n_samplers; i++)
		if (e->samplers[i] && e->samplers[i]->ring)
			err = add_all_threads(p->target, e->samplers[i]->ring);
	return err;
}

struct err *engine_cover_cpus(struct engine *e)
{
	int cpus[MAX_CPUS];
	size_t n = engine_online_cpus(cpus, MAX_CPUS);
	for (size_t i = 0; i < n; i++) {
		size_t cpu = (size_t)cpus[i];
		if (cpu >= e->n_samplers - 1 || e->samplers[cpu])
			continue;
		struct err *err = NULL;
		struct sampler *s = new_sampler(e, SAMPLER_PERF, cpus[i],
		                                n > 16 ? QUEUE_BYTES_MANY : QUEUE_BYTES, &err);
		if (err)
			return err;
		s->reader = (unsigned)cpu + 1;
		err = perf_ring_open(&e->perf_config, &e->perf_access, cpus[i], &s->ring);
		for (size_t k = 0; k < e->processes.n && !err; k++)
			err = engine_add_events(e, e->processes.items[k], s->ring);
		if (!err)
			err = sampler_watch_ring(s);
		if (err) {
			sampler_free(s);
			return err;
		}
		e->samplers[cpu] = s;
	}
	return NULL;
}

static void drop_samplers(struct engine *e)
{
	for (size_t i = 0; i < e->n_samplers; i++) {
		sampler_free(e->samplers[i]);
		e->samplers[i] = NULL;
	}
}

/* Perf events if they are to be had; says so if not. */
static struct err *open_perf(struct engine *e)
{
	e->perf_config = (struct perf_config){
	        .pid = e->processes.items[0]->space.pid,
	        .children = e->config.children,
	        .cycles = e->config.event == ENGINE_CYCLES,
	        .period_ns = e->shared.period_ns,
	        .kernel_chain = e->config.kernel,
	};
	struct err *err = perf_probe(&e->perf_config, &e->perf_access);
	if (err && e->config.event == ENGINE_CYCLES)
		return err;
	e->has_perf = !err;
	if (!err)
		err = engine_cover_cpus(e);
	if (err) {
		e->has_perf = false;
		drop_samplers(e);
		_cleanup_free_ char *note = mem_asprintf("perf events are refused (%s): threads "
		                                         "are looked at by a timer instead, which "
		                                         "is coarser; see csample doctor",
		                                         err->msg);
		add_note(e, note);
		err_free(err);
		return NULL;
	}
	e->shared.children = e->config.children && e->perf_access.scope == PERF_PER_THREAD;
	e->shared.jitter = e->perf_access.scope == PERF_CPU_WIDE && !e->perf_config.cycles;
	if (e->perf_access.exclude_kernel)
		add_note(e,
		         "no permission to sample kernel time: its CPU time is shown on the user "
		         "frames around it; see csample doctor");
	if (e->perf_access.scope == PERF_CPU_WIDE) {
		int cpus[MAX_CPUS];
		err = sideband_open(cpus, engine_online_cpus(cpus, MAX_CPUS), &e->sideband);
		if (err) {
			log_debug(LOG_TRIGGER, "no side-band: %s", err->msg);
			err_free(err);
		}
	}
	return NULL;
}

static struct err *choose_ways(struct engine *e)
{
	struct sampling *sh = &e->shared;
	int priority = RT_PRIORITY;
	for (size_t i = 0; i < e->processes.n; i++)
		priority = priority_above(e->processes.items[i]->target, priority);
	sh->rt_priority = priority <= RT_PRIORITY_MAX ? priority : 0;
	sh->may_preempt = e->has_perf && sh->rt_priority && schedstat_works() &&
	                  sampler_may_be_real_time(sh->rt_priority);
	sh->prefer_stop = e->config.capture == ENGINE_STOP;
	sh->may_stop = !e->config.nonblocking && e->config.capture != ENGINE_PREEMPT;
	if (sh->prefer_stop && e->config.nonblocking)
		return err_new(ERR_USAGE, "--nonblocking and --capture stop exclude each other");
	if (sh->may_preempt || sh->prefer_stop)
		return NULL;
	const char *why = !e->has_perf ? "perf events are refused"
	                  : !sh->rt_priority
	                          ? "the target itself runs at the highest real-time priority"
	                  : !schedstat_works() ? "this kernel keeps no schedstat"
	                                       : "real-time priority is refused (CAP_SYS_NICE)";
	if (e->config.capture == ENGINE_PREEMPT ||
	    (e->config.nonblocking && e->config.event != ENGINE_WALL))
		return err_new(
		        ERR_PERM,
		        "running threads cannot be captured without stopping them: %s; see csample "
		        "doctor, or leave out %s",
		        why,
		        e->config.capture == ENGINE_PREEMPT ? "--capture preempt"
		                                            : "--nonblocking");
	if (e->has_perf) {
		_cleanup_free_ char *note = mem_asprintf(
		        "threads are stopped for each sample, since %s; see csample doctor", why);
		add_note(e, note);
	}
	return NULL;
}

/* Without it each proof asks /proc for more. */
static void open_moves(struct engine *e)
{
	int cpus[MAX_CPUS];
	if (!e->shared.may_preempt || e->shared.prefer_stop ||
	    e->perf_access.scope != PERF_CPU_WIDE)
		return;
	struct err *err = moves_open(cpus, engine_online_cpus(cpus, MAX_CPUS), &e->shared.moves);
	if (err)
		log_debug(LOG_TRIGGER, "moves of threads are not told: %s", err->msg);
	err_free(err);
}

static void raise_fd_limit(void)
{
	struct rlimit limit;
	if (getrlimit(RLIMIT_NOFILE, &limit))
		return;
	limit.rlim_cur = limit.rlim_max;
	setrlimit(RLIMIT_NOFILE, &limit);
}

struct err *engine_create(struct target *const *targets, size_t n_targets, struct symbols *symbols,
                          const struct engine_config *config, const struct sink *sink,
                          struct engine **ret)
{
	struct engine *e = mem_zalloc(sizeof(*e));
	e->symbols = symbols;
	e->images = targets[0]->images;
	e->strings = targets[0]->strings;
	e->config = *config;
	e->sink = *sink;
	stack_init(&e->stack);
	e->unwinder = unwinder_create(lookup_name, e);
	raise_fd_limit();
	e->shared = (struct sampling){
	        .threads = threads_create(),
	        .stop_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK),
	        .wake_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK),
	        .period_ns = (uint64_t)(1e9 / config->rate_hz),
	        .wanted_ticks = UINT32_MAX,
	        .wall = config->event == ENGINE_WALL,
	};
	e->shared.gathers = config->decoder || config->decoding;
	e->ended_fd = epoll_create1(EPOLL_CLOEXEC);
	e->online_fd = open(ONLINE_CPUS, O_RDONLY | O_CLOEXEC);
	if (config->children)
		e->orphans = mem_zalloc(sizeof(*e->orphans));
	e->n_samplers = (size_t)sysconf(_SC_NPROCESSORS_CONF) + 1;
	if (e->n_samplers > MAX_READERS - 1)
		e->n_samplers = MAX_READERS - 1;
	e->samplers = mem_zalloc(e->n_samplers * sizeof(*e->samplers));
	struct err *err = NULL;
	if (e->shared.stop_fd < 0 || e->shared.wake_fd < 0 || e->ended_fd < 0)
		err = err_errno(errno, "create an eventfd");
	for (size_t i = 0; i < n_targets && !err; i++)
		process_add(e, targets[i], false)->execed = !config->until_exec;
	if (!err)
		err = open_perf(e);
	if (!err)
		err = choose_ways(e);
	if (!err)
		open_moves(e);
	if (!err && (!e->has_perf || e->shared.wall)) {
		struct sampler *s = new_sampler(e, SAMPLER_TIMER, -1, QUEUE_BYTES, &err);
		if (s) {
			s->timer_stops_running = !e->has_perf;
			e->samplers[e->n_samplers - 1] = s;
		}
	}
	if (err) {
		engine_destroy(e);
		return err;
	}
	*ret = e;
	return NULL;
}

void engine_destroy(struct engine *e)
{
	if (!e)
		return;
	if (e->started && !e->stopped)
		engine_stop(e);
	if (e->abandoned)
		return;
	drop_samplers(e);
	free(e->samplers);
	sideband_close(e->sideband);
	moves_close(e->shared.moves);
	threads_destroy(e->shared.threads);
	close(e->shared.stop_fd);
	close(e->shared.wake_fd);
	close(e->ended_fd);
	if (e->online_fd >= 0)
		close(e->online_fd);
	for (size_t i = 0; i < e->processes.n; i++)
		process_free(e->processes.items[i]);
	vec_free(&e->processes);
	vec_free(&e->young);
	map64_free(&e->by_pid);
	free(e->orphans);
	unwinder_destroy(e->unwinder);
	stack_deinit(&e->stack);
	debts_free(&e->debts);
	free(e->note);
	free(e);
}

const char *engine_note(const struct engine *e)
{
	return e->note;
}
