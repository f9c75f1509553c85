/* SPDX-License-Identifier: Apache-2.0 */
/* What becomes of the target while it is sampled: threads, mappings, programs, CPUs. */
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <csample/log.h>
#include <csample/mem.h>

#include "internal.h"

#define EXEC_TORN_NS    300000
#define DECODING_NS     100000000ULL
#define RESCAN_NS       1000000000ULL
#define RESCAN_BLIND_NS 100000000ULL /* when nobody tells of new threads */

static void add_thread(struct engine *e, pid_t tid, bool born)
{
	static bool told;
	bool full = false;
	if (threads_find(e->shared.threads, tid))
		return;
	struct thread *th = threads_add(e->shared.threads, e->target->proc_fd, tid,
	                                tid == e->target->pid, born, &full);
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

void engine_rescan_threads(struct engine *e, bool born)
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
		else
			thread_check_policy(th);
	}
	map64_free(&listed);
}

/* Files wanted for names later are opened now, while they are there. */
void engine_prepare_images(struct engine *e)
{
	for (; e->images_prepared < images_count(e->target->images); e->images_prepared++)
		symbols_prepare_image(e->symbols,
		                      images_get(e->target->images, e->images_prepared + 1));
}

void engine_refresh_maps(struct engine *e)
{
	struct err *err = target_refresh_maps(e->target);
	err_free(err); /* gone: the old maps serve what is still in the queues */
	e->maps_read_ns = now_ns();
	e->maps_dirty = false;
	engine_prepare_images(e);
	if (e->decoding)
		decoding_refresh(e->decoding);
}

static void on_sideband(void *arg, const struct sideband_event *event)
{
	struct engine *e = arg;
	switch (event->kind) {
	case SIDEBAND_FORK:
		/* What it used before we began is not ours to count. */
		add_thread(e, event->tid, event->time_ns >= e->start_ns);
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

void engine_drain_sideband(struct engine *e)
{
	if (e->sideband)
		sideband_drain(e->sideband, e->target->pid, on_sideband, e);
}

void engine_act_on_exec(struct engine *e)
{
	log_debug(LOG_TARGET, "process %d has execed", (int)e->target->pid);
	e->last_exec_ns = e->exec_ns;
	e->exec_ns = 0;
	e->execed = true;
	struct err *err = target_reload(e->target);
	err_free(err);
	if (e->decoding)
		decoding_restart(e->decoding);
	engine_refresh_maps(e);
	engine_rescan_threads(e, true);
	if (e->sink.on_thread_name)
		e->sink.on_thread_name(e->sink.arg, e->target->pid);
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
		if (!err)
			err = perf_ring_enable(s->ring);
	}
	if (fresh && e->sideband) {
		sideband_close(e->sideband);
		e->sideband = NULL;
		struct err *side_err = sideband_open(cpus, n, &e->sideband);
		err_free(side_err); /* then threads are looked for more often */
		e->maps_dirty = true;
	}
	if (err)
		log_debug(LOG_TRIGGER, "%s", err->msg);
	err_free(err);
}

static bool has_tracer(struct engine *e)
{
	char text[4096];
	_cleanup_close_ int fd = openat(e->target->proc_fd, "status", O_RDONLY | O_CLOEXEC);
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
	if (!traced || e->traced_told)
		return;
	e->traced_told = true;
	if (has_tracer(e))
		log_warn("another tracer (gdb, strace, ...) holds threads of process %d: they can "
		         "only "
		         "be sampled without stopping them, which needs more privileges; see "
		         "csample "
		         "doctor",
		         (int)e->target->pid);
	else
		log_warn("threads of process %d cannot be stopped: ptrace is refused, by a seccomp "
		         "filter, a security module or another tracer; see csample doctor",
		         (int)e->target->pid);
}

void engine_look_around(struct engine *e)
{
	uint64_t now = now_ns();
	if (e->decoding && now - e->decoded_ns >= DECODING_NS) {
		e->decoded_ns = now;
		decoding_refresh(e->decoding);
	}
	if (now - e->rescan_ns < (e->sideband ? RESCAN_NS : RESCAN_BLIND_NS))
		return;
	e->rescan_ns = now;
	engine_rescan_threads(e, true);
	if (!e->sideband)
		look_for_exec(e);
	if (e->has_perf && e->perf_access.scope == PERF_CPU_WIDE)
		follow_cpus(e);
	tell_of_tracer(e);
}
