/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include <csample/mem.h>
#include <csample/store.h>

static bool matches(const char *text)
{
	static const struct outlet_label labels[] = {{"env", "prod"},
	                                             {"quoted", "a\"b\\c"},
	                                             {"service_name", "checkout"},
	                                             {"text", "two\nlines \xe2\x82\xac"},
	                                             {"version", "v2.4.1"}};
	static const struct store_profile p = {
	        .type = "process_cpu", .labels = labels, .n_labels = ARRAY_SIZE(labels)};
	struct selector *s;
	struct err *err = selector_parse(text, &s);
	if (err)
		fail_msg("%s", err->msg);
	bool yes = selector_matches(s, &p);
	selector_free(s);
	return yes;
}

static void conditions(void **state)
{
	(void)state;
	static const char *const yes[] = {
	        "process_cpu",
	        "{}",
	        "process_cpu{}",
	        " process_cpu { service_name = \"checkout\" , version =~ \"v2.*\" , } ",
	        "{__name__=\"process_cpu\"}",
	        "{__name__=~\"process_.+\"}",
	        "{env!=\"dev\"}",
	        "{missing=\"\"}",
	        "{missing!=\"x\"}",
	        "{missing=~\"\"}",
	        "{missing=~\".*\"}",
	        "{version=~\"v\\\\d+\\\\.4\\\\.1\"}",
	        "{version=~`v\\d+\\.4\\.1`}",
	        "{version!~\"v2\"}", /* anchored at both ends */
	        "{version=~\"(?i)V2.*\"}",
	        "{env=~\"dev|prod\"}",
	        "{env=~'pro.'}",
	        "{quoted=\"a\\\"b\\\\c\"}",
	        "{quoted=`a\"b\\c`}",
	        "{quoted='a\"b\\\\c'}",
	        "{text=\"two\\nlines \\u20ac\"}",
	        "{text=\"two\\x0alines \\xe2\\x82\\xac\"}",
	        "{text=\"two\\012lines \\U000020ac\"}",
	        "{text=~\"two.lines .\"}", /* a dot is any character, of any length */
	};
	static const char *const no[] = {
	        "wall",
	        "wall{env=\"prod\"}",
	        "process_cpu{env=\"pro\"}",
	        "{env=~\"pro\"}",
	        "{env=~\"rod\"}",
	        "{env=~\"dev|pro\"}",
	        "{version!~\"v2.*\"}",
	        "{env=\"prod\",version=\"v1\"}",
	        "{missing!=\"\"}",
	        "{missing=~\".+\"}",
	        "{env=\"\"}",
	};
	for (size_t i = 0; i < ARRAY_SIZE(yes); i++)
		if (!matches(yes[i]))
			fail_msg("%s does not match", yes[i]);
	for (size_t i = 0; i < ARRAY_SIZE(no); i++)
		if (matches(no[i]))
			fail_msg("%s matches", no[i]);
}

static void errors_say_what_and_where(void **state)
{
	(void)state;
	static const char *const bad[][2] = {
	        {"", "a type (process_cpu) or '{' expected at the end"},
	        {"9a", "a type (process_cpu) or '{' expected at '9a'"},
	        {"a b", "'{' expected at 'b'"},
	        {"a{", "the name of a label or '}' expected at the end"},
	        {"a{b}", "=, !=, =~ or !~ expected at '}'"},
	        {"a{b==\"c\"}", "a value in quotes expected at '=\"c\"}'"},
	        {"a{b=c}", "a value in quotes expected at 'c}'"},
	        {"a{b=\"c}", "a closing quote for what begins expected at '\"c}'"},
	        {"a{b=\"c\\q\"}",
	         "an escape that is known (\\\\ for a backslash) expected at '\\q"},
	        {"a{b=\"\\xq0\"}", "an escape"},
	        {"a{b=\"\\ud800\"}", "an escape"},
	        {"a{b=\"\\000\"}", "an escape"},
	        {"a{b=\"c\" d=\"e\"}", "',' or '}' expected at 'd="},
	        {"a{b=\"c\"} x", "the end expected at 'x'"},
	        {"a{b:c=\"d\"}", "=, !=, =~ or !~ expected at ':c"},
	        {"a{b=~\"(\"}", "'(' is no regular expression"},
	        {"a{b=~\"a**\"}", ""},
	};
	for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
		struct selector *s;
		struct err *err = selector_parse(bad[i][0], &s);
		if (!err && !bad[i][1][0]) { /* possessive, in PCRE2 */
			selector_free(s);
			continue;
		}
		if (!err)
			fail_msg("%s was taken", bad[i][0]);
		assert_int_equal(err->kind, ERR_USAGE);
		if (!strstr(err->msg, bad[i][1]))
			fail_msg("%s: no '%s' in: %s", bad[i][0], bad[i][1], err->msg);
		err_free(err);
	}
}

static void bounds(void **state)
{
	(void)state;
	struct strbuf b = {0};
	struct selector *s;
	strbuf_add(&b, "{");
	for (int i = 0; i < 65; i++)
		strbuf_add(&b, "a=\"b\",");
	strbuf_add(&b, "}");
	struct err *err = selector_parse(b.s, &s);
	assert_non_null(err);
	assert_non_null(strstr(err->msg, "more than 64 conditions"));
	err_free(err);
	strbuf_clear(&b);
	for (int i = 0; i < 20000; i++)
		strbuf_addc(&b, 'a');
	err = selector_parse(b.s, &s);
	assert_non_null(err);
	assert_non_null(strstr(err->msg, "bytes"));
	err_free(err);
	strbuf_free(&b);
	/* Ends, though it would have to try more ways than there is time for. */
	static const struct outlet_label label = {"a",
	                                          "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa!"};
	static const struct store_profile p = {.type = "t", .labels = &label, .n_labels = 1};
	assert_null(selector_parse("{a=~\"(a*)*b\"}", &s));
	assert_false(selector_matches(s, &p));
	selector_free(s);
}

static void equal_values(void **state)
{
	(void)state;
	struct selector *s;
	const char *name, *value;
	assert_null(selector_parse("cpu{a=~\"x\",b=\"y\",c!=\"z\"}", &s));
	assert_true(selector_equal(s, 0, &name, &value));
	assert_string_equal(name, "__name__");
	assert_string_equal(value, "cpu");
	assert_true(selector_equal(s, 1, &name, &value));
	assert_string_equal(name, "b");
	assert_false(selector_equal(s, 2, &name, &value));
	selector_free(s);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	        cmocka_unit_test(conditions),
	        cmocka_unit_test(errors_say_what_and_where),
	        cmocka_unit_test(bounds),
	        cmocka_unit_test(equal_values),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
