/* SPDX-License-Identifier: Apache-2.0 */
/* The timer sampler: looks at all threads in turn. For wall time, and for CPU time where perf
 * events are refused. It is the only part whose cost grows with the number of threads, hence the
 * bound. */
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "sampler.h"

#define MAX_THREADS_PER_TICK 256

static bool read_schedstat(struct thread *th, char buf[SCHEDSTAT_TEXT])
{
	ssize_t n = pread(th->schedstat_fd, buf, SCHEDSTAT_TEXT - 1, 0);
	buf[n > 0 ? n : 0] = '\0';
	return n > 0;
}

static bool is_running(struct thread *th)
{
	char text[256];
	ssize_t n = th->syscall_fd >= 0 ? pread(th->syscall_fd, text, sizeof(text), 0) : -1;
	return n > 0 && *text == 'r';
}

/* A thread that is held. CAPTURED, a loss, or NOTHING when there is nothing to tell. */
#define NOTHING LOSSES
static int look(struct sampler *s, struct thread *th, struct snapshot *snap, uint32_t capacity)
{
	const struct sampling *sh = s->shared;
	char schedstat[SCHEDSTAT_TEXT];
	if (!read_schedstat(th, schedstat))
		return LOSS_GONE;
	/* Unchanged since it was captured asleep: it has not been switched in since. */
	if (th->asleep_text[0] && !strcmp(schedstat, th->asleep_text)) {
		uint64_t now = now_ns();
		th->repeats++;
		th->repeats_wall_ns += now - th->observed_ns;
		th->observed_ns = now;
		return NOTHING;
	}
	int result = LOSS_RUNNING;
	if (sh->wall)
		result = capture_asleep(&s->capture, th, snap, capacity);
	else if (!is_running(th))
		return NOTHING;
	/* It has woken meanwhile: it runs. */
	if (result != LOSS_RUNNING && result != LOSS_MOVED)
		return result;
	if (!s->timer_stops_running)
		return NOTHING; /* the tick of its CPU will find it, and carry this time */
	if (!sh->may_stop)
		return LOSS_RUNNING;
	return capture_stop(&s->capture, th->tid, th, snap, capacity);
}

static void look_at(struct sampler *s, struct thread *th)
{
	uint32_t capacity = sampler_capacity(s, th, 0);
	struct snapshot *snap = queue_reserve(s->queue, capacity);
	if (!snap) {
		sampler_lost(s, LOSS_QUEUE, 1);
		return;
	}
	if (!thread_try_hold(th)) {
		sampler_lost(s, LOSS_BUSY, 1);
		return;
	}
	capture_aim(&s->capture, th->space);
	snap->pause_ns = snap->wall_ns = snap->prior_repeats = snap->prior_wall_ns = 0;
	snap->guessed = false;
	int result = look(s, th, snap, capacity);
	if (result == CAPTURED && s->shared->wall)
		sampler_add_wall(th, snap, snap->time_ns);
	else if (result == LOSS_GONE)
		atomic_store(&th->ended, true);
	thread_release(th);
	if (result == CAPTURED) {
		if (snap->by == BY_STOP)
			histogram_add(&s->pause, snap->pause_ns);
		sampler_push(s, snap, false);
	} else if (result != NOTHING && result != LOSS_GONE) {
		sampler_lost(s, (enum loss)result, 1);
	}
}

void *sampler_timer_main(void *arg)
{
	struct sampler *s = arg;
	struct sampling *sh = s->shared;
	s->tid = (pid_t)syscall(SYS_gettid);
	struct err *err = capture_prepare_stop(&s->capture);
	if (err) {
		err_free(err);
		s->capture.has_stop_timer = false;
	}
	atomic_store(&s->state, SAMPLER_RUNNING);
	struct timer timer;
	timer_start(&timer, atomic_load(&sh->period_ns), true);
	unsigned missed;
	unsigned holds = 0;
	for (size_t cursor = 0; timer_wait(&timer, sh->stop_fd, &missed);) {
		if (s->capture.n_pending)
			capture_release_pending(&s->capture);
		sampler_rest(s);
		if (!sampler_may_capture(s)) {
			sampler_rest(s);
			continue;
		}
		/* Ticks of the time for which we were suspended are not late. */
		if (holds != atomic_load(&sh->holds))
			missed = 0;
		holds = atomic_load(&sh->holds);
		atomic_fetch_add_explicit(&s->counts.ticks, 1 + missed, memory_order_relaxed);
		if (missed)
			sampler_lost(s, LOSS_LATE, missed);
		timer.period_ns = atomic_load_explicit(&sh->period_ns, memory_order_relaxed);
		threads_enter(sh->threads, s->reader);
		for (unsigned i = 0; i < MAX_THREADS_PER_TICK; i++) {
			struct thread *th = threads_next(sh->threads, &cursor);
			if (!th)
				break; /* all seen; the next tick begins anew */
			look_at(s, th);
		}
		threads_leave(sh->threads, s->reader);
		sampler_rest(s);
	}
	capture_deinit(&s->capture);
	atomic_store(&s->state, SAMPLER_ENDED);
	return NULL;
}
