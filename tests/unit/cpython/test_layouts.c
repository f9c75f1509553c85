/* SPDX-License-Identifier: Apache-2.0 */
/* The rows of all releases: complete, consistent, and where public sources say things are. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include <csample/mem.h>

#include "../../../runtimes/cpython/layout.h"

static void rows_are_complete(void **state)
{
	(void)state;
	for (unsigned i = 0; i < py_n_layouts; i++) {
		const struct py_layout *l = &py_layouts[i];
		const char *missing = py_layout_missing(l);
		if (missing)
			fail_msg("%s: %s", l->origin, missing);
		assert_non_null(l->origin);
		assert_in_range(l->thread.size, 64, PY_MAX_THREAD_BYTES);
		assert_in_range(l->frame.size, 48, PY_MAX_FRAME_BYTES);
		assert_in_range(l->code.size, 96, PY_MAX_CODE_BYTES);
	}
}

static void rows_are_sorted(void **state)
{
	(void)state;
	for (unsigned i = 1; i < py_n_layouts; i++) {
		const struct py_layout *a = &py_layouts[i - 1], *b = &py_layouts[i];
		assert_true(a->version < b->version ||
		            (a->version == b->version && !a->free_threaded && b->free_threaded));
	}
}

static void releases_have_rows(void **state)
{
	(void)state;
	char text[32];
	for (int minor = 6; minor <= 15; minor++) {
		const struct py_layout *l = py_layout_find(PYVER(3, minor), false);
		assert_non_null(l);
		assert_int_equal(l->version, PYVER(3, minor));
		assert_false(l->free_threaded);
		assert_int_equal(py_layout_find(PYVER(3, minor), true) != NULL, minor >= 13);
	}
	assert_null(py_layout_find(PYVER(2, 7), false));
	assert_null(py_layout_find(PYVER(3, 5), false));
	assert_null(py_layout_find(PYVER(3, 99), false));
	py_layout_releases(text, sizeof(text));
	assert_string_equal(text, "3.6 to 3.15");
}

/* What a walk does with each release, by the sources of CPython. */
static void rows_say_how_to_walk(void **state)
{
	(void)state;
	for (unsigned i = 0; i < py_n_layouts; i++) {
		const struct py_layout *l = &py_layouts[i];
		int minor = l->version & 255;
		assert_int_equal(l->lines, minor <= 9    ? LINES_LNOTAB
		                           : minor == 10 ? LINES_PAIRS
		                                         : LINES_LOCATIONS);
		assert_int_equal(l->instr, minor <= 9    ? INSTR_LASTI_BYTES
		                           : minor == 10 ? INSTR_LASTI_UNITS
		                           : minor <= 12 ? INSTR_PREV
		                                         : INSTR_CURRENT);
		assert_int_equal(l->groups, minor <= 10   ? GROUPS_EACH
		                            : minor == 11 ? GROUPS_IS_ENTRY
		                                          : GROUPS_SHIM);
		assert_int_equal(l->marker, minor <= 9    ? MARKER_NONE
		                            : minor <= 11 ? MARKER_CFRAME
		                                          : MARKER_SHIM);
		assert_int_equal(l->lock_at, minor == 6    ? LOCK_CURRENT
		                             : minor <= 11 ? LOCK_RUNTIME
		                                           : LOCK_INTERP);
		assert_int_equal(l->tag_mask, minor >= 14 ? 3 : 0);
		assert_int_equal(l->owner_shim, minor >= 12 ? 3 : 0);
		assert_int_equal(l->object.type.at, l->free_threaded ? 24 : 8);
	}
	/* "3.13 only: holds_gil 5, finalizing 6, cleared 7, finalized 8", else one lower. */
	assert_int_equal(py_layout_find(PYVER(3, 12), false)->status_unusable, 0xc4);
	assert_int_equal(py_layout_find(PYVER(3, 13), false)->status_unusable, 0x184);
	assert_int_equal(py_layout_find(PYVER(3, 14), false)->status_unusable, 0xc4);
	assert_int_equal(py_layout_find(PYVER(3, 14), false)->gen_yield_from, -1);
	assert_int_equal(py_layout_find(PYVER(3, 15), false)->gen_yield_from, 2);
}

/* Takes one field away, or puts it outside its struct, and expects its name. */
static void check_broken(struct py_layout *l, struct field *f, const char *name, bool in_struct)
{
	struct field whole = *f;
	f->width = 0;
	assert_non_null(py_layout_missing(l));
	assert_string_equal(py_layout_missing(l), name);
	*f = whole;
	f->at = 1u << 30;
	if (in_struct)
		assert_string_equal(py_layout_missing(l), name);
	*f = whole;
	assert_null(py_layout_missing(l));
}

static void what_is_missing_is_named(void **state)
{
	(void)state;
	for (unsigned i = 0; i < py_n_layouts; i++) {
		struct py_layout l = py_layouts[i];
		check_broken(&l, &l.interp.threads_head, "interp.threads_head", false);
		check_broken(&l, &l.thread.interp, "thread.interp", true);
		check_broken(&l, &l.frame.code, "frame.code", true);
		check_broken(&l, &l.code.linetable, "code.linetable", true);
		check_broken(&l, &l.type.cached_keys, "type.cached_keys", false);
		l.tuple.data = 0;
		assert_string_equal(py_layout_missing(&l), "tuple.data");
	}
}

/* A release only needs what it has. */
static void what_a_release_lacks_is_not_missing(void **state)
{
	(void)state;
	struct py_layout l = *py_layout_find(PYVER(3, 8), false);
	assert_false(field_known(l.thread.current_frame));
	assert_false(field_known(l.code.qualname));
	l = *py_layout_find(PYVER(3, 13), false);
	l.code.qualname.width = 0;
	assert_string_equal(py_layout_missing(&l), "code.qualname");
	l = *py_layout_find(PYVER(3, 6), false);
	assert_false(field_known(l.runtime.interpreters_head));
	l = *py_layout_find(PYVER(3, 14), true);
	l.code.tlbc.width = 0;
	assert_string_equal(py_layout_missing(&l), "code.tlbc");
}

static void lists_are_in_their_bounds(void **state)
{
	(void)state;
	for (unsigned i = 0; i < py_n_self_descriptions; i++) {
		const struct py_self_description *d = &py_self_descriptions[i];
		assert_non_null(py_layout_find(d->version, false));
		assert_non_null(py_layout_find(d->version, true));
		assert_in_range(d->size, 64, PY_MAX_SELF_DESCRIPTION);
		for (unsigned k = 0; k < d->n; k++) {
			const struct py_told *t = &d->told[k];
			assert_true(t->told >= 24 && t->told + 8 <= d->size && t->told % 8 == 0);
			assert_true(t->plus + 8 <= d->size && t->minus + 8 <= d->size);
			assert_true(t->size + 8 <= d->size);
			assert_true(t->member + (t->is_field ? sizeof(struct field) : 4) <=
			            sizeof(struct py_layout));
		}
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	        cmocka_unit_test(rows_are_complete),
	        cmocka_unit_test(rows_are_sorted),
	        cmocka_unit_test(releases_have_rows),
	        cmocka_unit_test(rows_say_how_to_walk),
	        cmocka_unit_test(what_is_missing_is_named),
	        cmocka_unit_test(what_a_release_lacks_is_not_missing),
	        cmocka_unit_test(lists_are_in_their_bounds),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
