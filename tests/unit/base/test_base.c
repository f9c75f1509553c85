/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include <csample/bytes.h>
#include <csample/err.h>
#include <csample/hash.h>
#include <csample/intern.h>
#include <csample/mem.h>
#include <csample/stats.h>
#include <csample/strbuf.h>

static void interns_equal_strings_once(void **state)
{
	(void)state;
	struct strings *s = strings_create();
	char name[32];
	const char *first[5000];
	for (int i = 0; i < 5000; i++) {
		snprintf(name, sizeof(name), "name %d", i);
		first[i] = intern(s, name);
	}
	for (int i = 0; i < 5000; i++) {
		snprintf(name, sizeof(name), "name %d", i);
		assert_ptr_equal(intern(s, name), first[i]);
	}
	assert_ptr_equal(intern_n(s, "name 7xyz", 6), first[7]);
	assert_ptr_not_equal(intern(s, "name"), intern(s, "name "));
	assert_null(intern(s, NULL));
	strings_destroy(s);
}

static void passing_strings_go_and_lasting_ones_stay(void **state)
{
	(void)state;
	struct strings *s = strings_create();
	char name[32];
	const char *lasting = intern(s, "lasting");
	size_t bytes = 0;
	for (int round = 0; round < 3; round++) {
		const char *first = intern_passing(s, "passing", 7);
		for (int i = 0; i < 20000; i++) {
			snprintf(name, sizeof(name), "process (%d)", round * 20000 + i);
			assert_string_equal(intern_passing(s, name, strlen(name)), name);
		}
		assert_ptr_equal(intern_passing(s, "passing through", 7), first);
		assert_ptr_equal(intern_passing(s, "lasting", 7), lasting);
		struct passed_strings *passed = strings_take_passing(s);
		assert_ptr_not_equal(intern_passing(s, "passing", 7), first);
		assert_string_equal(first, "passing"); /* still there */
		passed_strings_free(passed);
		passed_strings_free(strings_take_passing(s));
		assert_int_equal(strings_bytes(s), bytes ? bytes : strings_bytes(s));
		bytes = strings_bytes(s);
		assert_true(bytes < 100000);
	}
	assert_ptr_equal(intern(s, "lasting"), lasting);
	assert_null(intern_passing(s, NULL, 0));
	strings_destroy(s);
}

static void maps_keep_all_keys(void **state)
{
	(void)state;
	struct map64 m = {0};
	assert_null(map64_get(&m, 1));
	for (uint64_t i = 0; i < 10000; i++)
		*map64_put(&m, i * 4096) = i;
	for (uint64_t i = 0; i < 10000; i++)
		assert_int_equal(*map64_get(&m, i * 4096), i);
	assert_null(map64_get(&m, 1));
	assert_int_equal(m.n, 10000);
	map64_clear(&m);
	assert_null(map64_get(&m, 0));
	map64_free(&m);
}

static void cursors_stop_at_the_end(void **state)
{
	(void)state;
	static const uint8_t data[] = {0xe5, 0x8e, 0x26, 0x7f, 0x01, 0x02, 'a', 0, 'b'};
	struct bytes b = bytes_over(data, sizeof(data));
	assert_int_equal(bytes_uleb(&b), 624485); /* DWARF 5, 7.6 */
	assert_int_equal(bytes_sleb(&b), -1);
	assert_int_equal(bytes_u16(&b), 0x201);
	assert_string_equal(bytes_cstr(&b), "a");
	assert_false(b.bad);
	assert_int_equal(bytes_u16(&b), 0);
	assert_true(b.bad);
	assert_int_equal(bytes_u8(&b), 0); /* stays bad */
	static const uint8_t endless[] = {0x80, 0x80, 0x80, 0x80, 0x80, 0x80,
	                                  0x80, 0x80, 0x80, 0x80, 0x80};
	b = bytes_over(endless, sizeof(endless));
	bytes_uleb(&b);
	assert_true(b.bad);
	b = bytes_over("no end", 6);
	assert_null(bytes_cstr(&b));
}

static void check_escape(void (*add)(struct strbuf *, const char *), const char *in,
                         const char *out)
{
	struct strbuf b = {0};
	add(&b, in);
	assert_string_equal(b.s, out);
	strbuf_free(&b);
}

static void escapes_for_each_medium(void **state)
{
	(void)state;
	check_escape(strbuf_add_terminal, "a\x1b[31m\n\x7f", "a^[[31m^J^?");
	check_escape(strbuf_add_terminal, "x\xe2\x80\xaey",
	             "x<U+202E>y"); /* right-to-left override */
	check_escape(strbuf_add_terminal,
	             "\xc2\x9b"
	             "1m",
	             "<U+009B>1m"); /* C1 CSI */
	check_escape(strbuf_add_terminal, "gr\xc3\xbc\xc3\x9f", "gr\xc3\xbc\xc3\x9f");
	check_escape(strbuf_add_utf8, "a\xff\xc0\x80\xed\xa0\x80z",
	             "a\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbdz");
	check_escape(strbuf_add_utf8, "\xf0\x9f\x94\xa5\xf4\x90\x80\x80",
	             "\xf0\x9f\x94\xa5\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd");
	check_escape(strbuf_add_utf8, "cut\xe2\x82", "cut\xef\xbf\xbd\xef\xbf\xbd");
	check_escape(strbuf_add_json, "\"\\\n\x01", "\"\\\"\\\\\\n\\u0001\"");
	check_escape(strbuf_add_xml, "<a b='c'>&\x01\t",
	             "&lt;a b=&#39;c&#39;&gt;&amp;\xef\xbf\xbd&#9;");
}

static void arenas_keep_memory_apart(void **state)
{
	(void)state;
	struct arena *a = arena_create();
	for (int round = 0; round < 3; round++) {
		char *small = arena_alloc(a, 10), *big = arena_alloc(a, 100000);
		char *next = arena_alloc(a, 10);
		memset(small, 1, 10);
		memset(next, 2, 10);
		memset(big, 3, 100000);
		assert_int_equal(small[9], 1);
		assert_int_equal(next[0], 2);
		assert_int_equal((uintptr_t)next % 16, 0);
		arena_reset(a);
	}
	assert_true(arena_bytes(a) < 400000);
	arena_destroy(a);
}

static void errors_gain_context(void **state)
{
	(void)state;
	struct err *err = err_wrap(err_errno(13, "open %s", "x"), "read %d", 5);
	assert_int_equal(err->kind, ERR_PERM);
	assert_string_equal(err->msg, "read 5: open x: Permission denied");
	err_free(err);
	err = err_wrap(&err_gone, "thread %d", 9);
	assert_int_equal(err->kind, ERR_GONE);
	assert_string_equal(err->msg, "thread 9: it is gone");
	err_free(err);
	err_free(&err_gone);
}

static void quantiles_are_near(void **state)
{
	(void)state;
	struct histogram h = {0}, sum = {0};
	assert_int_equal(histogram_quantile(&h, 0.5), 0);
	for (uint64_t ns = 1; ns <= 100000; ns++)
		histogram_add(&h, ns);
	histogram_merge(&sum, &h);
	assert_int_equal(sum.count, 100000);
	assert_int_equal(sum.max, 100000);
	const double qs[] = {0.01, 0.5, 0.9, 0.99};
	for (size_t i = 0; i < ARRAY_SIZE(qs); i++) {
		double got = (double)histogram_quantile(&sum, qs[i]);
		/* Evenly spread: more exactly than a bucket is wide. */
		assert_true(got > qs[i] * 100000 * 0.998 && got < qs[i] * 100000 * 1.002);
	}
	histogram_add(&sum, UINT64_MAX);
	assert_true(histogram_quantile(&sum, 1) >= 100000);
}

static void maps_forget_what_is_zero(void **state)
{
	(void)state;
	struct map64 m = {0};
	for (uint64_t i = 0; i < 10000; i++)
		*map64_put(&m, i) = i % 100 == 1 ? i : 0;
	size_t before = m.cap;
	map64_compact(&m);
	assert_int_equal(m.n, 100);
	assert_true(m.cap < before / 16);
	assert_null(map64_get(&m, 0));
	assert_int_equal(*map64_get(&m, 9901), 9901);
	map64_free(&m);
}

static void histograms_know_their_sum(void **state)
{
	(void)state;
	struct histogram a = {0}, b = {0};
	histogram_add(&a, 1000003);
	histogram_add(&b, 7);
	histogram_merge(&a, &b);
	assert_int_equal(a.sum, 1000010);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	        cmocka_unit_test(interns_equal_strings_once),
	        cmocka_unit_test(passing_strings_go_and_lasting_ones_stay),
	        cmocka_unit_test(maps_keep_all_keys),
	        cmocka_unit_test(cursors_stop_at_the_end),
	        cmocka_unit_test(escapes_for_each_medium),
	        cmocka_unit_test(arenas_keep_memory_apart),
	        cmocka_unit_test(errors_gain_context),
	        cmocka_unit_test(quantiles_are_near),
	        cmocka_unit_test(maps_forget_what_is_zero),
	        cmocka_unit_test(histograms_know_their_sum),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
