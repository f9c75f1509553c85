/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "../../../runtimes/node/node.h"
#include "vectors.h"

static size_t from_hex(const char *hex, uint8_t *ret)
{
	size_t n = strlen(hex) / 2;
	for (size_t i = 0; i < n; i++) {
		char pair[3] = {hex[2 * i], hex[2 * i + 1], 0};
		ret[i] = (uint8_t)strtoul(pair, NULL, 16);
	}
	return n;
}

static const struct v8_layout *layout_of(const struct vector *v)
{
	bool exact;
	const struct v8_layout *l = v8_layout_find(v->major, v->minor, v->build, &exact);
	assert_true(exact);
	return l;
}

static void positions_as_node_prints_them(void **state)
{
	(void)state;
	unsigned tables = 0;
	for (size_t i = 0; i < sizeof(vectors) / sizeof(vectors[0]); i++) {
		const struct vector *v = &vectors[i];
		uint8_t table[512];
		struct v8_position p[64];
		if (!v->n_positions)
			continue;
		tables++;
		size_t n = v8_positions_expand(layout_of(v)->positions, table,
		                               from_hex(v->table, table), p, 64);
		assert_int_equal(n, v->n_positions);
		for (size_t k = 0; k < n; k++) {
			assert_int_equal(p[k].at, v->positions[k].at);
			assert_int_equal(v8_position_script(p[k].value), v->positions[k].script);
			assert_int_equal(v8_position_inlining(p[k].value),
			                 v->positions[k].inlining);
		}
	}
	assert_int_equal(tables, 21);
}

static void baseline_code_begins_with_its_prologue(void **state)
{
	(void)state;
	unsigned tables = 0;
	for (size_t i = 0; i < sizeof(vectors) / sizeof(vectors[0]); i++) {
		const struct vector *v = &vectors[i];
		uint8_t table[256], bytecode[256];
		struct v8_pc pcs[64];
		if (!v->n_pcs)
			continue;
		tables++;
		size_t len = from_hex(v->table, table), n_bytes = from_hex(v->bytecode, bytecode);
		size_t n = v8_pcs_expand(layout_of(v), table, len, bytecode, n_bytes, pcs, 64);
		assert_int_equal(n, v->n_pcs);
		for (size_t k = 0; k < n; k++) {
			assert_int_equal(pcs[k].pc, v->pcs[k].start);
			assert_int_equal(pcs[k].offset, v->pcs[k].offset);
			assert_int_equal(v8_pc_offset(pcs, n, v->pcs[k].start), v->pcs[k].offset);
		}
		/* Cut short, each prefix still gives the same beginning. */
		for (size_t cut = 0; cut < len; cut++)
			assert_true(v8_pcs_expand(layout_of(v), table, cut, bytecode, n_bytes, pcs,
			                          64) <= n);
	}
	assert_int_equal(tables, 7);
}

static void quantities_of_many_bytes(void **state)
{
	(void)state;
	/* Code +300 (statement), position +40 in inlining 2: zigzag of 3 << 31 | 41 << 1. */
	uint8_t table[32];
	struct v8_position p[4];
	uint64_t value = (uint64_t)3 << 31 | 41 << 1;
	size_t n = 0;
	for (uint64_t v = 300 << 1; v || !n; v >>= 7)
		table[n++] = (uint8_t)((v & 127) | (v > 127 ? 128 : 0));
	for (uint64_t v = value << 1; v; v >>= 7)
		table[n++] = (uint8_t)((v & 127) | (v > 127 ? 128 : 0));
	assert_int_equal(v8_positions_expand(V8_POSITIONS_SIGNED, table, n, p, 4), 1);
	assert_int_equal(p[0].at, 299);
	assert_int_equal(v8_position_script(p[0].value), 40);
	assert_int_equal(v8_position_inlining(p[0].value), 2);
	/* What is cut off is no entry. */
	for (size_t cut = 0; cut < n; cut++)
		assert_int_equal(v8_positions_expand(V8_POSITIONS_SIGNED, table, cut, p, 4), 0);
	assert_int_equal(v8_positions_expand(V8_POSITIONS_SIGNED, table, n, p, 0), 0);
	assert_int_equal(v8_position_script(1), -1); /* of another file */
}

static void the_last_entry_before_an_offset(void **state)
{
	(void)state;
	static const struct v8_position p[] = {{-1, 10}, {0, 20}, {7, 30}, {7, 40}, {9, 50}};
	assert_null(v8_position_at(p, 5, -2));
	assert_null(v8_position_at(p, 0, 5));
	assert_int_equal(v8_position_at(p, 5, -1)->value, 10);
	assert_int_equal(v8_position_at(p, 5, 6)->value, 20);
	assert_int_equal(v8_position_at(p, 5, 7)->value, 40);
	assert_int_equal(v8_position_at(p, 5, 1000)->value, 50);
}

static size_t ends_of(const char *text, unsigned unit, size_t piece, uint32_t *ret)
{
	struct v8_ends ends = {0};
	bool cr = false;
	uint8_t bytes[256];
	size_t n = strlen(text);
	for (size_t i = 0; i < n; i++) {
		bytes[i * unit] = (uint8_t)text[i];
		if (unit == 2)
			bytes[i * 2 + 1] = 0;
	}
	for (size_t at = 0; at < n; at += piece) {
		size_t len = n - at < piece ? n - at : piece;
		v8_find_line_ends(bytes + at * unit, len, unit, (uint32_t)at, &cr, &ends);
	}
	for (size_t i = 0; i < ends.n; i++)
		ret[i] = ends.items[i];
	n = ends.n;
	free(ends.items);
	return n;
}

static void lines_end_with_any_terminator(void **state)
{
	(void)state;
	uint32_t ends[16];
	for (unsigned unit = 1; unit <= 2; unit++)
		for (size_t piece = 1; piece <= 12; piece++) {
			assert_int_equal(ends_of("a\nb\r\nc\rd\n\re", unit, piece, ends), 5);
			assert_int_equal(ends[0], 1);
			assert_int_equal(ends[1], 4); /* \r\n is one */
			assert_int_equal(ends[2], 6);
			assert_int_equal(ends[3], 8);
			assert_int_equal(ends[4], 9); /* \n\r are two */
		}
	static const uint8_t wide[] = {'a', 0, 0x28, 0x20, 0x29, 0x20, 0x28, 0x21};
	struct v8_ends two = {0};
	bool cr = false;
	v8_find_line_ends(wide, 4, 2, 0, &cr, &two);
	assert_int_equal(two.n, 2); /* U+2028 and U+2029, not U+2128 */
	free(two.items);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	        cmocka_unit_test(positions_as_node_prints_them),
	        cmocka_unit_test(baseline_code_begins_with_its_prologue),
	        cmocka_unit_test(quantities_of_many_bytes),
	        cmocka_unit_test(the_last_entry_before_an_offset),
	        cmocka_unit_test(lines_end_with_any_terminator),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
