/* SPDX-License-Identifier: Apache-2.0 */
/* Registers and memory of one thread at one instant: three ways behind one interface, the table of
 * threads they need, and the queue their snapshots travel in. DESIGN: "Capture". */
#ifndef CSAMPLE_CAPTURE_H
#define CSAMPLE_CAPTURE_H

#include <signal.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>
#include <time.h>

#include <csample/err.h>
#include <csample/runtime.h>
#include <csample/snapshot.h>
#include <csample/stats.h>
#include <csample/trigger.h>

#define STACK_FIRST_COPY 65536u  /* of a thread never seen: whole, most likely */
#define STACK_WIDE_COPY  524288u /* in a second read, if the first found no end */
#define STACK_OTHER_COPY 16384u  /* of the stack a signal handler interrupted */
#define STACK_MIN_COPY   4096u
#define STACK_RED_ZONE   128 /* below the stack pointer; x86-64 psABI 3.2.2 */
#define SCHEDSTAT_TEXT   64

/* A process, as far as copying from its threads needs it. Whoever makes it keeps it as it is while
 * samplers can see it. */
struct space {
	pid_t pid;
	int mem_fd; /* of /proc/PID/mem, where process_vm_readv is refused; -1: use that */
	struct gatherer gather;
};

/* A thread of a target, with its files kept open so that nothing is opened in the pause. */
struct thread {
	pid_t tid;
	const struct space *space; /* its process */
	size_t index;              /* among threads_at() */
	int schedstat_fd, stat_fd, syscall_fd;
	_Atomic bool busy;           /* held by the sampler that captures it; never waited for */
	_Atomic bool learned;        /* copy_bytes comes from its own stacks */
	_Atomic uint64_t stack_root; /* where its stack began when last seen whole; 0: never */
	_Atomic bool realtime; /* SCHED_FIFO and the like: pushed to another CPU when we come */
	_Atomic bool ended;    /* its files say ESRCH */
	_Atomic uint32_t copy_bytes; /* stack to copy: what its last stacks needed, and some */
	/* Below: by the holder of busy alone. */
	uint64_t final_ns;    /* CPU time when sampling ended; the worker's */
	uint64_t credited_ns; /* CPU time that snapshots have carried so far */
	uint64_t observed_ns; /* when it was last observed; wall only */
	uint64_t repeats,
	        repeats_wall_ns; /* observations since in which it had not run; wall only */
	uint64_t preempted_ns;   /* tick of its last capture by preempt, */
	uint64_t times_run;      /* how often it had been switched in then, */
	bool ran_through;        /* and whether that was once since the one before */
	char asleep_text[SCHEDSTAT_TEXT]; /* schedstat when last captured asleep; "": not */
};

/* All threads and their processes, found by their numbers without a lock. The worker alone adds and
 * removes; samplers read between threads_enter() and threads_leave(). */
struct threads;
#define MAX_READERS 1025
struct threads *threads_create(void);
void threads_destroy(struct threads *t);
/* Opens the files of a thread. born: created while we watch, so that all its CPU time is ours to
 * credit; otherwise what it has used so far is not. Returns NULL when the thread has ended, or
 * *full is set because descriptors ran out. Worker only. */
struct thread *threads_add(struct threads *t, const struct space *space, int proc_fd, pid_t tid,
                           bool born, bool *full);
void threads_remove(struct threads *t, pid_t tid); /* worker only */
void threads_collect(struct threads *t);           /* frees what no sampler can still see */
struct thread *threads_find(struct threads *t, pid_t tid);
size_t threads_count(const struct threads *t);
struct thread *threads_at(const struct threads *t, size_t i); /* worker only; order is arbitrary */
/* For readers: the thread at or after *cursor in the table, which is moved behind it; NULL at the
 * end, and *cursor is 0 again. */
struct thread *threads_next(struct threads *t, size_t *cursor);
void threads_enter(struct threads *t, unsigned reader);
void threads_leave(struct threads *t, unsigned reader);
static inline bool thread_try_hold(struct thread *th)
{
	return !atomic_exchange_explicit(&th->busy, true, memory_order_acquire);
}
static inline void thread_release(struct thread *th)
{
	atomic_store_explicit(&th->busy, false, memory_order_release);
}
/* A process, before its threads; and out of sight again, after them. Worker only. */
void threads_add_space(struct threads *t, const struct space *space);
void threads_remove_space(struct threads *t, pid_t pid);
const struct space *threads_find_space(struct threads *t, pid_t pid); /* NULL: not one of ours */
/* release(arg) is called by a later threads_collect(), once no sampler can still see what was
 * removed before, or by threads_destroy(). Worker only. */
void threads_retire(struct threads *t, void (*release)(void *arg), void *arg);
/* Looks again whether it is a real-time thread. Worker only. */
void thread_check_policy(struct thread *th);
/* CPU time the thread has used, ns, from its schedstat; false when it has ended. */
bool thread_cpu_ns(struct thread *th, uint64_t *ret);

/* What all ways need. One per capturing thread of ours, set up before it starts. */
struct capture {
	/* As struct space has them; of the process that is captured now. */
	pid_t pid;
	int mem_fd;
	struct gatherer gather;
	const struct moves *moves; /* NULL: not to be had */
	pid_t own_child;    /* started by us: its exit status is waited for elsewhere; 0: none */
	timer_t stop_timer; /* interrupts a waitpid that takes too long */
	bool has_stop_timer;
	pid_t pending[16]; /* threads that did not stop in time, still seized by us */
	unsigned n_pending;
	/* By stop and asleep: called when snap has been copied and the thread has not been let go,
	 * or not been seen to sleep on; dump's, and takes its time. NULL: not. */
	void (*while_held)(void *arg, const struct snapshot *snap);
	void *while_held_arg;
};
void capture_init(struct capture *c);
/* What is captured from now on is of this process. */
static inline void capture_aim(struct capture *c, const struct space *space)
{
	c->pid = space->pid;
	c->mem_fd = space->mem_fd;
	c->gather = space->gather;
}
/* Does nothing but interrupt the system call a sampler sleeps in. Has a handler after
 * capture_prepare_stop(). */
#define CAPTURE_SIGNAL (SIGRTMIN + 1)
/* To be called on the thread that will use c: arms what stop needs. */
struct err *capture_prepare_stop(struct capture *c);
void capture_deinit(struct capture *c);
/* How many bytes of stack to copy of a thread (NULL: not known yet) from sp (0: not known yet) up:
 * to the root of its last whole stack, if that can be the root of this one. */
uint32_t capture_stack_bytes(struct thread *th, uint64_t sp);

/* What a sampler knows of its own sleep: see witness.c. Used by one thread of ours. */
struct witness {
	int stopper_fd; /* schedstat; -1: cannot be had */
	uint64_t own_runs, stopper_runs, stopper_read_ns, sleep_ns;
	bool slept; /* own_runs is old */
};
void witness_open(struct witness *w, int cpu);
void witness_close(struct witness *w);
/* Right before the wait, which must not be restarted when a stop of ours interrupts it. */
void witness_before_sleep(struct witness *w);
/* It has slept, or will, elsewhere than in its poll. */
void witness_slept(struct witness *w);
/* After it, once: this tick, and nothing before it, ended the sleep, and we have run since. */
bool witness_woken_by(struct witness *w, const struct tick *tick);
/* Then: the interrupted thread did not take itself away before we ran. */
bool witness_left_in_place(struct witness *w, const struct tick *tick);

#define CAPTURED (-1)
/* Each fills snap, whose bytes have room for capacity, and returns CAPTURED or an enum loss. */

/* The thread that the tick interrupted, held off cpu because the calling thread runs there. w is
 * the caller's. */
int capture_preempt(struct capture *c, struct witness *w, struct thread *th,
                    const struct tick *tick, int cpu, struct snapshot *snap, uint32_t capacity);
/* A blocked thread; LOSS_RUNNING if it is not. The holder of th->busy calls it. */
int capture_asleep(struct capture *c, struct thread *th, struct snapshot *snap, uint32_t capacity);
/* Any thread, by ptrace. th may be NULL for a thread not known yet: cpu_ns is then 0. */
int capture_stop(struct capture *c, pid_t tid, struct thread *th, struct snapshot *snap,
                 uint32_t capacity);
/* Lets go of threads that stopped only after their time; call it now and then while n_pending. */
void capture_release_pending(struct capture *c);

/* One sampler to one worker, without locks: a ring of bytes for snapshots of any size. */
struct queue;
/* bytes: a power of two, and of whole pages; all of it is faulted in. */
struct err *queue_create(size_t bytes, struct queue **ret);
void queue_destroy(struct queue *q);
/* More than this should not be reserved: an entry of such a size finds its place although others
 * wait. */
uint32_t queue_most(const struct queue *q);
/* Sampler: a snapshot whose ->bytes have room for capacity, NULL when the queue is full. One at a
 * time; not pushing it gives it back. */
struct snapshot *queue_reserve(struct queue *q, uint32_t capacity);
/* Sampler: hands the reserved snapshot over, cut to its n_bytes. True if the worker should be woken
 * because the queue is filling. */
bool queue_push(struct queue *q, struct snapshot *snap);
/* Worker: the oldest snapshot, or NULL. It stays valid until queue_pop(). */
const struct snapshot *queue_peek(struct queue *q);
void queue_pop(struct queue *q);

#endif
