/* SPDX-License-Identifier: Apache-2.0 */
/* Frames: the common tongue of all stages. Raw ones are places in code; named ones are for people.
 */
#ifndef CSAMPLE_FRAME_H
#define CSAMPLE_FRAME_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum frame_kind {
	FRAME_NATIVE,
	FRAME_INLINED, /* native code the compiler put into its caller's body */
	FRAME_KERNEL,
	FRAME_PYTHON,
	FRAME_JAVASCRIPT,
	FRAME_MARK, /* not code: "[truncated]", "[not sampled]", a thread's or process's root */
	FRAME_KINDS
};

/* Of an interpreter: people know such a frame by its line, a native one by its module. */
static inline bool frame_kind_is_script(enum frame_kind kind)
{
	return kind == FRAME_PYTHON || kind == FRAME_JAVASCRIPT;
}

/* A named frame. Strings are interned and NULL where a fact is not known; 0 likewise. */
struct frame {
	enum frame_kind kind;
	const char *function; /* never NULL: "module+0x1f" where there is no name */
	const char *module; /* path of the ELF file as the target knows it, "[vdso]", "[kernel]" */
	const char *file;   /* full path of the source, as the debug information has it */
	uint32_t line, column;
};

/* The part of a path that people know a file by: the last one, and the directory before it where
 * the last says nothing (package/__init__.py). Points into path. */
const char *frame_short_path(const char *path);

/* Where a raw frame's facts are to be found. */
enum raw_kind {
	RAW_NATIVE =
	        1,  /* owner: image id; addr: address as linked (of the file, not of the process) */
	RAW_ANON,   /* no file: owner: process id; addr: as the process sees it; aux: name of the
	             * mapping, an interned string, or 0 when there was no mapping at all */
	RAW_KERNEL, /* addr: kernel address */
	RAW_MARK,   /* aux: an interned string, the whole name */
	RAW_THREAD, /* owner: tid; aux: the thread's name, an interned string */
	RAW_PROCESS, /* owner: pid; aux: its name */
	RAW_RUNTIME, /* owner: index of the runtime; addr, aux: what its describe() needs */
};

enum {
	/* addr is a return address: the call is before it, so look up addr - 1. */
	RAW_RETURN = 1,
	/* Of a runtime: work of its own ("(garbage collector)"). Where only frames of runtimes are
	 * shown and it is the innermost, it stands alone, whatever happened to cause it. */
	RAW_CATEGORY = 2,
};

/* A frame as unwinding and decoding leave it. Equal bytes are the same place in the same code. */
struct raw_frame {
	uint8_t kind; /* enum raw_kind */
	uint8_t flags;
	uint16_t reserved; /* 0 */
	uint32_t owner;
	uint64_t addr;
	uint64_t aux;
};

/* Where the native frames of a stack end. */
enum stack_end {
	STACK_ROOT,     /* _start, a thread's clone, Go's entry: the outermost frame, proven */
	STACK_SHORT,    /* needed more stack bytes than were copied */
	STACK_NO_RULE,  /* a pc in no mapping or in code without CFI where frame pointers failed too
	                 */
	STACK_BAD_CFI,  /* the unwind information is damaged or asks for what we lack */
	STACK_LOOP,     /* the stack pointer did not move on */
	STACK_TOO_DEEP, /* STACK_MAX_FRAMES */
	STACK_NO_MEMORY, /* an address that is neither in the copy nor in a file */
	STACK_ENDS
};
extern const char *const stack_end_names[STACK_ENDS]; /* "root", "short", ... as stats print them */

#define STACK_MAX_FRAMES 4096

/* Leaf first. */
struct stack {
	struct raw_frame *frames; /* room for STACK_MAX_FRAMES and a few marks */
	uint64_t *cfas; /* per frame, its canonical frame address (0: none): for splicing */
	size_t n, cap;
	enum stack_end end;
};
/* Storage for one stack, reused for each sample. */
void stack_init(struct stack *s);
void stack_deinit(struct stack *s);
static inline void stack_reset(struct stack *s)
{
	s->n = 0;
	s->end = STACK_NO_RULE;
}
/* Appends towards the root; false when full. */
static inline bool stack_push(struct stack *s, struct raw_frame raw, uint64_t cfa)
{
	if (s->n == s->cap)
		return false;
	s->frames[s->n] = raw;
	s->cfas[s->n++] = cfa;
	return true;
}

#endif
