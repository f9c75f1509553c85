/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "heap.h"

static struct heap heap;

static void each_layout(void (*test)(struct heap *h))
{
	for (unsigned i = 0; i < v8_n_layouts; i++) {
		heap_init(&heap, &v8_layouts[i]);
		test(&heap);
		heap_deinit(&heap);
	}
}

static uint64_t composed(struct heap *h, uint32_t type, uint32_t length, uint64_t a, uint64_t b)
{
	uint64_t tagged = heap_object(h, type, 4);
	heap_at(h, tagged)[1] = (uint64_t)length << 32;
	heap_at(h, tagged)[2] = a;
	heap_at(h, tagged)[3] = b;
	return tagged;
}

static void check_strings(struct heap *h)
{
	struct v8 *v8 = &h->v8;
	uint64_t abc = heap_string(h, "abc"), wide = heap_object(h, 0, 4);
	static const uint16_t units[] = {0xe9, 0x20ac, 0xd83d, 0xde00, 0xd800}; /* é € 😀 and half */
	heap_at(h, wide)[1] = 5ULL << 32;
	memcpy(heap_at(h, wide) + 2, units, sizeof(units));
	assert_string_equal(v8_string(v8, abc), "abc");
	assert_string_equal(v8_string(v8, wide), "\u00e9\u20ac\U0001f600");
	uint64_t cons = composed(h, 8 | 1, 6, abc, abc);
	assert_string_equal(v8_string(v8, cons), "abcabc");
	assert_string_equal(v8_string(v8, composed(h, 8 | 3, 3, cons, smi(2))), "cab");
	assert_string_equal(v8_string(v8, composed(h, 8 | 5, 6, cons, 0)), "abcabc");
	assert_string_equal(v8_string(v8, composed(h, 8 | 2, 2, 0, abc - 1 + 16)), "ab");
	/* Both halves of a pair may come from two strings. */
	uint64_t high = heap_object(h, 0, 3), low = heap_object(h, 0, 3);
	heap_at(h, high)[1] = heap_at(h, low)[1] = 1ULL << 32;
	heap_at(h, high)[2] = 0xd83d;
	heap_at(h, low)[2] = 0xde00;
	assert_string_equal(v8_string(v8, composed(h, 1, 2, high, low)), "\U0001f600");
	assert_string_equal(v8_string(v8, heap_string(h, "\xe9")), "\u00e9"); /* Latin-1 */
	/* What is no string, or lies about itself. */
	assert_null(v8_string(v8, smi(5)));
	assert_null(v8_string(v8, heap_object(h, v8->layout.type.script, 4)));
	assert_null(v8_string(v8, HEAP_BASE + sizeof(h->words) + 1));
	assert_null(v8_string(v8, composed(h, 8 | 3, 3, cons, smi(4))));
	assert_null(v8_string(v8, composed(h, 8 | 3, 3, cons, smi(-1))));
	assert_null(v8_string(v8, composed(h, 8 | 2, 2, 0, 8)));
	assert_null(v8_string(v8, composed(h, 8 | 7, 2, abc, abc)));
	uint64_t loop = composed(h, 8 | 1, 6, abc, abc);
	heap_at(h, loop)[3] = loop;
	h->reads = 0;
	(void)v8_string(v8, loop);
	heap_at(h, loop)[2] = loop;
	assert_null(v8_string(v8, loop));
	assert_true(h->reads < 1000);
}

static void strings_of_every_shape(void **state)
{
	(void)state;
	each_layout(check_strings);
}

static void long_names_are_cut(void **state)
{
	(void)state;
	heap_init(&heap, &v8_layouts[0]);
	static char text[5000];
	memset(text, 'x', sizeof(text) - 1);
	assert_int_equal(strlen(v8_string(&heap.v8, heap_string(&heap, text))), V8_MAX_NAME);
	heap_deinit(&heap);
}

static void check_scopes(struct heap *h)
{
	static const int32_t locals[] = {0, 1, 74, 75, 100};
	uint64_t script = heap_script(h, "line one\nand line two\nthree", "/dir/file.js");
	uint64_t name = heap_string(h, "given"), inferred = heap_string(h, "inferred"),
	         none = heap_string(h, "");
	for (unsigned i = 0; i < 5 * 4; i++) {
		uint64_t scope = heap_scope(h, name, inferred, locals[i % 5], i / 5, false, 13);
		const struct v8_function *f =
		        v8_function_find(&h->v8, heap_shared(h, scope, script));
		assert_non_null(f);
		assert_string_equal(f->name, "given");
		assert_int_equal(f->line, 2);
		assert_int_equal(f->column, 5);
		struct raw_frame raw = {.addr = f->entry, .aux = 7ULL << 32 | 3};
		struct frame frame;
		v8_describe(&h->v8.base, raw, &frame);
		assert_string_equal(frame.function, "given");
		assert_string_equal(frame.file, "/dir/file.js");
		assert_int_equal(frame.line, 7);
		assert_int_equal(frame.column, 3);
		scope = heap_scope(h, none, inferred, locals[i % 5], i / 5, true, 13);
		assert_string_equal(v8_function_find(&h->v8, heap_shared(h, scope, script))->name,
		                    "inferred");
		scope = heap_scope(h, 0, 0, locals[i % 5], i / 5, false, 23);
		assert_string_equal(v8_function_find(&h->v8, heap_shared(h, scope, script))->name,
		                    "(anonymous) file.js:3:2");
		if (h->n > HEAP_WORDS * 3 / 4)
			return; /* a test of the layouts, not of the heap's size */
	}
}

static void names_and_starts_of_scopes(void **state)
{
	(void)state;
	each_layout(check_scopes);
}

static void check_guards(struct heap *h)
{
	struct v8 *v8 = &h->v8;
	const struct v8_layout *l = &v8->layout;
	uint64_t script = heap_script(h, "one\ntwo", "/a.js");
	uint64_t shared = heap_shared(h, heap_string(h, "before"), script);
	assert_string_equal(v8_function_find(v8, shared)->name, "before");
	/* Another function at its place is seen in the next sample. */
	put_field(h, shared, l->shared.name, heap_string(h, "after"));
	assert_string_equal(v8_function_find(v8, shared)->name, "before");
	v8->serial++;
	v8->walk++;
	assert_string_equal(v8_function_find(v8, shared)->name, "after");
	/* The same with its script. */
	v8->serial++;
	v8->walk++;
	heap_at(h, script)[2] = heap_string(h, "/b.js");
	struct frame frame;
	v8_describe(&v8->base, (struct raw_frame){.addr = v8_function_find(v8, shared)->entry},
	            &frame);
	assert_string_equal(frame.file, "/b.js");
	/* An object that the collector has moved: its map is its new address. */
	uint64_t moved = heap_shared(h, heap_string(h, "moved"), script), old = heap_alloc(h, 8);
	heap_at(h, old)[0] = moved - 1;
	assert_string_equal(v8_function_find(v8, old)->name, "moved");
	/* Followed once, not for ever. */
	heap_at(h, old)[0] = old - 1;
	v8->serial++;
	v8->walk++;
	assert_null(v8_function_find(v8, old));
	/* Not what it should be, or not readable: no name rather than a wrong one. */
	assert_null(v8_function_find(v8, heap_object(h, l->type.script, 8)));
	assert_null(v8_function_find(v8, heap_shared(h, HEAP_BASE + sizeof(h->words) + 1, script)));
	assert_null(v8_function_find(v8, heap_shared(h, script, script)));
	assert_null(v8_function_find(
	        v8, heap_shared(h, heap_string(h, "f"), HEAP_BASE + sizeof(h->words) + 1)));
	uint64_t scope = heap_scope(h, heap_string(h, "f"), 0, 3, 0, false, 0);
	heap_at(h, scope)[3] = smi(-1);
	assert_null(v8_function_find(v8, heap_shared(h, scope, script)));
	heap_at(h, scope)[3] = smi(INT32_MAX);
	assert_null(v8_function_find(v8, heap_shared(h, scope, script)));
}

static void what_has_changed_is_read_again(void **state)
{
	(void)state;
	each_layout(check_guards);
}

static void check_eval(struct heap *h)
{
	uint64_t script = heap_script(h, "f()", "/dir/outer.js");
	uint64_t outer = heap_shared(h, heap_string(h, "caller"), script);
	uint64_t code = heap_script(h, "1", "");
	heap_at(h, code)[9] = outer;
	uint64_t inner = heap_shared(h, heap_string(h, "g"), code);
	struct frame frame;
	v8_describe(&h->v8.base, (struct raw_frame){.addr = v8_function_find(&h->v8, inner)->entry},
	            &frame);
	assert_string_equal(frame.file, "eval at caller in outer.js");
	/* Evaluated by itself: a lie, and an end. */
	uint64_t self = heap_script(h, "1", "");
	heap_at(h, self)[9] = heap_shared(h, heap_string(h, "s"), self);
	h->reads = 0;
	assert_non_null(v8_function_find(&h->v8, heap_at(h, self)[9]));
	assert_true(h->reads < 1000);
}

static void check_urls(struct heap *h)
{
	static const struct {
		const char *name, *shown;
	} scripts[] = {
	        {"file:///dir/m.mjs", "/dir/m.mjs"},
	        {"file:///a%20b/s%C3%bc%3f.mjs?v=1#x", "/a b/s\u00fc?.mjs"},
	        {"file:///100%/%zz%4", "/100%/%zz%4"},
	        {"file:///%00x", "/%00x"},
	        {"file://host/m.mjs", "file://host/m.mjs"},
	        {"node:internal/timers", "node:internal/timers"},
	        {"/plain%20.js", "/plain%20.js"},
	};
	for (size_t i = 0; i < sizeof(scripts) / sizeof(scripts[0]); i++) {
		uint64_t script = heap_script(h, "f()", scripts[i].name);
		assert_string_equal(v8_script_name(&h->v8, v8_script_find(&h->v8, script)),
		                    scripts[i].shown);
	}
}

static void urls_of_modules_are_paths(void **state)
{
	(void)state;
	each_layout(check_urls);
}

static void code_that_was_a_string(void **state)
{
	(void)state;
	each_layout(check_eval);
}

static void check_debugged(struct heap *h)
{
	uint64_t script = heap_script(h, "a\nb", "/s.js");
	uint64_t info = heap_object(h, h->v8.layout.type.debug_info, 12);
	heap_at(h, info)[3] = script;
	const struct v8_function *f =
	        v8_function_find(&h->v8, heap_shared(h, heap_string(h, "f"), info));
	assert_string_equal(v8_script_name(&h->v8, f->script), "/s.js");
	/* Built into V8: a number in place of code, and no script. */
	uint64_t builtin = heap_shared(h, heap_string(h, "map"), heap_object(h, 131, 2));
	f = v8_function_find(&h->v8, builtin);
	assert_true(f->is_builtin);
	assert_int_equal(f->script, 0);
}

static void debugged_and_built_in(void **state)
{
	(void)state;
	each_layout(check_debugged);
}

static void positions_become_places(void **state)
{
	(void)state;
	heap_init(&heap, &v8_layouts[0]);
	uint64_t tagged = heap_script(&heap, "ab\ncd\r\n\nx", "/s.js");
	heap_at(&heap, tagged)[3] = smi(40); /* line offset */
	heap_at(&heap, tagged)[4] = smi(7);  /* column offset, of the first line */
	uint32_t script = v8_script_find(&heap.v8, tagged), line = 0, column = 0;
	static const uint32_t expected[][3] = {{0, 41, 8}, {2, 41, 10}, {3, 42, 1},
	                                       {6, 42, 4}, {7, 43, 1},  {8, 44, 1}};
	for (size_t i = 0; i < 6; i++) {
		assert_true(
		        v8_script_place(&heap.v8, script, (int32_t)expected[i][0], &line, &column));
		assert_int_equal(line, expected[i][1]);
		assert_int_equal(column, expected[i][2]);
	}
	assert_false(v8_script_place(&heap.v8, script, -1, &line, &column));
	assert_false(v8_script_place(&heap.v8, 0, 1, &line, &column));
	heap_deinit(&heap);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	        cmocka_unit_test(strings_of_every_shape),
	        cmocka_unit_test(long_names_are_cut),
	        cmocka_unit_test(names_and_starts_of_scopes),
	        cmocka_unit_test(what_has_changed_is_read_again),
	        cmocka_unit_test(code_that_was_a_string),
	        cmocka_unit_test(urls_of_modules_are_paths),
	        cmocka_unit_test(debugged_and_built_in),
	        cmocka_unit_test(positions_become_places),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
