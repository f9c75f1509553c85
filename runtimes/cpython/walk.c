/* SPDX-License-Identifier: Apache-2.0 */
#include "cpython.h"

void py_walk(struct runtime *rt, const struct snapshot *snap, struct runtime_stack *out)
{
	(void)rt, (void)snap, (void)out;
}

enum walk_end py_walk_frames(struct py *py, const struct snapshot *snap,
                             bool (*visit)(void *arg, const struct py_frame_at *f),
                             bool (*end_group)(void *arg, uint64_t marker), void *arg,
                             bool *holds_lock)
{
	(void)py, (void)snap, (void)visit, (void)end_group, (void)arg, (void)holds_lock;
	return WALK_NONE;
}
