/* SPDX-License-Identifier: Apache-2.0 */
#include "shape.h"

static void expect(struct emit_options opt, const char *text)
{
	size_t len;
	_cleanup_free_ char *got = written("collapsed", opt, &len);
	assert_string_equal(got, text);
}

static void equal_lines_are_one(void **state)
{
	(void)state;
	uint32_t main = CALL(0, 1, NATIVE("main"));
	values(CALL(main, 2, NATIVE("a")), 2, 20);
	values(CALL(main, 3, NATIVE("a")), 3, 1);
	values(CALL(main, 4, {.function = "a", .kind = FRAME_INLINED}), 4, 1);
	values(main, 1, 1);
	expect((struct emit_options){0}, "main 1\nmain;a 9\n");
	expect((struct emit_options){.annotate = true}, "main 1\nmain;a 5\nmain;a_[i] 4\n");
}

/* A space sorts before a semicolon, a digit after it: lines, not names, are in order. */
static void lines_are_sorted_as_bytes(void **state)
{
	(void)state;
	static const char *const names[] = {"a",  "a b", "a 1",  "a!",      "b",
	                                    "a1", "ab",  "a 10", "\xc3\xa9"};
	for (size_t i = 0; i < ARRAY_SIZE(names); i++) {
		uint32_t node = CALL(0, 10 + i, NATIVE(names[i]));
		values(node, 1 + i * 7, 1);
		for (size_t k = 0; k < ARRAY_SIZE(names); k++)
			values(CALL(node, 10 + k, NATIVE(names[k])), 1 + k, 1);
	}
	size_t len, n = 0;
	_cleanup_free_ char *text = written("collapsed", (struct emit_options){0}, &len);
	const char *before = "";
	for (char *rest = text, *line; (line = strsep(&rest, "\n")) && *line; before = line, n++)
		if (strcmp(before, line) >= 0)
			fail_msg("'%s' is before '%s'", before, line);
	assert_int_equal(n, ARRAY_SIZE(names) * (ARRAY_SIZE(names) + 1));
}

static void names_cannot_break_lines(void **state)
{
	(void)state;
	values(CALL(0, 1, NATIVE("a;b\nc\td\\e\rf\x1b[0m\x7f")), 1, 1);
	values(CALL(0, 2, NATIVE("\xe2\x80\xae\xc2\x9b\xc2\x85\xe2\x80\xa8\xef\xbb\xbf\xd8\x9c")),
	       1, 1);
	values(CALL(0, 3, NATIVE("\xff\xc3\xa9\xe2\x82\xac")), 1,
	       1); /* invalid, then e acute, euro */
	expect((struct emit_options){0}, "\\u202e\\u009b\\u0085\\u2028\\ufeff\\u061c 1\n"
	                                 "a\\x3bb\\nc\\td\\\\e\\x0df\\x1b[0m\\x7f 1\n"
	                                 "\xef\xbf\xbd\xc3\xa9\xe2\x82\xac 1\n");
}

static void suffixes_only_when_asked_for(void **state)
{
	(void)state;
	uint32_t node =
	        CALL(0, 1, {.function = "f", .kind = FRAME_PYTHON, .file = "/x.py", .line = 2});
	node = CALL(node, 2, {.function = "j", .kind = FRAME_JAVASCRIPT});
	node = CALL(node, 3, {.function = "i", .kind = FRAME_INLINED}, NATIVE("n"));
	node = CALL(node, 4, {.function = "k", .kind = FRAME_KERNEL});
	values(CALL(node, 5, {.function = "[m]", .kind = FRAME_MARK}), 1, 1);
	expect((struct emit_options){0}, "f (x.py:2);j;n;i;k;[m] 1\n");
	expect((struct emit_options){.annotate = true, .functions = true},
	       "f;j_[j];n;i_[i];k_[k];[m] 1\n");
}

/* Time that no sample saw has no count; what lies below it has. */
static void time_without_samples(void **state)
{
	(void)state;
	values(CALL(0, 1, {.function = "[not sampled]", .kind = FRAME_MARK}), 0, 500);
	uint32_t main = CALL(0, 2, NATIVE("main"));
	values(main, 0, 7);
	values(CALL(main, 3, NATIVE("work")), 6, 60);
	values(0, 2, 2);
	expect((struct emit_options){0}, "[no frames] 2\nmain;work 6\n");
}

static void deepest_stack(void **state)
{
	(void)state;
	uint32_t node = 0;
	for (int i = 0; i < STACK_MAX_FRAMES; i++)
		node = CALL(node, 1, NATIVE("recurse"));
	values(node, 3, 3);
	size_t len;
	_cleanup_free_ char *text = written("collapsed", (struct emit_options){0}, &len);
	assert_non_null(strstr(text, "recurse;recurse 3\n"));
	assert_int_equal(len, STACK_MAX_FRAMES * strlen("recurse;") - 1 + strlen(" 3\n"));
}

static void nothing(void **state)
{
	(void)state;
	expect((struct emit_options){0}, "");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	        cmocka_unit_test_setup_teardown(equal_lines_are_one, setup, teardown),
	        cmocka_unit_test_setup_teardown(lines_are_sorted_as_bytes, setup, teardown),
	        cmocka_unit_test_setup_teardown(names_cannot_break_lines, setup, teardown),
	        cmocka_unit_test_setup_teardown(suffixes_only_when_asked_for, setup, teardown),
	        cmocka_unit_test_setup_teardown(time_without_samples, setup, teardown),
	        cmocka_unit_test_setup_teardown(deepest_stack, setup, teardown),
	        cmocka_unit_test_setup_teardown(nothing, setup, teardown),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
