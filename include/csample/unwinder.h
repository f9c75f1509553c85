/* SPDX-License-Identifier: Apache-2.0 */
/* From a snapshot to raw native frames. Never touches the process: registers and stack come from
 * the snapshot, unwind information from the mapped files. */
#ifndef CSAMPLE_UNWINDER_H
#define CSAMPLE_UNWINDER_H

#include <stddef.h>
#include <stdint.h>

#include <csample/frame.h>
#include <csample/snapshot.h>
#include <csample/target.h>

/* Looks up a function's name in the symbol table of img: the roots without CFI (musl's and Go's
 * entry functions) are known by name only. May be NULL. */
typedef bool unwinder_namer(void *arg, struct image *img, uint64_t vaddr, const char **name_ret,
                            uint64_t *start_ret);

struct unwinder;
struct unwinder *unwinder_create(unwinder_namer *namer, void *namer_arg);
void unwinder_destroy(struct unwinder *u);

/* Appends the frames of snap to stack, leaf first, and sets stack->end. Frames it is not sure of
 * are not invented: the stack ends there. Kernel frames of the snapshot are not looked at. */
void unwind(struct unwinder *u, const struct maps *maps, uint32_t process,
            const struct snapshot *snap, struct stack *stack);

struct unwinder_stats {
	uint64_t steps, by_rule, by_libunwind, by_frame_pointer, rules_made;
	size_t bytes; /* of its caches */
};
void unwinder_get_stats(const struct unwinder *u, struct unwinder_stats *ret);

#endif
