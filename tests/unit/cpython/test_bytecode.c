/* SPDX-License-Identifier: Apache-2.0 */
/* Instruction pointers into copies of the bytecode, as free-threaded builds make them. */
#include "world.h"

#define UNITS 20
#define ENTRY 1
#define INDEX 2

struct copies {
	struct world *w;
	uint64_t state, code, array, own, copy;
};

static int setup(void **state)
{
	struct copies *c = calloc(1, sizeof(*c));
	struct world *w = c->w = world_create_row(py_layout_find(PYVER(3, 14), true));
	const struct py_layout *l = &w->py.layout;
	w->py.bytecodes = py_bytecodes_create();
	uint64_t interp = new_interp(w);
	c->state = new_state(w, interp, getpid(), new_pthread(w, getpid(), 720));
	c->code = new_code(w, "f");
	c->own = c->code + l->code.bytecode.at;
	c->copy = world_alloc(w, 2 * UNITS);
	c->array = world_alloc(w, 64);
	put_at(c->array, INDEX + 1, 8);
	put_at(c->array + 8, c->own, 8);
	put_at(c->array + 8 + 8 * INDEX, c->copy, 8);
	put(c->code, l->tuple.size, UNITS);
	put(c->code, l->code.tlbc, c->array);
	*state = c;
	return 0;
}

static int teardown(void **state)
{
	struct copies *c = *state;
	world_destroy(c->w);
	free(c);
	return 0;
}

static int64_t offset(struct copies *c, uint64_t instr, uint64_t index)
{
	return py_bytecode_offset(&c->w->py, c->w->target.rm, c->code, ENTRY, instr, index);
}

static void in_the_copy_or_in_the_codes_own(void **state)
{
	struct copies *c = *state;
	assert_int_equal(offset(c, c->copy, INDEX), 0);
	assert_int_equal(offset(c, c->copy + 6, INDEX), 6);
	assert_int_equal(offset(c, c->copy + 2 * UNITS - 2, INDEX), 2 * UNITS - 2);
	/* Before its first instruction has moved it over. */
	assert_int_equal(offset(c, c->own + 8, INDEX), 8);
}

static void anywhere_else_nothing_is_known(void **state)
{
	struct copies *c = *state;
	assert_int_equal(offset(c, c->copy + 2 * UNITS, INDEX), PY_LASTI_UNKNOWN);
	assert_int_equal(offset(c, c->copy - 2, INDEX), PY_LASTI_UNKNOWN);
	assert_int_equal(offset(c, c->copy + 3, INDEX), PY_LASTI_UNKNOWN);
	assert_int_equal(offset(c, 0, INDEX), PY_LASTI_UNKNOWN);
	/* No such copy: not made, behind the array's end, far behind. */
	assert_int_equal(offset(c, c->copy, 1), PY_LASTI_UNKNOWN);
	assert_int_equal(offset(c, c->copy, INDEX + 1), PY_LASTI_UNKNOWN);
	assert_int_equal(offset(c, c->copy, UINT64_MAX / 8), PY_LASTI_UNKNOWN);
}

static void damage_is_survived(void **state)
{
	struct copies *c = *state;
	const struct py_layout *l = &c->w->py.layout;
	put_at(c->array, UINT64_MAX, 8);
	assert_int_equal(offset(c, c->copy, 1 << 19), PY_LASTI_UNKNOWN);
	put(c->code, l->code.tlbc, (uintptr_t)c->w->memory - 64); /* cannot be read */
	assert_int_equal(offset(c, c->copy, INDEX), PY_LASTI_UNKNOWN);
	assert_int_equal(offset(c, c->own + 2, INDEX), 2);
	put(c->code, l->tuple.size, UINT64_MAX / 4);
	assert_int_equal(offset(c, c->own + 2, INDEX), PY_LASTI_UNKNOWN);
}

static void a_copy_is_looked_up_once_and_again_when_it_moved(void **state)
{
	struct copies *c = *state;
	const struct py_layout *l = &c->w->py.layout;
	assert_int_equal(offset(c, c->copy + 4, INDEX), 4);
	put(c->code, l->code.tlbc, 0);
	assert_int_equal(offset(c, c->copy + 10, INDEX), 10);
	uint64_t moved = world_alloc(c->w, 2 * UNITS + 64);
	put(c->code, l->code.tlbc, c->array);
	put_at(c->array + 8 + 8 * INDEX, moved, 8);
	assert_int_equal(offset(c, moved + 12, INDEX), 12);
	assert_int_equal(offset(c, c->copy + 4, INDEX), PY_LASTI_UNKNOWN);
	/* Another code where this one was has its own. */
	assert_int_equal(
	        py_bytecode_offset(&c->w->py, c->w->target.rm, c->code, ENTRY + 1, moved, INDEX),
	        0);
	put(c->code, l->code.tlbc, 0);
	assert_int_equal(
	        py_bytecode_offset(&c->w->py, c->w->target.rm, c->code, ENTRY + 2, moved, INDEX),
	        PY_LASTI_UNKNOWN);
}

static void a_frame_whose_instruction_is_not_known_has_no_line(void **state)
{
	struct copies *c = *state;
	struct world *w = c->w;
	const struct py_layout *l = &w->py.layout;
	uint64_t shim = put_shim(w, 1000, 0), frame = new_frame(w, c->state, c->code, shim);
	uint64_t table = get(c->code, l->code.linetable);
	put(table, l->bytes.size, 2);
	put_at(table + l->bytes.data, 0x00ef, 2); /* eight units on the first line */
	put(frame, l->frame.tlbc_index, INDEX);
	put(frame, l->frame.instr, c->copy + 4);
	enter(w, c->state, frame, 0);
	assert_null(py_threads_refresh(&w->py));
	assert_int_equal(sample(w), WALK_WHOLE);
	assert_int_equal(w->out.n, 1);
	assert_string_equal(frame_name(w, 0), "f");
	assert_int_equal(w->out.frames[0].aux, 7);
	put(frame, l->frame.instr, c->copy + 2 * UNITS);
	assert_int_equal(sample(w), WALK_WHOLE);
	assert_int_equal(w->out.n, 1);
	assert_string_equal(frame_name(w, 0), "f");
	assert_int_equal(w->out.frames[0].aux, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	        cmocka_unit_test_setup_teardown(in_the_copy_or_in_the_codes_own, setup, teardown),
	        cmocka_unit_test_setup_teardown(anywhere_else_nothing_is_known, setup, teardown),
	        cmocka_unit_test_setup_teardown(damage_is_survived, setup, teardown),
	        cmocka_unit_test_setup_teardown(a_copy_is_looked_up_once_and_again_when_it_moved,
	                                        setup, teardown),
	        cmocka_unit_test_setup_teardown(a_frame_whose_instruction_is_not_known_has_no_line,
	                                        setup, teardown),
	};
	return cmocka_run_group_tests_name("cpython/bytecode", tests, NULL, NULL);
}
