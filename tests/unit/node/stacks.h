/* SPDX-License-Identifier: Apache-2.0 */
/* Made frames over a made heap. */
#ifndef TEST_STACKS_H
#define TEST_STACKS_H

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

static inline void begin(const struct v8_layout *l)
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

static inline void end(void)
{
	runtime_stack_deinit(&out);
	stack_deinit(&native);
	heap_deinit(&heap);
}

/* A JavaScript frame whose frame pointer is at word i of the stack. */
static inline void put_frame(unsigned i, uint64_t function, uint64_t bytecode, uint64_t offset)
{
	stack_words[i - 1] = HEAP_BASE + 1; /* a context */
	stack_words[i - 2] = function;
	stack_words[i - 4] = bytecode;
	stack_words[i - 5] = offset;
}

static inline void push_native(unsigned kind, uint64_t addr, unsigned fp_word, unsigned flags)
{
	struct raw_frame raw = {.kind = (uint8_t)kind,
	                        .flags = (uint8_t)flags,
	                        .owner = 1,
	                        .addr = addr,
	                        .aux = kind == RAW_ANON ? MAPPING : 0};
	stack_push(&native, raw, STACK_BASE + (uint64_t)fp_word * 8 + 16);
}

static inline uint64_t function_of(uint64_t shared)
{
	const struct v8_layout *l = &heap.v8.layout;
	uint64_t tagged = heap_object(&heap, l->type.function_first, 8);
	put_field(&heap, tagged, l->function_shared, shared);
	return tagged;
}

/* A table of (code offset, value) with small distances forward. */
static inline uint64_t table_of(const struct v8_position *p, size_t n)
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

static inline void expect(size_t i, const char *name, unsigned line)
{
	struct frame frame;
	assert_true(i < out.n);
	assert_int_equal(out.frames[i].kind, RAW_RUNTIME);
	assert_int_equal(out.frames[i].owner, 5);
	v8_describe(&heap.v8.base, out.frames[i], &frame);
	assert_string_equal(frame.function, name);
	assert_int_equal(frame.line, line);
}

static inline uint64_t bytecode_with(uint64_t table, int32_t length)
{
	const struct v8_layout *l = &heap.v8.layout;
	uint64_t tagged = heap_object(&heap, l->type.bytecode_array, 24);
	heap_at(&heap, tagged)[1] = smi(length);
	put_field(&heap, tagged, l->bytecode.positions, table);
	return tagged;
}

static const char source[] = "f0\nf1\nf2\nf3\nf4\nf5\nf6\nf7\n"; /* line n begins at 3 * (n - 1) */

static inline void with_each_layout(void (*test)(void))
{
	for (unsigned i = 0; i < v8_n_layouts; i++) {
		begin(&v8_layouts[i]);
		test();
		end();
	}
}

#endif
