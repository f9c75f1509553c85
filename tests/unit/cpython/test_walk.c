/* SPDX-License-Identifier: Apache-2.0 */
/* Chains of frames as each release links them, whole and damaged. */
#include "chains.h"

static void shims_end_groups(void **unused)
{
	static const uint16_t releases[] = {PYVER(3, 12), PYVER(3, 13), PYVER(3, 14), PYVER(3, 15)};
	(void)unused;
	for (size_t i = 0; i < ARRAY_SIZE(releases); i++) {
		uint64_t state;
		struct world *w = begin(releases[i], &state);
		struct chain c = make_shims(w, state);
		refresh(w);
		assert_int_equal(sample(w), WALK_WHOLE);
		expect_frames(w, "g f main");
		assert_int_equal(w->out.n_groups, 2);
		expect_group(w, 0, 0, 1, c.inner);
		expect_group(w, 1, 1, 2, c.outer);
		assert_int_equal(w->out.frames[0].kind, RAW_RUNTIME);
		world_destroy(w);
	}
}

/* The same in 3.11. */
static struct chain make_entries(struct world *w, uint64_t state)
{
	struct chain c;
	c.main = new_frame(w, state, new_code(w, "main"), 0);
	c.f = new_frame(w, state, new_code(w, "f"), c.main);
	c.g = new_frame(w, state, new_code(w, "g"), c.f);
	put(c.main, w->py.layout.frame.is_entry, 1);
	put(c.g, w->py.layout.frame.is_entry, 1);
	c.outer = put_cframe(w, 3904, c.f, root_cframe(w, state));
	c.inner = put_cframe(w, 904, c.g, c.outer);
	enter(w, state, 0, c.inner);
	return c;
}

static void entries_end_groups(void **unused)
{
	(void)unused;
	uint64_t state;
	struct world *w = begin(PYVER(3, 11), &state);
	struct chain c = make_entries(w, state);
	refresh(w);
	assert_int_equal(sample(w), WALK_WHOLE);
	expect_frames(w, "g f main");
	expect_group(w, 0, 0, 1, c.inner);
	expect_group(w, 1, 1, 2, c.outer);
	world_destroy(w);
}

/* In its prologue the evaluation function has linked a _PyCFrame that points to anything. */
static void the_hole_is_seen(void **unused)
{
	static const uint16_t releases[] = {PYVER(3, 11), PYVER(3, 12)};
	(void)unused;
	for (size_t i = 0; i < ARRAY_SIZE(releases); i++) {
		uint64_t state;
		struct world *w = begin(releases[i], &state);
		struct chain c =
		        releases[i] == PYVER(3, 11) ? make_entries(w, state) : make_shims(w, state);
		const struct py_layout *l = &w->py.layout;
		uint64_t newer = get(state, l->thread.cframe),
		         top = get(state, l->thread.datastack_top);
		/* A frame that was there before, above the top; one that ran when another was its
		 * caller, in older memory; no address; nothing; no frame but other memory. */
		uint64_t above = top + 64, elsewhere = c.g;
		put_frame(w, above, new_code(w, "stale"), c.f);
		put(above, l->frame.is_entry, 1);
		put(elsewhere, l->frame.previous, c.main);
		const uint64_t garbage[] = {above, elsewhere,    0x10,
		                            0,     w->code_type, (uintptr_t)w->memory - 64};
		refresh(w);
		for (size_t k = 0; k < ARRAY_SIZE(garbage); k++) {
			put(newer, l->cframe.current_frame, garbage[k]);
			assert_int_equal(sample(w), WALK_WHOLE);
			expect_frames(w, "f main");
			expect_group(w, 0, 0, 0, newer);
			expect_group(w, 1, 0, 2, c.outer);
		}
		world_destroy(w);
	}
}

/* The _PyCFrame's previous is no better: registers tell which it will be. One from an earlier
 * activation lies between, with the frame that is being entered. */
static void the_hole_has_a_way_out(void **unused)
{
	static const uint16_t releases[] = {PYVER(3, 11), PYVER(3, 12)};
	(void)unused;
	for (size_t i = 0; i < ARRAY_SIZE(releases); i++) {
		uint64_t state;
		struct world *w = begin(releases[i], &state);
		bool entries = releases[i] == PYVER(3, 11);
		struct chain c = entries ? make_entries(w, state) : make_shims(w, state);
		const struct py_layout *l = &w->py.layout;
		uint64_t newer = get(state, l->thread.cframe);
		uint64_t older = get(newer, l->cframe.previous);
		uint64_t code = get(c.g, l->frame.code);
		put(c.g, l->frame.instr, code + l->code.bytecode.at - 2);
		put_cframe(w, 2000, c.g, older);
		refresh(w);
		const uint64_t garbage[] = {0x10, 0, newer, (uintptr_t)w->memory - 64, c.g};
		/* It itself; the frame that it calls current, or the one that is entered. */
		const uint64_t registers[] = {older, entries ? c.f : c.g};
		for (size_t k = 0; k < ARRAY_SIZE(garbage) * ARRAY_SIZE(registers); k++) {
			put(newer, l->cframe.current_frame, garbage[k % ARRAY_SIZE(garbage)]);
			put(newer, l->cframe.previous, garbage[k % ARRAY_SIZE(garbage)]);
			regs_set(&w->snap.regs, 3, registers[k / ARRAY_SIZE(garbage)]);
			regs_set(&w->snap.regs, 4, state);
			regs_set(&w->snap.regs, 5, c.g);
			assert_int_equal(sample(w), WALK_WHOLE);
			expect_frames(w, "f main");
			expect_group(w, 0, 0, 0, newer);
			expect_group(w, 1, 0, 2, c.outer);
		}
		put(newer, l->cframe.previous, 0x10);
		regs_set(&w->snap.regs, 3, 0);
		regs_set(&w->snap.regs, 5, 0);
		assert_int_not_equal(sample(w), WALK_WHOLE);
		assert_int_equal(w->out.n, 0);
		/* The thread's first activation. */
		regs_set(&w->snap.regs, 3, root_cframe(w, state));
		assert_int_equal(sample(w), WALK_WHOLE);
		assert_int_equal(w->out.n, 0);
		world_destroy(w);
	}
}

static void each_frame_object_is_a_group(void **unused)
{
	(void)unused;
	uint64_t state;
	struct world *w = begin(PYVER(3, 8), &state);
	uint64_t outer = new_frame(w, state, new_code(w, "main"), 0);
	enter(w, state, new_frame(w, state, new_code(w, "f"), outer), 0);
	refresh(w);
	assert_int_equal(sample(w), WALK_WHOLE);
	expect_frames(w, "f main");
	expect_group(w, 0, 0, 1, 0);
	expect_group(w, 1, 1, 1, 0);
	put(outer, w->py.layout.object.type, w->frame_type + 16);
	assert_int_equal(sample(w), WALK_TORN);
	assert_int_equal(w->out.n, 0);
	world_destroy(w);
}

/* 3.10: the list of CFrames is a step ahead, or behind. */
static void cframes_pair_from_the_outermost(void **unused)
{
	(void)unused;
	uint64_t state;
	struct world *w = begin(PYVER(3, 10), &state);
	uint64_t outer = new_frame(w, state, new_code(w, "main"), 0);
	uint64_t inner = new_frame(w, state, new_code(w, "f"), outer);
	uint64_t c2 = put_cframe(w, 3000, 0, root_cframe(w, state));
	uint64_t c1 = put_cframe(w, 2000, 0, c2), c0 = put_cframe(w, 1000, 0, c1);
	refresh(w);
	enter(w, state, inner, c1);
	assert_int_equal(sample(w), WALK_WHOLE);
	expect_frames(w, "f main");
	expect_group(w, 0, 0, 1, c1);
	expect_group(w, 1, 1, 1, c2);
	enter(w, state, inner, c0);
	assert_int_equal(sample(w), WALK_WHOLE);
	expect_frames(w, "f main");
	expect_group(w, 0, 0, 0, c0);
	expect_group(w, 1, 0, 1, c1);
	expect_group(w, 2, 1, 1, c2);
	enter(w, state, inner, c2);
	assert_int_equal(sample(w), WALK_WHOLE);
	expect_frames(w, "main");
	expect_group(w, 0, 0, 1, c2);
	/* Neither: pairing is left to who counts. */
	put(c2, w->py.layout.cframe.previous, 0);
	assert_int_equal(sample(w), WALK_WHOLE);
	expect_frames(w, "f main");
	expect_group(w, 0, 0, 1, 0);
	world_destroy(w);
}

static void a_chain_ends_where_it_should(void **unused)
{
	(void)unused;
	uint64_t state;
	struct world *w = begin(PYVER(3, 15), &state);
	struct chain c = make_shims(w, state);
	refresh(w);
	put(c.outer, w->py.layout.frame.previous, 0); /* not the sentinel */
	assert_int_equal(sample(w), WALK_TORN);
	world_destroy(w);
	w = begin(PYVER(3, 13), &state);
	c = make_shims(w, state);
	refresh(w);
	put(c.main, w->py.layout.frame.previous, 0); /* without a shim */
	assert_int_equal(sample(w), WALK_TORN);
	world_destroy(w);
}

static void loops_end(void **unused)
{
	static const uint16_t releases[] = {PYVER(3, 8), PYVER(3, 11), PYVER(3, 12), PYVER(3, 14)};
	(void)unused;
	for (size_t i = 0; i < ARRAY_SIZE(releases); i++) {
		uint64_t state, frames[40], code;
		struct world *w = begin(releases[i], &state);
		code = new_code(w, "f");
		for (size_t k = 0; k < 40; k++) {
			frames[k] = new_frame(w, state, code, k ? frames[k - 1] : 0);
			/* Those of generators may lie anywhere. */
			put(frames[k], w->py.layout.frame.owner, w->py.layout.owner_generator);
		}
		uint64_t root = root_cframe(w, state);
		enter(w, state, frames[39],
		      field_known(w->py.layout.thread.cframe) ? put_cframe(w, 904, frames[39], root)
		                                              : 0);
		refresh(w);
		for (size_t length = 1; length < 40; length += 19) {
			put(frames[0], w->py.layout.frame.previous, frames[length - 1]);
			enum walk_end end = sample(w);
			/* With _PyCFrames it is taken for garbage in a prologue. */
			assert_int_equal(end, w->out.n_groups ? WALK_WHOLE : WALK_TORN);
			assert_int_equal(w->out.n, 0);
			assert_true(w->out.n_groups == 0 ||
			            field_known(w->py.layout.cframe.current_frame));
		}
		world_destroy(w);
	}
}

static void frames_being_set_up_are_hidden(void **unused)
{
	(void)unused;
	uint64_t state;
	struct world *w = begin(PYVER(3, 13), &state);
	struct chain c = make_shims(w, state);
	const struct py_layout *l = &w->py.layout;
	uint64_t code = get(c.f, l->frame.code);
	put(code, l->code.firsttraceable, 3);
	refresh(w);
	assert_int_equal(sample(w), WALK_WHOLE);
	expect_frames(w, "g main");
	expect_group(w, 1, 1, 1, c.outer);
	/* A generator's are shown from the start. */
	put(c.f, l->frame.owner, l->owner_generator);
	assert_int_equal(sample(w), WALK_WHOLE);
	expect_frames(w, "g f main");
	world_destroy(w);
}

static void what_is_no_code_is_not_named(void **unused)
{
	(void)unused;
	uint64_t state;
	struct world *w = begin(PYVER(3, 13), &state);
	struct chain c = make_shims(w, state);
	const struct py_layout *l = &w->py.layout;
	refresh(w);
	put(get(c.f, l->frame.code), l->object.type, w->frame_type);
	assert_int_equal(sample(w), WALK_TORN);
	put(get(c.f, l->frame.code), l->object.type, w->code_type);
	assert_int_equal(sample(w), WALK_WHOLE);
	/* An instruction that is not its code's. */
	put(c.f, l->frame.instr, get(c.f, l->frame.instr) + (4u << 20));
	assert_int_equal(sample(w), WALK_TORN);
	world_destroy(w);
}

static void ends_without_frames(void **unused)
{
	(void)unused;
	uint64_t state;
	struct world *w = begin(PYVER(3, 12), &state);
	const struct py_layout *l = &w->py.layout;
	assert_int_equal(sample(w),
	                 WALK_NONE); /* nobody has looked for threads: that is done now */
	assert_non_null(py_threads_find(w->py.threads, TEST_TID));
	assert_int_equal(sample(w), WALK_NONE); /* runs no Python code */
	make_shims(w, state);
	assert_int_equal(sample(w), WALK_WHOLE);
	put(w->py.roots.runtime, l->runtime.finalizing, state);
	assert_int_equal(sample(w), WALK_STARTING);
	put(w->py.roots.runtime, l->runtime.finalizing, 0);
	put(state, l->thread.thread_id, 4711); /* another thread's by now */
	assert_int_equal(sample(w), WALK_NONE);
	world_destroy(w);
}

static void a_snapshot_older_than_the_thread_is_starting(void **unused)
{
	(void)unused;
	uint64_t state;
	struct world *w = begin(PYVER(3, 12), &state);
	make_shims(w, state);
	sample(w);
	w->capture.gather.gather = NULL;
	assert_int_equal(sample(w), WALK_STARTING);
	world_destroy(w);
}

static void what_was_not_copied_is_cut(void **unused)
{
	(void)unused;
	uint64_t state;
	struct world *w = begin(PYVER(3, 13), &state);
	struct chain c = make_shims(w, state);
	refresh(w);
	put(c.f, w->py.layout.frame.previous, (uintptr_t)w->memory - 256);
	assert_int_equal(sample(w), WALK_TRUNCATED);
	expect_frames(w, "g f");
	expect_group(w, 1, 1, 1, 0);
	put(c.f, w->py.layout.frame.previous, UINT64_MAX - 7);
	assert_int_equal(sample(w), WALK_TORN);
	world_destroy(w);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	        cmocka_unit_test(shims_end_groups),
	        cmocka_unit_test(entries_end_groups),
	        cmocka_unit_test(the_hole_is_seen),
	        cmocka_unit_test(the_hole_has_a_way_out),
	        cmocka_unit_test(each_frame_object_is_a_group),
	        cmocka_unit_test(cframes_pair_from_the_outermost),
	        cmocka_unit_test(a_chain_ends_where_it_should),
	        cmocka_unit_test(loops_end),
	        cmocka_unit_test(frames_being_set_up_are_hidden),
	        cmocka_unit_test(what_is_no_code_is_not_named),
	        cmocka_unit_test(ends_without_frames),
	        cmocka_unit_test(a_snapshot_older_than_the_thread_is_starting),
	        cmocka_unit_test(what_was_not_copied_is_cut),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
