/* SPDX-License-Identifier: Apache-2.0 */
/* Stacks of made frames over a made heap. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <csample/clock.h>

#include "heap.h"

#define STACK_BASE 0x7ff000000000ULL
#define MAPPING    1 /* aux of native frames in code without a file */

static struct heap heap;
static uint64_t stack_words[256];
static struct snapshot snap;
static struct stack native;
static struct runtime_stack out;

static void begin(const struct v8_layout *l)
{
	heap_init(&heap, l);
	memset(stack_words, 0, sizeof(stack_words));
	snap = (struct snapshot){.n_regions = 1, .bytes = (uint8_t *)stack_words};
	snap.regions[0] = (struct region){STACK_BASE, sizeof(stack_words), 0};
	snap.regs.valid = 0;
	static struct image image = {.id = 1};
	heap.v8.base.image = &image;
	heap.v8.base.index = 5;
	heap.v8.image.code_start = 0x1000;
	heap.v8.image.code_end = 0x2000;
	stack_init(&native);
	runtime_stack_init(&out);
	out.native = &native;
}

static void end(void)
{
	runtime_stack_deinit(&out);
	stack_deinit(&native);
	heap_deinit(&heap);
}

/* A JavaScript frame whose frame pointer is at word i of the stack. */
static void put_frame(unsigned i, uint64_t function, uint64_t bytecode, uint64_t offset)
{
	stack_words[i - 1] = HEAP_BASE + 1; /* a context */
	stack_words[i - 2] = function;
	stack_words[i - 4] = bytecode;
	stack_words[i - 5] = offset;
}

static void push_native(unsigned kind, uint64_t addr, unsigned fp_word, unsigned flags)
{
	struct raw_frame raw = {.kind = (uint8_t)kind,
	                        .flags = (uint8_t)flags,
	                        .owner = 1,
	                        .addr = addr,
	                        .aux = kind == RAW_ANON ? MAPPING : 0};
	stack_push(&native, raw, STACK_BASE + (uint64_t)fp_word * 8 + 16);
}

static uint64_t function_of(uint64_t shared)
{
	const struct v8_layout *l = &heap.v8.layout;
	uint64_t tagged = heap_object(&heap, l->type.function_first, 8);
	put_field(&heap, tagged, l->function_shared, shared);
	return tagged;
}

/* A table of (code offset, value) with small distances forward. */
static uint64_t table_of(const struct v8_position *p, size_t n)
{
	const struct v8_layout *l = &heap.v8.layout;
	uint8_t bytes[256];
	size_t len = 0;
	int32_t at = -1;
	uint64_t value = 0;
	for (size_t i = 0; i < n; i++) {
		uint64_t first = (uint64_t)(p[i].at - at)
		                 << (l->positions == V8_POSITIONS_FLAGS ? 2 : 1);
		int64_t d = (int64_t)(p[i].value - value);
		uint64_t both[] = {first, (uint64_t)d << 1 ^ (uint64_t)(d >> 63)};
		for (int k = 0; k < 2; k++) {
			for (; both[k] > 127; both[k] >>= 7)
				bytes[len++] = (uint8_t)(both[k] | 128);
			bytes[len++] = (uint8_t)both[k];
		}
		at = p[i].at;
		value = p[i].value;
	}
	return heap_bytes(&heap, l->type.byte_array, bytes, len);
}

#define POSITION(inlining, at) ((uint64_t)((inlining) + 1) << 31 | (uint64_t)((at) + 1) << 1)

static void expect(size_t i, const char *name, unsigned line)
{
	struct frame frame;
	assert_true(i < out.n);
	assert_int_equal(out.frames[i].kind, RAW_RUNTIME);
	assert_int_equal(out.frames[i].owner, 5);
	v8_describe(&heap.v8.base, out.frames[i], &frame);
	assert_string_equal(frame.function, name);
	assert_int_equal(frame.line, line);
}

static uint64_t bytecode_with(uint64_t table, int32_t length)
{
	const struct v8_layout *l = &heap.v8.layout;
	uint64_t tagged = heap_object(&heap, l->type.bytecode_array, 24);
	heap_at(&heap, tagged)[1] = smi(length);
	put_field(&heap, tagged, l->bytecode.positions, table);
	return tagged;
}

static const char source[] = "f0\nf1\nf2\nf3\nf4\nf5\nf6\nf7\n"; /* line n begins at 3 * (n - 1) */

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

static void check_wasm(void)
{
	heap.v8.layout.wasm_frame = 24;
	stack_words[19] = 24 << 1;
	push_native(RAW_ANON, 0x5000, 20, RAW_RETURN);
	v8_walk(&heap.v8.base, &snap, &out);
	assert_int_equal(out.n, 1);
	expect(0, "<wasm>", 0);
}

static void check_others(void)
{
	uint64_t script = heap_script(&heap, source, "/s.js");
	uint64_t f = function_of(heap_shared(&heap, heap_string(&heap, "f"), script));
	put_frame(20, f, 0, 0);
	stack_words[19] = 2 << 1;    /* a frame of V8's own */
	put_frame(40, script, 0, 0); /* no function */
	put_frame(60, f + 4, 0, 0);  /* not even a pointer */
	for (unsigned i = 20; i <= 60; i += 20)
		push_native(RAW_NATIVE, 0x1234, i, RAW_RETURN);
	push_native(RAW_ANON, 0x5000, 1000, RAW_RETURN); /* not in the copy */
	v8_walk(&heap.v8.base, &snap, &out);
	assert_int_equal(out.n_groups, 3);
	assert_int_equal(out.groups[0].n, 0);
	assert_int_equal(out.groups[1].n, 1);
	assert_int_equal(out.groups[2].n, 0);
	expect(0, "[javascript: unknown]", 0);
	/* Not one frame in V8's code. */
	native.n = 0;
	push_native(RAW_NATIVE, 0x99999, 20, 0);
	runtime_stack_reset(&out);
	v8_walk(&heap.v8.base, &snap, &out);
	assert_int_equal(out.end, WALK_NONE);
	out.native = NULL;
	v8_walk(&heap.v8.base, &snap, &out);
	assert_int_equal(out.n, 0);
}

static void check_work(void)
{
	struct v8_builtin work[] = {{0x9000, 0x9100, "(garbage collector)"}};
	uint64_t script = heap_script(&heap, source, "/s.js");
	uint64_t f = function_of(heap_shared(&heap, heap_string(&heap, "f"), script));
	put_frame(60, f, 0, 0);
	push_native(RAW_NATIVE, 0x9050, 20, 0);
	push_native(RAW_NATIVE, 0x9100, 40, RAW_RETURN); /* the call is the last of its bytes */
	push_native(RAW_NATIVE, 0x9100, 50, 0);
	push_native(RAW_NATIVE, 0x1234, 60, RAW_RETURN);
	heap.v8.image.work.items = work;
	heap.v8.image.work.n = 1;
	v8_walk(&heap.v8.base, &snap, &out);
	assert_int_equal(out.n, 3);
	expect(0, "(garbage collector)", 0);
	expect(1, "(garbage collector)", 0);
	expect(2, "f", 0);
	assert_int_equal(out.frames[0].flags, RAW_CATEGORY);
	assert_int_equal(out.frames[2].flags, 0);
	assert_int_equal(out.groups[0].marker, STACK_BASE + 160 + 8);
}

static struct err *read_live(struct rmem *rm, uint64_t addr, void *buf, size_t len)
{
	(void)rm;
	return heap_read(&heap.rm, addr, buf, len);
}

/* Of snapshots that waited in the queue together, what the first has compared with the process the
 * others need not; one that was taken later does. */
static void check_once_for_a_queue(void)
{
	uint64_t script = heap_script(&heap, source, "/s.js");
	put_frame(60, function_of(heap_shared(&heap, heap_string(&heap, "f"), script)), 0, 0);
	push_native(RAW_NATIVE, 0x1234, 60, RAW_RETURN);
	heap.target.mem.rm.read = read_live;
	heap.target.rm = &heap.target.mem.rm;
	snap.time_ns = now_ns();
	v8_walk(&heap.v8.base, &snap, &out);
	expect(0, "f", 0);
	/* Another script at its place. */
	heap_at(&heap, script)[2] = heap_string(&heap, "/t.js");
	unsigned reads[2];
	struct frame frame;
	for (unsigned i = 0; i < 2; i++) {
		runtime_stack_reset(&out);
		snap.time_ns = i ? now_ns() : snap.time_ns;
		reads[i] = heap.reads;
		v8_walk(&heap.v8.base, &snap, &out);
		reads[i] = heap.reads - reads[i];
		v8_describe(&heap.v8.base, out.frames[0], &frame);
		assert_string_equal(frame.file, i ? "/t.js" : "/s.js");
	}
	assert_true(reads[0] < reads[1]);
}

static void check_idle(void)
{
	struct v8_builtin work[] = {{0x9000, 0x9100, v8_idle}};
	heap.v8.image.work.items = work;
	heap.v8.image.work.n = 1;
	push_native(RAW_NATIVE, 0x5000, 10, 0);
	native.frames[0].owner = 2; /* the C library */
	push_native(RAW_NATIVE, 0x9050, 20, RAW_RETURN);
	v8_walk(&heap.v8.base, &snap, &out);
	assert_int_equal(out.n, 1);
	expect(0, "(idle)", 0);
	native.frames[0].kind = RAW_KERNEL;
	runtime_stack_reset(&out);
	v8_walk(&heap.v8.base, &snap, &out);
	assert_int_equal(out.n, 1);
	/* It calls back. */
	native.frames[0].kind = RAW_NATIVE;
	native.frames[0].owner = 1;
	runtime_stack_reset(&out);
	v8_walk(&heap.v8.base, &snap, &out);
	assert_int_equal(out.n, 0);
	assert_int_equal(out.end, WALK_NONE);
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

static void with_each_layout(void (*test)(void))
{
	for (unsigned i = 0; i < v8_n_layouts; i++) {
		begin(&v8_layouts[i]);
		test();
		end();
	}
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

static void frames_of_v8_and_frames_of_nothing(void **state)
{
	(void)state;
	with_each_layout(check_others);
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

static void web_assembly(void **state)
{
	(void)state;
	with_each_layout(check_wasm);
}

static void collecting_garbage(void **state)
{
	(void)state;
	with_each_layout(check_work);
}

static void once_for_a_queue(void **state)
{
	(void)state;
	with_each_layout(check_once_for_a_queue);
}

static void idle_when_nothing_is_called_back(void **state)
{
	(void)state;
	with_each_layout(check_idle);
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
	        cmocka_unit_test(frames_of_v8_and_frames_of_nothing),
	        cmocka_unit_test(collecting_garbage),
	        cmocka_unit_test(once_for_a_queue),
	        cmocka_unit_test(builtins_without_a_frame),
	        cmocka_unit_test(inlining_without_end),
	        cmocka_unit_test(web_assembly),
	        cmocka_unit_test(idle_when_nothing_is_called_back),
	        cmocka_unit_test(maglev_without_positions),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
