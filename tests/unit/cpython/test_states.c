/* SPDX-License-Identifier: Apache-2.0 */
/* Thread states: which of them run on a thread's stack, in what order, and who holds the lock. */
#include "chains.h"

/* A thread that entered another interpreter. */
static void interpreters_stack(void **unused)
{
	(void)unused;
	uint64_t first, second;
	struct world *w = begin(PYVER(3, 13), &first);
	struct chain a = make_shims(w, first);
	uint64_t interp = new_interp(w);
	second = new_state(w, interp, TEST_TID, get(first, w->py.layout.thread.thread_id));
	uint64_t shim = put_shim(w, 300, 0);
	uint64_t frame = new_frame(w, second, new_code(w, "sub"), shim);
	enter(w, second, frame, 0);
	refresh(w);
	assert_int_equal(sample(w), WALK_WHOLE);
	expect_frames(w, "sub g f main");
	expect_group(w, 0, 0, 1, shim);
	/* The newer interpreter may be the outer one. */
	uint64_t below = put_shim(w, 5000, 0);
	put(frame, w->py.layout.frame.previous, below);
	assert_int_equal(sample(w), WALK_WHOLE);
	expect_frames(w, "g f main sub");
	expect_group(w, 0, 0, 1, a.inner);
	world_destroy(w);
}

/* Up to 3.9 a state shows where its frames are words of the stack, inner ones lower; whoever it
 * names. */
static void frame_objects_are_found_on_the_stack(void **unused)
{
	(void)unused;
	uint64_t main_state;
	struct world *w = begin(PYVER(3, 8), &main_state);
	const struct py_layout *l = &w->py.layout;
	uint64_t sub = new_state(w, new_interp(w), TEST_TID, get(main_state, l->thread.thread_id));
	uint64_t outer = new_frame(w, sub, new_code(w, "outer"), 0);
	uint64_t inner = new_frame(w, sub, new_code(w, "inner"), outer);
	uint64_t caller = new_frame(w, main_state, new_code(w, "caller"), 0);
	enter(w, sub, inner, 0);
	enter(w, main_state, caller, 0);
	put_at(on_stack(w, 4000), caller, 8);
	refresh(w);
	assert_int_equal(sample(w), WALK_WHOLE);
	expect_frames(w, "caller");
	put_at(on_stack(w, 400), inner, 8);
	sample(w);
	expect_frames(w, "caller"); /* the outer one is not there */
	put_at(on_stack(w, 200), outer, 8);
	sample(w);
	expect_frames(w, "caller"); /* or not where it should be */
	put_at(on_stack(w, 800), outer, 8);
	assert_int_equal(sample(w), WALK_WHOLE);
	expect_frames(w, "inner outer caller");
	put_at(on_stack(w, 400), 0, 8);
	regs_set(&w->snap.regs, 3, inner);
	sample(w);
	expect_frames(w, "inner outer caller");
	/* The other way round, whatever the order of the lists. */
	put_at(on_stack(w, 104), caller, 8);
	put_at(on_stack(w, 400), inner, 8);
	put_at(on_stack(w, 4000), 0, 8);
	sample(w);
	expect_frames(w, "caller inner outer");
	world_destroy(w);
}

/* A thread that has no state runs one of a thread that has two. */
static void a_state_shows_in_who_runs_it(void **unused)
{
	static const uint16_t releases[] = {PYVER(3, 8), PYVER(3, 12)};
	(void)unused;
	for (size_t i = 0; i < ARRAY_SIZE(releases); i++) {
		struct world *w = world_create(releases[i]);
		const struct py_layout *l = &w->py.layout;
		uint64_t ident = new_pthread(w, 70001, 720);
		w->tids[w->target.n_tids++] = 70001;
		uint64_t of_main = new_state(w, new_interp(w), 70001, ident), locked, holder;
		uint64_t sub = new_state(w, new_interp(w), 70001, ident);
		uint64_t shim = field_known(l->thread.cframe) ? put_shim(w, 4000, 0) : 0;
		uint64_t frame = new_frame(w, sub, new_code(w, "f"), shim);
		enter(w, sub, frame, shim ? put_cframe(w, 3904, frame, root_cframe(w, sub)) : 0);
		put_at(on_stack(w, 400), frame, 8);
		refresh(w);
		const struct py_thread *th = py_threads_find(w->py.threads, TEST_TID);
		assert_int_equal(th->n_own, 0);
		assert_int_equal(th->n_states, 2);
		assert_int_equal(th->states[1], of_main);
		assert_int_equal(sample(w), WALK_WHOLE);
		expect_frames(w, "f");
		assert_true(py_lock_words(&w->py, th, 0, &locked, &holder));
		put_at(locked, 1, 4);
		put_at(holder, of_main, 8);
		sample(w);
		assert_false(w->out.holds_lock); /* that runs nothing here */
		put_at(holder, sub, 8);
		sample(w);
		assert_true(w->out.holds_lock);
		world_destroy(w);
	}
}

static void the_holder_of_the_lock_is_told(void **unused)
{
	static const uint16_t releases[] = {PYVER(3, 6), PYVER(3, 8), PYVER(3, 11), PYVER(3, 12),
	                                    PYVER(3, 13)};
	(void)unused;
	for (size_t i = 0; i < ARRAY_SIZE(releases); i++) {
		uint64_t state, locked, holder;
		struct world *w = begin(releases[i], &state);
		refresh(w);
		const struct py_thread *th = py_threads_find(w->py.threads, TEST_TID);
		assert_non_null(th);
		assert_true(py_lock_words(&w->py, th, 0, &locked, &holder));
		put_at(locked, 1, 4);
		put_at(holder, state, 8);
		sample(w);
		assert_true(w->out.holds_lock);
		put_at(holder, state + 64, 8);
		sample(w);
		assert_false(w->out.holds_lock);
		if (locked != holder) {
			put_at(holder, state, 8); /* the last one, not now */
			put_at(locked, 0, 4);
			sample(w);
			assert_false(w->out.holds_lock);
		}
		world_destroy(w);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	        cmocka_unit_test(interpreters_stack),
	        cmocka_unit_test(frame_objects_are_found_on_the_stack),
	        cmocka_unit_test(a_state_shows_in_who_runs_it),
	        cmocka_unit_test(the_holder_of_the_lock_is_told),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
