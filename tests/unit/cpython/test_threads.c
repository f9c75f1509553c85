/* SPDX-License-Identifier: Apache-2.0 */
/* Interpreters' lists of thread states, and whose they are. */
#include "world.h"

#define SELF getpid()

static void add_tid(struct world *w, pid_t tid)
{
	w->tids[w->target.n_tids++] = tid;
}

static struct py_thread *find(struct world *w, pid_t tid)
{
	return py_threads_find(w->py.threads, tid);
}

static void refresh(struct world *w)
{
	assert_null(py_threads_refresh(&w->py));
}

static void all_interpreters_are_walked(void **unused)
{
	(void)unused;
	struct world *w = world_create(PYVER(3, 12));
	uint64_t old = new_interp(w), young = new_interp(w);
	add_tid(w, 70001);
	uint64_t a = new_state(w, old, SELF, 11), b = new_state(w, old, 70001, 22);
	uint64_t sub = new_state(w, young, SELF, 11);
	refresh(w);
	assert_int_equal(find(w, 70001)->n_own, 1);
	assert_int_equal(find(w, 70001)->states[0], b);
	const struct py_thread *th = find(w, SELF);
	assert_int_equal(th->n_own, 2);
	assert_int_equal(th->states[0], sub); /* the newer interpreter first */
	assert_int_equal(th->interps[0], young);
	assert_int_equal(th->states[1], a);
	assert_int_equal(th->idents[1], 11);
	assert_int_equal(th->locks[1], get(old, w->py.layout.interp.lock));
	assert_null(find(w, 70002));
	world_destroy(w);
}

/* Of more than can be kept the first interpreter's is not left out. */
static void a_creator_of_many_keeps_its_first_state(void **unused)
{
	(void)unused;
	struct world *w = world_create(PYVER(3, 12));
	uint64_t first = new_state(w, new_interp(w), SELF, 11), last = 0;
	w->used += INTERP_BYTES;
	uint64_t second = new_interp(w);
	for (int i = 0; i < PY_MAX_STATES + 3; i++)
		last = new_state(w, second, SELF, 11);
	refresh(w);
	assert_int_equal(find(w, SELF)->n_own, PY_MAX_STATES);
	assert_int_equal(find(w, SELF)->states[0], last);
	assert_int_equal(find(w, SELF)->states[PY_MAX_STATES - 1], first);
	world_destroy(w);
}

static void states_of_nobody_are_left_out(void **unused)
{
	(void)unused;
	struct world *w = world_create(PYVER(3, 12));
	const struct py_layout *l = &w->py.layout;
	uint64_t interp = new_interp(w);
	new_state(w, interp, 70009, 5); /* of the parent, before a fork */
	uint64_t unbound = new_state(w, interp, SELF, 6);
	put(unbound, l->thread.status, l->status_unusable);
	refresh(w);
	assert_null(find(w, 70009));
	assert_null(find(w, SELF));
	put(unbound, l->thread.status, 1);
	py_threads_missing(&w->py, SELF);
	assert_non_null(find(w, SELF));
	world_destroy(w);
}

static void ended_threads_are_forgotten(void **unused)
{
	(void)unused;
	struct world *w = world_create(PYVER(3, 13));
	const struct py_layout *l = &w->py.layout;
	uint64_t interp = new_interp(w);
	add_tid(w, 70001);
	uint64_t stays = new_state(w, interp, SELF, 5);
	new_state(w, interp, 70001, 6);
	refresh(w);
	struct py_prediction *learned = find(w, SELF)->predicted;
	assert_non_null(learned);
	assert_non_null(find(w, 70001));
	put(interp, l->interp.threads_head, stays);
	put(stays, l->thread.prev, 0);
	put(stays, l->thread.thread_id, 7);
	refresh(w);
	assert_null(find(w, 70001));
	assert_int_equal(find(w, SELF)->idents[0], 7);
	assert_ptr_equal(find(w, SELF)->predicted, learned);
	assert_null(py_threads_at(w->py.threads, 1));
	world_destroy(w);
}

static void damaged_lists_leave_what_was_known(void **unused)
{
	(void)unused;
	struct world *w = world_create(PYVER(3, 8));
	const struct py_layout *l = &w->py.layout;
	uint64_t interp = new_interp(w), pthread = new_pthread(w, SELF, 720);
	uint64_t a = new_state(w, interp, 0, pthread);
	refresh(w);
	assert_non_null(find(w, SELF));
	uint64_t b = new_state(w, interp, 0, pthread);
	put(a, l->thread.next, b); /* a loop */
	refresh(w);
	assert_int_equal(find(w, SELF)->states[0], a);
	put(a, l->thread.next, 0);
	put(b, l->thread.interp, interp + 64); /* not of this interpreter */
	refresh(w);
	assert_int_equal(find(w, SELF)->n_states, 1);
	put(b, l->thread.interp, interp);
	put(b, l->thread.next, (uintptr_t)w->memory - 64); /* nowhere */
	refresh(w);
	assert_int_equal(find(w, SELF)->n_states, 1);
	put(b, l->thread.next, a);
	refresh(w);
	assert_int_equal(find(w, SELF)->n_states, 2);
	/* Interpreters in a circle. */
	put(interp, l->interp.next, interp);
	refresh(w);
	put_at(w->head, (uintptr_t)w->memory - 64, 8);
	refresh(w);
	assert_non_null(find(w, SELF));
	world_destroy(w);
}

static void no_interpreter_is_the_end(void **unused)
{
	(void)unused;
	struct world *w = world_create(PYVER(3, 12));
	refresh(w); /* not yet is no end */
	new_state(w, new_interp(w), SELF, 5);
	refresh(w);
	put_at(w->head, 0, 8);
	struct err *err = py_threads_refresh(&w->py);
	assert_non_null(err);
	assert_int_equal(err->kind, ERR_GONE);
	world_destroy(w);
}

/* Up to 3.10 the id of the thread lies in what pthread_self() points to. */
static void pthreads_tell_their_tids(void **unused)
{
	static const uint32_t offsets[] = {720, 48, 300, 1000};
	(void)unused;
	for (size_t i = 0; i < ARRAY_SIZE(offsets); i++) {
		struct world *w = world_create(PYVER(3, 9));
		uint64_t interp = new_interp(w), states[3];
		add_tid(w, 70001);
		add_tid(w, 70002);
		const pid_t tids[3] = {SELF, 70001, 70002};
		for (size_t k = 0; k < 3; k++) {
			uint64_t pthread = new_pthread(w, tids[k], offsets[i]);
			/* The process's id is there as well, in all of them. */
			put_at(pthread + 200, (uint64_t)SELF, 4);
			states[k] = new_state(w, interp, 0, pthread);
		}
		refresh(w);
		for (size_t k = 0; k < 3; k++) {
			assert_non_null(find(w, tids[k]));
			assert_int_equal(find(w, tids[k])->states[0], states[k]);
		}
		world_destroy(w);
	}
}

static void a_pthread_that_is_none_has_no_thread(void **unused)
{
	(void)unused;
	struct world *w = world_create(PYVER(3, 9));
	uint64_t interp = new_interp(w);
	uint64_t good = new_state(w, interp, 0, new_pthread(w, SELF, 720));
	new_state(w, interp, 0, (uintptr_t)w->memory - 512);
	new_state(w, interp, 0, new_pthread(w, 70005, 720));
	refresh(w);
	assert_int_equal(find(w, SELF)->n_states, 1);
	assert_int_equal(find(w, SELF)->states[0], good);
	assert_null(find(w, 70005));
	world_destroy(w);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	        cmocka_unit_test(all_interpreters_are_walked),
	        cmocka_unit_test(a_creator_of_many_keeps_its_first_state),
	        cmocka_unit_test(states_of_nobody_are_left_out),
	        cmocka_unit_test(ended_threads_are_forgotten),
	        cmocka_unit_test(damaged_lists_leave_what_was_known),
	        cmocka_unit_test(no_interpreter_is_the_end),
	        cmocka_unit_test(pthreads_tell_their_tids),
	        cmocka_unit_test(a_pthread_that_is_none_has_no_thread),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
