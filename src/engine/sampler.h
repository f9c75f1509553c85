/* SPDX-License-Identifier: Apache-2.0 */
/* Samplers: the threads that trigger and capture. They allocate nothing and wait for nobody. */
#ifndef ENGINE_SAMPLER_H
#define ENGINE_SAMPLER_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include <csample/capture.h>
#include <csample/engine.h>
#include <csample/trigger.h>

/* What all samplers of a run share. Fixed while they run, but for what is atomic. */
struct sampling {
	struct threads *threads;
	bool gathers;  /* snapshots have regions of runtimes */
	bool children; /* a sample in a ring may be of a process not known yet, and counts */
	int stop_fd;   /* eventfd: readable when samplers should end */
	int wake_fd;   /* eventfd: a queue fills up */
	_Atomic uint64_t period_ns;
	_Atomic uint32_t wanted_ticks; /* of 2^32 ticks; UINT32_MAX: all of them */
	bool wall;                     /* snapshots carry wall time */
	bool may_preempt;              /* real-time priority is to be had, schedstat works */
	bool may_stop;
	bool prefer_stop;    /* --capture stop */
	struct moves *moves; /* NULL: not to be had */
	bool jitter;         /* the events are CPU-wide */
	int rt_priority;
	_Atomic bool held;      /* nothing may be captured */
	_Atomic unsigned holds; /* how often that was so */
	_Atomic bool rt_lost;   /* a sampler ran into RLIMIT_RTTIME */
};

enum sampler_kind {
	SAMPLER_PERF, /* one per CPU, ticks of the threads that run there */
	SAMPLER_TIMER /* one, looks at all threads in turn */
};

enum sampler_state { SAMPLER_STARTING, SAMPLER_RUNNING, SAMPLER_ENDED };

/* Written by the sampler, read by the worker at any time: each is a single word. */
struct sampler_counts {
	_Atomic uint64_t ticks;
	_Atomic uint64_t lost[LOSSES];
};

struct sampler {
	struct sampling *shared;
	enum sampler_kind kind;
	unsigned reader; /* its number for threads_enter() */
	int cpu;
	bool preempts;            /* it is pinned and has real-time priority */
	bool timer_stops_running; /* SAMPLER_TIMER: nobody else captures running threads */
	struct perf_ring *ring;
	int wait_fd; /* epoll: its ring, and stop_fd; -1: none */
	struct queue *queue;
	struct capture capture;
	struct witness witness; /* SAMPLER_PERF */
	struct sampler_counts counts;
	struct histogram pause; /* read after the thread has ended, or approximately before */
	pthread_t thread;
	pid_t tid;
	bool started;
	_Atomic enum sampler_state state;
	_Atomic bool capturing; /* or a thread is about to stop because of it */
	_Atomic bool retire;    /* its CPU is offline, or was */
	uint64_t clock_ns;      /* of its ring when last looked at; the worker's */
	uint64_t random;
	uint64_t holding_since_ns; /* a thread is off its CPU because of us; 0: none */
};

/* For SAMPLER_PERF, once its ring is open. */
struct err *sampler_watch_ring(struct sampler *s);
/* Starts the thread. */
struct err *sampler_start(struct sampler *s);
/* Waits until it runs: pinned, real-time if it may. */
void sampler_wait_started(struct sampler *s);
/* After stop_fd was made readable: waits for its end, moving it to another CPU if it starves. False
 * when it has not ended after seconds: nothing it uses may then be freed. */
bool sampler_join(struct sampler *s);
/* Asks it alone to end. To be repeated until it has. */
void sampler_retire(struct sampler *s);
void sampler_free(struct sampler *s); /* not running; NULL is allowed */
/* May threads of ours run at this real-time priority? Tries. */
bool sampler_may_be_real_time(int priority);

void *sampler_perf_main(void *arg);
void *sampler_timer_main(void *arg);
static inline void sampler_lost(struct sampler *s, enum loss loss, uint64_t n)
{
	atomic_fetch_add_explicit(&s->counts.lost[loss], n, memory_order_relaxed);
}
/* Before a capture: false while none may be. Until sampler_rest() the engine cannot be held. The
 * order of the two accesses matters: the engine sets held, and looks at capturing then. */
static inline bool sampler_may_capture(struct sampler *s)
{
	atomic_store(&s->capturing, true);
	return !atomic_load(&s->shared->held);
}
/* After it, and after capture_release_pending(). */
static inline void sampler_rest(struct sampler *s)
{
	atomic_store(&s->capturing, s->capture.n_pending > 0);
}
/* Adds wall time and what the thread has slept through to a snapshot; th is held. */
void sampler_add_wall(struct thread *th, struct snapshot *snap, uint64_t now);
/* Room for the bytes of a snapshot of th (NULL: not known yet). */
uint32_t sampler_capacity(const struct sampler *s, struct thread *th, uint64_t sp);
/* urgent: the worker should look at once. */
void sampler_push(struct sampler *s, struct snapshot *snap, bool urgent);

#endif
