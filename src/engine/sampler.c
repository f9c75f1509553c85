/* SPDX-License-Identifier: Apache-2.0 */
#include "sampler.h"

#include <errno.h>
#include <sched.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

static _Atomic bool *rt_lost; /* of the running engine, for the signal handler */

/* RLIMIT_RTTIME: a sampler that does not sleep for so long is broken. It goes on without its
 * priority, rather than hold a CPU. Only system calls here: safe in a handler. */
static void on_rt_time(int sig)
{
	struct sched_param none = {0};
	(void)sig;
	int saved = errno;
	sched_setscheduler(0, SCHED_OTHER, &none);
	if (rt_lost)
		atomic_store(rt_lost, true);
	errno = saved;
}

static void limit_rt_time(struct sampling *shared)
{
	struct rlimit limit = {50000, 500000}; /* microseconds: SIGXCPU, SIGKILL */
	struct sigaction sa = {.sa_handler = on_rt_time, .sa_flags = SA_RESTART};
	rt_lost = &shared->rt_lost;
	sigaction(SIGXCPU, &sa, NULL);
	setrlimit(RLIMIT_RTTIME, &limit);
}

static bool become_real_time(int priority)
{
	struct sched_param param = {.sched_priority = priority};
	return !sched_setscheduler(0, SCHED_FIFO | SCHED_RESET_ON_FORK, &param);
}

struct attempt {
	int priority;
	bool worked;
};

static void *try_real_time(void *arg)
{
	struct attempt *a = arg;
	a->worked = become_real_time(a->priority);
	return NULL;
}

bool sampler_may_be_real_time(int priority)
{
	struct attempt a = {priority, false};
	pthread_t thread;
	if (pthread_create(&thread, NULL, try_real_time, &a))
		return false;
	pthread_join(thread, NULL);
	return a.worked;
}

static bool pin_to(int cpu)
{
	cpu_set_t set;
	CPU_ZERO(&set);
	CPU_SET((unsigned)cpu, &set);
	/* Outside our cpuset this is EINVAL, and the thread runs on elsewhere. */
	return !sched_setaffinity(0, sizeof(set), &set) && sched_getcpu() == cpu;
}

void sampler_add_wall(struct thread *th, struct snapshot *snap, uint64_t now)
{
	snap->prior_repeats = th->repeats;
	snap->prior_wall_ns = th->repeats_wall_ns;
	th->repeats = th->repeats_wall_ns = 0;
	snap->wall_ns = now > th->observed_ns ? now - th->observed_ns : 0;
	th->observed_ns = now;
}

void sampler_push(struct sampler *s, struct snapshot *snap, bool urgent)
{
	if (queue_push(s->queue, snap) || urgent) {
		uint64_t one = 1;
		ssize_t n = write(s->shared->wake_fd, &one, sizeof(one));
		(void)n; /* the worker looks by itself soon enough */
	}
}

/* One way after the other, as far as they are allowed. All decisions about ways are here. */
static int capture_tick(struct sampler *s, struct thread *th, const struct tick *tick,
                        struct snapshot *snap, uint32_t capacity)
{
	const struct sampling *sh = s->shared;
	bool preempt = s->preempts && !sh->prefer_stop;
	/* The scheduler pushes a real-time thread to another CPU as soon as we want its own. */
	bool pushed = th && atomic_load_explicit(&th->realtime, memory_order_relaxed);
	if (preempt && th && !(pushed && sh->may_stop)) {
		int result =
		        capture_preempt(&s->capture, &s->witness, th, tick, s->cpu, snap, capacity);
		/* A failed proof means that it has run on; its CPU time waits for the next tick. */
		if (result != LOSS_NO_REGS)
			return result;
	}
	if (!sh->may_stop)
		return th ? LOSS_MOVED : LOSS_NEW;
	/* Where preempt does the work, threads not known yet are stopped only in user code: no
	 * system call can then return EINTR. */
	if (preempt && !th && !tick->in_user)
		return LOSS_NEW;
	/* Blocked by now: a stop might do harm, and is not needed. */
	if (th && th->syscall_fd >= 0 && !sh->prefer_stop) {
		int result = capture_asleep(&s->capture, th, snap, capacity);
		if (result != LOSS_RUNNING && result != LOSS_MOVED)
			return result;
	}
	witness_slept(&s->witness); /* in waitpid */
	return capture_stop(&s->capture, tick->tid, th, snap, capacity);
}

uint32_t sampler_capacity(const struct sampler *s, struct thread *th, uint64_t sp)
{
	uint32_t most = queue_most(s->queue), bytes = STACK_WIDE_COPY;
	if (th && atomic_load_explicit(&th->learned, memory_order_relaxed)) {
		uint32_t predicted = capture_stack_bytes(th, sp);
		bytes = atomic_load_explicit(&th->copy_bytes, memory_order_relaxed);
		if (bytes < predicted)
			bytes = predicted;
	}
	bytes += STACK_OTHER_COPY + (s->shared->gathers ? GATHER_MAX_COPY : 0);
	return bytes < most ? bytes : most;
}

static bool is_target(void *arg, pid_t pid)
{
	const struct sampling *sh = arg;
	return sh->children || threads_find_space(sh->threads, pid);
}

static void aim(struct sampler *s, const struct thread *th, pid_t pid)
{
	const struct space *space = th ? th->space : threads_find_space(s->shared->threads, pid);
	/* A child process that the worker has not met: it will when it gets the snapshot. */
	const struct space unknown = {.pid = pid, .mem_fd = -1};
	capture_aim(&s->capture, space ? space : &unknown);
}

static void handle_tick(struct sampler *s, const struct tick *tick)
{
	struct sampling *sh = s->shared;
	struct thread *th = threads_find(sh->threads, tick->tid);
	if (th && th->space->pid != tick->pid)
		th = NULL; /* its number was given out again */
	uint32_t capacity = sampler_capacity(s, th, tick->regs.r[REG_SP]);
	struct snapshot *snap = queue_reserve(s->queue, capacity);
	if (!snap) {
		sampler_lost(s, LOSS_QUEUE, 1);
		return;
	}
	if (th && !thread_try_hold(th)) {
		sampler_lost(s, LOSS_BUSY, 1);
		return;
	}
	aim(s, th, tick->pid);
	snap->pause_ns = 0;
	snap->wall_ns = snap->prior_repeats = snap->prior_wall_ns = 0;
	snap->guessed = !th;
	int result = capture_tick(s, th, tick, snap, capacity);
	if (result == CAPTURED) {
		if (!th)
			snap->cpu_ns = atomic_load(&sh->period_ns);
		if (sh->wall && th)
			sampler_add_wall(th, snap, tick->time_ns);
		else if (sh->wall)
			snap->wall_ns = snap->cpu_ns;
	} else if (result == LOSS_GONE && th) {
		atomic_store(&th->ended, true);
	}
	bool learned = th && atomic_load_explicit(&th->learned, memory_order_relaxed);
	if (th)
		thread_release(th);
	if (result != CAPTURED) {
		sampler_lost(s, (enum loss)result, 1);
		return;
	}
	if (snap->by == BY_STOP) {
		snap->pause_ns += snap->time_ns - tick->time_ns;
		histogram_add(&s->pause, snap->pause_ns);
	} else if (snap->by == BY_PREEMPT) {
		snap->pause_ns = now_ns() - tick->time_ns;
		s->holding_since_ns = tick->time_ns; /* until we sleep */
	}
	sampler_push(s, snap, !learned);
}

enum woken { WOKEN_BY_RING, WOKEN_BY_SIGNAL, WOKEN_TO_END };

/* epoll, because it alone fails with EINTR when we are stopped and continued on our way to sleep:
 * poll would be restarted, find the ring full, and seem to have slept through it. Edges do for the
 * ring, which is emptied each time. */
struct err *sampler_watch_ring(struct sampler *s)
{
	struct epoll_event ring = {.events = EPOLLIN | EPOLLET, .data.u32 = WOKEN_BY_RING};
	struct epoll_event stop = {.events = EPOLLIN, .data.u32 = WOKEN_TO_END};
	s->wait_fd = epoll_create1(EPOLL_CLOEXEC);
	if (s->wait_fd < 0 || epoll_ctl(s->wait_fd, EPOLL_CTL_ADD, perf_ring_fd(s->ring), &ring) ||
	    epoll_ctl(s->wait_fd, EPOLL_CTL_ADD, s->shared->stop_fd, &stop))
		return err_errno(errno, "wait for the events of CPU %d", s->cpu);
	return NULL;
}

static enum woken wait_for_tick(const struct sampler *s, int timeout_ms)
{
	struct epoll_event events[2];
	int n = epoll_wait(s->wait_fd, events, 2, timeout_ms);
	for (int i = 0; i < n; i++) {
		if (events[i].data.u32 == WOKEN_TO_END)
			return WOKEN_TO_END;
	}
	return n < 0 ? WOKEN_BY_SIGNAL : WOKEN_BY_RING;
}

/* Where the period of events cannot be changed, some of their ticks are left out. */
static bool is_wanted(struct sampler *s)
{
	uint32_t wanted = atomic_load_explicit(&s->shared->wanted_ticks, memory_order_relaxed);
	if (wanted == UINT32_MAX)
		return true;
	jittered(1, &s->random);
	return (uint32_t)(s->random >> 16) < wanted;
}

void *sampler_perf_main(void *arg)
{
	struct sampler *s = arg;
	struct sampling *sh = s->shared;
	s->tid = (pid_t)syscall(SYS_gettid);
	bool pinned = pin_to(s->cpu);
	s->preempts = pinned && sh->may_preempt && become_real_time(sh->rt_priority);
	struct err *err = capture_prepare_stop(&s->capture);
	if (err) {
		err_free(err);
		s->capture.has_stop_timer = false;
	}
	witness_open(&s->witness, s->cpu);
	s->capture.moves = sh->moves;
	atomic_store(&s->state, SAMPLER_RUNNING);
	struct tick tick;
	for (uint64_t wakes = 0;;) {
		if (s->holding_since_ns) {
			histogram_add(&s->pause, now_ns() - s->holding_since_ns);
			s->holding_since_ns = 0;
		}
		sampler_rest(s);
		witness_before_sleep(&s->witness);
		enum woken woken = wait_for_tick(s, s->capture.n_pending ? 2 : -1);
		if (woken == WOKEN_TO_END || atomic_load_explicit(&s->retire, memory_order_relaxed))
			break;
		if (woken == WOKEN_BY_SIGNAL)
			continue; /* what the ring holds is found the next time, and is old */
		if (s->capture.n_pending)
			capture_release_pending(&s->capture);
		struct perf_drained drained;
		threads_enter(sh->threads, s->reader);
		perf_ring_drain(s->ring, is_target, sh, &tick, &drained);
		if (drained.lost)
			sampler_lost(s, LOSS_RING, drained.lost);
		if (!drained.ticks || !is_wanted(s) || !sampler_may_capture(s)) {
			threads_leave(sh->threads, s->reader);
			continue;
		}
		atomic_fetch_add_explicit(&s->counts.ticks, drained.ticks, memory_order_relaxed);
		if (drained.ticks > 1)
			sampler_lost(s, LOSS_MERGED, drained.ticks - 1);
		handle_tick(s, &tick);
		threads_leave(sh->threads, s->reader);
		/* Setting the period costs 10 us on this CPU: not each time, and enough to break
		 * step with whatever is periodic. */
		if (sh->jitter && ++wakes % 8 == 0)
			perf_ring_set_period(s->ring,
			                     detuned(atomic_load(&sh->period_ns), &s->random));
		/* The CPU was offline and is back, or our cpuset changed. */
		if (pinned && sched_getcpu() != s->cpu)
			pin_to(s->cpu);
	}
	capture_deinit(&s->capture);
	witness_close(&s->witness);
	atomic_store(&s->state, SAMPLER_ENDED);
	return NULL;
}

struct err *sampler_start(struct sampler *s)
{
	if (s->shared->may_preempt)
		limit_rt_time(s->shared);
	/* Signals are the main thread's. */
	sigset_t all, old;
	sigfillset(&all);
	sigdelset(&all, SIGXCPU);
	pthread_sigmask(SIG_SETMASK, &all, &old);
	s->random = (now_ns() ^ (uint64_t)s->cpu << 32) | 1;
	int errnum =
	        pthread_create(&s->thread, NULL,
	                       s->kind == SAMPLER_PERF ? sampler_perf_main : sampler_timer_main, s);
	pthread_sigmask(SIG_SETMASK, &old, NULL);
	if (errnum)
		return err_errno(errnum, "start a sampler thread");
	s->started = true;
	return NULL;
}

void sampler_wait_started(struct sampler *s)
{
	while (s->started && atomic_load(&s->state) == SAMPLER_STARTING)
		usleep(50); /* it needs a CPU, maybe this one */
}

bool sampler_join(struct sampler *s)
{
	if (!s->started)
		return true;
	for (int ms = 0; atomic_load(&s->state) != SAMPLER_ENDED; ms++) {
		/* Something of higher priority may keep its CPU: let it end on another. */
		if (ms == 200 && s->tid) {
			cpu_set_t set;
			memset(&set, 0xff, sizeof(set));
			sched_setaffinity(s->tid, sizeof(set), &set);
		}
		if (ms == 5000)
			return false;
		usleep(1000);
	}
	pthread_join(s->thread, NULL);
	s->started = false;
	return true;
}

void sampler_retire(struct sampler *s)
{
	atomic_store(&s->retire, true);
	pthread_kill(s->thread, CAPTURE_SIGNAL); /* ends its wait */
}

void sampler_free(struct sampler *s)
{
	if (!s)
		return;
	if (s->wait_fd >= 0)
		close(s->wait_fd);
	perf_ring_close(s->ring);
	queue_destroy(s->queue);
	free(s);
}
