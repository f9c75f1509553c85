/* SPDX-License-Identifier: Apache-2.0 */
/* An interpreter made by hand in our own memory, by the row of a release: thread states, frames,
 * code objects, as far as csample looks at them. It is sampled as a process is, by reading our own
 * memory. */
#ifndef TEST_WORLD_H
#define TEST_WORLD_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cmocka.h>

#include <csample/capture.h>
#include <csample/mem.h>

#include "../../../runtimes/cpython/chain.h"
#include "../../../runtimes/cpython/gather.h"
#include "../../../src/capture/copy.h"

#define WORLD_BYTES  (8u << 20)
#define WORLD_PAGE   4096u
#define WORLD_TIDS   64
#define WORLD_STACK  16384u
#define INTERP_BYTES (512u << 10)

struct world {
	uint8_t *memory; /* a page that cannot be read before and after it */
	size_t used;
	struct target target;
	pid_t tids[WORLD_TIDS];
	struct strings *strings;
	struct py py;
	uint64_t head; /* the word that points to the newest interpreter */
	uint64_t code_type, frame_type;
	uint64_t stack;  /* WORLD_STACK bytes, the sampled thread's C stack */
	uint64_t pushed; /* next free in the data stack under way */
	struct capture capture;
	struct thread thread;
	struct snapshot snap;
	uint8_t *bytes;
	struct runtime_stack out;
};

static inline uint64_t world_alloc(struct world *w, size_t bytes)
{
	uint64_t addr = (uintptr_t)w->memory + w->used;
	w->used += (bytes + 15) & ~(size_t)15;
	assert_true(w->used <= WORLD_BYTES);
	return addr;
}

static inline void put_at(uint64_t addr, uint64_t value, size_t width)
{
	memcpy((void *)(uintptr_t)addr, &value, width);
}

/* Fields this release lacks are left out. */
static inline void put(uint64_t addr, struct field f, uint64_t value)
{
	if (field_known(f))
		put_at(addr + f.at, value, f.width);
}

static inline uint64_t get(uint64_t addr, struct field f)
{
	uint64_t v = 0;
	memcpy(&v, (void *)(uintptr_t)(addr + f.at), f.width);
	return v;
}

static inline uint64_t new_str(struct world *w, const char *text)
{
	const struct py_layout *l = &w->py.layout;
	uint64_t addr = world_alloc(w, l->str.ascii_data + strlen(text) + 1);
	put(addr, l->str.length, strlen(text));
	put(addr, l->str.state,
	    1u << l->str.kind_shift | 1u << l->str.compact_bit | 1u << l->str.ascii_bit);
	memcpy((void *)(uintptr_t)(addr + l->str.ascii_data), text, strlen(text));
	return addr;
}

static inline uint64_t new_code(struct world *w, const char *name)
{
	const struct py_layout *l = &w->py.layout;
	uint64_t str = new_str(w, name), table = world_alloc(w, l->bytes.data + 16);
	uint64_t addr = world_alloc(w, 512);
	put_at(addr, 1, 8); /* reference count */
	put(addr, l->object.type, w->code_type);
	put(addr, l->code.name, str);
	put(addr, l->code.qualname, str);
	put(addr, l->code.filename, str);
	put(addr, l->code.linetable, table);
	put(addr, l->code.firstlineno, 7);
	return addr;
}

static inline uint64_t new_interp(struct world *w)
{
	uint64_t addr = world_alloc(w, INTERP_BYTES), lock = world_alloc(w, 256);
	put(addr, w->py.layout.interp.next, get(w->head, (struct field){0, 8}));
	if (w->py.layout.lock_at == LOCK_INTERP)
		put(addr, w->py.layout.interp.lock, lock);
	put_at(w->head, addr, 8);
	return addr;
}

/* At the head of its interpreter's list, with a data stack of one chunk. ident: what
 * pthread_self() says. */
static inline uint64_t new_state(struct world *w, uint64_t interp, pid_t tid, uint64_t ident)
{
	const struct py_layout *l = &w->py.layout;
	uint64_t addr = world_alloc(w, 4096), old = get(interp, l->interp.threads_head);
	put(addr, l->thread.interp, interp);
	put(addr, l->thread.next, old);
	if (old)
		put(old, l->thread.prev, addr);
	put(interp, l->interp.threads_head, addr);
	put(addr, l->thread.thread_id, ident);
	put(addr, l->thread.native_thread_id, (uint64_t)tid);
	put(addr, l->thread.initialized, 1);
	put(addr, l->thread.cframe, addr + l->thread.root_cframe.at);
	if (field_known(l->thread.datastack_chunk)) {
		uint64_t chunk = world_alloc(w, 16384);
		put(chunk, l->chunk.size, 16384);
		put(addr, l->thread.datastack_chunk, chunk);
		w->pushed = chunk + l->chunk.data + 8;
		put(addr, l->thread.datastack_top, w->pushed);
	}
	return addr;
}

/* Something that pthread_self() may point to. */
static inline uint64_t new_pthread(struct world *w, pid_t tid, uint32_t tid_at)
{
	uint64_t addr = world_alloc(w, 2048);
	put_at(addr, addr, 8);
	put_at(addr + tid_at, (uint64_t)tid, 4);
	return addr;
}

/* A frame at addr, 2 units into its code. */
static inline void put_frame(struct world *w, uint64_t addr, uint64_t code, uint64_t previous)
{
	const struct py_layout *l = &w->py.layout;
	put(addr, l->frame.code, code);
	put(addr, l->frame.previous, previous);
	if (l->groups == GROUPS_EACH) {
		put(addr, l->object.type, w->frame_type);
		put(addr, l->frame.instr, l->instr == INSTR_LASTI_BYTES ? 4 : 2);
	} else {
		put(addr, l->frame.instr, code + l->code.bytecode.at + 4);
	}
}

/* A frame where this release has it: on the data stack, or an object. */
static inline uint64_t new_frame(struct world *w, uint64_t state, uint64_t code, uint64_t previous)
{
	const struct py_layout *l = &w->py.layout;
	uint64_t addr = w->pushed;
	if (l->groups == GROUPS_EACH) {
		addr = world_alloc(w, 400);
	} else {
		w->pushed += (l->frame.size + 48 + 7) & ~7u;
		put(state, l->thread.datastack_top, w->pushed);
	}
	put_frame(w, addr, code, previous);
	return addr;
}

/* A chunk of the data stack behind those there are. */
static inline void new_chunk(struct world *w, uint64_t state)
{
	const struct py_layout *l = &w->py.layout;
	uint64_t old = get(state, l->thread.datastack_chunk), chunk;
	put(old, l->chunk.top, (w->pushed - old - l->chunk.data) / 8);
	chunk = world_alloc(w, 16384);
	put(chunk, l->chunk.size, 16384);
	put(chunk, l->chunk.previous, old);
	put(state, l->thread.datastack_chunk, chunk);
	w->pushed = chunk + l->chunk.data;
	put(state, l->thread.datastack_top, w->pushed);
}

/* On the C stack, depth bytes above the stack pointer. */
static inline uint64_t on_stack(const struct world *w, uint32_t depth)
{
	return w->stack + 4096 + depth;
}

static inline uint64_t put_shim(struct world *w, uint32_t depth, uint64_t previous)
{
	uint64_t addr = on_stack(w, depth);
	put_frame(w, addr, w->code_type, previous);
	put(addr, w->py.layout.frame.owner, w->py.layout.owner_shim);
	return addr;
}

static inline uint64_t put_cframe(struct world *w, uint32_t depth, uint64_t current,
                                  uint64_t previous)
{
	uint64_t addr = on_stack(w, depth);
	put(addr, w->py.layout.cframe.current_frame, current);
	put(addr, w->py.layout.cframe.previous, previous);
	return addr;
}

/* The innermost frame; up to 3.12 with the list of _PyCFrames that begins at cframe. */
static inline void enter(struct world *w, uint64_t state, uint64_t frame, uint64_t cframe)
{
	const struct py_layout *l = &w->py.layout;
	put(state, l->thread.frame, frame);
	put(state, l->thread.current_frame, frame);
	if (cframe)
		put(state, l->thread.cframe, cframe);
}

static inline uint64_t root_cframe(const struct world *w, uint64_t state)
{
	return state + w->py.layout.thread.root_cframe.at;
}

static inline size_t ask_world(void *arg, unsigned round, const struct snapshot *snap,
                               struct region *more, size_t max)
{
	struct world *w = arg;
	return py_gather(&w->py.base, round, snap, more, max);
}

/* One sample of our own thread, walked. */
static inline enum walk_end sample(struct world *w)
{
	w->snap.pid = getpid();
	w->snap.tid = getpid();
	assert_int_equal(
	        copy_memory(&w->capture, &w->thread, &w->snap, WORLD_STACK + GATHER_MAX_COPY),
	        CAPTURED);
	w->snap.time_ns = now_ns();
	runtime_stack_reset(&w->out);
	py_walk(&w->py.base, &w->snap, &w->out);
	return w->out.end;
}

static inline const char *frame_name(struct world *w, size_t i)
{
	struct frame f;
	assert_true(i < w->out.n);
	py_describe(&w->py.base, w->out.frames[i], &f);
	return f.function;
}

static inline struct world *world_create_row(const struct py_layout *row)
{
	struct world *w = calloc(1, sizeof(*w));
	size_t all = WORLD_BYTES + (size_t)2 * WORLD_PAGE;
	uint8_t *p = mmap(NULL, all, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	assert_true(p != MAP_FAILED);
	w->memory = p + WORLD_PAGE;
	assert_int_equal(mprotect(w->memory, WORLD_BYTES, PROT_READ | PROT_WRITE), 0);
	w->strings = strings_create();
	rmem_live_init(&w->target.mem, getpid());
	w->target.pid = w->target.ns_pid = w->tids[0] = getpid();
	w->target.proc_fd = -1;
	w->target.rm = &w->target.mem.rm;
	w->target.tids = w->tids;
	w->target.n_tids = 1;
	w->py.base.target = &w->target;
	assert_non_null(row);
	w->py.layout = *row;
	w->py.strings = w->strings;
	w->py.threads = py_threads_create();
	w->py.codes = py_codes_create(w->strings);
	w->py.roots.runtime = world_alloc(w, 4096);
	w->head = w->py.roots.head = world_alloc(w, 16);
	w->py.roots.current = world_alloc(w, 16);
	w->code_type = w->py.roots.code_type = world_alloc(w, 512);
	w->frame_type = world_alloc(w, 512);
	w->used = (w->used + 16384 + WORLD_PAGE - 1) & ~(size_t)(WORLD_PAGE - 1);
	w->stack = world_alloc(w, WORLD_STACK);
	w->used += 16384; /* nothing of the heap lies beside the stack */
	w->capture.pid = getpid();
	w->capture.mem_fd = -1;
	w->capture.gather = (struct gatherer){ask_world, w};
	w->thread.tid = getpid();
	w->thread.learned = true;
	w->thread.stack_root = w->stack + WORLD_STACK - 256;
	regs_set(&w->snap.regs, REG_SP, on_stack(w, 0));
	w->bytes = malloc(WORLD_STACK + GATHER_MAX_COPY);
	w->snap.bytes = w->bytes;
	runtime_stack_init(&w->out);
	return w;
}

static inline struct world *world_create(uint16_t release)
{
	return world_create_row(py_layout_find(release, false));
}

static inline void world_destroy(struct world *w)
{
	py_threads_destroy(w->py.threads);
	py_codes_destroy(w->py.codes);
	py_bytecodes_destroy(w->py.bytecodes);
	strings_destroy(w->strings);
	runtime_stack_deinit(&w->out);
	munmap(w->memory - WORLD_PAGE, WORLD_BYTES + (size_t)2 * WORLD_PAGE);
	free(w->bytes);
	free(w);
}

#endif
