/* SPDX-License-Identifier: Apache-2.0 */
/* What was lost, and why; how long the target was held. Shown at the end of each recording. */
#ifndef CSAMPLE_STATS_H
#define CSAMPLE_STATS_H

#include <stdint.h>

#include <csample/frame.h>
#include <csample/snapshot.h>

/* Why a tick of the target gave no snapshot. Its CPU time is not lost: the thread's next snapshot,
 * or the end, carries it. */
enum loss {
	LOSS_RING,    /* the perf ring overflowed, or the kernel throttled the event */
	LOSS_QUEUE,   /* the worker did not keep up */
	LOSS_MERGED,  /* several ticks in one wake-up: the last of them counts */
	LOSS_LATE,    /* the sampler ran too late for the registers to be true */
	LOSS_MOVED,   /* the thread ran, or was elsewhere, while it was copied */
	LOSS_BUSY,    /* another sampler had the thread in hand */
	LOSS_NEW,     /* a thread not yet known, where only known ones can be captured */
	LOSS_RUNNING, /* not blocked, when only a blocked thread could be captured */
	LOSS_GONE,    /* the thread has ended */
	LOSS_TRACED,  /* another tracer has it, and only a stop would do */
	LOSS_REFUSED, /* no permission to stop or read it */
	LOSS_TIMEOUT, /* it did not stop in time */
	LOSS_MEMORY,  /* its stack cannot be read */
	LOSS_NO_REGS, /* a record without user registers */
	LOSS_EXEC,    /* taken between two programs */
	LOSSES
};
extern const char *const loss_names[LOSSES]; /* as JSON has them */

/* Durations in ns, eight buckets to each power of two. */
#define HISTOGRAM_BUCKETS 320
struct histogram {
	uint64_t buckets[HISTOGRAM_BUCKETS];
	uint64_t count, max, sum;
};
void histogram_add(struct histogram *h, uint64_t ns);
void histogram_merge(struct histogram *into, const struct histogram *from);
/* The value below which a share of q (0..1) lies, ns; 0 when empty. Within a
 * bucket, which is 9 to 12% wide, its values count as evenly spread. */
uint64_t histogram_quantile(const struct histogram *h, double q);
/* How many are at most ns, by the middles of their buckets. */
uint64_t histogram_below(const struct histogram *h, uint64_t ns);

/* Stacks of threads of a runtime whose frames could not all be shown in their places. */
#define STATS_RUNTIMES 4
struct runtime_stats {
	const char *name; /* "python"; NULL: not used */
	uint64_t stacks;  /* in which it had frames */
	uint64_t starting, truncated, torn, unmerged;
};

struct stats {
	uint64_t samples;                 /* snapshots that became stacks, repeats included */
	uint64_t captured[CAPTURED_WAYS]; /* snapshots by way */
	uint64_t lost[LOSSES];
	uint64_t ends[STACK_ENDS]; /* of the stacks; [STACK_ROOT] is the good ones */
	struct runtime_stats runtimes[STATS_RUNTIMES];
	uint64_t reads; /* process_vm_readv calls */
	struct histogram pause;
	uint64_t duration_ns;
	uint64_t target_cpu_ns;  /* what the kernel charged the target meanwhile */
	uint64_t profile_cpu_ns; /* the profile's total, when it counts CPU time */
	uint64_t not_sampled_ns; /* of that, on no stack */
	uint64_t uncarried_ns; /* of target_cpu_ns, what live threads may have used since their last
	                          snapshots; engine_checkpoint() alone asks for it */
	uint64_t first_sample_ns; /* from launch to the first snapshot; 0: none */
	uint64_t self_cpu_ns, self_rss_bytes;
	uint64_t processes;              /* sampled in all */
	double rate_asked, rate_reached; /* ticks a second of CPU time, or of wall time */
};
uint64_t stats_lost(const struct stats *s); /* all reasons */
/* The entry of that name, a new one if need be; NULL when there is no room. */
struct runtime_stats *stats_runtime(struct stats *s, const char *name);

#endif
