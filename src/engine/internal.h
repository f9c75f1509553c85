/* SPDX-License-Identifier: Apache-2.0 */
/* The engine from inside: setup.c builds it, watch.c follows the target, engine.c is the line. */
#ifndef ENGINE_INTERNAL_H
#define ENGINE_INTERNAL_H

#include <sys/resource.h>

#include <csample/hash.h>
#include <csample/unwinder.h>

#include "sampler.h"

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
	struct decoding *decoding; /* NULL: native frames only */
	struct stack stack;
	char *note;
	bool abandoned; /* a sampler still runs, and uses all this */
	bool started, stopped, exited, execed, traced_told;
	bool maps_dirty;
	uint64_t exec_ns;      /* of an exec not yet acted upon; 0: none */
	uint64_t last_exec_ns; /* of the last one acted upon */
	uint64_t maps_read_ns, rescan_ns, decoded_ns;
	uint32_t images_prepared;
	struct map64 estimated; /* tid: CPU time credited to a thread before it was known, ns */
	uint64_t start_ns, stop_ns, start_cpu_ns, last_cpu_ns;
	struct rusage self_start;
	struct stats stats;
	uint64_t retired_ticks; /* of samplers that have ended */
};

#define MAX_CPUS 1024

/* setup.c */
/* Online CPUs, at most max; returns how many. */
size_t engine_online_cpus(int *cpus, size_t max);
/* Rings and samplers of all online CPUs that have none yet; not started. */
struct err *engine_cover_cpus(struct engine *e);

/* engine.c */
/* Adds what a sampler counted to stats, and its ticks if they tell the rate. */
void engine_add_counts(const struct engine *e, const struct sampler *s, struct stats *stats,
                       uint64_t *ticks);

/* watch.c */
/* Threads as /proc lists them now. born: those not known were created while we watch. */
void engine_rescan_threads(struct engine *e, bool born);
void engine_refresh_maps(struct engine *e);
void engine_prepare_images(struct engine *e);
void engine_drain_sideband(struct engine *e);
/* A new program in the same process: one thread is left, and everything mapped is new. */
void engine_act_on_exec(struct engine *e);
/* Now and then: what nobody told us of. */
void engine_look_around(struct engine *e);

#endif
