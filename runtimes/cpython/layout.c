/* SPDX-License-Identifier: Apache-2.0 */
#include "layout.h"

#include <stdio.h>

const struct py_layout *py_layout_find(uint16_t version, bool free_threaded)
{
	for (unsigned i = 0; i < py_n_layouts; i++)
		if (py_layouts[i].version == version &&
		    py_layouts[i].free_threaded == free_threaded)
			return &py_layouts[i];
	return NULL;
}

void py_layout_releases(char *buf, size_t len)
{
	uint16_t first = py_layouts[0].version, last = first;
	for (unsigned i = 1; i < py_n_layouts; i++)
		if (py_layouts[i].version > last)
			last = py_layouts[i].version;
	snprintf(buf, len, "%d.%d to %d.%d", first >> 8, first & 255, last >> 8, last & 255);
}

/* Which releases need a field. */
enum need_when {
	ALWAYS,
	HAS_RUNTIME,       /* not 3.6 */
	LOCK_IN_RUNTIME,   /* 3.7-3.11 */
	LOCK_IN_INTERP,    /* 3.12 on */
	FRAMES_ON_HEAP,    /* 3.6-3.10 */
	FRAMES_IN_CHUNKS,  /* 3.11 on */
	FRAMES_IN_CFRAMES, /* 3.11, 3.12 */
	FRAMES_IN_THREAD,  /* 3.13 on */
	ENTRY_FLAG,        /* 3.11 */
	SHIMS,             /* 3.12 on */
	OWN_BYTECODE,      /* free-threaded 3.14 on */
	OLD_INTEGERS,
	NEW_INTEGERS,
	DICT_SIZES,
	DICT_LOGS,
};

static bool needed(const struct py_layout *l, enum need_when when)
{
	switch (when) {
	case ALWAYS:
		return true;
	case HAS_RUNTIME:
		return l->lock_at != LOCK_CURRENT;
	case LOCK_IN_RUNTIME:
		return l->lock_at == LOCK_RUNTIME;
	case LOCK_IN_INTERP:
		return l->lock_at == LOCK_INTERP;
	case FRAMES_ON_HEAP:
		return l->groups == GROUPS_EACH;
	case FRAMES_IN_CHUNKS:
		return l->groups != GROUPS_EACH;
	case FRAMES_IN_CFRAMES:
		return l->groups != GROUPS_EACH && l->instr == INSTR_PREV;
	case FRAMES_IN_THREAD:
		return l->instr == INSTR_CURRENT;
	case ENTRY_FLAG:
		return l->groups == GROUPS_IS_ENTRY;
	case SHIMS:
		return l->groups == GROUPS_SHIM;
	case OWN_BYTECODE:
		return l->free_threaded && l->tag_mask;
	case OLD_INTEGERS:
		return !field_known(l->integer.tag);
	case NEW_INTEGERS:
		return !field_known(l->integer.size);
	case DICT_SIZES:
		return l->instance == INSTANCE_DICTOFFSET;
	case DICT_LOGS:
		return l->instance != INSTANCE_DICTOFFSET;
	}
	return false;
}

struct need {
	const char *name;
	uint16_t member, size_member; /* size_member: offset of the struct's size; 0: none */
	enum need_when when;
	bool is_number; /* uint32_t: where data begins; never 0 */
};
/* clang-format off */
/* NOLINTBEGIN(bugprone-macro-parentheses): members of a struct cannot have them */
#define NEED(m, when)          {#m, offsetof(struct py_layout, m), 0, (when), false}
#define NUMBER(m, when)        {#m, offsetof(struct py_layout, m), 0, (when), true}
#define NEED_IN(part, m, when) {#part "." #m, offsetof(struct py_layout, part.m), \
                                offsetof(struct py_layout, part.size), (when), false}
/* NOLINTEND(bugprone-macro-parentheses) */
static const struct need needs[] = {
	NEED(runtime.interpreters_head, HAS_RUNTIME), NEED(runtime.finalizing, HAS_RUNTIME),
	NEED(runtime.lock_locked, LOCK_IN_RUNTIME), NEED(runtime.lock_holder, LOCK_IN_RUNTIME),
	NEED(interp.next, ALWAYS), NEED(interp.threads_head, ALWAYS), NEED(interp.modules, ALWAYS),
	NEED(interp.id, HAS_RUNTIME), NEED(interp.lock, LOCK_IN_INTERP),
	NEED(lock.locked, LOCK_IN_INTERP), NEED(lock.holder, LOCK_IN_INTERP),
	NEED_IN(thread, prev, ALWAYS), NEED_IN(thread, next, ALWAYS),
	NEED_IN(thread, interp, ALWAYS), NEED_IN(thread, thread_id, ALWAYS),
	NEED_IN(thread, frame, FRAMES_ON_HEAP), NEED_IN(thread, cframe, FRAMES_IN_CFRAMES),
	NEED_IN(thread, root_cframe, FRAMES_IN_CFRAMES),
	NEED_IN(thread, current_frame, FRAMES_IN_THREAD),
	NEED_IN(thread, native_thread_id, FRAMES_IN_CHUNKS),
	NEED_IN(thread, datastack_chunk, FRAMES_IN_CHUNKS),
	NEED_IN(thread, datastack_top, FRAMES_IN_CHUNKS), NEED_IN(thread, status, SHIMS),
	NEED_IN(cframe, current_frame, FRAMES_IN_CFRAMES), NEED_IN(cframe, previous, FRAMES_IN_CFRAMES),
	NEED_IN(frame, code, ALWAYS), NEED_IN(frame, previous, ALWAYS), NEED_IN(frame, instr, ALWAYS),
	NEED(frame.localsplus, ALWAYS), NEED_IN(frame, owner, FRAMES_IN_CHUNKS),
	NEED_IN(frame, is_entry, ENTRY_FLAG), NEED_IN(frame, tlbc_index, OWN_BYTECODE),
	NEED(chunk.previous, FRAMES_IN_CHUNKS), NEED(chunk.size, FRAMES_IN_CHUNKS),
	NEED(chunk.top, FRAMES_IN_CHUNKS), NUMBER(chunk.data, FRAMES_IN_CHUNKS),
	NEED_IN(code, type, ALWAYS), NEED_IN(code, filename, ALWAYS), NEED_IN(code, name, ALWAYS),
	NEED_IN(code, qualname, FRAMES_IN_CHUNKS), NEED_IN(code, firstlineno, ALWAYS),
	NEED_IN(code, linetable, ALWAYS), NEED_IN(code, firsttraceable, FRAMES_IN_CHUNKS),
	NEED_IN(code, argcount, ALWAYS), NEED_IN(code, kwonlyargcount, ALWAYS),
	NEED_IN(code, flags, ALWAYS), NEED_IN(code, nlocals, ALWAYS),
	NEED_IN(code, varnames, FRAMES_ON_HEAP), NEED_IN(code, cellvars, FRAMES_ON_HEAP),
	NEED_IN(code, freevars, FRAMES_ON_HEAP), NEED_IN(code, nlocalsplus, FRAMES_IN_CHUNKS),
	NEED_IN(code, localsplusnames, FRAMES_IN_CHUNKS),
	NEED_IN(code, localspluskinds, FRAMES_IN_CHUNKS), NEED_IN(code, bytecode, ALWAYS),
	NEED_IN(code, tlbc, OWN_BYTECODE), NEED_IN(object, type, ALWAYS),
	NUMBER(str.ascii_data, ALWAYS), NUMBER(str.compact_data, ALWAYS), NEED(str.length, ALWAYS),
	NEED(str.state, ALWAYS), NEED(bytes.size, ALWAYS), NUMBER(bytes.data, ALWAYS),
	NEED(tuple.size, ALWAYS), NUMBER(tuple.data, ALWAYS), NEED(list.size, ALWAYS),
	NEED(list.items, ALWAYS), NEED(dict.used, ALWAYS), NEED(dict.keys, ALWAYS),
	NEED(dict.values, ALWAYS), NEED(dictkeys.nentries, ALWAYS), NUMBER(dictkeys.indices, ALWAYS),
	NEED(dictkeys.size, DICT_SIZES), NEED(dictkeys.log2_size, DICT_LOGS),
	NEED(dictkeys.log2_index_bytes, DICT_LOGS), NEED(dictkeys.kind, DICT_LOGS),
	NEED(set.used, ALWAYS), NEED(set.mask, ALWAYS), NEED(set.table, ALWAYS),
	NEED(integer.size, OLD_INTEGERS), NEED(integer.tag, NEW_INTEGERS),
	NUMBER(integer.digits, ALWAYS), NEED(float_value, ALWAYS), NEED(cell_ref, ALWAYS),
	NEED(module_dict, ALWAYS), NEED(type.name, ALWAYS), NEED(type.basicsize, ALWAYS),
	NEED(type.flags, ALWAYS), NEED(type.dictoffset, ALWAYS), NEED(type.base, ALWAYS),
	NEED(type.cached_keys, ALWAYS), NUMBER(gen.iframe, ALWAYS),
	NEED(gen.frame_state, FRAMES_IN_CHUNKS),
};
/* clang-format on */

const char *py_layout_missing(const struct py_layout *l)
{
	const uint8_t *base = (const uint8_t *)l;
	for (size_t i = 0; i < sizeof(needs) / sizeof(needs[0]); i++) {
		const struct need *n = &needs[i];
		if (!needed(l, n->when))
			continue;
		if (n->is_number) {
			uint32_t number;
			memcpy(&number, base + n->member, sizeof(number));
			if (!number)
				return n->name;
			continue;
		}
		struct field f;
		memcpy(&f, base + n->member, sizeof(f));
		uint32_t size = UINT32_MAX;
		if (n->size_member)
			memcpy(&size, base + n->size_member, sizeof(size));
		if (!field_known(f) || f.width > size || f.at > size - f.width)
			return n->name;
	}
	return NULL;
}
