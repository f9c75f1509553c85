/* SPDX-License-Identifier: Apache-2.0 */
/* The fields of V8's heap objects that we read, for one release. Rows are in layouts.c, made by
 * scripts/gen-node-layout.py; metadata.c puts the values that the target's own binary exports
 * (v8dbg_* symbols) into a copy of the row. Offsets are from the untagged address of an object. */
#ifndef NODE_LAYOUT_H
#define NODE_LAYOUT_H

#include <stdbool.h>
#include <stdint.h>

#include <csample/field.h>

/* How a source position table writes the distance to the next code offset. */
enum v8_positions {
	V8_POSITIONS_SIGNED, /* zigzag; negative: not a statement, -d - 1 */
	V8_POSITIONS_FLAGS,  /* unsigned, two low bits are flags: V8 14 on */
};

struct v8_layout {
	uint8_t major, minor;
	uint16_t build;
	const char *origin; /* where the numbers come from, for the next reader */
	enum v8_positions positions;
	const uint8_t *bytecodes; /* 3 rows of n_bytecodes sizes */
	uint16_t n_bytecodes;
	struct { /* instance types; 0: not in this release */
		uint32_t nonstring, function_first, function_last, shared, shared_wrapper,
		        scope_info, script, debug_info, bytecode_array, interpreter_data,
		        baseline_data, uncompiled_first, uncompiled_last, code, instructions,
		        byte_array, trusted_byte_array, fixed_array, protected_fixed_array,
		        trusted_fixed_array, weak_fixed_array, protected_weak_fixed_array,
		        trusted_weak_fixed_array, accessor_pair;
	} type;
	uint32_t wasm_frame;          /* type of a frame of WebAssembly; 0: not told */
	struct field function_shared; /* JSFunction */
	struct {
		struct field data, untrusted, name, script;
	} shared; /* SharedFunctionInfo; untrusted: where a builtin's id is, 12.9 on */
	struct {
		struct field start;       /* not there: behind the variable part */
		uint32_t variables;       /* where the part of variable length begins */
		uint32_t inline_names;    /* as many names and more are in one table; 0: never */
		uint8_t module, function; /* scope types */
		bool has_receiver, module_slot;
	} scope; /* ScopeInfo */
	struct {
		struct field positions;
		uint32_t first; /* bytecode */
	} bytecode;             /* BytecodeArray */
	struct {
		struct field deopt, positions, flags, size, start;
		struct field of_instructions; /* InstructionStream -> Code; not there: one object */
		uint32_t header;              /* from that object to its first instruction */
		uint32_t alignment;           /* of the first instruction */
	} code;
	struct {
		uint8_t baseline, maglev, turboprop, turbofan; /* low bits of code.flags; 0: none */
	} kind;
	struct {
		uint8_t literals, shared, inlining; /* elements */
		bool wrapped;                       /* shared is behind one more object */
	} deopt;                                    /* deoptimization data */
};

/* The row of a V8 release, or the nearest; *exact_ret: major, minor and build are the row's. */
const struct v8_layout *v8_layout_find(unsigned major, unsigned minor, unsigned build,
                                       bool *exact_ret);
extern const struct v8_layout v8_layouts[];
extern const unsigned v8_n_layouts;
/* Checks that everything is known; the name of the first value that is not, or NULL. */
const char *v8_layout_missing(const struct v8_layout *l);
/* Takes over an exported value, by its name without "v8dbg_"; false if it is none of ours. */
bool v8_layout_take(struct v8_layout *l, const char *name, int32_t value);

#endif
