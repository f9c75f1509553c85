/* SPDX-License-Identifier: Apache-2.0 */
#include "python.h"

static void strings_of_all_widths_become_utf8(void **state)
{
	struct python *p = python_start(*state, SCRIPTS "strings.py");
	static char line[1 << 18];
	unsigned compared = 0;
	while (python_line(p, line, sizeof(line))) {
		struct strbuf b = {0}, valid = {0};
		char *expected;
		uint64_t addr = strtoull(line, &expected, 16);
		assert_true(py_read_str(&p->py, p->target.rm, addr, SIZE_MAX, &b));
		assert_string_equal(b.s ? b.s : "", expected + 1);
		strbuf_add_utf8(&valid, b.s ? b.s : "");
		assert_string_equal(valid.s ? valid.s : "", b.s ? b.s : "");
		strbuf_free(&b);
		strbuf_free(&valid);
		compared++;
	}
	assert_int_equal(compared, 13);
}

static void no_more_is_read_than_asked_for(void **state)
{
	struct python *p = python_start(*state, SCRIPTS "strings.py");
	static char line[1 << 18];
	for (int i = 0; i < 3; i++)
		assert_non_null(python_line(p, line, sizeof(line)));
	struct strbuf b = {0};
	uint64_t addr = strtoull(line, NULL, 16);
	assert_true(py_read_str(&p->py, p->target.rm, addr, 5, &b));
	assert_string_equal(b.s, "namen...");
	assert_false(py_str_is(&p->py, p->target.rm, addr, "name"));
	assert_false(py_read_str(&p->py, p->target.rm, 8, 5, &b));
	strbuf_free(&b);
}

static void what_cannot_be_a_character_is_replaced(void **state)
{
	(void)state;
	struct strbuf b = {0};
	py_add_codepoint(&b, 0);
	py_add_codepoint(&b, 0x110000);
	py_add_codepoint(&b, 0xd800);
	py_add_codepoint(&b, 0x7ff);
	py_add_codepoint(&b, 0x10ffff);
	assert_string_equal(b.s, "\xef\xbf\xbd\xef\xbf\xbd\\ud800\xdf\xbf\xf4\x8f\xbf\xbf");
	strbuf_free(&b);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	        PYTHON_TESTS(strings_of_all_widths_become_utf8),
	        {"no_more_is_read_than_asked_for", no_more_is_read_than_asked_for, NULL, NULL,
	         "3.11"},
	        cmocka_unit_test(what_cannot_be_a_character_is_replaced),
	};
	return cmocka_run_group_tests_name("names", tests, NULL, python_end);
}
