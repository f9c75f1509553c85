/* SPDX-License-Identifier: Apache-2.0 */
/* The line, and the loop around it: samplers capture, the caller's thread unwinds and hands stacks
 * to a sink. record, dump and whatever comes later differ in the sink alone. */
#ifndef CSAMPLE_ENGINE_H
#define CSAMPLE_ENGINE_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

#include <csample/capture.h>
#include <csample/decode.h>
#include <csample/err.h>
#include <csample/frame.h>
#include <csample/stats.h>
#include <csample/symbols.h>
#include <csample/target.h>

enum engine_event { ENGINE_CPU, ENGINE_CYCLES, ENGINE_WALL };
enum engine_capture {
	ENGINE_AUTO,    /* what harms least: preempt, asleep, stop */
	ENGINE_PREEMPT, /* preempt for running threads or nothing */
	ENGINE_STOP     /* stop for running threads */
};

/* Where stacks go. Called on the thread that calls engine_poll() and engine_stop(). */
struct sink {
	void *arg;
	/* frames: kernel frames first, then native and runtime ones, leaf first, not named. */
	void (*on_stack)(void *arg, const struct snapshot *snap, const struct stack *stack,
	                 const struct decoded *decoded);
	/* The thread slept on as in its last snapshot, observed n times, wall_ns in all. */
	void (*on_repeat)(void *arg, pid_t tid, uint64_t n, uint64_t wall_ns);
	/* The thread has ended, or (left true) sampling has, and left_ns of its CPU time were in no
	 * snapshot; of ended threads that is not known and 0. Optional. */
	void (*on_thread_end)(void *arg, pid_t tid, bool left, uint64_t left_ns);
	/* Its name may have changed. Optional. */
	void (*on_thread_name)(void *arg, pid_t tid);
	/* A process is sampled from now on, or runs another program than before. Optional. */
	void (*on_process)(void *arg, struct target *target);
	/* Nothing more will come of it; the target may be closed after this. Optional. */
	void (*on_process_end)(void *arg, struct target *target);
	FILE *snapshots; /* each snapshot is also written here (csample/recorded.h); NULL: not */
};

struct engine_config {
	enum engine_event event;
	enum engine_capture capture;
	bool nonblocking; /* never stop a thread */
	bool kernel;      /* kernel frames too */
	double rate_hz;
	uint64_t launched_ns; /* when the user asked, CLOCK_MONOTONIC */
	bool until_exec;      /* the target is a child of ours that has yet to exec: nothing before
	                         counts */
	bool children;        /* processes that targets have created and create are sampled too */
	bool patient; /* a long recording: the worker wakes less often, though the names of code
	                 that an interpreter runs but once may then be gone */
	struct decoder *decoder;   /* NULL, and decoding NULL: native frames only */
	struct decoding *decoding; /* of the one target, if it is open already; the caller's */
};

struct engine;
/* Finds out what is permitted and opens it; nothing is sampled yet. The targets (one or more),
 * config, sink and symbols are the caller's and outlive the engine. Errors: what was asked for is
 * not to be had, and why. */
struct err *engine_create(struct target *const *targets, size_t n_targets, struct symbols *symbols,
                          const struct engine_config *config, const struct sink *sink,
                          struct engine **ret);
void engine_destroy(struct engine *e);
/* What the user should know of how samples are taken, NULL if all is as asked for: "perf events are
 * refused (...): ...". */
const char *engine_note(const struct engine *e);
/* What engine_start() needs to know and takes its time to find out; it will then need but little.
 * Optional. */
void engine_prepare(struct engine *e);
struct err *engine_start(struct engine *e);
/* Samples one more process, also while sampling is under way. The target becomes the engine's. What
 * it has used so far does not count. ERR_GONE, or there are too many: it is closed then. */
struct err *engine_add_process(struct engine *e, struct target *target);
/* From now on; the ticks of samples under way stay what they are. 0 < rate_hz <= 10000. */
void engine_set_rate(struct engine *e, double rate_hz);
/* Works off what has arrived, and waits for more at most timeout_ms; a signal ends the wait. False
 * once all processes have ended. */
bool engine_poll(struct engine *e, int timeout_ms);
/* Before we are suspended: from the return on no thread is held or traced by us, nothing is
 * sampled, and what the targets use does not count. False when a thread that was asked to stop has
 * not yet: sampling goes on, and we must not be suspended. Waits for 2 s at most. */
bool engine_hold(struct engine *e);
/* Sampling goes on after engine_hold(); or, instead, engine_stop() ends it: it ended then. */
void engine_resume(struct engine *e);
/* Ends sampling and works off the rest. */
void engine_stop(struct engine *e);
void engine_get_stats(struct engine *e, struct stats *ret);
/* The same for ledger_cut(), while sampling goes on: reads all clocks, then works off what has been
 * captured until now. Costs about a microsecond for each thread. */
void engine_checkpoint(struct engine *e, struct stats *ret);
/* The processes that are sampled and have not ended, at most max; returns how many. */
size_t engine_pids(const struct engine *e, pid_t *ret, size_t max);

#endif
