/* SPDX-License-Identifier: Apache-2.0 */
/* One CPython in one process, as the files of this folder share it.
 *
 *   find.c       image -> where _PyRuntime is, which release     layouts.c selfdesc.c
 *   threads.c    interpreters -> thread states, by tid           tids.c; samplers read them
 *   gather.c     which regions, in the pause                     predictions per thread, young.c
 *   walk.c       snapshot -> frames and groups                   chain.c hole.c anchor.c
 *   code.c       code object -> entry with names and lines       guard.c settled.c qualnames.c
 *   bytecode.c   instruction -> offset in its code, in copies    lines.c: line tables
 *   names.c      strings
 *   objects.c    dicts, ints, lists, instances                   repr.c literals.c locals.c
 *   tasks.c      asyncio's tasks, what they await                awaits.c threadnames.c
 */
#ifndef CPYTHON_H
#define CPYTHON_H

#include <csample/intern.h>
#include <csample/rmem.h>
#include <csample/runtime.h>

#include "layout.h"

/* Where the roots are: find.c. */
struct py_roots {
	uint64_t runtime;    /* _PyRuntime; 0 with 3.6 */
	uint64_t head;       /* address of the word that points to the newest interpreter */
	uint64_t current;    /* 3.6: address of _PyThreadState_Current, or 0 */
	uint64_t code_type;  /* PyCode_Type; 0: not exported, learned from the first good frame */
	uint32_t hexversion; /* 0x030C01F0; micro and level may be 0 */
};

struct py_threads;   /* threads.c: tid -> thread states, and what gather predicts */
struct py_codes;     /* code.c */
struct py_bytecodes; /* bytecode.c */

struct py {
	struct runtime base; /* first */
	struct py_layout layout;
	struct py_roots roots;
	struct py_threads *threads;
	struct py_codes *codes;
	struct py_bytecodes *bytecodes; /* NULL: nothing is remembered */
	struct py_thread_names *thread_names;
	struct strings *strings;    /* target->strings */
	uint64_t not_finalizing_ns; /* when the worker last saw that it is not */
};
static inline struct py *py_of(struct runtime *rt)
{
	return (struct py *)rt;
}

/* ---- find.c ---- */
bool py_recognise(struct image *img);
/* Roots and layout; *ready is false when it is too early (nothing written yet). ERR_UNSUPPORTED
 * names the version. */
struct err *py_find(struct target *t, struct image *img, uint64_t bias, struct py_roots *roots,
                    struct py_layout *layout, bool *ready);
/* 3.14 on: fills py->layout.asyncio when the target has loaded asyncio's description; false: not
 * yet, or none. Only the worker uses that part of the layout. */
bool py_find_asyncio(struct py *py);

/* ---- collector.c ---- */
bool py_collecting(struct runtime *rt, bool *ret); /* see struct runtime_ops */

/* ---- threads.c ---- */
#define PY_MAX_INTERPRETERS 64
#define PY_MAX_THREADS      4096
#define PY_MAX_STATES       32 /* that one thread may run: it enters sub-interpreters */

struct py_thread { /* never changes: another takes its place */
	pid_t tid;
	pid_t ns_tid; /* as the target knows it */
	/* Those that name it, newest interpreter first; behind them, up to n_states, those of
	 * others that any thread may run: see anchor.c. */
	unsigned n_own, n_states;
	uint64_t states[PY_MAX_STATES];
	uint64_t interps[PY_MAX_STATES];
	uint64_t idents[PY_MAX_STATES];  /* PyThreadState.thread_id */
	pid_t natives[PY_MAX_STATES];    /* the thread that it names, as the target knows it */
	uint64_t locks[PY_MAX_STATES];   /* what layout.lock or layout.runtime.lock_* index */
	struct py_prediction *predicted; /* gather.c's; belongs to whoever captures the thread */
};
struct py_threads *py_threads_create(void);
void py_threads_destroy(struct py_threads *t);
/* Worker: walks the interpreters' lists anew. ERR_GONE: the interpreter has ended. */
struct err *py_threads_refresh(struct py *py);
/* Worker: a sample came of a thread that is not in the table. Refreshes at once, but not too often.
 */
void py_threads_missing(struct py *py, pid_t tid);
/* Samplers and worker, without a lock: the thread, or NULL. Valid until the sampler's gather()
 * returns, until the worker's next refresh; its states may be stale, which walk() checks. */
struct py_thread *py_threads_find(struct py_threads *t, pid_t tid);
/* Worker: the i-th, NULL past the end. */
struct py_thread *py_threads_at(struct py_threads *t, size_t i);

/* ---- gather.c, walk.c ---- */
size_t py_gather(struct runtime *rt, unsigned round, const struct snapshot *snap,
                 struct region *more, size_t max);
void py_walk(struct runtime *rt, const struct snapshot *snap, struct runtime_stack *out);
/* Finds the frames; walk and locals share it. Visits innermost first; false ends the walk. Nothing
 * is visited when the end is WALK_NONE, WALK_STARTING or WALK_TORN. */
struct py_frame_at {
	uint64_t addr;  /* of the frame struct */
	uint64_t code;  /* code object, untagged */
	int64_t lasti;  /* byte offset of the running instruction; < 0: not started, or unknown */
	uint32_t entry; /* of the code, as py_code_entry() says; 0: it cannot be named */
	uint64_t interp;
	bool in_generator;
};
enum walk_end py_walk_frames(struct py *py, const struct snapshot *snap,
                             bool (*visit)(void *arg, const struct py_frame_at *f),
                             bool (*end_group)(void *arg, uint64_t marker), void *arg,
                             bool *holds_lock);

/* ---- code.c: names and lines of code objects, each read once ---- */
struct py_codes *py_codes_create(struct strings *strings);
void py_codes_destroy(struct py_codes *c);
/* The guard words of a code object: what must not have changed since it was read. Asked for in the
 * pause for code that is young, see gather.c. */
#define PY_CODE_GUARD_BYTES 256
/* In the pause, where the guard cannot tell two codes apart (no co_version in them): what to copy
 * as well of code that is young, given its copied guard: heads of its name, file name and line
 * table. Returns how many; 0 from 3.11 on. */
#define PY_CODE_CONTENTS 3
size_t py_code_contents(const struct py_layout *l, const uint8_t *guard,
                        struct region more[PY_CODE_CONTENTS]);
/* Sampler or worker, without a lock: code at addr has been known and unchanged for long enough that
 * the pause need not read its guard. */
bool py_code_is_settled(struct py_codes *c, uint64_t addr);
/* Worker: the entry of the code object at addr, as of snap (which may hold its guard words), read
 * now if it is new; 0: it is none, or it was replaced since. Never the same number for two codes.
 */
uint32_t py_code_entry(struct py *py, const struct snapshot *snap, uint64_t addr);
/* Worker, after py_code_entry(), for releases without co_qualname: the qualified name, if the
 * function is found in the class of the frame's first argument. Costs something once per entry. */
void py_code_qualify(struct py *py, const struct snapshot *snap, uint32_t entry, uint64_t frame);
/* First bytecode offset (in bytes) that belongs to the function itself: 2 * co_firsttraceable. */
int64_t py_code_first_traceable(struct py_codes *c, uint32_t entry);
/* 0: no line, or lasti is PY_LASTI_UNKNOWN. */
uint32_t py_code_line(struct py_codes *c, uint32_t entry, int64_t lasti);
/* Raw frame of (entry, line): owner runtime->index, addr: entry, aux: line. */
void py_describe(struct runtime *rt, struct raw_frame raw, struct frame *out);
/* Worker, now and then: drop what has changed, settle what has not. */
void py_codes_refresh(struct py *py);

/* ---- bytecode.c: free-threaded 3.14 on ---- */
#define PY_LASTI_UNKNOWN INT64_MIN
struct py_bytecodes *py_bytecodes_create(void);
void py_bytecodes_destroy(struct py_bytecodes *b);
/* Worker: the offset in bytes of the instruction at instr in the code object at code, which is
 * known as entry, for a frame with this tlbc_index, which is not 0; PY_LASTI_UNKNOWN: it lies in no
 * bytecode of that code. */
int64_t py_bytecode_offset(struct py *py, struct rmem *rm, uint64_t code, uint32_t entry,
                           uint64_t instr, uint64_t index);

/* ---- lines.c: pure ---- */
struct py_line_range {
	uint32_t start; /* first bytecode offset, bytes */
	int32_t line;   /* 0: no line */
};
/* Expands a line table into ranges sorted by start; returns how many were written, at most max. */
size_t py_lines_expand(enum py_lines kind, const uint8_t *table, size_t len, int32_t firstlineno,
                       struct py_line_range *ret, size_t max);
int32_t py_line_of(const struct py_line_range *ranges, size_t n, int64_t lasti,
                   int32_t firstlineno);

/* ---- names.c: strings ---- */
#define PY_MAX_STRING 65536 /* characters */
/* A str object as UTF-8 (lone surrogates as \udcxx escapes); appended to b. At most max characters,
 * then "...". False: not readable, or obviously no str. */
bool py_read_str(struct py *py, struct rmem *rm, uint64_t addr, size_t max, struct strbuf *b);

/* ---- threadnames.c: threading._active ---- */
struct py_thread_names;
struct py_thread_names *py_thread_names_create(void);
void py_thread_names_destroy(struct py_thread_names *n);
bool py_thread_name(struct runtime *rt, pid_t tid, char *buf, size_t len);

/* ---- objects.c, locals.c, tasks.c ---- */
/* Bounded repr of any object: depth, length, total size and number of reads are limited. */
void py_repr(struct py *py, struct rmem *rm, uint64_t addr, struct strbuf *b);
void py_locals(struct runtime *rt, const struct snapshot *snap, size_t frame,
               runtime_visit_local *visit, void *arg);
void py_tasks(struct runtime *rt, runtime_visit_task *visit, void *arg);

/* ---- plumbing.c: data ---- */
enum native_role py_role(struct runtime *rt, const struct image *img, const char *name,
                         uint64_t start);

extern const struct runtime_ops cpython_ops;

#endif
