/* SPDX-License-Identifier: Apache-2.0 */
/* When to sample: perf clock events that run only while a thread does, and a timer. */
#ifndef CSAMPLE_TRIGGER_H
#define CSAMPLE_TRIGGER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include <csample/clock.h>
#include <csample/err.h>
#include <csample/snapshot.h>

struct tick {
	pid_t pid, tid;
	uint64_t time_ns; /* CLOCK_MONOTONIC */
	bool in_user;     /* user code was interrupted, no system call is under way */
	struct regs regs; /* at the user/kernel boundary; valid 0: none */
	uint16_t n_kernel;
	uint64_t kernel[SNAPSHOT_MAX_KERNEL];
};

struct perf_config {
	pid_t pid;          /* a process to try permissions on */
	bool children;      /* PERF_PER_THREAD: processes that the threads create, too */
	bool cycles;        /* hardware cycles instead of the software clock */
	uint64_t period_ns; /* of CPU time */
	bool kernel_chain;  /* kernel call chains in the records */
};

/* A ring of samples of one CPU. Used by one sampler thread. */
struct perf_ring;

/* What is open to us, tried in the order of facts/perf-trigger.md. */
enum perf_scope {
	PERF_CPU_WIDE,  /* all that runs on the CPU; samples of others are skipped */
	PERF_PER_THREAD /* the targets' threads and what they create */
};
struct perf_access {
	enum perf_scope scope;
	bool exclude_kernel; /* kernel time yields no samples (perf_event_paranoid 2) */
};
/* Finds out which events may be opened; ERR_PERM or ERR_UNSUPPORTED says why none. */
struct err *perf_probe(const struct perf_config *config, struct perf_access *ret);

/* Opens the ring of a CPU, disabled. In PERF_PER_THREAD scope threads are added afterwards. */
struct err *perf_ring_open(const struct perf_config *config, const struct perf_access *access,
                           int cpu, struct perf_ring **ret);
void perf_ring_close(struct perf_ring *r);
/* Its event runs if the ring is enabled. ERR_GONE when the thread has ended. */
struct err *perf_ring_add_thread(struct perf_ring *r, pid_t tid);
struct err *perf_ring_enable(struct perf_ring *r);
void perf_ring_disable(struct perf_ring *r);
int perf_ring_fd(const struct perf_ring *r); /* to poll */
/* What the clock of a CPU-wide ring has counted, ns. It stops for good when the CPU goes offline,
 * even if that comes back at once (measured on 6.18). 0: not a clock of a CPU. */
uint64_t perf_ring_clock_ns(const struct perf_ring *r);

struct perf_drained {
	unsigned ticks; /* samples of the targets */
	unsigned lost;  /* records the kernel dropped */
};
/* Is this process a target? Called for each sample; must not allocate, lock or wait. */
typedef bool perf_filter(void *arg, pid_t pid);
/* Takes all records out of the ring. The last sample of a target goes to *tick; those before it are
 * only counted. */
void perf_ring_drain(struct perf_ring *r, perf_filter *filter, void *arg, struct tick *tick,
                     struct perf_drained *ret);
/* Sets the time to the next tick, from now. Only for CPU-wide events (facts/perf-trigger.md, 4). */
void perf_ring_set_period(struct perf_ring *r, uint64_t period_ns);

/* What the kernel tells of all processes besides samples: rings of their own, read by the worker,
 * so that samplers see samples alone. CPU-wide only. */
enum sideband_kind {
	SIDEBAND_FORK,
	SIDEBAND_EXIT,
	SIDEBAND_EXEC,
	SIDEBAND_COMM,
	SIDEBAND_MMAP,
	SIDEBAND_LOST
};
struct sideband_event {
	enum sideband_kind kind;
	pid_t pid, tid;   /* FORK: of the new thread or process */
	pid_t parent_pid; /* FORK: of the process that called; the same for a new thread */
	uint64_t time_ns;
};
struct sideband;
struct err *sideband_open(const int *cpus, size_t n_cpus, struct sideband **ret);
void sideband_close(struct sideband *s);
/* Descriptors to poll, one per CPU. */
const int *sideband_fds(const struct sideband *s, size_t *n_ret);
/* Calls on_event for each record, in the order of their times; what another CPU writes meanwhile
 * comes with the next call, though it may be older. */
void sideband_drain(struct sideband *s,
                    void (*on_event)(void *arg, const struct sideband_event *event), void *arg);

/* Which threads were moved to another CPU, lately. CPU-wide only. Samplers share it. */
struct moves;
/* All CPUs that are online; fails where there are too many for it to be worth while. */
struct err *moves_open(const int *cpus, size_t n_cpus, struct moves **ret);
void moves_close(struct moves *m);
/* Are the CPUs still those? */
bool moves_cover(const struct moves *m, const int *cpus, size_t n_cpus);
/* A CPU has come or gone: nothing is known any more. */
void moves_expire(struct moves *m);
bool moves_valid(const struct moves *m); /* NULL: false */
/* Has a thread that ran on cpu at since_ns (CLOCK_MONOTONIC) begun to run on another since? True
 * also when that cannot be told. Makes no system call. */
bool moves_ran_elsewhere(const struct moves *m, int cpu, pid_t tid, uint64_t since_ns);

/* Deadlines at a fixed mean interval with jitter around it. */
struct timer {
	uint64_t period_ns, next_ns, random;
	bool jitter;
};
void timer_start(struct timer *t, uint64_t period_ns, bool jitter);
/* Sleeps until the next deadline and counts those missed before it; false when stop_fd has become
 * readable instead. */
bool timer_wait(struct timer *t, int stop_fd, unsigned *missed_ret);

/* A number from 0.875 to 1.125 of period_ns, uniformly; *state is any number but 0. */
uint64_t jittered(uint64_t period_ns, uint64_t *state);
/* For several ticks in a row: a sixteenth to three sixteenths more or less than period_ns. Against
 * work that comes with exactly that period some eight ticks pass through about all of it, where a
 * period too near to it would stand still. */
uint64_t detuned(uint64_t period_ns, uint64_t *state);
/* For a period that stays: the same with a quarter of that, so that the rate is about what was
 * asked for, and within 64 ticks all of such work was met. */
uint64_t detuned_for_good(uint64_t period_ns, uint64_t *state);

#endif
