/* SPDX-License-Identifier: Apache-2.0 */
#include "python.h"

static void each_object_is_shown_as_python_does(void **state)
{
	struct python *p = python_start(*state, SCRIPTS "objects.py");
	static char line[1 << 16];
	unsigned compared = 0, wrong = 0;
	while (python_line(p, line, sizeof(line))) {
		struct strbuf b = {0};
		char *expected;
		uint64_t addr = strtoull(line, &expected, 16);
		py_repr(&p->py, p->target.rm, addr, &b);
		if (!b.s || strcmp(b.s, expected + 1)) {
			print_error("%s: %s instead of %s\n", (char *)*state, b.s, expected + 1);
			wrong++;
		}
		strbuf_free(&b);
		compared++;
	}
	assert_int_equal(wrong, 0);
	assert_true(compared > 500);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	        PYTHON_TESTS(each_object_is_shown_as_python_does),
	};
	return cmocka_run_group_tests_name("objects", tests, NULL, python_end);
}
