/* SPDX-License-Identifier: Apache-2.0 */
/* What a runtime's decoder may ask of the pause. */
#ifndef CSAMPLE_RUNTIME_H
#define CSAMPLE_RUNTIME_H

#include <stddef.h>

#include <csample/snapshot.h>

#define GATHER_ROUNDS 4

struct gatherer {
	/* In the pause, on a sampler thread: which regions next? Fills more[i].addr and .len,
	 * returns how many, 0 when done. Called at most GATHER_ROUNDS times; may look at snap, must
	 * not allocate, lock or make a system call. */
	size_t (*gather)(void *arg, unsigned round, const struct snapshot *snap,
	                 struct region *more, size_t max);
	void *arg;
};

#endif
