/* SPDX-License-Identifier: Apache-2.0 */
/* The fields of CPython's structs that we read, for one release. Rows of releases up to 3.12 are in
 * layouts.c, made by scripts/gen-cpython-layout.py; from 3.13 on selfdesc.c fills a copy of a row
 * (which holds what the release does not tell) from _Py_DebugOffsets in the live process. */
#ifndef CPYTHON_LAYOUT_H
#define CPYTHON_LAYOUT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <csample/field.h>

#define PYVER(major, minor) ((major) << 8 | (minor))

enum py_lines {
	LINES_LNOTAB,    /* 3.6-3.9: co_lnotab */
	LINES_PAIRS,     /* 3.10 */
	LINES_LOCATIONS, /* 3.11 on */
};

/* What frame.instr holds. */
enum py_instr {
	INSTR_LASTI_BYTES, /* int: byte offset of the last instruction, -1: not started */
	INSTR_LASTI_UNITS, /* int: the same in units of 2 bytes */
	INSTR_PREV,        /* pointer to the last instruction executed */
	INSTR_CURRENT,     /* pointer to the instruction being executed */
};

/* Which Python frames one activation of the evaluation function runs. */
enum py_groups {
	GROUPS_EACH,     /* every frame its own: 3.6-3.10 */
	GROUPS_IS_ENTRY, /* up to and with the first whose is_entry is set: 3.11 */
	GROUPS_SHIM,     /* up to the next frame with owner >= owner_shim: 3.12 on */
};

/* What lies in the stack frame of each activation. */
enum py_marker {
	MARKER_NONE,   /* nothing: 3.6-3.9, groups pair by count */
	MARKER_CFRAME, /* a CFrame of the list tstate.cframe: 3.10, 3.11 (and 3.12) */
	MARKER_SHIM,   /* the shim frame: 3.12 on */
};

enum py_lock {
	LOCK_RUNTIME, /* in _PyRuntime: 3.7-3.11 */
	LOCK_INTERP,  /* behind a pointer in each interpreter: 3.12 on */
	LOCK_CURRENT, /* the exported _PyThreadState_Current: 3.6 */
};

/* How an instance keeps its attributes. */
enum py_instance {
	INSTANCE_DICTOFFSET,    /* 3.6-3.10 */
	INSTANCE_MANAGED_PAIR,  /* 3.11: values at object - 32, dict at object - 24 */
	INSTANCE_MANAGED_TAG,   /* 3.12: a tagged word at object - 24 */
	INSTANCE_MANAGED_INLINE /* 3.13 on: dict before the object, values behind it */
};

struct py_layout {
	uint16_t version;   /* PYVER */
	const char *origin; /* where the numbers come from, for the next reader */
	bool free_threaded;
	enum py_lines lines;
	enum py_instr instr;
	enum py_groups groups;
	enum py_marker marker;
	enum py_lock lock_at;
	enum py_instance instance;
	uint8_t owner_generator; /* value of frame.owner inside a generator: such frames lie in no
	                            chunk */
	uint8_t owner_shim;      /* least value of frame.owner that is no Python frame; 0: none */
	uint8_t tag_mask;        /* low bits of stack references to clear */
	int8_t gen_yield_from;   /* value of gen.frame_state: suspended in an await or yield from */
	int8_t gen_ended;        /* least value of gen.frame_state: returned, raised or closed */
	uint8_t yield_from_slots; /* the awaited object is at stackpointer - 8 * this */
	int8_t managed_dict;      /* INSTANCE_MANAGED_INLINE: the dict is at object + this */
	uint32_t status_unusable; /* bits of thread.status: unbound, cleared, finalized */
	struct {
		struct field interpreters_head, finalizing, lock_locked, lock_holder,
		        tstate_current;
	} runtime; /* 3.6 has none: the roots are symbols */
	struct {
		struct field next, id, threads_head, threads_main, lock, modules, gc_collecting,
		        code_generation, asyncio_tasks_head;
	} interp;
	struct {
		struct field locked, holder, enabled;
	} lock; /* LOCK_INTERP: what interp.lock points to */
	struct {
		/* Bytes that hold all fields below but asyncio's and tlbc_index, which may lie
		 * far behind. */
		uint32_t size;
		struct field prev, next, interp, frame, cframe, root_cframe, current_frame,
		        base_frame, thread_id, native_thread_id, status, initialized, holds_lock,
		        datastack_chunk, datastack_top, asyncio_running_task, asyncio_tasks_head,
		        tlbc_index;
	} thread;
	struct {
		uint32_t size;
		struct field current_frame, previous;
	} cframe;
	struct {
		uint32_t size; /* bytes that hold all fields below but localsplus */
		/* stackpointer: a pointer (8 bytes) or an index into localsplus (4 bytes) */
		struct field code, previous, instr, owner, is_entry, stackpointer, localsplus,
		        tlbc_index, locals;
	} frame; /* PyFrameObject up to 3.10, _PyInterpreterFrame from 3.11 */
	struct {
		struct field previous, size, top;
		uint32_t data;
	} chunk; /* _PyStackChunk, 3.11 on */
	struct {
		uint32_t size;
		struct field type, filename, name, qualname, firstlineno, linetable, firsttraceable,
		        argcount, posonlyargcount, kwonlyargcount, flags, nlocals, nlocalsplus,
		        localsplusnames, localspluskinds, varnames, cellvars, freevars, bytecode,
		        tlbc;
		/* bytecode: bytes object up to 3.10; from 3.11 the instructions begin there */
	} code;
	struct {
		uint32_t size;
		struct field type;
	} object;
	struct {
		uint32_t ascii_data, compact_data;
		struct field length, state;
		uint8_t kind_shift, compact_bit, ascii_bit; /* bit numbers in state */
	} str;
	struct {
		struct field size;
		uint32_t data;
	} bytes, tuple;
	struct {
		struct field size, items;
	} list;
	struct {
		struct field used, keys, values;
	} dict;
	struct {
		struct field size, log2_size, log2_index_bytes, kind,
		        nentries; /* size: up to 3.10 */
		uint32_t indices;
	} dictkeys;
	uint32_t dictvalues; /* first value in a PyDictValues */
	struct {
		struct field used, mask, table;
	} set;
	struct {
		struct field tag, size; /* tag: 3.12 on; size: before */
		uint32_t digits;
	} integer;
	struct field float_value;
	struct field cell_ref;
	struct field module_dict;
	struct {
		struct field name, basicsize, flags, dictoffset, base, mro, dict, cached_keys;
	} type;
	struct {
		struct field code, name, qualname;
	} function;
	struct field weakref_object;
	struct {
		uint32_t iframe; /* 3.11 on: the frame is inside; before, a pointer there */
		struct field frame_state;
	} gen;
	/* asyncio's own description, from the section .AsyncioDebug: 3.14 on */
	struct {
		struct field name, awaited_by, is_task, awaited_by_is_set, coro;
		uint32_t node;
		struct field interp_tasks_head, thread_running_loop, thread_running_task,
		        thread_tasks_head;
	} asyncio;
};

/* No layout has larger sizes than these. */
#define PY_MAX_THREAD_BYTES 4096
#define PY_MAX_FRAME_BYTES  512
#define PY_MAX_CODE_BYTES   256
#define PY_MAX_BYTECODE     (1 << 20) /* bytes of instructions in a code object */

/* layouts.c, generated: the rows, oldest release first. From 3.13 on they are templates for
 * selfdesc.c. */
extern const struct py_layout py_layouts[];
extern const unsigned py_n_layouts;
/* The row of a release; NULL: none. */
const struct py_layout *py_layout_find(uint16_t version, bool free_threaded);
/* Checks that all fields this release needs are known and within their sizes; the name of the first
 * that is not, or NULL. */
const char *py_layout_missing(const struct py_layout *l);
/* "3.6 to 3.15": the releases that have rows. */
void py_layout_releases(char *buf, size_t len);

/* layouts.c: where _Py_DebugOffsets of a release tells a field's offset, or a size: the 64-bit word
 * at told, to which the word at plus is added or from which the one at minus is taken, if not 0.
 * The word at size is that of the struct it lies in. */
struct py_told {
	uint16_t member; /* offset in struct py_layout of a struct field or uint32_t */
	bool is_field;
	uint16_t told, plus, minus, size;
};
#define FIELD_AT(m, ...)                                         \
	{                                                        \
		offsetof(struct py_layout, m), true, __VA_ARGS__ \
	}
#define NUMBER_AT(m, ...)                                         \
	{                                                         \
		offsetof(struct py_layout, m), false, __VA_ARGS__ \
	}
struct py_self_description {
	uint16_t version;
	uint16_t size; /* of _Py_DebugOffsets */
	const struct py_told *told;
	unsigned n;
};
extern const struct py_self_description py_self_descriptions[];
extern const unsigned py_n_self_descriptions;

/* Bytes that hold any release's _Py_DebugOffsets. */
#define PY_MAX_SELF_DESCRIPTION 1024

/* 3.13 on: fills l from the len bytes at _PyRuntime, for what they tell, and from the nearest row.
 * ERR_FORMAT when they are no _Py_DebugOffsets; ERR_UNSUPPORTED when no list of fields we know fits
 * them. *known_ret is false for a release that is newer than all rows or not final: then it is best
 * effort. l and *known_ret are untouched on failure, *hexversion_ret is set as soon as it is known.
 */
struct err;
struct err *py_describe_self(const uint8_t *bytes, uint64_t len, struct py_layout *l,
                             uint32_t *hexversion_ret, bool *known_ret);

/* 3.14 on: fills l->asyncio from the len bytes of the section .AsyncioDebug; false, and l is
 * untouched, when they are implausible. */
#define ASYNCIO_DESCRIPTION_BYTES 104
bool py_describe_asyncio(const uint8_t *bytes, uint64_t len, struct py_layout *l);

#endif
