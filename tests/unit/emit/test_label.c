/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include <csample/format.h>
#include <csample/mem.h>
#include <csample/strbuf.h>

static void labels(void **state)
{
	(void)state;
	static const struct {
		struct frame frame;
		struct emit_options opt;
		const char *label;
	} cases[] = {
	        {{.function = "add", .file = "/src/a.c", .line = 3}, {0}, "add"},
	        {{.kind = FRAME_INLINED, .function = "add", .file = "/a.c", .line = 3}, {0}, "add"},
	        {{.kind = FRAME_KERNEL, .function = "vfs_read", .module = "[kernel]"},
	         {0},
	         "vfs_read"},
	        {{.kind = FRAME_PYTHON, .function = "run", .file = "/app/w.py", .line = 7},
	         {0},
	         "run (w.py:7)"},
	        {{.kind = FRAME_JAVASCRIPT,
	          .function = "on",
	          .file = "file:///app/s.js",
	          .line = 9},
	         {0},
	         "on (s.js:9)"},
	        {{.kind = FRAME_PYTHON, .function = "run", .file = "/app/w.py", .line = 7},
	         {.full_filenames = true},
	         "run (/app/w.py:7)"},
	        {{.kind = FRAME_PYTHON, .function = "run", .file = "/app/w.py", .line = 7},
	         {.functions = true},
	         "run"},
	        {{.kind = FRAME_PYTHON, .function = "run", .file = "<string>"},
	         {0},
	         "run (<string>)"},
	        {{.kind = FRAME_PYTHON, .function = "run", .file = "/app/", .line = 1},
	         {0},
	         "run (/app/:1)"},
	        /* Names that many files have. */
	        {{.kind = FRAME_PYTHON, .function = "run", .file = "/lib/json/__init__.py"},
	         {0},
	         "run (json/__init__.py)"},
	        {{.kind = FRAME_JAVASCRIPT, .function = "on", .file = "a/index.js"},
	         {0},
	         "on (a/index.js)"},
	        {{.kind = FRAME_PYTHON, .function = "run", .file = "/__main__.py"},
	         {0},
	         "run (__main__.py)"},
	        {{.kind = FRAME_PYTHON, .function = "run", .file = "//__main__.py"},
	         {0},
	         "run (__main__.py)"},
	        {{.kind = FRAME_PYTHON, .function = "run", .file = "__init__.py"},
	         {0},
	         "run (__init__.py)"},
	        {{.kind = FRAME_PYTHON, .function = "run"}, {0}, "run"},
	        {{.kind = FRAME_MARK, .function = "[truncated]"}, {0}, "[truncated]"},
	        {{.function = ""}, {0}, "[unknown]"},
	        {{.function = NULL}, {0}, "[unknown]"},
	};
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		struct strbuf b = {0};
		strbuf_add(&b, ">");
		frame_label(&cases[i].frame, &cases[i].opt, &b);
		assert_string_equal(b.s + 1, cases[i].label);
		strbuf_free(&b);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(labels)};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
