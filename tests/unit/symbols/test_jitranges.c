/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "../../../src/symbols/jitranges.h"

static void add(jit_ranges *sorted, const char *text)
{
	jit_ranges newer = {0};
	assert_int_equal(perf_map_parse(text, strlen(text), 0, &newer), strlen(text));
	jit_ranges_add(sorted, &newer);
	vec_free(&newer);
}

/* The offset of the line that names addr; -1: none. */
static int at(const jit_ranges *r, uint64_t addr)
{
	const struct jit_range *found = jit_ranges_find(r, addr);
	return found ? (int)found->at : -1;
}

static void finds_what_was_written(void **state)
{
	(void)state;
	jit_ranges r = {0};
	add(&r, "2000 10 b\n1000 10 a\n");
	assert_int_equal(at(&r, 0xfff), -1);
	assert_int_equal(at(&r, 0x1000), 10);
	assert_int_equal(at(&r, 0x100f), 10);
	assert_int_equal(at(&r, 0x1010), -1);
	assert_int_equal(at(&r, 0x2000), 0);
	vec_free(&r);
}

static void the_newest_wins(void **state)
{
	(void)state;
	jit_ranges r = {0};
	add(&r, "1000 100 a\n1040 40 b\n");
	assert_int_equal(at(&r, 0x103f), 0);
	assert_int_equal(at(&r, 0x1040), 11);
	assert_int_equal(at(&r, 0x107f), 11);
	assert_int_equal(at(&r, 0x1080), 0);
	assert_int_equal(at(&r, 0x10ff), 0);
	add(&r, "                    \n1000 100 c\n"); /* in a later reading */
	assert_int_equal(at(&r, 0x1040), 21);
	assert_int_equal(at(&r, 0x10ff), 21);
	assert_int_equal(r.n, 1);
	vec_free(&r);
}

static void names_with_newlines_are_skipped(void **state)
{
	(void)state;
	jit_ranges r = {0};
	add(&r, "1000 10 RegExp:a\nb 12\n zz\n\n3000 10 ok\n");
	assert_int_equal(r.n, 2);
	assert_int_equal(at(&r, 0x3000), 27);
	vec_free(&r);
}

static void junk_is_skipped(void **state)
{
	(void)state;
	static const char *const lines[] = {
	        "\n",
	        " \n",
	        "1000\n",
	        "1000 10\n",
	        "1000 10 \n",
	        "1000 0 zero\n",
	        "-1 10 a\n",
	        "10000000000000000 10 a\n",
	        "ffffffffffffffff 10 wraps\n",
	        "1000 100000000 big\n",
	        "xyz 10 a\n",
	        "1000  10 a\n",
	};
	for (size_t i = 0; i < sizeof(lines) / sizeof(lines[0]); i++) {
		jit_ranges r = {0};
		add(&r, lines[i]);
		assert_int_equal(r.n, 0);
		vec_free(&r);
	}
}

static void a_line_still_being_written_waits(void **state)
{
	(void)state;
	jit_ranges r = {0};
	assert_int_equal(perf_map_parse("1000 10 a\n2000 10 b", 19, 0, &r), 10);
	assert_int_equal(r.n, 1);
	vec_free(&r);
}

static void prefixes_are_allowed(void **state)
{
	(void)state;
	uint64_t start;
	uint32_t size;
	assert_int_equal(perf_map_parse_line("0x1000 0X20 f g", 15, &start, &size), 12);
	assert_int_equal(start, 0x1000);
	assert_int_equal(size, 0x20);
}

/* Against a plain array, one cell an address. */
static void agrees_with_painting(void **state)
{
	(void)state;
	enum { CELLS = 512, ROUNDS = 200 };
	unsigned seed = 7;
	for (int round = 0; round < ROUNDS; round++) {
		int painted[CELLS];
		memset(painted, -1, sizeof(painted));
		jit_ranges sorted = {0}, newer = {0};
		for (uint32_t i = 0; i < 64; i++) {
			struct jit_range r = {.start = (unsigned)rand_r(&seed) % CELLS, .at = i};
			r.size = 1 + (unsigned)rand_r(&seed) % 60;
			for (uint64_t a = r.start; a < r.start + r.size && a < CELLS; a++)
				painted[a] = (int)i;
			*vec_add(&newer) = r;
			if (rand_r(&seed) % 4 == 0)
				jit_ranges_add(&sorted, &newer);
		}
		jit_ranges_add(&sorted, &newer);
		for (uint64_t a = 0; a < CELLS; a++)
			assert_int_equal(at(&sorted, a), painted[a]);
		for (size_t i = 1; i < sorted.n; i++)
			assert_true(sorted.items[i - 1].start + sorted.items[i - 1].size <=
			            sorted.items[i].start);
		vec_free(&sorted);
		vec_free(&newer);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	        cmocka_unit_test(finds_what_was_written),
	        cmocka_unit_test(the_newest_wins),
	        cmocka_unit_test(names_with_newlines_are_skipped),
	        cmocka_unit_test(junk_is_skipped),
	        cmocka_unit_test(a_line_still_being_written_waits),
	        cmocka_unit_test(prefixes_are_allowed),
	        cmocka_unit_test(agrees_with_painting),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
