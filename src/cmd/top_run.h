/* SPDX-License-Identifier: Apache-2.0 */
/* Sampling for the live view: an engine that fills a profile, and what the view's head tells of the
 * target besides. */
#ifndef CMD_TOP_RUN_H
#define CMD_TOP_RUN_H

#include <csample/hash.h>
#include <csample/top.h>
#include <csample/vec.h>

#include "session.h"

struct top_lock {
	struct top_thread thread;
	uint64_t before_ns; /* of locked_ns, at the last interval's end */
	bool asleep_locked; /* as last seen */
};

struct top_run {
	struct session *s;
	bool wall;
	struct profile *profile;
	struct ledger *ledger;
	struct engine *engine;
	struct decoding *decoding; /* of the only target; NULL: there may be several */
	struct sink ledger_sink;
	VEC(struct target *) targets;               /* sampled now */
	struct runtime *runtimes[TOP_MAX_RUNTIMES]; /* met so far, no two of a name and version */
	size_t n_runtimes;
	VEC(struct top_lock) locks;
	struct map64 lock_of; /* tid: index + 1 */
	VEC(struct top_thread) by_thread;
	uint64_t locked_ns, locked_before_ns, cpu_before_ns, before_ns, start_ns;
	struct {
		uint64_t samples, lost, duration_ns; /* of the engine, as counting began */
		struct histogram pause;
	} base;
	bool ended;
	int loop_fd; /* what the main thread waits in; -1: not open */
	uint64_t look_ns, looks, idle_looks, random;
	uint64_t gc_asked, gc_found, gc_asked_before, gc_found_before; /* looks */
};

/* Starts sampling, in CPU or wall time; go: the session's command may begin. */
struct err *top_run_open(struct top_run *r, struct session *s, bool wall, bool go);
void top_run_close(struct top_run *r);
/* Counting begins anew, with another profile; sampling goes on, and what its threads did last is
 * still known. Returns the profile so far, which is the caller's to destroy. Not once ended. */
struct profile *top_run_cut(struct top_run *r);
/* As engine_poll(). */
bool top_run_poll(struct top_run *r, int timeout_ms);
/* Ends an interval: names what is new, and says what has become of the target. What it points to
 * lives until the next call. */
void top_run_facts(struct top_run *r, struct top_facts *ret);
/* Ends sampling: the facts to come are the last. */
void top_run_stop(struct top_run *r);

#endif
