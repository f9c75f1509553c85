/* SPDX-License-Identifier: Apache-2.0 */
/* Which instruction runs, where each thread runs a copy of the bytecode of its own, as
 * free-threaded releases from 3.14 on do (Objects/codeobject.c):
 *
 *   _PyInterpreterFrame.tlbc_index -> code.co_tlbc -> _PyCodeArray.entries[index] -> bytecode
 *
 * Index 0 is the code object's own. A frame may still be in that one although its thread has a
 * copy: the first instruction of the function moves it over. A copy is made once and goes with its
 * code object, or after its thread has ended; then its index may come to be another thread's. An
 * instruction pointer inside it proves that it is still where it was, so it may be remembered. */
#include <stdlib.h>

#include <csample/clock.h>
#include <csample/hash.h>
#include <csample/mem.h>

#include "objects.h"

#define SLOTS     512
#define TRUST_NS  1000000000ull
#define MAX_INDEX (1u << 20) /* threads of a process */
#define UNIT      2          /* bytes of a _Py_CODEUNIT */

struct copy {
	uint64_t bytecode;
	uint32_t entry, len; /* len: in bytes; 0: the slot is free */
	uint64_t index, read_ns;
};

struct py_bytecodes {
	struct copy slots[SLOTS];
};

struct py_bytecodes *py_bytecodes_create(void)
{
	return mem_zalloc(sizeof(struct py_bytecodes));
}

void py_bytecodes_destroy(struct py_bytecodes *b)
{
	free(b);
}

/* Bytes of instructions in the code object; 0: not readable. */
static uint32_t length_of(struct py *py, struct rmem *rm, uint64_t code)
{
	/* PyCodeObject is a PyVarObject, as tuples are. */
	uint64_t units;
	if (!py_read_field(rm, code, py->layout.tuple.size, &units) ||
	    units > PY_MAX_BYTECODE / UNIT)
		return 0;
	return (uint32_t)(units * UNIT);
}

/* entries[index] of the array, which begins with their number. */
static uint64_t copy_at(struct py *py, struct rmem *rm, uint64_t code, uint64_t index)
{
	uint64_t array, size, bytecode;
	if (index > MAX_INDEX || !py_read_field(rm, code, py->layout.code.tlbc, &array) || !array ||
	    !py_read(rm, array, &size, 8) || index >= size ||
	    !py_read(rm, array + 8 + 8 * index, &bytecode, 8))
		return 0;
	return bytecode;
}

static bool is_in(uint64_t instr, uint64_t bytecode, uint32_t len)
{
	return bytecode && instr - bytecode < len && !((instr - bytecode) % UNIT);
}

int64_t py_bytecode_offset(struct py *py, struct rmem *rm, uint64_t code, uint32_t entry,
                           uint64_t instr, uint64_t index)
{
	struct copy *copy = NULL, now = {.entry = entry, .index = index, .read_ns = now_ns()};
	if (py->bytecodes)
		copy = &py->bytecodes->slots[hash_u64((uint64_t)entry << 32 ^ index) % SLOTS];
	if (copy && copy->entry == entry && copy->index == index &&
	    now.read_ns - copy->read_ns < TRUST_NS && is_in(instr, copy->bytecode, copy->len))
		return (int64_t)(instr - copy->bytecode);
	now.len = length_of(py, rm, code);
	now.bytecode = copy_at(py, rm, code, index);
	if (is_in(instr, now.bytecode, now.len)) {
		if (copy)
			*copy = now;
		return (int64_t)(instr - now.bytecode);
	}
	uint64_t own = code + py->layout.code.bytecode.at;
	return is_in(instr, own, now.len) ? (int64_t)(instr - own) : PY_LASTI_UNKNOWN;
}
