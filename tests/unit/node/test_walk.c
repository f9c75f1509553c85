/* SPDX-License-Identifier: Apache-2.0 */
/* Stacks of JavaScript frames: interpreted, inlined, without positions. */
#include "stacks.h"

static void check_interpreted(void)
{
	const struct v8_layout *l = &heap.v8.layout;
	uint64_t script = heap_script(&heap, source, "/s.js");
	uint64_t f = function_of(heap_shared(&heap, heap_string(&heap, "f"), script));
	static const struct v8_position p[] = {
	        {-1, POSITION(-1, 0)}, {0, POSITION(-1, 3)}, {4, POSITION(-1, 6)}};
	uint64_t code = bytecode_with(table_of(p, 3), 10);
	uint64_t first = l->bytecode.first - 1;
	put_frame(20, f, code, smi((int32_t)first + 2));
	put_frame(40, f, code, smi((int32_t)first + 5));
	push_native(RAW_NATIVE, 0x1234, 20, 0);
	push_native(RAW_NATIVE, 0x99999, 30, RAW_RETURN); /* C++ */
	push_native(RAW_NATIVE, 0x1300, 40, RAW_RETURN);
	v8_walk(&heap.v8.base, &snap, &out);
	assert_int_equal(out.end, WALK_WHOLE);
	assert_int_equal(out.n, 2);
	assert_int_equal(out.n_groups, 2);
	assert_int_equal(out.groups[0].marker, STACK_BASE + 160);
	assert_int_equal(out.groups[1].marker, STACK_BASE + 320);
	expect(0, "f", 2);
	expect(1, "f", 3);
	/* In the innermost frame the registers are newer than the slot. */
	regs_set(&snap.regs, REG_FP, STACK_BASE + 160);
	regs_set(&snap.regs, 12, code);
	regs_set(&snap.regs, 9, first + 4);
	runtime_stack_reset(&out);
	v8_walk(&heap.v8.base, &snap, &out);
	expect(0, "f", 3);
	expect(1, "f", 3);
	/* The handler of a bytecode is called, and has no frame. */
	native.n = 0;
	push_native(RAW_NATIVE, 0x1500, 10, 0);
	push_native(RAW_NATIVE, 0x1234, 20, RAW_RETURN);
	push_native(RAW_NATIVE, 0x1300, 40, RAW_RETURN);
	runtime_stack_reset(&out);
	v8_walk(&heap.v8.base, &snap, &out);
	assert_int_equal(out.n, 2);
	expect(0, "f", 3);
	/* What C++ left in the registers is not meant. */
	native.frames[0].addr = 0x99999;
	runtime_stack_reset(&out);
	v8_walk(&heap.v8.base, &snap, &out);
	assert_int_equal(out.n, 2);
	expect(0, "f", 2);
	native.n = 0;
	push_native(RAW_NATIVE, 0x1234, 20, 0);
	push_native(RAW_NATIVE, 0x1300, 40, RAW_RETURN);
	/* Of another function they tell nothing. */
	regs_set(&snap.regs, 12, code + 8);
	runtime_stack_reset(&out);
	v8_walk(&heap.v8.base, &snap, &out);
	expect(0, "f", 2);
	/* An offset that is not in the bytecode: the function alone. */
	stack_words[35] = smi(INT32_MAX);
	runtime_stack_reset(&out);
	v8_walk(&heap.v8.base, &snap, &out);
	expect(1, "f", 0);
}

static bool cyclic; /* the next one: the outermost says it is called by the innermost */

/* A Code with three levels of inlining; the machine code begins at *start_ret. */
static void make_code(uint64_t shared, const uint64_t *inlined, uint64_t table, uint64_t *start_ret)
{
	const struct v8_layout *l = &heap.v8.layout;
	struct {
		int64_t position;
		int32_t function, pad;
	} inlining[3] = {{(int64_t)POSITION(-1, 3), 0, 0}, /* into the function itself */
	                 {(int64_t)POSITION(0, 6), 1, 0},
	                 {(int64_t)POSITION(1, 9), 2, 0}};
	if (cyclic)
		inlining[0].position = (int64_t)POSITION(2, 3);
	uint64_t literals = heap_object(&heap, l->type.fixed_array, 8), outer = shared;
	heap_at(&heap, literals)[1] = smi(3);
	for (int i = 0; i < 3; i++)
		heap_at(&heap, literals)[2 + i] = inlined[i] | 2; /* weak */
	if (l->deopt.wrapped) {
		outer = heap_object(&heap, l->type.shared_wrapper, 2);
		heap_at(&heap, outer)[1] = shared;
	}
	uint64_t deopt = heap_object(&heap, l->type.fixed_array, 16);
	heap_at(&heap, deopt)[1] = smi(12);
	heap_at(&heap, deopt)[2 + l->deopt.literals] = literals;
	heap_at(&heap, deopt)[2 + l->deopt.shared] = outer;
	heap_at(&heap, deopt)[2 + l->deopt.inlining] =
	        heap_bytes(&heap, l->type.byte_array, inlining, sizeof(inlining));
	uint64_t map = heap_map(&heap, l->type.instructions), code = 0;
	(void)heap_map(&heap, l->type.code);
	if (field_known(l->code.of_instructions))
		code = heap_object(&heap, l->type.code, 10);
	/* The first instruction is aligned, its header before it. */
	uint64_t at = HEAP_BASE + heap.n * 8 + l->code.header + l->code.alignment;
	uint64_t start = at / l->code.alignment * l->code.alignment;
	uint64_t object = start - l->code.header + 1;
	heap.n = (start - HEAP_BASE) / 8 + 64;
	heap_at(&heap, object)[0] = map;
	if (code)
		put_field(&heap, object, l->code.of_instructions, code);
	else
		code = object;
	put_field(&heap, code, l->code.deopt, deopt);
	put_field(&heap, code, l->code.positions, table);
	put_field(&heap, code, l->code.flags, l->kind.turbofan);
	put_field(&heap, code, l->code.size, 256);
	if (field_known(l->code.start))
		put_field(&heap, code, l->code.start, start);
	*start_ret = start;
}

static void check_inlined(void)
{
	uint64_t script = heap_script(&heap, source, "/s.js"), inlined[3], start;
	static const char *const names[] = {"a", "b", "c"};
	for (int i = 0; i < 3; i++)
		inlined[i] = heap_shared(&heap, heap_string(&heap, names[i]), script);
	uint64_t shared = heap_shared(&heap, heap_string(&heap, "outer"), script);
	static const struct v8_position p[] = {{0, POSITION(-1, 0)},
	                                       {16, POSITION(2, 12)},
	                                       {32, POSITION(-1, 15)},
	                                       {48, POSITION(9, 12)}};
	make_code(shared, inlined, table_of(p, 4), &start);
	uint64_t f = function_of(shared);
	put_frame(20, f, 0, 0);
	push_native(RAW_ANON, start + 20, 20, RAW_RETURN);
	v8_walk(&heap.v8.base, &snap, &out);
	assert_int_equal(out.n, 4);
	assert_int_equal(out.n_groups, 1);
	expect(0, "c", 5);
	expect(1, "b", 4);
	expect(2, "a", 3);
	expect(3, "outer", 2);
	/* A return address belongs to the call before it. */
	native.frames[0].addr = start + 32;
	runtime_stack_reset(&out);
	v8_walk(&heap.v8.base, &snap, &out);
	assert_int_equal(out.n, 4);
	native.frames[0].addr = start + 33;
	runtime_stack_reset(&out);
	v8_walk(&heap.v8.base, &snap, &out);
	assert_int_equal(out.n, 1);
	expect(0, "outer", 6);
	/* An inlining that does not exist. */
	native.frames[0].addr = start + 60;
	runtime_stack_reset(&out);
	v8_walk(&heap.v8.base, &snap, &out);
	assert_int_equal(out.n, 1);
	/* Code of another function than the frame's: its positions are not the frame's. */
	put_frame(20, function_of(inlined[0]), 0, 0);
	native.frames[0].addr = start + 20;
	runtime_stack_reset(&out);
	v8_walk(&heap.v8.base, &snap, &out);
	assert_int_equal(out.n, 1);
	expect(0, "a", 0);
}

static void check_cycle(void)
{
	uint64_t script = heap_script(&heap, source, "/s.js"), inlined[3], start;
	for (int i = 0; i < 3; i++)
		inlined[i] = heap_shared(&heap, heap_string(&heap, "a"), script);
	uint64_t shared = heap_shared(&heap, heap_string(&heap, "outer"), script);
	static const struct v8_position p[] = {{0, POSITION(2, 12)}};
	cyclic = true;
	make_code(shared, inlined, table_of(p, 1), &start);
	cyclic = false;
	put_frame(20, function_of(shared), 0, 0);
	push_native(RAW_ANON, start + 20, 20, RAW_RETURN);
	v8_walk(&heap.v8.base, &snap, &out);
	assert_int_equal(out.n, 4);
}

/* A builtin on top that has no frame: its caller's place is its return address. */
static void check_frameless_builtin(void)
{
	uint64_t script = heap_script(&heap, source, "/s.js"), inlined[3], start;
	for (int i = 0; i < 3; i++)
		inlined[i] = heap_shared(&heap, heap_string(&heap, "a"), script);
	uint64_t shared = heap_shared(&heap, heap_string(&heap, "outer"), script);
	static const struct v8_position p[] = {{0, POSITION(-1, 0)}, {32, POSITION(-1, 15)}};
	make_code(shared, inlined, table_of(p, 2), &start);
	struct mapping mapping = {
	        .start = HEAP_BASE, .end = HEAP_BASE + 0x100000, .executable = true};
	heap.target.maps = (struct maps){&mapping, 1, 1};
	put_frame(20, function_of(shared), 0, 0);
	regs_set(&snap.regs, REG_FP, STACK_BASE + 160);
	regs_set(&snap.regs, REG_SP, STACK_BASE + 16);
	stack_words[4] = start + 40;
	push_native(RAW_NATIVE, 0x1234, 20, 0);
	v8_walk(&heap.v8.base, &snap, &out);
	assert_int_equal(out.n, 1);
	expect(0, "outer", 6);
	/* Code of another function is no caller. */
	put_frame(20, function_of(inlined[0]), 0, 0);
	runtime_stack_reset(&out);
	v8_walk(&heap.v8.base, &snap, &out);
	expect(0, "a", 0);
	heap.target.maps = (struct maps){0};
}

static void check_maglev_without_positions(void)
{
	const struct v8_layout *l = &heap.v8.layout;
	uint64_t script = heap_script(&heap, source, "/s.js"), inlined[3], start;
	for (int i = 0; i < 3; i++)
		inlined[i] = heap_shared(&heap, heap_string(&heap, "a"), script);
	uint64_t shared = heap_shared(&heap, heap_string(&heap, "outer"), script);
	if (!l->kind.maglev)
		return;
	heap.v8.layout.kind.turbofan = l->kind.maglev; /* what make_code() makes */
	make_code(shared, inlined, heap_bytes(&heap, l->type.byte_array, "", 0), &start);
	heap.v8.layout.kind.turbofan = 15;
	put_frame(20, function_of(shared), 0, 0);
	push_native(RAW_ANON, start + 20, 20, RAW_RETURN);
	v8_walk(&heap.v8.base, &snap, &out);
	assert_int_equal(out.n, 1);
	assert_int_equal(out.n_groups, 1);
	expect(0, "outer [maglev, no lines]", 0);
	/* TurboFan always has them: nothing is said of a few that are missing. */
	heap.v8.layout.kind.turbofan = l->kind.maglev;
	heap.v8.layout.kind.maglev = 15;
	runtime_stack_reset(&out);
	v8_walk(&heap.v8.base, &snap, &out);
	assert_int_equal(out.n, 1);
	expect(0, "outer", 0);
}

static void interpreted_frames(void **state)
{
	(void)state;
	with_each_layout(check_interpreted);
}

static void three_inlined_functions(void **state)
{
	(void)state;
	with_each_layout(check_inlined);
}

static void inlining_without_end(void **state)
{
	(void)state;
	with_each_layout(check_cycle);
}

static void builtins_without_a_frame(void **state)
{
	(void)state;
	with_each_layout(check_frameless_builtin);
}

static void maglev_without_positions(void **state)
{
	(void)state;
	with_each_layout(check_maglev_without_positions);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	        cmocka_unit_test(interpreted_frames),
	        cmocka_unit_test(three_inlined_functions),
	        cmocka_unit_test(inlining_without_end),
	        cmocka_unit_test(builtins_without_a_frame),
	        cmocka_unit_test(maglev_without_positions),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
