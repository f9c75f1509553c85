/* SPDX-License-Identifier: Apache-2.0 */
/* What is asked for in the pause, round by round, of made stacks over a made heap. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "heap.h"

#define STACK_BASE 0x7ff000000000ULL
#define MAX_BYTES  65536

static struct heap heap;
static uint8_t bytes[MAX_BYTES];
static struct snapshot snap;

static uint64_t function_of(uint64_t shared)
{
	const struct v8_layout *l = &heap.v8.layout;
	uint64_t tagged = heap_object(&heap, l->type.function_first, 8);
	put_field(&heap, tagged, l->function_shared, shared);
	/* Functions and what they point to do not come as one region. */
	heap_alloc(&heap, 1024);
	return tagged;
}

static bool copied(uint64_t tagged, size_t len)
{
	return snapshot_at(&snap, tagged - 1, len) != NULL;
}

/* One frame of this function and code, captured; the rounds in which something was read. */
static unsigned capture(uint64_t function, uint64_t bytecode, uint64_t pc)
{
	uint64_t stack[64] = {0};
	struct region more[SNAPSHOT_MAX_REGIONS];
	unsigned rounds = 0;
	stack[6] = STACK_BASE + 160; /* a frame of no function, that the other has called */
	stack[7] = pc;
	stack[20 - 1] = HEAP_BASE + 1; /* a context */
	stack[20 - 2] = function;
	stack[20 - 4] = bytecode;
	memcpy(bytes, stack, sizeof(stack));
	snap = (struct snapshot){.tid = 7, .n_regions = 1, .bytes = bytes};
	snap.n_bytes = sizeof(stack);
	snap.regions[0] = (struct region){STACK_BASE, sizeof(stack), 0};
	regs_set(&snap.regs, REG_SP, STACK_BASE);
	regs_set(&snap.regs, REG_FP, STACK_BASE + 48);
	for (unsigned round = 0; round < GATHER_ROUNDS; round++) {
		size_t n = v8_gather(&heap.v8.base, round, &snap, more, SNAPSHOT_MAX_REGIONS);
		if (!n && round)
			break;
		rounds += round && n;
		for (size_t i = 0; i < n; i++) {
			assert_true(more[i].len <= sizeof(bytes) - snap.n_bytes);
			if (heap_read(&heap.rm, more[i].addr, bytes + snap.n_bytes, more[i].len))
				more[i].len = 0;
			more[i].at = snap.n_bytes;
			snap.n_bytes += more[i].len;
			snap.regions[snap.n_regions++] = more[i];
		}
	}
	return rounds;
}

static void begin(void)
{
	heap_init(&heap, &v8_layouts[v8_n_layouts - 1]);
	heap.v8.predictions = v8_predictions_create();
}

static void end(void)
{
	v8_predictions_destroy(heap.v8.predictions);
	heap_deinit(&heap);
}

static void what_the_last_sample_needed_comes_with_the_stack(void **state)
{
	(void)state;
	begin();
	uint64_t shared = heap_shared(&heap, heap_string(&heap, "f"), 0);
	uint64_t function = function_of(shared);
	assert_int_equal(capture(function, 0, 0x1234), 2);
	assert_true(copied(function, 40) && copied(shared, V8_SHARED_BYTES));
	assert_int_equal(capture(function, 0, 0x1234), 0);
	assert_true(copied(function, 40) && copied(shared, V8_SHARED_BYTES));
	end();
}

/* A closure that is made anew for each call runs the same code, compiled or not. */
static void another_closure_of_known_code_takes_one_round(void **state)
{
	(void)state;
	begin();
	uint64_t f = heap_shared(&heap, heap_string(&heap, "f"), 0);
	uint64_t g = heap_shared(&heap, heap_string(&heap, "g"), 0);
	uint64_t bytecode = heap_alloc(&heap, 8), other = heap_alloc(&heap, 8);
	capture(function_of(f), bytecode, 0x1111);
	capture(function_of(g), other, 0x2222);
	uint64_t closures[] = {function_of(f), function_of(f)};
	assert_int_equal(capture(closures[0], bytecode, 0x3333), 1);
	assert_true(copied(closures[0], 40) && copied(f, V8_SHARED_BYTES));
	capture(function_of(g), other, 0x2222);
	assert_int_equal(capture(closures[1], 0, 0x1111), 1);
	assert_true(copied(closures[1], 40) && copied(f, V8_SHARED_BYTES));
	end();
}

/* The code is another's by now: what that points to is read all the same. */
static void a_wrong_guess_is_mended(void **state)
{
	(void)state;
	begin();
	uint64_t f = heap_shared(&heap, heap_string(&heap, "f"), 0);
	heap_alloc(&heap, 1024);
	uint64_t g = heap_shared(&heap, heap_string(&heap, "g"), 0);
	capture(function_of(f), 0, 0x1111);
	capture(function_of(f), 0, 0x2222);
	uint64_t closure = function_of(g);
	assert_int_equal(capture(closure, 0, 0x1111), 2);
	assert_true(copied(closure, 40) && copied(g, V8_SHARED_BYTES));
	end();
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	        cmocka_unit_test(what_the_last_sample_needed_comes_with_the_stack),
	        cmocka_unit_test(another_closure_of_known_code_takes_one_round),
	        cmocka_unit_test(a_wrong_guess_is_mended),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
