/* SPDX-License-Identifier: Apache-2.0 */
/* The frames of coroutines that wait for each other, from the outermost in.
 *
 *   coroutine -> its frame -> top of its value stack: what it awaits -> that one's frame -> ...
 *
 * A suspended coroutine always awaits; what lies on top of the stack is then a coroutine,
 * generator, asynchronous generator's step, or in the end a future or the like, which has no frame.
 * While it executes its stack pointer is not set, and the chain ends there. */
#include <csample/mem.h>

#include "objects.h"

#define MAX_STACK 65536 /* slots */

/* The generator inside an awaitable that has it right behind its head; 0: it has none. */
static uint64_t generator_in(struct py *py, struct rmem *rm, uint64_t addr)
{
	static const char *const generators[] = {"coroutine", "generator", "async_generator"};
	static const char *const wrappers[] = {"coroutine_wrapper", "async_generator_asend",
	                                       "async_generator_athrow", "anext_awaitable"};
	struct py_type t;
	for (int depth = 0; depth < 4; depth++) {
		if (!addr || !py_type_of(py, rm, addr, &t))
			return 0;
		for (size_t i = 0; i < ARRAY_SIZE(generators); i++)
			if (py_is_builtin(&t, generators[i]))
				return addr;
		size_t i = 0;
		while (i < ARRAY_SIZE(wrappers) && !py_is_builtin(&t, wrappers[i]))
			i++;
		if (i == ARRAY_SIZE(wrappers) ||
		    !py_read(rm, addr + py->layout.object.size, &addr, sizeof(addr)))
			return 0;
	}
	return 0;
}

/* Where slots are counted from, when the frame says how many there are. */
static bool stack_base(struct py *py, struct rmem *rm, uint64_t frame, uint64_t code, uint64_t *ret)
{
	const struct py_layout *l = &py->layout;
	uint64_t cells, free_vars, n_locals, n_cells, n_free;
	*ret = frame + l->frame.localsplus.at;
	if (l->groups != GROUPS_EACH)
		return true;
	if (!py_read_field(rm, code, l->code.nlocals, &n_locals) ||
	    !py_read_field(rm, code, l->code.cellvars, &cells) ||
	    !py_read_field(rm, code, l->code.freevars, &free_vars) ||
	    !py_read_field(rm, cells, l->tuple.size, &n_cells) ||
	    !py_read_field(rm, free_vars, l->tuple.size, &n_free) ||
	    (n_locals | n_cells | n_free) > MAX_STACK)
		return false;
	*ret += 8 * (n_locals + n_cells + n_free);
	return true;
}

/* What the generator with this frame awaits; 0: it executes, or has not begun. */
static uint64_t awaited(struct py *py, struct rmem *rm, uint64_t generator, uint64_t frame,
                        uint64_t code)
{
	const struct py_layout *l = &py->layout;
	uint64_t state, top, base, value;
	if (l->gen_yield_from && py_read_field(rm, generator, l->gen.frame_state, &state) &&
	    (int8_t)state != l->gen_yield_from)
		return 0;
	if (!py_read_field(rm, frame, l->frame.stackpointer, &top))
		return 0;
	if (l->frame.stackpointer.width == 4) {
		if (!top || top > MAX_STACK || !stack_base(py, rm, frame, code, &base))
			return 0;
		top = base + 8 * top;
	}
	unsigned slots = l->yield_from_slots ? l->yield_from_slots : 1;
	if (top < frame || top - frame > 8ull * MAX_STACK ||
	    !py_read(rm, top - 8ull * slots, &value, 8))
		return 0;
	return value & ~(uint64_t)l->tag_mask;
}

static int64_t last_instruction(struct py *py, struct rmem *rm, uint64_t frame, uint64_t code,
                                uint32_t entry)
{
	const struct py_layout *l = &py->layout;
	uint64_t at, tlbc;
	if (!py_read_field(rm, frame, l->frame.instr, &at))
		return -1;
	switch (l->instr) {
	case INSTR_LASTI_BYTES:
		return (int32_t)at;
	case INSTR_LASTI_UNITS:
		return 2 * (int64_t)(int32_t)at;
	case INSTR_PREV:
	case INSTR_CURRENT:
		break;
	}
	if (py_read_field(rm, frame, l->frame.tlbc_index, &tlbc) && tlbc)
		return py_bytecode_offset(py, rm, code, entry, at, tlbc);
	return (int64_t)(at - code - l->code.bytecode.at);
}

/* The frame of a generator and its code; false: it has ended. */
static bool frame_of(struct py *py, struct rmem *rm, uint64_t generator, uint64_t *frame,
                     uint64_t *code)
{
	const struct py_layout *l = &py->layout;
	uint64_t state;
	*frame = generator + l->gen.iframe;
	if (l->groups == GROUPS_EACH && !py_read(rm, *frame, frame, 8))
		return false;
	if (l->gen_ended && py_read_field(rm, generator, l->gen.frame_state, &state) &&
	    (int8_t)state >= l->gen_ended)
		return false;
	if (!*frame || !py_read_field(rm, *frame, l->frame.code, code))
		return false;
	*code &= ~(uint64_t)l->tag_mask;
	return true;
}

size_t py_await_chain(struct py *py, struct rmem *rm, uint64_t coroutine, struct frame *ret,
                      size_t max)
{
	struct snapshot live = {0};
	uint64_t frame, code;
	size_t n = 0;
	uint64_t generator = generator_in(py, rm, coroutine);
	while (generator && n < max && frame_of(py, rm, generator, &frame, &code)) {
		uint32_t entry = py_code_entry(py, &live, code);
		if (!entry)
			break;
		py_code_qualify(py, &live, entry, frame);
		int64_t lasti = last_instruction(py, rm, frame, code, entry);
		if (lasti != PY_LASTI_UNKNOWN && lasti < py_code_first_traceable(py->codes, entry))
			lasti = -1; /* not begun */
		struct raw_frame raw = {.addr = entry,
		                        .aux = py_code_line(py->codes, entry, lasti)};
		py_describe(&py->base, raw, &ret[n++]);
		generator = generator_in(py, rm, awaited(py, rm, generator, frame, code));
	}
	return n;
}
