/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <poll.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/resource.h>
#include <unistd.h>

#include <csample/hash.h>
#include <csample/log.h>
#include <csample/recorded.h>
#include <csample/unwinder.h>
#include <csample/vec.h>

#include "sampler.h"

#define QUEUE_BYTES      ((size_t)2 << 20)
#define QUEUE_BYTES_MANY ((size_t)1 << 20) /* on machines with many CPUs */
#define RT_PRIORITY      55 /* above interrupt threads (50), which would make us late */
#define RT_PRIORITY_MAX  98
/* Around an exec a sample has the registers of one program and the memory of the other. */
#define EXEC_TORN_NS         300000
#define RESCAN_NS            1000000000ULL
#define RESCAN_BLIND_NS      100000000ULL /* when nobody tells of new threads */
#define MAPS_MIN_INTERVAL_NS 10000000ULL

struct engine {
	struct target *target;
	struct symbols *symbols;
	struct engine_config config;
	struct sink sink;
	struct sampling shared;
	struct sampler **samplers; /* by CPU, the timer last; NULL: none there */
	size_t n_samplers;
	struct perf_config perf_config;
	struct perf_access perf_access;
	bool has_perf;
	struct sideband *sideband;
	struct unwinder *unwinder;
	struct stack stack;
	char *note;
	bool started, stopped, exited, execed, traced_told;
	bool maps_dirty;
	uint64_t exec_ns;      /* of an exec not yet acted upon; 0: none */
	uint64_t last_exec_ns; /* of the last one acted upon */
	uint64_t maps_read_ns, rescan_ns;
	uint32_t images_prepared;
	struct map64 estimated; /* tid: CPU time credited to a thread before it was known, ns */
	uint64_t start_ns, stop_ns, start_cpu_ns, last_cpu_ns;
	struct rusage self_start;
	struct stats stats;
};

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

/* Online CPUs, from the kernel's list such as "0-3,6"; the kernel wrote it, within bounds. */
static size_t online_cpus(int *cpus, size_t max)
{
	char text[4096] = "";
	FILE *f = fopen("/sys/devices/system/cpu/online", "re");
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

/* A priority above the target's own threads, or 0 when there is none. */
static int priority_above(struct target *t)
{
	int priority = RT_PRIORITY;
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
	return priority <= RT_PRIORITY_MAX ? priority : 0;
}

/* Without CONFIG_SCHED_INFO schedstat reads zeros, and there is no proof. */
static bool schedstat_works(void)
{
	/* CPU time, waiting time, times run: the last counts at once, the first at ticks. */
	unsigned long long times_run = 0;
	FILE *f = fopen("/proc/self/schedstat", "re");
	if (!f || fscanf(f, "%*u %*u %llu", &times_run) != 1)
		times_run = 0;
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
	capture_init(&s->capture, e->target->pid, e->shared.mem_fd);
	s->capture.gather = e->config.gather;
	*err = queue_create(queue_bytes, &s->queue);
	if (!*err)
		return s;
	free(s);
	return NULL;
}

static void free_sampler(struct sampler *s)
{
	if (!s)
		return;
	perf_ring_close(s->ring);
	queue_destroy(s->queue);
	free(s);
}

/* Per-thread events: those of /proc, listed until a pass adds none; ended ones are skipped. Threads
 * created by opened ones are covered; opened twice they only tick twice. */
static struct err *add_all_threads(struct engine *e, struct perf_ring *ring)
{
	struct map64 seen = {0};
	struct err *err = NULL;
	for (bool more = true; more && !err;) {
		pid_t *tids = NULL;
		size_t n = 0;
		more = false;
		err = target_threads(e->target, &tids, &n);
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

/* Rings and samplers of all online CPUs that have none yet. */
static struct err *cover_cpus(struct engine *e)
{
	int cpus[1024];
	size_t n = online_cpus(cpus, ARRAY_SIZE(cpus));
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
		if (!err && e->perf_access.scope == PERF_PER_THREAD)
			err = add_all_threads(e, s->ring);
		if (err) {
			free_sampler(s);
			return err;
		}
		e->samplers[cpu] = s;
	}
	return NULL;
}

static void drop_samplers(struct engine *e)
{
	for (size_t i = 0; i < e->n_samplers; i++) {
		free_sampler(e->samplers[i]);
		e->samplers[i] = NULL;
	}
}

/* Perf events if they are to be had; says so if not. */
static struct err *open_perf(struct engine *e)
{
	e->perf_config = (struct perf_config){
	        .pid = e->target->pid,
	        .cycles = e->config.event == ENGINE_CYCLES,
	        .period_ns = e->shared.period_ns,
	        .kernel_chain = e->config.kernel,
	};
	struct err *err = perf_probe(&e->perf_config, &e->perf_access);
	if (err && e->config.event == ENGINE_CYCLES)
		return err;
	if (!err)
		err = cover_cpus(e);
	if (err) {
		drop_samplers(e);
		_cleanup_free_ char *note = mem_asprintf("perf events are refused (%s): threads "
		                                         "are looked at by a timer instead, which "
		                                         "is coarser; see csample doctor",
		                                         err->msg);
		add_note(e, note);
		err_free(err);
		return NULL;
	}
	e->has_perf = true;
	e->shared.jitter = e->perf_access.scope == PERF_CPU_WIDE && !e->perf_config.cycles;
	if (e->perf_access.exclude_kernel)
		add_note(e,
		         "no permission to sample kernel time: its CPU time is shown on the user "
		         "frames around it; see csample doctor");
	if (e->perf_access.scope == PERF_CPU_WIDE) {
		int cpus[1024];
		err = sideband_open(cpus, online_cpus(cpus, ARRAY_SIZE(cpus)), &e->sideband);
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
	sh->rt_priority = priority_above(e->target);
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

/* process_vm_readv where it works, else the mem file. */
static int open_mem_if_needed(struct target *t)
{
	char byte;
	struct err *err =
	        t->maps.n ? rmem_read(&t->mem.rm, t->maps.items[0].start, &byte, 1) : NULL;
	err_free(err);
	return t->mem.mem_fd;
}

static void raise_fd_limit(void)
{
	struct rlimit limit;
	if (getrlimit(RLIMIT_NOFILE, &limit))
		return;
	limit.rlim_cur = limit.rlim_max;
	setrlimit(RLIMIT_NOFILE, &limit);
}

struct err *engine_create(struct target *target, struct symbols *symbols,
                          const struct engine_config *config, const struct sink *sink,
                          struct engine **ret)
{
	struct engine *e = mem_zalloc(sizeof(*e));
	e->target = target;
	e->symbols = symbols;
	e->config = *config;
	e->sink = *sink;
	e->execed = !config->until_exec;
	stack_init(&e->stack);
	e->unwinder = unwinder_create(lookup_name, e);
	raise_fd_limit();
	e->shared = (struct sampling){
	        .threads = threads_create(),
	        .target = target,
	        .gather = config->gather,
	        .mem_fd = open_mem_if_needed(target),
	        .stop_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK),
	        .wake_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK),
	        .period_ns = (uint64_t)(1e9 / config->rate_hz),
	        .wall = config->event == ENGINE_WALL,
	};
	e->n_samplers = (size_t)sysconf(_SC_NPROCESSORS_CONF) + 1;
	if (e->n_samplers > MAX_READERS - 1)
		e->n_samplers = MAX_READERS - 1;
	e->samplers = mem_zalloc(e->n_samplers * sizeof(*e->samplers));
	struct err *err = open_perf(e);
	if (!err)
		err = choose_ways(e);
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
	drop_samplers(e);
	free(e->samplers);
	sideband_close(e->sideband);
	threads_destroy(e->shared.threads);
	close(e->shared.stop_fd);
	close(e->shared.wake_fd);
	unwinder_destroy(e->unwinder);
	stack_deinit(&e->stack);
	map64_free(&e->estimated);
	free(e->note);
	free(e);
}

const char *engine_note(const struct engine *e)
{
	return e->note;
}

static void add_thread(struct engine *e, pid_t tid, bool born)
{
	static bool told;
	bool full = false;
	if (threads_find(e->shared.threads, tid))
		return;
	struct thread *th = threads_add(e->shared.threads, e->target->proc_fd, tid, born, &full);
	if (full && !told) {
		log_warn("too many threads for the limit of open files: those beyond it are not "
		         "sampled; "
		         "raise ulimit -n");
		told = true;
	}
	uint64_t *estimate = th ? map64_get(&e->estimated, (uint64_t)tid) : NULL;
	if (estimate) {
		th->credited_ns += *estimate;
		*estimate = 0;
	}
}

static void end_thread(struct engine *e, pid_t tid)
{
	if (e->sink.on_thread_end)
		e->sink.on_thread_end(e->sink.arg, tid, false, 0);
	threads_remove(e->shared.threads, tid);
}

/* Threads as /proc lists them now: what nobody told us of. */
static void rescan_threads(struct engine *e, bool born)
{
	pid_t *tids = NULL;
	size_t n = 0;
	struct err *err = target_threads(e->target, &tids, &n);
	if (err) {
		err_free(err);
		return;
	}
	struct map64 listed = {0};
	for (size_t i = 0; i < n; i++) {
		*map64_put(&listed, (uint64_t)tids[i]) = 1;
		add_thread(e, tids[i], born);
	}
	free(tids);
	for (size_t i = threads_count(e->shared.threads); i-- > 0;) {
		struct thread *th = threads_at(e->shared.threads, i);
		if (!map64_get(&listed, (uint64_t)th->tid) || atomic_load(&th->ended))
			end_thread(e, th->tid);
	}
	map64_free(&listed);
}

static void refresh_maps(struct engine *e)
{
	struct err *err = target_refresh_maps(e->target);
	err_free(err); /* gone: the old maps serve what is still in the queues */
	e->maps_read_ns = now_ns();
	e->maps_dirty = false;
	for (; e->images_prepared < images_count(e->target->images); e->images_prepared++)
		symbols_prepare_image(e->symbols,
		                      images_get(e->target->images, e->images_prepared + 1));
}

struct err *engine_start(struct engine *e)
{
	rescan_threads(e, e->config.until_exec);
	getrusage(RUSAGE_SELF, &e->self_start);
	e->start_cpu_ns = e->config.until_exec ? 0 : target_cpu_ns(e->target);
	e->start_ns = now_ns();
	e->rescan_ns = e->start_ns;
	/* The worker should get its turn on a busy machine; what it uses in all stays the same. */
	setpriority(PRIO_PROCESS, 0, -5);
	for (size_t i = 0; i < e->n_samplers; i++) {
		if (!e->samplers[i])
			continue;
		struct err *err = sampler_start(e->samplers[i]);
		if (!err && e->samplers[i]->ring)
			err = perf_ring_enable(e->samplers[i]->ring);
		e->started = true;
		if (err)
			return err;
	}
	symbols_add_process(e->symbols, (uint32_t)e->target->pid, e->target->root_fd,
	                    e->target->ns_pid, e->target->uid);
	for (; e->images_prepared < images_count(e->target->images); e->images_prepared++)
		symbols_prepare_image(e->symbols,
		                      images_get(e->target->images, e->images_prepared + 1));
	return NULL;
}

static void on_sideband(void *arg, const struct sideband_event *event)
{
	struct engine *e = arg;
	switch (event->kind) {
	case SIDEBAND_FORK:
		add_thread(e, event->tid, true);
		break;
	case SIDEBAND_EXIT:
		/* Of the process: its last snapshots are still to come. */
		if (event->tid != e->target->pid)
			end_thread(e, event->tid);
		break;
	case SIDEBAND_EXEC:
		e->exec_ns = event->time_ns;
		break;
	case SIDEBAND_COMM:
		if (e->sink.on_thread_name)
			e->sink.on_thread_name(e->sink.arg, event->tid);
		break;
	case SIDEBAND_MMAP:
		e->maps_dirty = true;
		break;
	case SIDEBAND_LOST:
		e->maps_dirty = true;
		e->rescan_ns = 0;
		break;
	}
}

/* A new program in the same process: one thread is left, and everything mapped is new. */
static void act_on_exec(struct engine *e)
{
	log_debug(LOG_TARGET, "process %d has execed", (int)e->target->pid);
	e->last_exec_ns = e->exec_ns;
	e->exec_ns = 0;
	e->execed = true;
	struct err *err = target_reload(e->target);
	err_free(err);
	refresh_maps(e);
	rescan_threads(e, true);
	if (e->sink.on_thread_name)
		e->sink.on_thread_name(e->sink.arg, e->target->pid);
}

/* What the thread's next copy should hold: what this stack needed and a quarter more, falling
 * slowly; four times as much when it was too little. */
static void learn_copy_size(struct engine *e, const struct snapshot *snap)
{
	struct thread *th = threads_find(e->shared.threads, snap->tid);
	if (!th || !e->stack.n)
		return;
	uint32_t copy = atomic_load(&th->copy_bytes);
	if (e->stack.end == STACK_SHORT) {
		copy = copy > STACK_MAX_COPY / 4 ? STACK_MAX_COPY : copy * 4;
	} else if (e->stack.end == STACK_ROOT) {
		uint64_t top = 0;
		for (size_t i = 0; i < e->stack.n; i++)
			if (e->stack.cfas[i] > top)
				top = e->stack.cfas[i];
		uint64_t used = top - snap->regs.r[REG_SP];
		if (used > STACK_MAX_COPY)
			return;
		uint32_t want = (uint32_t)(used + used / 4 + 1024 + 4095) & ~(uint32_t)4095;
		copy = want >= copy ? want : copy - (copy - want + 3) / 4;
	}
	if (copy < STACK_MIN_COPY)
		copy = STACK_MIN_COPY;
	if (copy > STACK_MAX_COPY)
		copy = STACK_MAX_COPY;
	atomic_store(&th->copy_bytes, copy);
}

static bool is_torn_by_exec(const struct engine *e, const struct snapshot *snap)
{
	uint64_t exec = e->exec_ns && snap->time_ns >= e->last_exec_ns + EXEC_TORN_NS
	                        ? e->exec_ns
	                        : e->last_exec_ns;
	uint64_t apart = snap->time_ns > exec ? snap->time_ns - exec : exec - snap->time_ns;
	return exec && apart < EXEC_TORN_NS;
}

/* One snapshot, left to right. */
static void take_sample(struct engine *e, const struct snapshot *snap)
{
	if (!e->execed || is_torn_by_exec(e, snap)) {
		e->stats.lost[LOSS_EXEC] += e->execed;
		return;
	}
	bool known = maps_find(&e->target->maps, snap->regs.r[REG_PC]);
	if ((e->maps_dirty || !known) && now_ns() - e->maps_read_ns > MAPS_MIN_INTERVAL_NS)
		refresh_maps(e);
	if (e->sink.snapshots)
		err_free(
		        recorded_write(e->sink.snapshots, snap)); /* the caller checks the stream */
	stack_reset(&e->stack);
	for (unsigned i = 0; i < snap->n_kernel; i++)
		stack_push(&e->stack,
		           (struct raw_frame){.kind = RAW_KERNEL, .addr = snap->kernel[i]}, 0);
	unwind(e->unwinder, &e->target->maps, (uint32_t)e->target->pid, snap, &e->stack);
	learn_copy_size(e, snap);
	if (!e->stats.samples)
		e->stats.first_sample_ns =
		        snap->time_ns > e->start_ns ? snap->time_ns - e->start_ns : 1;
	e->stats.samples += 1 + snap->prior_repeats;
	e->stats.captured[snap->by]++;
	e->stats.ends[e->stack.end]++;
	e->stats.reads += snap->reads;
	if (!threads_find(e->shared.threads, snap->tid) && !e->stopped)
		*map64_put(&e->estimated, (uint64_t)snap->tid) += snap->cpu_ns;
	if (snap->prior_repeats)
		e->sink.on_repeat(e->sink.arg, snap->tid, snap->prior_repeats, snap->prior_wall_ns);
	e->sink.on_stack(e->sink.arg, snap, &e->stack);
}

/* All snapshots that have arrived, in the order of their times. */
static void drain_queues(struct engine *e)
{
	for (;;) {
		struct queue *oldest = NULL;
		const struct snapshot *first = NULL;
		for (size_t i = 0; i < e->n_samplers; i++) {
			const struct snapshot *snap =
			        e->samplers[i] ? queue_peek(e->samplers[i]->queue) : NULL;
			if (snap && (!first || snap->time_ns < first->time_ns)) {
				first = snap;
				oldest = e->samplers[i]->queue;
			}
		}
		if (!first)
			break;
		if (e->exec_ns && first->time_ns >= e->exec_ns)
			act_on_exec(e);
		take_sample(e, first);
		queue_pop(oldest);
	}
	if (e->exec_ns)
		act_on_exec(e);
}

/* Without the side-band: the main program's file tells of an exec. */
static void look_for_exec(struct engine *e)
{
	char exe[4096];
	ssize_t n = readlinkat(e->target->proc_fd, "exe", exe, sizeof(exe) - 1);
	if (n > 0 &&
	    (strlen(e->target->exe) != (size_t)n || memcmp(e->target->exe, exe, (size_t)n) != 0))
		e->exec_ns = now_ns();
}

static void look_around(struct engine *e)
{
	uint64_t now = now_ns();
	if (now - e->rescan_ns < (e->sideband ? RESCAN_NS : RESCAN_BLIND_NS))
		return;
	e->rescan_ns = now;
	rescan_threads(e, true);
	if (!e->sideband)
		look_for_exec(e);
	if (e->has_perf && e->perf_access.scope == PERF_CPU_WIDE) {
		/* A CPU may have come online. */
		struct err *err = cover_cpus(e);
		for (size_t i = 0; i + 1 < e->n_samplers && !err; i++) {
			struct sampler *s = e->samplers[i];
			if (!s || s->started)
				continue;
			err = sampler_start(s);
			if (!err)
				err = perf_ring_enable(s->ring);
		}
		if (err)
			log_debug(LOG_TRIGGER, "%s", err->msg);
		err_free(err);
	}
	if (!e->traced_told) {
		uint64_t traced = 0;
		for (size_t i = 0; i < e->n_samplers; i++)
			traced += e->samplers[i]
			                  ? atomic_load(&e->samplers[i]->counts.lost[LOSS_TRACED])
			                  : 0;
		if (traced)
			log_warn("another tracer (gdb, strace, ...) holds threads of process %d: "
			         "they can only "
			         "be sampled without stopping them, which needs more privileges; "
			         "see csample "
			         "doctor",
			         (int)e->target->pid);
		e->traced_told = traced > 0;
	}
}

bool engine_poll(struct engine *e, int timeout_ms)
{
	size_t n_side = 0;
	const int *side = e->sideband ? sideband_fds(e->sideband, &n_side) : NULL;
	struct pollfd fds[2 + 64];
	size_t n = 0;
	fds[n++] = (struct pollfd){.fd = e->shared.wake_fd, .events = POLLIN};
	fds[n++] = (struct pollfd){.fd = e->target->pid_fd, .events = POLLIN};
	/* On large machines the rings are looked at now and then only. */
	for (size_t i = 0; i < n_side && n_side <= 64; i++)
		fds[n++] = (struct pollfd){.fd = side[i], .events = POLLIN};
	poll(fds, n, timeout_ms);
	uint64_t count;
	if (fds[0].revents && read(e->shared.wake_fd, &count, sizeof(count)) < 0)
		log_debug(LOG_CAPTURE, "wake-up: %s", strerror(errno));
	if (fds[1].revents || (e->target->pid_fd < 0 && !target_alive(e->target)))
		e->exited = true;
	if (e->sideband)
		sideband_drain(e->sideband, e->target->pid, on_sideband, e);
	drain_queues(e);
	uint64_t cpu_ns = target_cpu_ns(e->target);
	if (cpu_ns)
		e->last_cpu_ns = cpu_ns;
	if (!e->exited)
		look_around(e);
	threads_collect(e->shared.threads);
	/* A target that creates threads all the time wakes us for each: not more than once a ms. */
	if (n_side && timeout_ms > 1)
		usleep(1000);
	return !e->exited;
}

/* What no snapshot has carried. */
static void settle_threads(struct engine *e)
{
	for (size_t i = 0; i < threads_count(e->shared.threads); i++) {
		struct thread *th = threads_at(e->shared.threads, i);
		uint64_t cpu_ns;
		if (th->repeats)
			e->sink.on_repeat(e->sink.arg, th->tid, th->repeats, th->repeats_wall_ns);
		e->stats.samples += th->repeats;
		if (!e->sink.on_thread_end)
			continue;
		bool alive = thread_cpu_ns(th, &cpu_ns);
		e->sink.on_thread_end(e->sink.arg, th->tid, alive,
		                      alive && cpu_ns > th->credited_ns ? cpu_ns - th->credited_ns
		                                                        : 0);
	}
}

void engine_stop(struct engine *e)
{
	if (!e->started || e->stopped)
		return;
	uint64_t one = 1;
	for (size_t i = 0; i < e->n_samplers; i++)
		if (e->samplers[i] && e->samplers[i]->ring)
			perf_ring_disable(e->samplers[i]->ring);
	if (write(e->shared.stop_fd, &one, sizeof(one)) < 0)
		log_debug(LOG_CAPTURE, "stop: %s", strerror(errno));
	for (size_t i = 0; i < e->n_samplers; i++)
		if (e->samplers[i])
			sampler_join(e->samplers[i]);
	e->stop_ns = now_ns();
	uint64_t cpu_ns = target_cpu_ns(e->target);
	if (cpu_ns)
		e->last_cpu_ns = cpu_ns;
	if (e->sideband)
		sideband_drain(e->sideband, e->target->pid, on_sideband, e);
	drain_queues(e);
	e->stopped = true;
	settle_threads(e);
	setpriority(PRIO_PROCESS, 0, 0);
	if (atomic_load(&e->shared.rt_lost))
		log_warn("a sampler ran longer than it may at real-time priority and went on "
		         "without it");
}

static uint64_t rusage_ns(const struct rusage *r)
{
	return ((uint64_t)r->ru_utime.tv_sec + (uint64_t)r->ru_stime.tv_sec) * 1000000000ULL +
	       ((uint64_t)r->ru_utime.tv_usec + (uint64_t)r->ru_stime.tv_usec) * 1000ULL;
}

void engine_get_stats(struct engine *e, struct stats *ret)
{
	struct rusage self;
	uint64_t ticks = 0;
	*ret = e->stats;
	for (size_t i = 0; i < e->n_samplers; i++) {
		const struct sampler *s = e->samplers[i];
		if (!s)
			continue;
		if (!e->shared.wall || s->kind == SAMPLER_TIMER)
			ticks += atomic_load(&s->counts.ticks);
		for (unsigned k = 0; k < LOSSES; k++)
			ret->lost[k] += atomic_load(&s->counts.lost[k]);
		histogram_merge(&ret->pause, &s->pause);
	}
	uint64_t end = e->stop_ns ? e->stop_ns : now_ns();
	ret->duration_ns = end - e->start_ns;
	ret->target_cpu_ns =
	        e->last_cpu_ns > e->start_cpu_ns ? e->last_cpu_ns - e->start_cpu_ns : 0;
	getrusage(RUSAGE_SELF, &self);
	ret->self_cpu_ns = rusage_ns(&self) - rusage_ns(&e->self_start);
	ret->self_rss_bytes = (uint64_t)self.ru_maxrss * 1024;
	ret->rate_asked = e->config.rate_hz;
	uint64_t base = e->shared.wall || !e->has_perf ? ret->duration_ns : ret->target_cpu_ns;
	ret->rate_reached = base ? (double)ticks * 1e9 / (double)base : 0;
}
