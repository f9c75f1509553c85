/* SPDX-License-Identifier: Apache-2.0 */
/* Frames of runtimes in the place of the native frames that run them. Knows no process. */
#ifndef DECODE_SPLICE_H
#define DECODE_SPLICE_H

#include <csample/decode.h>

/* One runtime's frames of the thread. */
struct splice_part {
	struct runtime *rt;
	const struct runtime_stack *frames;
	enum native_role (*role)(void *arg, const struct raw_frame *raw);
	void *arg;
	const char *torn, *truncated; /* "[python: torn]": interned */
};

/* Scratch memory, reused. */
struct splicer {
	struct splice_place *places;
	size_t cap_places;
	struct stack out;
};
void splicer_init(struct splicer *s);
void splicer_deinit(struct splicer *s);

/* Replaces stack's frames. sp is the thread's stack pointer, 0 if not known. Fills *ret. */
#define SPLICE_MAX_PARTS 8
void splice(struct splicer *s, const struct splice_part *parts, size_t n_parts, uint64_t sp,
            enum native_frames native, struct stack *stack, struct decoded *ret);

#endif
