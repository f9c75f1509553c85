/* SPDX-License-Identifier: Apache-2.0 */
/* An interpreter or virtual machine inside a target: what csample asks of it. To add one: a folder
 * in runtimes/, a struct runtime_ops, a line in runtimes/runtimes.c. */
#ifndef CSAMPLE_RUNTIME_H
#define CSAMPLE_RUNTIME_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include <csample/err.h>
#include <csample/frame.h>
#include <csample/image.h>
#include <csample/snapshot.h>
#include <csample/strbuf.h>
#include <csample/target.h>

/* In the pause, regions are asked for in at most so many rounds. A warm gather needs one or two. */
#define GATHER_ROUNDS 256

struct gatherer {
	/* In the pause, on a sampler thread: which regions next? Fills more[i].addr and .len,
	 * returns how many, 0 when done. Round 0 is asked before anything is read (snap has
	 * registers, pid and tid, no bytes) and is read together with the stack: what is asked then
	 * is a prediction. Later rounds look at what was copied. What cannot be read has len 0 in
	 * the snapshot. Must not allocate, lock, log or make a system call. */
	size_t (*gather)(void *arg, unsigned round, const struct snapshot *snap,
	                 struct region *more, size_t max);
	void *arg;
};

/* The frames of a runtime, spliced between native ones: a group is what one native activation of
 * its interpreter (or one frame of its compiled code) runs. */
struct runtime_group {
	uint32_t first, n; /* frames[first, first + n), innermost first; n may be 0 */
	/* An address inside the stack frame of that native activation: stack pointer <= marker <
	 * canonical frame address. 0: not known, groups pair with native frames by count. */
	uint64_t marker;
};

enum walk_end {
	WALK_NONE,      /* the thread runs nothing of this runtime, or is none of its threads */
	WALK_WHOLE,     /* to the outermost frame, proven */
	WALK_STARTING,  /* the runtime is starting up, finalizing, or in a fork */
	WALK_TRUNCATED, /* too deep, or it left what was copied; what there is, is true */
	WALK_TORN,      /* what was read does not fit together: no frames of it are shown */
	WALK_ENDS
};
extern const char *const walk_end_names[WALK_ENDS];

#define RUNTIME_MAX_FRAMES 65536

struct runtime_stack {
	struct raw_frame *frames;     /* RAW_RUNTIME, innermost first; owner: runtime->index */
	struct runtime_group *groups; /* innermost first; they cover frames without gaps */
	size_t n, cap, n_groups, cap_groups;
	enum walk_end end;
	bool holds_lock; /* the interpreter's lock (GIL) was this thread's */
	/* The native frames of the same snapshot, as they were unwound: set before walk(), for
	 * runtimes that run compiled code. NULL: not known. */
	const struct stack *native;
};
void runtime_stack_init(struct runtime_stack *s);
void runtime_stack_deinit(struct runtime_stack *s);
static inline void runtime_stack_reset(struct runtime_stack *s)
{
	s->n = s->n_groups = 0;
	s->end = WALK_NONE;
	s->holds_lock = false;
}
/* Grow as needed up to RUNTIME_MAX_FRAMES; false: full. */
bool runtime_stack_push(struct runtime_stack *s, struct raw_frame raw);
/* Closes the group of all frames pushed since the last one. */
bool runtime_stack_close_group(struct runtime_stack *s, uint64_t marker);

/* What a native function is to a runtime. */
enum native_role {
	ROLE_NONE,     /* code like any other: shown */
	ROLE_EVAL,     /* runs frames of the runtime: replaced by them */
	ROLE_PLUMBING, /* the runtime's machinery: hidden unless all is asked for */
	ROLE_PASSAGE,  /* the same where a younger frame is the runtime's; as a leaf it does work */
};

/* Where a runtime was found, and how far attach() came; embedded by each runtime's own struct. */
struct runtime {
	const struct runtime_ops *ops;
	uint32_t index; /* owner of its RAW_RUNTIME frames; unique in the run, given by decode/ */
	struct target *target; /* NULL once detached */
	struct image *image;
	uint64_t bias;
	char version[48]; /* "3.12.1", for people */
};

/* What dump shows of one frame's variables; text is ready to print but not escaped. */
typedef void runtime_visit_local(void *arg, const char *name, const char *repr, bool is_argument);
/* One asyncio task or the like: its name, what it awaits (innermost first), who awaits it. */
struct runtime_task {
	const char *name;
	bool running; /* its frames are on a thread's stack as well */
	const struct frame *frames;
	size_t n_frames;
	const char *const *awaited_by;
	size_t n_awaited_by;
	pid_t tid; /* of the thread whose loop it belongs to; 0: not known */
};
typedef void runtime_visit_task(void *arg, const struct runtime_task *task);

struct runtime_ops {
	const char *name;  /* "python": in frame kinds, stats and "[python: torn]" */
	const char *title; /* "CPython" */
	enum frame_kind kind;
	/* Symbols, and sections with their dot, that recognise() and attach() look up, for
	 * recordings; NULL-terminated; NULL: none. With a star at the end: all that begin so; but
	 * of functions those that frames are in, the first and the last. */
	const char *const *landmarks;
	/* Is our interpreter in this file? Looks at the file only; asked once per image. */
	bool (*recognise)(struct image *img);
	/* Find the roots and the layout in a process that has img mapped with this bias. *ret stays
	 * NULL without an error when it is too early to tell: asked again later. ERR_UNSUPPORTED
	 * says which version we saw: native frames only, and the message is shown once. On the
	 * worker; may read t->rm. */
	struct err *(*attach)(struct target *t, struct image *img, uint64_t bias,
	                      struct runtime **ret);
	/* See struct gatherer; on sampler threads, one at a time for each thread of the target.
	 * Asked again after it was done, while another runtime is not, it answers 0 again. */
	size_t (*gather)(struct runtime *rt, unsigned round, const struct snapshot *snap,
	                 struct region *more, size_t max);
	/* The frames of snap's thread, from the snapshot; what is immutable and not yet known (a
	 * function's name, a line table) is read from target->rm, guarded, and cached. Fills out
	 * (reset by the caller) and sets its end. On the worker. */
	void (*walk)(struct runtime *rt, const struct snapshot *snap, struct runtime_stack *out);
	/* Names a frame that walk() made, even after the target has gone. Touches no process. */
	void (*describe)(struct runtime *rt, struct raw_frame raw, struct frame *out);
	/* The role of a native function, from its name in the symbol table (NULL: it has none) and
	 * its file; start is its address as linked, or pc's when the name is unknown. Without img:
	 * of executable memory that is of no file. */
	enum native_role (*role)(struct runtime *rt, const struct image *img, const char *name,
	                         uint64_t start);
	/* On the worker, between samples, several times a second: follow new threads, forget what
	 * is gone, learn. Reads target->rm. ERR_GONE: the runtime has ended (exec, finalization).
	 */
	struct err *(*refresh)(struct runtime *rt);
	/* No more gather, walk and refresh; describe must go on working until destroy. */
	void (*detach)(struct runtime *rt);
	void (*destroy)(struct runtime *rt);

	/* Optional, for dump and thread names. */
	/* The thread's name as the runtime knows it; false: none. */
	bool (*thread_name)(struct runtime *rt, pid_t tid, char *buf, size_t len);
	/* Arguments and locals of the i-th frame that walk() made of snap. Bounded in time, size
	 * and depth whatever the target holds. */
	void (*locals)(struct runtime *rt, const struct snapshot *snap, size_t frame,
	               runtime_visit_local *visit, void *arg);
	void (*tasks)(struct runtime *rt, runtime_visit_task *visit, void *arg);
	/* Has it a lock that one thread at a time holds (GIL)? NULL: such a runtime never has. */
	bool (*has_lock)(struct runtime *rt);
	/* Optional: does it collect garbage at this moment? By a few live reads, on the worker.
	 * False: that cannot be told, *ret is untouched. Without it, time in the collector shows
	 * as frames. */
	bool (*collecting)(struct runtime *rt, bool *ret);
	/* Optional: the releases it can read, for people: "3.6 to 3.15". */
	void (*releases)(char *buf, size_t len);
};

/* All runtimes csample knows, NULL-terminated. */
extern const struct runtime_ops *const all_runtimes[];

#endif
