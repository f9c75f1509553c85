/* SPDX-License-Identifier: Apache-2.0 */
/* From stacks to a profile whose total is the time that was really spent: each nanosecond the
 * kernel charged (cpu), or that passed for a thread (wall), lands on exactly one stack. */
#ifndef CSAMPLE_LEDGER_H
#define CSAMPLE_LEDGER_H

#include <stdbool.h>
#include <stdint.h>

#include <csample/engine.h>
#include <csample/profile.h>
#include <csample/stats.h>

struct ledger_config {
	bool threads;   /* the thread as root frame of its stacks */
	bool processes; /* the process as root frame of all */
	bool wall;
	bool lock_only; /* only stacks whose thread holds its runtime's lock; their total is less
	                   than what the kernel charged */
	bool timeline;  /* the profile keeps each sample's time: its meta.start_ns is set before
	                   sampling starts */
	uint64_t period_ns;
};

struct ledger;
/* Learns of processes from the engine, through the sink. */
struct ledger *ledger_create(struct profile *profile, const struct ledger_config *config);
void ledger_destroy(struct ledger *l);
struct sink ledger_sink(struct ledger *l);
/* After engine_stop() or engine_checkpoint(): gives what no snapshot carried, or will carry, a
 * home, and completes stats with the totals of all profiles, the present one with its duration and
 * losses. */
void ledger_settle(struct ledger *l, struct stats *stats);
/* Ends the profile so far and goes on with next, which is empty, while sampling goes on: every
 * sample and every nanosecond is in exactly one of the two. stats: of the whole run so far, as
 * engine_checkpoint() gives it. Before, settle, and name what is new with ledger_name(). The old
 * profile is the caller's again, except that the names of its mappings and frames are the run's. */
void ledger_cut(struct ledger *l, struct profile *next, const struct stats *stats);
/* With lock_only: a runtime that was met and may have a lock, see runtime_ops; NULL: none. */
struct runtime *ledger_locking(const struct ledger *l);
/* Names all locations that have no name yet. images: of the run. */
void ledger_name(struct ledger *l, struct images *images, struct symbols *symbols,
                 struct decoder *decoder);
/* The same of at most max locations, those named so far aside; true when none is left. What
 * mappings have is told by ledger_name() alone. */
bool ledger_name_some(struct ledger *l, struct symbols *symbols, struct decoder *decoder,
                      size_t max);

#endif
