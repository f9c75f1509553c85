/* SPDX-License-Identifier: Apache-2.0 */
/* Line tables against what the interpreters that made them say. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <csample/mem.h>

#include "../../../runtimes/cpython/cpython.h"

#define VECTORS "tests/unit/cpython/linetables.txt"

static enum py_lines format_of(const char *version)
{
	int minor = atoi(strchr(version, '.') + 1);
	return minor <= 9 ? LINES_LNOTAB : minor == 10 ? LINES_PAIRS : LINES_LOCATIONS;
}

static size_t from_hex(const char *hex, uint8_t *ret)
{
	size_t n = 0;
	unsigned byte;
	for (; sscanf(hex, "%2x", &byte) == 1; hex += 2)
		ret[n++] = (uint8_t)byte;
	return n;
}

/* One line of the file; returns how many offsets it compared. */
static unsigned check_vector(char *line)
{
	static uint8_t table[4096];
	static struct py_line_range ranges[4097];
	char *save = NULL, *version = strtok_r(line, " \n", &save);
	char *name = strtok_r(NULL, " \n", &save);
	int32_t first = atoi(strtok_r(NULL, " \n", &save));
	size_t len = from_hex(strtok_r(NULL, " \n", &save), table);
	size_t n =
	        py_lines_expand(format_of(version), table, len, first, ranges, ARRAY_SIZE(ranges));
	unsigned compared = 0, start, end, wanted;
	for (char *span; (span = strtok_r(NULL, " \n", &save));) {
		assert_int_equal(sscanf(span, "%u-%u:%u", &start, &end, &wanted), 3);
		for (unsigned at = start; at < end; at += 2, compared++) {
			int32_t got = py_line_of(ranges, n, at, first);
			if (got != (int32_t)wanted)
				fail_msg("%s %s at %u: line %d, not %u", version, name, at, got,
				         wanted);
		}
	}
	assert_int_equal(py_line_of(ranges, n, -1, first), first);
	return compared;
}

static void every_table_says_what_its_interpreter_says(void **state)
{
	(void)state;
	_cleanup_fclose_ FILE *f = fopen(VECTORS, "r");
	assert_non_null(f);
	static char line[8192];
	unsigned tables = 0, compared = 0;
	while (fgets(line, sizeof(line), f)) {
		if (line[0] == '#')
			continue;
		compared += check_vector(line);
		tables++;
	}
	assert_int_equal(tables, 166);
	assert_true(compared > 4000);
}

static void a_negative_increment_goes_back(void **state)
{
	(void)state;
	static const uint8_t table[] = {0, 1, 2, 0x7f, 0, 0x17, 2, 1, 6, 0x80, 0, 0xe9};
	struct py_line_range r[8];
	size_t n = py_lines_expand(LINES_LNOTAB, table, sizeof(table), 7, r, 8);
	assert_int_equal(py_line_of(r, n, 0, 7), 8);
	assert_int_equal(py_line_of(r, n, 2, 7), 158);
	assert_int_equal(py_line_of(r, n, 4, 7), 159);
	assert_int_equal(py_line_of(r, n, 10, 7), 8);
}

static void a_place_without_a_line_has_none(void **state)
{
	(void)state;
	static const uint8_t pairs[] = {0x10, 1, 8, 0x80, 2, 0xff};
	static const uint8_t locations[] = {0x80, 0, 0xf9, 0xd8, 8, 9};
	struct py_line_range r[8];
	size_t n = py_lines_expand(LINES_PAIRS, pairs, sizeof(pairs), 11, r, 8);
	assert_int_equal(py_line_of(r, n, 14, 11), 12);
	assert_int_equal(py_line_of(r, n, 16, 11), 0);
	assert_int_equal(py_line_of(r, n, 24, 11), 11);
	assert_int_equal(py_line_of(r, n, 26, 11), 0);
	n = py_lines_expand(LINES_LOCATIONS, locations, sizeof(locations), 7, r, 8);
	assert_int_equal(py_line_of(r, n, 0, 7), 7);
	assert_int_equal(py_line_of(r, n, 2, 7), 0);
	assert_int_equal(py_line_of(r, n, 6, 7), 8);
	assert_int_equal(py_line_of(r, n, 8, 7), 0);
}

static void a_table_is_read_no_further_than_it_makes_sense(void **state)
{
	(void)state;
	/* A long form cut in the middle, and a byte with bit 7 where a number has none. */
	static const uint8_t cut[] = {0x80, 0, 0xf5, 3, 1};
	static const uint8_t wrong[] = {0x80, 0, 0xe8, 0x90, 0xd8, 8, 9};
	struct py_line_range r[8];
	size_t n = py_lines_expand(LINES_LOCATIONS, cut, sizeof(cut), 7, r, 8);
	assert_int_equal(py_line_of(r, n, 0, 7), 7);
	assert_int_equal(py_line_of(r, n, 2, 7), 0);
	n = py_lines_expand(LINES_LOCATIONS, wrong, sizeof(wrong), 7, r, 8);
	assert_int_equal(py_line_of(r, n, 0, 7), 7);
	assert_int_equal(py_line_of(r, n, 2, 7), 0);
}

static void room_for_few_ranges_is_enough_for_the_first_ones(void **state)
{
	(void)state;
	static const uint8_t table[] = {0, 1, 2, 1, 2, 1, 2, 1};
	struct py_line_range r[3];
	assert_int_equal(py_lines_expand(LINES_LNOTAB, table, sizeof(table), 1, r, 2), 2);
	assert_int_equal(py_line_of(r, 2, 2, 1), 3);
	assert_int_equal(py_lines_expand(LINES_LNOTAB, table, sizeof(table), 1, r, 0), 0);
	assert_int_equal(py_line_of(r, 0, 2, 1), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	        cmocka_unit_test(every_table_says_what_its_interpreter_says),
	        cmocka_unit_test(a_negative_increment_goes_back),
	        cmocka_unit_test(a_place_without_a_line_has_none),
	        cmocka_unit_test(a_table_is_read_no_further_than_it_makes_sense),
	        cmocka_unit_test(room_for_few_ranges_is_enough_for_the_first_ones),
	};
	return cmocka_run_group_tests_name("lines", tests, NULL, NULL);
}
