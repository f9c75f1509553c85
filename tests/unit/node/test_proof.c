/* SPDX-License-Identifier: Apache-2.0 */
/* Releases that are not known: what a stack has to prove before anything of it is shown. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "heap.h"

#define STACK_BASE 0x7ff000000000ULL
#define N_FRAMES   5

static struct heap heap;
static uint64_t stack_words[128];
static struct snapshot snap;
static struct stack native;
static struct runtime_stack out;
static uint64_t shared, table;

/* Five activations of one interpreted function, at its second line. */
static void begin(const struct v8_layout *l)
{
	static const uint8_t signed_table[] = {1, 4, 9, 12}, flags_table[] = {2, 4, 18, 12};
	static struct image image = {.id = 1, .path = "node"};
	heap_init(&heap, l);
	heap.v8.image.is_unknown = true;
	heap.v8.image.code_start = 0x1000;
	heap.v8.image.code_end = 0x2000;
	heap.v8.base.image = &image;
	snap = (struct snapshot){.n_regions = 1, .bytes = (uint8_t *)stack_words};
	snap.regions[0] = (struct region){STACK_BASE, sizeof(stack_words), 0};
	stack_init(&native);
	runtime_stack_init(&out);
	out.native = &native;
	uint64_t script = heap_script(&heap, "f0\nf1\nf2\n", "/s.js");
	uint64_t scope = heap_scope(&heap, heap_string(&heap, "f"), 0, 0, 0, false, 1);
	shared = heap_shared(&heap, scope, script);
	uint64_t f = heap_object(&heap, l->type.function_first, 8);
	put_field(&heap, f, l->function_shared, shared);
	uint64_t code = heap_object(&heap, l->type.bytecode_array, 24);
	heap_at(&heap, code)[1] = smi(20);
	table = heap_bytes(&heap, l->type.byte_array,
	                   l->positions == V8_POSITIONS_FLAGS ? flags_table : signed_table, 4);
	put_field(&heap, code, l->bytecode.positions, table);
	for (unsigned i = 0; i < N_FRAMES; i++) {
		uint64_t *fp = stack_words + 10 + 20 * i;
		fp[-1] = HEAP_BASE + 1;
		fp[-2] = f;
		fp[-4] = code;
		fp[-5] = smi((int32_t)l->bytecode.first - 1 + 10);
		stack_push(&native,
		           (struct raw_frame){.kind = RAW_NATIVE,
		                              .flags = RAW_RETURN,
		                              .owner = 1,
		                              .addr = 0x1234},
		           STACK_BASE + (10 + 20 * i) * 8 + 16);
	}
}

static void end(void)
{
	runtime_stack_deinit(&out);
	stack_deinit(&native);
	heap_deinit(&heap);
}

static void walk(void)
{
	heap.v8.serial++;
	heap.v8.walk++;
	runtime_stack_reset(&out);
	v8_walk(&heap.v8.base, &snap, &out);
}

static unsigned line_of(size_t i)
{
	struct frame frame;
	v8_describe(&heap.v8.base, out.frames[i], &frame);
	assert_string_equal(frame.function, "f");
	return frame.line;
}

static void what_proves_itself_is_shown(void **state)
{
	(void)state;
	for (unsigned i = 0; i < v8_n_layouts; i++) {
		begin(&v8_layouts[i]);
		walk();
		assert_int_equal(heap.v8.proofs[V8_FUNCTIONS].state, V8_PROVEN);
		assert_int_equal(heap.v8.proofs[V8_BYTECODES].state, V8_PROVEN);
		assert_int_equal(heap.v8.proofs[V8_CODES].state, V8_UNPROVEN);
		assert_int_equal(out.n, N_FRAMES);
		assert_int_equal(out.end, WALK_WHOLE);
		assert_int_equal(line_of(0), 2);
		end();
	}
}

static void tables_tell_how_they_are_written(void **state)
{
	(void)state;
	for (unsigned i = 0; i < v8_n_layouts; i++) {
		begin(&v8_layouts[i]);
		enum v8_positions right = v8_layouts[i].positions;
		heap.v8.layout.positions =
		        right == V8_POSITIONS_FLAGS ? V8_POSITIONS_SIGNED : V8_POSITIONS_FLAGS;
		walk();
		assert_int_equal(heap.v8.layout.positions, right);
		assert_int_equal(line_of(0), 2);
		end();
	}
}

static void other_objects_where_functions_should_be(void **state)
{
	(void)state;
	for (unsigned i = 0; i < v8_n_layouts; i++) {
		begin(&v8_layouts[i]);
		heap_at(&heap, shared)[0] = heap_map(&heap, v8_layouts[i].type.script);
		walk();
		assert_int_equal(heap.v8.proofs[V8_FUNCTIONS].state, V8_REFUSED);
		assert_int_equal(out.n, 0);
		assert_int_equal(out.end, WALK_NONE);
		/* For good, and for all. */
		heap_at(&heap, shared)[0] = heap_map(&heap, v8_layouts[i].type.shared);
		walk();
		assert_int_equal(out.n, 0);
		assert_true(v8_is_all_judged(&heap.v8));
		end();
	}
}

static void positions_behind_the_end_of_the_source(void **state)
{
	(void)state;
	for (unsigned i = 0; i < v8_n_layouts; i++) {
		begin(&v8_layouts[i]);
		((uint8_t *)heap_at(&heap, table))[16 + 3] = 124;
		walk();
		assert_int_equal(heap.v8.proofs[V8_FUNCTIONS].state, V8_PROVEN);
		assert_int_equal(heap.v8.proofs[V8_BYTECODES].state, V8_REFUSED);
		/* The line where it begins, not one that is wrong. */
		assert_int_equal(out.n, N_FRAMES);
		assert_int_equal(line_of(0), 1);
		end();
	}
}

static void one_failure_is_none(void **state)
{
	(void)state;
	begin(&v8_layouts[0]);
	uint64_t *fp = stack_words + 10;
	uint64_t f = fp[-2];
	fp[-2] = shared; /* the collector was there */
	walk();
	assert_int_equal(heap.v8.proofs[V8_FUNCTIONS].state, V8_PROVEN);
	fp[-2] = f;
	walk();
	assert_int_equal(out.n, N_FRAMES);
	end();
	/* Nor does a stack without JavaScript say anything. */
	begin(&v8_layouts[0]);
	native.n = 0;
	walk();
	assert_int_equal(heap.v8.proofs[V8_FUNCTIONS].state, V8_UNPROVEN);
	end();
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	        cmocka_unit_test(what_proves_itself_is_shown),
	        cmocka_unit_test(tables_tell_how_they_are_written),
	        cmocka_unit_test(other_objects_where_functions_should_be),
	        cmocka_unit_test(positions_behind_the_end_of_the_source),
	        cmocka_unit_test(one_failure_is_none),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
