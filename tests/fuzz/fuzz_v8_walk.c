/* SPDX-License-Identifier: Apache-2.0 */
/* A stack of JavaScript frames and the heap they live in, sound at first, with words changed as the
 * input says: 4 bytes each, which word, how, and to what. The walk must end, and soon. */
#include <stdlib.h>

#include "../unit/node/heap.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define STACK_BASE  0x7ff000000000ULL
#define STACK_WORDS 64
#define MAX_READS   200000

static struct heap heap;
static uint64_t stack_words[STACK_WORDS];

static uint64_t table(struct heap *h)
{
	static const uint8_t bytes[] = {0, 4, 8, 6, 0x84, 0x80, 0x80, 0x80, 8, 9, 4, 2, 8, 12};
	return heap_bytes(h, h->v8.layout.type.byte_array, bytes, sizeof(bytes));
}

static uint64_t build_code(struct heap *h, uint64_t shared, bool baseline, uint64_t bytecode)
{
	const struct v8_layout *l = &h->v8.layout;
	static const uint8_t inlining[48] = {6, 0, 0, 0, 0, 0, 0, 0, 0, 0,
	                                     0, 0, 0, 0, 0, 0, 6, 0, 0, 0x80};
	uint64_t literals = heap_object(h, l->type.fixed_array, 8);
	heap_at(h, literals)[1] = smi(2);
	heap_at(h, literals)[2] = heap_at(h, literals)[3] = shared | 2;
	uint64_t outer = shared;
	if (l->deopt.wrapped) {
		outer = heap_object(h, l->type.shared_wrapper, 2);
		heap_at(h, outer)[1] = shared;
	}
	uint64_t deopt = heap_object(h, l->type.fixed_array, 16);
	heap_at(h, deopt)[1] = smi(12);
	heap_at(h, deopt)[2 + l->deopt.literals] = literals;
	heap_at(h, deopt)[2 + l->deopt.shared] = outer;
	heap_at(h, deopt)[2 + l->deopt.inlining] =
	        heap_bytes(h, l->type.byte_array, inlining, sizeof(inlining));
	uint64_t positions = table(h), map = heap_map(h, l->type.instructions), code = 0;
	if (field_known(l->code.of_instructions))
		code = heap_object(h, l->type.code, 10);
	uint64_t at = HEAP_BASE + h->n * 8 + l->code.header + l->code.alignment;
	uint64_t start = at / l->code.alignment * l->code.alignment;
	uint64_t object = start - l->code.header + 1;
	h->n = (start - HEAP_BASE) / 8 + 32;
	heap_at(h, object)[0] = map;
	if (code)
		put_field(h, object, l->code.of_instructions, code);
	else
		code = object;
	put_field(h, code, l->code.deopt, baseline ? bytecode : deopt);
	put_field(h, code, l->code.positions, positions);
	put_field(h, code, l->code.flags, baseline ? l->kind.baseline : l->kind.turbofan);
	put_field(h, code, l->code.size, 128);
	if (field_known(l->code.start))
		put_field(h, code, l->code.start, start);
	return start;
}

static void build(struct heap *h, struct stack *native)
{
	const struct v8_layout *l = &h->v8.layout;
	uint64_t script = heap_script(h, "f0\nf1\nf2\nf3\n", "/dir/s.js");
	uint64_t scope = heap_scope(h, heap_string(h, "f"), heap_string(h, "g"), 3, 1, false, 4);
	uint64_t shared = heap_shared(h, scope, script);
	uint64_t function = heap_object(h, l->type.function_first, 8);
	put_field(h, function, l->function_shared, shared);
	uint64_t bytecode = heap_object(h, l->type.bytecode_array, 16);
	heap_at(h, bytecode)[1] = smi(24);
	uint64_t positions = table(h);
	put_field(h, bytecode, l->bytecode.positions, positions);
	uint64_t pcs[3] = {0x1234, build_code(h, shared, true, bytecode) + 9,
	                   build_code(h, shared, false, 0) + 9};
	for (unsigned i = 0; i < 3; i++) {
		unsigned fp = 16 + 16 * i;
		stack_words[fp] = STACK_BASE + (fp + 16) * 8;
		stack_words[fp - 1] = HEAP_BASE + 1;
		stack_words[fp - 2] = function;
		stack_words[fp - 4] = bytecode;
		stack_words[fp - 5] = smi((int32_t)l->bytecode.first + 3);
		stack_push(native,
		           (struct raw_frame){.kind = i ? RAW_ANON : RAW_NATIVE,
		                              .flags = i ? RAW_RETURN : 0,
		                              .owner = 1,
		                              .addr = pcs[i],
		                              .aux = 1},
		           STACK_BASE + fp * 8 + 16);
	}
}

static void mutate(struct heap *h, const uint8_t *p)
{
	size_t at = (size_t)(p[0] | p[1] << 8) % (h->n + STACK_WORDS);
	uint64_t *w = at < STACK_WORDS ? &stack_words[at] : &h->words[at - STACK_WORDS];
	switch (p[2] >> 5) {
	case 0:
		*w = smi((int8_t)p[3]);
		break;
	case 1:
		*w = HEAP_BASE + 1 + (uint64_t)(p[3] | (p[2] & 31) << 8) * 8;
		break;
	case 2:
		*w = ~0ULL >> (p[3] & 63);
		break;
	case 3:
		*w = HEAP_BASE + (uint64_t)p[3] * 8; /* a forwarding address */
		break;
	default:
		*w ^= (uint64_t)p[3] << 8 * (p[2] & 7);
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct image image = {.id = 1};
	struct stack native;
	struct runtime_stack out;
	struct snapshot snap = {.n_regions = 1, .bytes = (uint8_t *)stack_words};
	struct region more[64];
	if (!size)
		return 0;
	heap_init(&heap, &v8_layouts[data[0] % v8_n_layouts]);
	memset(stack_words, 0, sizeof(stack_words));
	heap.v8.base.image = &image;
	heap.v8.image.code_start = 0x1000;
	heap.v8.image.code_end = 0x2000;
	heap.v8.predictions = v8_predictions_create();
	stack_init(&native);
	runtime_stack_init(&out);
	out.native = &native;
	snap.regions[0] = (struct region){STACK_BASE, sizeof(stack_words), 0};
	regs_set(&snap.regs, REG_SP, STACK_BASE);
	regs_set(&snap.regs, REG_FP, STACK_BASE + 128);
	build(&heap, &native);
	/* Walked sound, then after each change: what is cached was right once. */
	v8_walk(&heap.v8.base, &snap, &out);
	if (out.n < 3)
		abort();
	for (size_t i = 1; i + 4 <= size && i < 64; i += 4) {
		mutate(&heap, data + i);
		heap.reads = 0;
		runtime_stack_reset(&out);
		v8_walk(&heap.v8.base, &snap, &out);
		if (heap.reads > MAX_READS || out.n > 3 * 65)
			abort();
		for (size_t k = 0; k < out.n; k++) {
			struct frame frame;
			v8_describe(&heap.v8.base, out.frames[k], &frame);
		}
		for (unsigned round = 0; round < 6; round++)
			if (v8_gather(&heap.v8.base, round, &snap, more, 64) > 64)
				abort();
	}
	v8_predictions_destroy(heap.v8.predictions);
	runtime_stack_deinit(&out);
	stack_deinit(&native);
	heap_deinit(&heap);
	return 0;
}
