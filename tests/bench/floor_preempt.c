/* SPDX-License-Identifier: Apache-2.0 */
/* The least that `preempt` can be: the overflow wakes a pinned real-time sampler on the CPU of the
 * thread, which reads the record, copies 16 KiB from the stack pointer up and goes back to poll. No
 * proof, no weight, nothing decoded. With --other the sampler is late and cannot know it: the
 * positive control of the soundness test. */
#include <string.h>

#include "floor.h"

static bool capture(const struct floor *f, const struct ring_sample *sample,
                    uint64_t regs[RING_REGS], void *copy, size_t *copied_ret,
                    uint64_t *released_ns_ret)
{
	*copied_ret = floor_copy(f->pid, sample->regs[RING_SP], copy);
	*released_ns_ret = floor_now_ns();
	memcpy(regs, sample->regs, sizeof(sample->regs));
	return *copied_ret != 0;
}

int main(int argc, char **argv)
{
	struct floor f = {
	        .rate_hz = 1000, .seconds = 3, .fifo = true, .pinned = true, .capture = capture};
	return floor_main(&f, argc, argv);
}
