/* SPDX-License-Identifier: Apache-2.0 */
/* The engine from inside: setup.c builds it, process.c is the life of a process in it, watch.c
 * follows what becomes of them, hold.c pauses it, family.c finds their children, account.c sums up,
 * engine.c is the line. */
#ifndef ENGINE_INTERNAL_H
#define ENGINE_INTERNAL_H

#include <sys/resource.h>

#include <csample/hash.h>
#include <csample/unwinder.h>
#include <csample/vec.h>

#include "debts.h"
#include "ear.h"
#include "sampler.h"

/* A process that is sampled. The worker's, but for space. */
struct process {
	struct space space;    /* samplers see this; it does not change */
	struct target *target; /* &space.pid is its number */
	bool owns_target, owns_decoding;
	struct decoding *decoding; /* NULL: native frames only */
	bool execed; /* what runs is what was asked for: not so before a command's exec */
	bool maps_dirty;
	bool is_young;         /* is in the engine's list of them */
	bool maps_unknown;     /* it has ended before those of its program could be read */
	bool maps_ahead;       /* they are those after exec_ns already */
	bool sampled;          /* since the flag was last cleared */
	bool has_anonymous;    /* symbols know where its perf map is */
	bool ended, unseen;    /* the kernel says so; and no sampler can hold it any more */
	uint64_t exec_ns;      /* of an exec not yet acted upon; 0: none */
	uint64_t last_exec_ns; /* of the last one acted upon */
	uint64_t maps_read_ns;
	uint64_t added_ns, clock_ns;        /* when we met it, and last read its clock */
	uint64_t start_cpu_ns, last_cpu_ns; /* of its clock: when we began, and the last reading */
	uint64_t credited_ns;               /* CPU time that its snapshots have carried */
	struct process *parent; /* that is listed; NULL: none; a forebear if is_orphan */
	bool has_children, is_orphan;
	unsigned n_ended_children; /* that are still listed */
	bool reaped_unsure;        /* its sum may have what a child used before we began */
	uint64_t reaped_ns;        /* of the children it has waited for, as last read */
	uint64_t reaped_before_ns; /* of that, not ours to count */
	uint64_t children_ns;      /* what we know of its ended children */
	VEC(pid_t) tids;           /* once it has ended: those it had */
};

/* An event of a process that is not known, or not yet: its parent's FORK may lie in another CPU's
 * ring. */
#define MAX_ORPHANS 512
struct orphans {
	struct sideband_event items[MAX_ORPHANS];
	size_t n; /* in all: the next one goes to n % MAX_ORPHANS */
};

struct engine {
	struct symbols *symbols;
	struct images *images; /* of all targets, as their strings */
	struct strings *strings;
	struct engine_config config;
	struct sink sink;
	struct sampling shared;
	VEC(struct process *) processes; /* the first is the one engine_create() was given */
	struct map64 by_pid;             /* struct process * */
	VEC(struct process *) young;     /* those whose program may have just begun: young.c */
	size_t n_alive;
	uint64_t n_processes;      /* in all */
	uint64_t ended_cpu_ns;     /* what those used that are no longer listed */
	int ended_fd;              /* epoll: readable when a process has ended */
	struct orphans *orphans;   /* NULL: children are not followed */
	struct sampler **samplers; /* by CPU, the timer last; NULL: none there */
	size_t n_samplers;
	struct perf_config perf_config;
	struct perf_access perf_access;
	bool has_perf;
	struct sideband *sideband;
	struct unwinder *unwinder;
	struct stack stack;
	char *note;
	struct ear ear;
	int sleep_ms;   /* what engine_watch_young() answered last */
	size_t n_names; /* known to us, and when there last were more of them */
	uint64_t names_ns;
	int online_fd; /* the kernel's list of CPUs, and what it said; -1: there is none */
	char online[256];
	bool abandoned; /* a sampler still runs, and uses all this */
	bool started, stopped, traced_told, too_many_told;
	bool lost_events; /* since the last look around */
	unsigned n_execs; /* processes whose exec_ns waits to be acted upon */
	size_t look_at;   /* where the look around goes on */
	uint64_t rescan_ns, decoded_ns, clocks_ns, clocks_look_ns;
	uint32_t images_prepared;
	struct debts debts;
	uint64_t start_ns, stop_ns;
	uint64_t hold_ns, held_ns; /* since when it is held, 0: it is not; for how long it was */
	uint64_t start_ticks;      /* when sampling began, clock ticks after boot */
	struct rusage self_start;
	struct stats stats;
	uint64_t retired_ticks; /* of samplers that have ended */
};

#define MAX_CPUS      1024
#define MAX_PROCESSES 16384
#define FEW           8 /* processes: what is done for each of so many costs nothing */

/* hold.c */
/* All clocks as of now, those of threads into final_ns: together, so that they agree. */
void engine_note_clocks(struct engine *e);

/* setup.c */
/* Online CPUs, at most max; returns how many. */
size_t engine_online_cpus(int *cpus, size_t max);
/* Rings and samplers of all online CPUs that have none yet; not started. */
struct err *engine_cover_cpus(struct engine *e);
/* Per-thread events for all threads of p, in one ring or (NULL) in all. */
struct err *engine_add_events(struct engine *e, const struct process *p, struct perf_ring *ring);

/* rate.c: engine_set_rate() alone */

/* engine.c */
/* Adds what a sampler counted to stats, and its ticks if they tell the rate. */
void engine_add_counts(const struct engine *e, const struct sampler *s, struct stats *stats,
                       uint64_t *ticks);

/* process.c */
/* Lists it, shows it to the samplers and the sink. The target is taken over if owned. */
struct process *process_add(struct engine *e, struct target *target, bool owned);
/* Of the process of that pid that was last seen; NULL: none. It may have ended. */
struct process *process_find(const struct engine *e, pid_t pid);
/* All its threads, and its clock, from here on. */
void process_read_baseline(struct engine *e, struct process *p);
/* Reads its clock, if the process still exists, a zombie included. */
void process_read_clock(struct engine *e, struct process *p);
/* The process has ended; its last snapshots may be still to come. */
void process_end(struct engine *e, struct process *p);
/* Forgets those that have ended and are in no sampler's hands. To be called when the queues have
 * been worked off. */
void process_sweep(struct engine *e);
void process_free(struct process *p);
/* Threads as /proc lists them now. born: those not known were created while we watch. */
void process_rescan_threads(struct engine *e, struct process *p, bool born);
void process_add_thread(struct engine *e, struct process *p, pid_t tid, bool born);
void process_end_thread(struct engine *e, pid_t tid);
void process_refresh_maps(struct engine *e, struct process *p);
/* Its stacks have code that is in no file: symbols find its perf map while it is there. */
void process_note_anonymous(struct engine *e, struct process *p);
/* Notes an exec, to be acted upon when what was captured before has been worked off. */
void process_on_exec(struct engine *e, struct process *p, uint64_t time_ns);
/* A new program in the same process: one thread is left, and everything mapped is new. */
void process_act_on_exec(struct engine *e, struct process *p);

/* account.c */
/* A process that has a past: what it and its children used so far does not count. */
void account_begin(struct engine *e, struct process *p);
void account_read_reaped(struct engine *e, struct process *p);
/* CPU time since we began, ns, of the process and of the children that ended. */
uint64_t account_cpu_ns(const struct process *p);
/* It is about to be forgotten: its time is carried over. */
void account_end(struct engine *e, struct process *p);

/* wait.c: sleeps until there is something to do, at most timeout_ms. True: the side-band alone has
 * ended that. */
bool engine_wait(struct engine *e, int timeout_ms);

/* watch.c */
void engine_prepare_images(struct engine *e);
void engine_drain_sideband(struct engine *e);
/* young.c: looks at programs that have just begun; returns how long the worker may sleep, ms. */
int engine_watch_young(struct engine *e);
/* To be watched for a while: it is new, or runs a new program. */
void engine_note_young(struct engine *e, struct process *p);
/* Clocks of the processes, if they are few; else those of late must do. */
void engine_read_clocks(struct engine *e);
/* Now and then: what nobody told us of. */
void engine_look_around(struct engine *e);

/* family.c: only where children are followed */
/* An event that may be of a child, or of a child's child. */
void family_on_event(struct engine *e, const struct sideband_event *event);
/* Children that exist, and theirs; what they used before sampling began does not count. */
void family_find(struct engine *e);
/* A snapshot of a process that is not known: events are inherited. NULL: it is none of ours. */
struct process *family_meet(struct engine *e, pid_t pid);

#endif
