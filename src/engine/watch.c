/* SPDX-License-Identifier: Apache-2.0 */
/* What becomes of the target while it is sampled: threads, mappings, programs, CPUs. */
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <csample/log.h>
#include <csample/mem.h>

#include "internal.h"

/* Reading a clock goes through all threads of its process: the longer we know it, the less what is
 * not seen when it ends suddenly is of the whole. */
#define CLOCKS_NS       30000000ULL
#define CLOCKS_AGE      64 /* a share of the time we know it */
#define CLOCKS_MAX_NS   250000000ULL
#define CLOCKS_FEW      64
#define DECODING_NS     100000000ULL
#define RESCAN_NS       1000000000ULL
#define RESCAN_BLIND_NS 100000000ULL /* when nobody tells of new threads */
#define RESCAN_MANY     32           /* processes in one look around */

/* Files wanted for names later are opened now, while they are there. */
void engine_prepare_images(struct engine *e)
{
	for (; e->images_prepared < images_count(e->images); e->images_prepared++)
		symbols_prepare_image(e->symbols, images_get(e->images, e->images_prepared + 1));
}

static void on_sideband(void *arg, const struct sideband_event *event)
{
	struct engine *e = arg;
	if (event->kind == SIDEBAND_LOST) {
		for (size_t i = 0; i < e->processes.n; i++)
			e->processes.items[i]->maps_dirty = true;
		e->rescan_ns = 0;
		e->lost_events = true;
		return;
	}
	struct process *p = process_find(e, event->pid);
	if (p && !p->ended)
		e->ear.own++;
	else
		e->ear.foreign++;
	if (e->orphans)
		family_on_event(e, event);
	if (!p || p->ended)
		return;
	switch (event->kind) {
	case SIDEBAND_FORK:
		/* What it used before we began is not ours to count. */
		process_add_thread(e, p, event->tid, event->time_ns >= e->start_ns);
		break;
	case SIDEBAND_EXIT:
		/* Of the process: its last snapshots are still to come. */
		if (event->tid != event->pid)
			process_end_thread(e, event->tid);
		else
			process_read_clock(e, p);
		break;
	case SIDEBAND_EXEC:
		process_on_exec(e, p, event->time_ns);
		break;
	case SIDEBAND_COMM:
		if (e->sink.on_thread_name)
			e->sink.on_thread_name(e->sink.arg, event->tid);
		break;
	case SIDEBAND_MMAP:
		p->maps_dirty = true;
		break;
	case SIDEBAND_LOST:
		break;
	}
}

void engine_drain_sideband(struct engine *e)
{
	if (e->sideband)
		sideband_drain(e->sideband, on_sideband, e);
}

/* Without the side-band: the main program's file tells of an exec. */
static void look_for_exec(struct engine *e, struct process *p)
{
	char exe[4096];
	ssize_t n = readlinkat(p->target->proc_fd, "exe", exe, sizeof(exe) - 1);
	if (n > 0 &&
	    (strlen(p->target->exe) != (size_t)n || memcmp(p->target->exe, exe, (size_t)n) != 0))
		process_on_exec(e, p, now_ns());
}

/* Whether the CPU of a sampler was away since we last looked, however shortly. */
static bool clock_stopped(struct sampler *s)
{
	uint64_t before = s->clock_ns;
	s->clock_ns = perf_ring_clock_ns(s->ring);
	return before && s->clock_ns == before;
}

/* The event of a CPU that went offline stays dead when it comes back: its sampler ends, and a new
 * one is made then. */
static void retire_offline(struct engine *e, const int *cpus, size_t n)
{
	for (size_t cpu = 0; cpu + 1 < e->n_samplers; cpu++) {
		struct sampler *s = e->samplers[cpu];
		bool online = false;
		for (size_t i = 0; i < n; i++)
			online |= (size_t)cpus[i] == cpu;
		if (!s || !s->started)
			continue;
		if (online && !atomic_load(&s->retire) && !clock_stopped(s))
			continue;
		moves_expire(e->shared.moves);
		if (atomic_load(&s->state) != SAMPLER_ENDED) {
			sampler_retire(s); /* again, in case it was not asleep yet */
		} else if (!queue_peek(s->queue)) {
			sampler_join(s);
			engine_add_counts(e, s, &e->stats, &e->retired_ticks);
			sampler_free(s);
			e->samplers[cpu] = NULL;
		}
	}
}

/* True too when that cannot be known. */
static bool cpus_may_differ(struct engine *e)
{
	char text[sizeof(e->online)];
	ssize_t n = e->online_fd >= 0 ? pread(e->online_fd, text, sizeof(text) - 1, 0) : -1;
	if (n < 0 || n == sizeof(text) - 1)
		return true;
	text[n] = '\0';
	if (!strcmp(text, e->online))
		return false;
	memcpy(e->online, text, sizeof(text));
	return true;
}

/* The event of a CPU that went away is silent for good, and threads may come to it when it is back:
 * noticed while it is away, if that is a tenth of a second. */
static void watch_moves(struct engine *e)
{
	int cpus[MAX_CPUS];
	if (moves_valid(e->shared.moves) && cpus_may_differ(e) &&
	    !moves_cover(e->shared.moves, cpus, engine_online_cpus(cpus, MAX_CPUS)))
		moves_expire(e->shared.moves);
}

/* CPUs come and go. */
static void follow_cpus(struct engine *e)
{
	int cpus[MAX_CPUS];
	size_t n = engine_online_cpus(cpus, MAX_CPUS);
	retire_offline(e, cpus, n);
	struct err *err = engine_cover_cpus(e);
	bool fresh = false;
	for (size_t i = 0; i + 1 < e->n_samplers && !err; i++) {
		struct sampler *s = e->samplers[i];
		if (!s || s->started)
			continue;
		fresh = true;
		err = sampler_start(s);
		sampler_wait_started(s);
		if (!err)
			err = perf_ring_enable(s->ring);
	}
	if (fresh && e->sideband) {
		sideband_close(e->sideband);
		e->sideband = NULL;
		struct err *side_err = sideband_open(cpus, n, &e->sideband);
		err_free(side_err); /* then threads are looked for more often */
		for (size_t i = 0; i < e->processes.n; i++)
			e->processes.items[i]->maps_dirty = true;
	}
	if (err)
		log_debug(LOG_TRIGGER, "%s", err->msg);
	err_free(err);
}

static bool has_tracer(struct process *p)
{
	char text[4096];
	_cleanup_close_ int fd = openat(p->target->proc_fd, "status", O_RDONLY | O_CLOEXEC);
	ssize_t n = fd >= 0 ? read(fd, text, sizeof(text) - 1) : 0;
	text[n > 0 ? n : 0] = '\0';
	const char *line = strstr(text, "\nTracerPid:");
	return line && strtol(line + strlen("\nTracerPid:"), NULL, 10) != 0;
}

/* PTRACE_SEIZE answers EPERM in both cases. */
static void tell_of_tracer(struct engine *e)
{
	uint64_t traced = 0;
	for (size_t i = 0; i < e->n_samplers; i++)
		if (e->samplers[i])
			traced += atomic_load(&e->samplers[i]->counts.lost[LOSS_TRACED]);
	if (!traced || e->traced_told || !e->processes.n)
		return;
	e->traced_told = true;
	struct process *p = e->processes.items[0];
	for (size_t i = 0; i < e->processes.n; i++) {
		if (!has_tracer(e->processes.items[i]))
			continue;
		p = e->processes.items[i];
		log_warn("another tracer (gdb, strace, ...) holds threads of process %d: they can "
		         "only be sampled without stopping them, which needs more privileges; see "
		         "csample doctor",
		         (int)p->space.pid);
		return;
	}
	log_warn("threads of process %d cannot be stopped: ptrace is refused, by a seccomp filter, "
	         "a security module or another tracer; see csample doctor",
	         (int)p->space.pid);
}

static void read_clock(struct process *p, uint64_t now)
{
	uint64_t cpu_ns = target_cpu_ns(p->target);
	p->clock_ns = now;
	if (cpu_ns > p->last_cpu_ns)
		p->last_cpu_ns = cpu_ns;
}

static bool is_clock_due(const struct process *p, uint64_t now)
{
	uint64_t wait = (now - p->added_ns) / CLOCKS_AGE;
	if (wait < CLOCKS_NS)
		wait = CLOCKS_NS;
	/* What is young may be over at any moment, and with it its clock. */
	return p->is_young || now - p->clock_ns >= (wait < CLOCKS_MAX_NS ? wait : CLOCKS_MAX_NS);
}

void engine_read_clocks(struct engine *e)
{
	uint64_t now = now_ns();
	for (size_t i = 0; i < e->processes.n && e->processes.n <= CLOCKS_FEW; i++)
		if (!e->processes.items[i]->ended)
			read_clock(e->processes.items[i], now);
}

/* Clocks of those that run; the others' stand still. All of them now and then, since a process may
 * run without being met by a tick. */
static void read_clocks(struct engine *e, uint64_t now)
{
	if (now - e->clocks_look_ns < CLOCKS_NS && !e->young.n)
		return;
	e->clocks_look_ns = now;
	bool due = now - e->clocks_ns >= RESCAN_NS, all = due || e->processes.n <= FEW;
	if (due)
		e->clocks_ns = now;
	for (size_t i = 0; i < e->processes.n; i++) {
		struct process *p = e->processes.items[i];
		if (p->ended || !(all || p->sampled))
			continue;
		if (is_clock_due(p, now))
			read_clock(p, now);
		if (due)
			account_read_reaped(e, p);
	}
}

static void refresh_decodings(struct engine *e)
{
	for (size_t i = 0; i < e->processes.n; i++) {
		struct process *p = e->processes.items[i];
		if (p->decoding && !p->ended && (p->sampled || e->processes.n <= FEW))
			decoding_refresh(p->decoding);
		p->sampled = false;
	}
}

void engine_look_around(struct engine *e)
{
	uint64_t now = now_ns();
	read_clocks(e, now);
	if (now - e->decoded_ns >= DECODING_NS) {
		e->decoded_ns = now;
		refresh_decodings(e);
		watch_moves(e);
	}
	if (now - e->rescan_ns < (e->sideband ? RESCAN_NS : RESCAN_BLIND_NS))
		return;
	e->rescan_ns = now;
	size_t n = e->processes.n;
	for (size_t i = 0; i < n && (i < RESCAN_MANY || e->lost_events); i++) {
		struct process *p = e->processes.items[e->look_at++ % n];
		if (p->ended)
			continue;
		process_rescan_threads(e, p, true);
		if (!e->sideband || e->lost_events)
			look_for_exec(e, p);
		if (p->target->pid_fd < 0 && !target_alive(p->target))
			process_end(e, p);
	}
	if (e->orphans && (!e->sideband || e->lost_events))
		family_find(e);
	debts_age(&e->debts);
	e->lost_events = false;
	if (e->has_perf && e->perf_access.scope == PERF_CPU_WIDE)
		follow_cpus(e);
	tell_of_tracer(e);
}
