/* SPDX-License-Identifier: Apache-2.0 */
/* What is read in the pause, and in how many calls. */
#include "world.h"

static struct world *begin(uint16_t release, uint64_t *state_ret)
{
	struct world *w = world_create(release);
	uint64_t interp = new_interp(w);
	*state_ret = new_state(w, interp, getpid(), new_pthread(w, getpid(), 720));
	assert_null(py_threads_refresh(&w->py));
	return w;
}

/* n frames of one activation, the outermost first in the list. */
static uint64_t stack_up(struct world *w, uint64_t state, uint64_t code, unsigned n)
{
	const struct py_layout *l = &w->py.layout;
	bool objects = l->groups == GROUPS_EACH;
	uint64_t frame = objects ? 0 : put_shim(w, 6000, 0);
	for (unsigned i = 0; i < n; i++) {
		uint64_t chunk = get(state, l->thread.datastack_chunk);
		if (!objects && w->pushed + 256 > chunk + 16384)
			new_chunk(w, state);
		frame = new_frame(w, state, code, frame);
	}
	enter(w, state, frame, 0);
	return frame;
}

static void a_warm_thread_takes_one_call(void **unused)
{
	static const uint16_t releases[] = {PYVER(3, 8), PYVER(3, 13)};
	(void)unused;
	for (size_t i = 0; i < ARRAY_SIZE(releases); i++) {
		uint64_t state;
		struct world *w = begin(releases[i], &state);
		stack_up(w, state, new_code(w, "f"), 50);
		assert_int_equal(sample(w), WALK_WHOLE);
		assert_int_equal(w->out.n, 50);
		assert_true(w->snap.reads > 1);
		for (int k = 0; k < 3; k++) {
			assert_int_equal(sample(w), WALK_WHOLE);
			assert_int_equal(w->out.n, 50);
			assert_true(w->snap.reads == 1);
		}
		world_destroy(w);
	}
}

/* 700 frames in some chunks: as many calls as chunks, then one. */
static void chunks_are_read_whole(void **unused)
{
	(void)unused;
	uint64_t state;
	struct world *w = begin(PYVER(3, 13), &state);
	stack_up(w, state, new_code(w, "f"), 700);
	assert_int_equal(sample(w), WALK_WHOLE);
	assert_int_equal(w->out.n, 700);
	assert_in_range(w->snap.reads, 3, 12);
	assert_int_equal(sample(w), WALK_WHOLE);
	assert_int_equal(w->out.n, 700);
	assert_int_equal(w->snap.reads, 1);
	world_destroy(w);
}

static void the_stack_may_grow_and_shrink(void **unused)
{
	(void)unused;
	uint64_t state;
	struct world *w = begin(PYVER(3, 13), &state);
	uint64_t code = new_code(w, "f"), top = stack_up(w, state, code, 20);
	sample(w);
	uint64_t pushed = w->pushed, frame = top;
	for (int i = 0; i < 60; i++)
		frame = new_frame(w, state, code, frame);
	enter(w, state, frame, 0);
	assert_int_equal(sample(w), WALK_WHOLE);
	assert_int_equal(w->out.n, 80);
	assert_int_equal(w->snap.reads, 2);
	w->pushed = pushed;
	put(state, w->py.layout.thread.datastack_top, pushed);
	enter(w, state, top, 0);
	assert_int_equal(sample(w), WALK_WHOLE);
	assert_int_equal(w->out.n, 20);
	assert_int_equal(w->snap.reads, 1);
	world_destroy(w);
}

/* A frame in a generator is found where it lies; another one in its place costs a call, once. */
static void generators_are_fetched(void **unused)
{
	(void)unused;
	uint64_t state;
	struct world *w = begin(PYVER(3, 13), &state);
	const struct py_layout *l = &w->py.layout;
	uint64_t outer = stack_up(w, state, new_code(w, "f"), 3), code = new_code(w, "g");
	for (int i = 0; i < 3; i++) {
		w->used += (size_t)3 * WORLD_PAGE;
		uint64_t generator = world_alloc(w, 256);
		put_frame(w, generator, code, outer);
		put(generator, l->frame.owner, l->owner_generator);
		enter(w, state, generator, 0);
		assert_int_equal(sample(w), WALK_WHOLE);
		assert_int_equal(w->out.n, 4);
		assert_true(w->snap.reads > 1);
		assert_int_equal(sample(w), WALK_WHOLE);
		assert_int_equal(w->snap.reads, 1);
	}
	world_destroy(w);
}

/* What is not used any more is not read for ever. */
static void unused_pages_are_forgotten(void **unused)
{
	(void)unused;
	uint64_t state, chain = 0;
	struct world *w = begin(PYVER(3, 8), &state);
	uint64_t code = new_code(w, "f");
	for (int i = 0; i < 20; i++) {
		w->used += (size_t)3 * WORLD_PAGE;
		chain = new_frame(w, state, code, chain);
	}
	enter(w, state, chain, 0);
	sample(w);
	sample(w);
	unsigned before = w->snap.n_regions;
	assert_true(before > 20);
	enter(w, state, stack_up(w, state, code, 1), 0);
	for (int i = 0; i < 50; i++)
		sample(w);
	assert_true(w->snap.n_regions < before - 15);
	assert_true(w->snap.reads == 1);
	assert_int_equal(w->out.n, 1);
	world_destroy(w);
}

static void unmapped_predictions_cost_once(void **unused)
{
	(void)unused;
	uint64_t state;
	struct world *w = begin(PYVER(3, 8), &state);
	uint64_t code = new_code(w, "f"), frame = stack_up(w, state, code, 1);
	w->used = (w->used + 2 * (size_t)WORLD_PAGE) & ~(size_t)(WORLD_PAGE - 1);
	uint64_t page = world_alloc(w, WORLD_PAGE);
	put_frame(w, page + 64, code, frame);
	enter(w, state, page + 64, 0);
	for (int i = 0; i < 3; i++)
		assert_int_equal(sample(w), WALK_WHOLE);
	assert_int_equal(w->out.n, 2);
	assert_int_equal(mprotect((void *)(uintptr_t)page, WORLD_PAGE, PROT_NONE), 0);
	enter(w, state, frame, 0);
	assert_int_equal(sample(w), WALK_WHOLE);
	assert_int_equal(w->out.n, 1);
	assert_int_equal(sample(w), WALK_WHOLE);
	assert_true(w->snap.reads == 1);
	world_destroy(w);
}

/* Whatever the target says, so much is copied and no more, in so many calls. */
static void hostile_sizes_are_bounded(void **unused)
{
	(void)unused;
	uint64_t state;
	struct world *w = begin(PYVER(3, 13), &state);
	const struct py_layout *l = &w->py.layout;
	uint64_t chunk = get(state, l->thread.datastack_chunk);
	stack_up(w, state, new_code(w, "f"), 5);
	const uint64_t tops[] = {chunk + (4u << 20), chunk - 64, 0, UINT64_MAX,
	                         chunk + (200u << 10)};
	for (size_t i = 0; i < ARRAY_SIZE(tops); i++) {
		put(state, l->thread.datastack_top, tops[i]);
		put(chunk, l->chunk.size, i & 1 ? UINT64_MAX : 0);
		put(chunk, l->chunk.previous, i & 1 ? chunk : UINT64_MAX - 15);
		for (int k = 0; k < 3; k++) {
			sample(w);
			assert_true(w->snap.n_bytes <= WORLD_STACK + GATHER_MAX_COPY);
			assert_true(w->snap.reads < 40);
		}
	}
	/* Frames that each lie on a page of their own: the copy is full before they end. */
	uint64_t frame = 0, code = new_code(w, "g");
	for (int i = 0; i < 300; i++) {
		w->used += WORLD_PAGE;
		uint64_t next = world_alloc(w, 256);
		put_frame(w, next, code, frame);
		put(next, l->frame.owner, l->owner_generator);
		frame = next;
	}
	enter(w, state, frame, 0);
	assert_int_equal(sample(w), WALK_TRUNCATED);
	assert_true(w->out.n > 5);
	assert_true(w->snap.reads <= GATHER_ROUNDS + 4);
	assert_true(w->snap.n_bytes <= WORLD_STACK + GATHER_MAX_COPY);
	world_destroy(w);
}

/* Each capture learns: what is there in the end is all that fits. */
static void deep_chains_of_objects_are_learned(void **unused)
{
	(void)unused;
	uint64_t state;
	struct world *w = begin(PYVER(3, 8), &state);
	stack_up(w, state, new_code(w, "f"), 500);
	for (int i = 0; i < 12 && sample(w) != WALK_WHOLE; i++)
		assert_int_equal(w->out.end, WALK_TRUNCATED);
	assert_int_equal(sample(w), WALK_WHOLE);
	assert_int_equal(w->out.n, 500);
	assert_true(w->snap.reads == 1);
	world_destroy(w);
}

static void guards_of_young_code_are_copied(void **unused)
{
	(void)unused;
	uint64_t state;
	struct world *w = begin(PYVER(3, 13), &state);
	uint64_t code = new_code(w, "f");
	w->used += (size_t)4 * WORLD_PAGE;
	stack_up(w, state, code, 3);
	uint32_t size = w->py.layout.code.size;
	sample(w);
	assert_non_null(snapshot_at(&w->snap, code, size));
	sample(w);
	assert_non_null(snapshot_at(&w->snap, code, size));
	assert_int_equal(w->snap.reads, 1);
	world_destroy(w);
}

static void strangers_are_left_alone(void **unused)
{
	(void)unused;
	uint64_t state;
	struct world *w = begin(PYVER(3, 13), &state);
	struct region more[8];
	w->snap.tid = getpid() + 1;
	for (unsigned round = 0; round < 3; round++)
		assert_int_equal(py_gather(&w->py.base, round, &w->snap, more, 8), 0);
	/* A later round of a capture whose first it did not see. */
	w->snap.tid = getpid();
	assert_int_equal(py_gather(&w->py.base, 1, &w->snap, more, 8), 0);
	/* No more than there is room for. */
	assert_int_equal(py_gather(&w->py.base, 0, &w->snap, more, 1), 1);
	/* The state that the thread had is another interpreter's now. */
	stack_up(w, state, new_code(w, "f"), 3);
	sample(w);
	put(state, w->py.layout.thread.interp, 64);
	assert_int_equal(sample(w), WALK_NONE);
	world_destroy(w);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	        cmocka_unit_test(a_warm_thread_takes_one_call),
	        cmocka_unit_test(chunks_are_read_whole),
	        cmocka_unit_test(the_stack_may_grow_and_shrink),
	        cmocka_unit_test(generators_are_fetched),
	        cmocka_unit_test(unused_pages_are_forgotten),
	        cmocka_unit_test(unmapped_predictions_cost_once),
	        cmocka_unit_test(hostile_sizes_are_bounded),
	        cmocka_unit_test(deep_chains_of_objects_are_learned),
	        cmocka_unit_test(guards_of_young_code_are_copied),
	        cmocka_unit_test(strangers_are_left_alone),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
