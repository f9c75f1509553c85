/* SPDX-License-Identifier: Apache-2.0 */
/* Stacks with frames of V8 itself, and of what is no JavaScript; and a queue of them. */
#include "stacks.h"

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

static void frames_of_v8_and_frames_of_nothing(void **state)
{
	(void)state;
	with_each_layout(check_others);
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

int main(void)
{
	const struct CMUnitTest tests[] = {
	        cmocka_unit_test(frames_of_v8_and_frames_of_nothing),
	        cmocka_unit_test(web_assembly),
	        cmocka_unit_test(collecting_garbage),
	        cmocka_unit_test(once_for_a_queue),
	        cmocka_unit_test(idle_when_nothing_is_called_back),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
