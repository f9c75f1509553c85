/* SPDX-License-Identifier: Apache-2.0 */
/* Every thread's stack once, as dump wants it. */
#ifndef CSAMPLE_ONCE_H
#define CSAMPLE_ONCE_H

#include <csample/core.h>
#include <csample/engine.h>

struct once_config {
	bool nonblocking;          /* never stop a thread; running ones may then be missing */
	struct decoding *decoding; /* NULL: native frames only */
	/* Called with visit's arg while the thread cannot run, or, of a sleeping one, is then seen
	 * not to have run: its memory is as in snap. Running threads are stopped for it. What it
	 * saw is void if snap is not the one visited in the end. Not of core files. NULL: no need.
	 */
	void (*while_held)(void *arg, const struct snapshot *snap, const struct decoded *decoded);
};

/* One thread. Blocked threads are read as they lie, running ones at a tick of a clock event within
 * a fraction of a second, and what is then left is stopped one by one. stack is NULL when the
 * thread could not be captured: why says it. snap has its bytes. Called in thread order (the main
 * one first). */
typedef void once_visit(void *arg, pid_t tid, const struct snapshot *snap,
                        const struct stack *stack, const struct decoded *decoded, const char *why);

struct err *once_all_threads(struct target *target, struct symbols *symbols,
                             const struct once_config *config, once_visit *visit, void *arg);

/* The same of a core file: all at once, and nothing can fail. state is 0: not known. */
struct err *once_core_threads(struct core *core, struct symbols *symbols,
                              const struct once_config *config, once_visit *visit, void *arg);

#endif
