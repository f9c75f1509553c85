/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include <csample/format.h>
#include <csample/mem.h>

static const char *name_of(const struct format *f)
{
	return f ? f->name : "none";
}

static void by_name(void **state)
{
	(void)state;
	static const char *const cases[][2] = {
	        {"svg", "svg"},
	        {"flamegraph", "svg"},
	        {"SVG", "svg"},
	        {"collapsed", "collapsed"},
	        {"folded", "collapsed"},
	        {"Raw", "collapsed"},
	        {"pprof", "pprof"},
	        {"pb", "pprof"},
	        {"speedscope", "speedscope"},
	        {"HTML", "html"},
	        {"json", "json"},
	        {"", "none"},
	        {"sv", "none"},
	};
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++)
		assert_string_equal(name_of(format_by_name(cases[i][0])), cases[i][1]);
}

static void by_path(void **state)
{
	(void)state;
	static const char *const cases[][2] = {
	        {"out.svg", "svg"},
	        {"/tmp/a.b/OUT.SVG", "svg"},
	        {"x.collapsed", "collapsed"},
	        {"x.folded", "collapsed"},
	        {"x.txt", "collapsed"},
	        {"x.pb.gz", "pprof"},
	        {"x.pprof", "pprof"},
	        {"x.speedscope.json", "speedscope"},
	        {"x.html", "html"},
	        {"x.trace.json", "chrometrace"},
	        {"x.firefox.json", "firefox"},
	        {"x.json", "json"},
	        {"x.gz", "none"},
	        {"x.pb", "none"},
	        {"svg", "none"},
	        {"x.svg.bak", "none"},
	        {"-", "none"},
	        {"/dev/stdout", "none"},
	        {"", "none"},
	        {".svg", "none"},
	};
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++)
		assert_string_equal(name_of(format_by_path(cases[i][0])), cases[i][1]);
}

/* What a format says of itself holds: its names find it, and so does the suffix it chooses. */
static void rows_agree_with_themselves(void **state)
{
	(void)state;
	for (const struct format *const *f = formats; *f; f++) {
		char path[64] = "x";
		assert_ptr_equal(format_by_name((*f)->name), *f);
		for (const char *const *alias = (*f)->aliases; alias && *alias; alias++)
			assert_ptr_equal(format_by_name(*alias), *f);
		strcat(path, (*f)->suffix);
		assert_ptr_equal(format_by_path(path), *f);
		assert_non_null((*f)->help);
	}
}

static void list(void **state)
{
	(void)state;
	char buf[128], small[8];
	format_list(buf, sizeof(buf));
	assert_string_equal(buf,
	                    "svg, html, collapsed, pprof, speedscope, chrometrace, firefox, json");
	format_list(small, sizeof(small));
	assert_string_equal(small, "svg, ht");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	        cmocka_unit_test(by_name),
	        cmocka_unit_test(by_path),
	        cmocka_unit_test(rows_agree_with_themselves),
	        cmocka_unit_test(list),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
