/* SPDX-License-Identifier: Apache-2.0 */
/* Which runtimes live in a process, and their frames in the place of the native frames that run
 * them. */
#ifndef CSAMPLE_DECODE_H
#define CSAMPLE_DECODE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <csample/frame.h>
#include <csample/runtime.h>
#include <csample/snapshot.h>
#include <csample/target.h>

enum native_frames {
	NATIVE_OWN,  /* runtime frames and native ones, less the runtimes' machinery */
	NATIVE_ALL,  /* all native frames */
	NATIVE_NONE, /* runtime frames; a stack without any is one "[native]" mark */
};

/* A function's name in an image's symbol table, undemangled, and its start as linked; false: none.
 */
typedef bool decoder_namer(void *arg, struct image *img, uint64_t vaddr, const char **name_ret,
                           uint64_t *start_ret);

/* Of a run: all runtimes of all processes, alive or not, since frames are named at the end. */
struct decoder;
struct decoder *decoder_create(struct strings *strings, enum native_frames native,
                               decoder_namer *namer, void *namer_arg);
void decoder_destroy(struct decoder *d); /* NULL is allowed */
/* Who shows decoding_unattached() wants no warnings of the same. */
void decoder_warn(struct decoder *d, bool warn);
/* Names a RAW_RUNTIME frame. */
void decoder_name(struct decoder *d, struct raw_frame raw, struct frame *out);
/* Of the n named frames of a native one, innermost first, takes out machinery of runtimes that was
 * inlined, if such is to be hidden; returns how many are left. */
size_t decoder_hide_inlined(struct decoder *d, struct raw_frame raw, struct frame *frames,
                            size_t n);

/* Destroys runtimes of processes that were closed. None of their frames may wait for its name any
 * more; their numbers are given out again. */
void decoder_collect(struct decoder *d);
size_t decoder_runtimes(const struct decoder *d); /* how many there are */

/* Of one process, from its start or exec to its end or next exec. */
struct decoding;
struct decoding *decoding_open(struct decoder *d, struct target *t);
/* Samplers no longer call its gatherer. Its runtimes can still name frames. */
void decoding_close(struct decoding *p); /* NULL is allowed */
/* After an exec of the process: what was attached is detached, as for good. Samplers may be inside
 * its gatherer: nothing they see is freed before decoding_close(). */
void decoding_restart(struct decoding *p);
/* Looks for runtimes in what is mapped now; asks those again that were too early. Cheap when
 * nothing is new; call it when the maps have changed and several times a second. Unsupported
 * versions are warned of, once. */
void decoding_refresh(struct decoding *p);
/* Of the process, for life; asks for nothing while no runtime is attached. */
struct gatherer decoding_gatherer(struct decoding *p);
size_t decoding_runtimes(const struct decoding *p, struct runtime **ret, size_t max);

/* Runtimes that were found and are not attached: why; NULL: it is too early to tell. Valid as long
 * as the decoder. */
struct unattached {
	const struct runtime_ops *ops;
	const char *why;
};
size_t decoding_unattached(const struct decoding *p, struct unattached *ret, size_t max);

/* One was found that is not ready to be attached, or cannot be read: worth asking again soon. */
bool decoding_is_starting(const struct decoding *p);

struct decoded {
	enum walk_end end; /* of the runtime that had frames, else the worst there was */
	const struct runtime_ops *ops; /* which runtime's end that is; NULL with WALK_NONE */
	size_t n_frames;               /* runtime frames in the stack now */
	bool holds_lock;
	bool unmerged; /* native and runtime frames did not fit: the runtime's are shown alone */
	struct runtime *runtime; /* whose they are, or would be if they were not torn; NULL: none */
};
/* Splices, hides and marks, in place. stack is as unwind() left it, and may get more than
 * STACK_MAX_FRAMES. Returns what it found. */
struct decoded decode(struct decoding *p, const struct snapshot *snap, struct stack *stack);

#endif
