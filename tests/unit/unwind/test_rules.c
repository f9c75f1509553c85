/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "../../../src/unwind/rule.h"

#define EXPR(...) \
	((struct cfi_expr){(const uint8_t[]){__VA_ARGS__}, sizeof((const uint8_t[]){__VA_ARGS__})})
/* rsp + 8 + ((rip & 15) >= 11) << 3: binutils, for .plt. */
#define PLT EXPR(0x77, 8, 0x80, 0, 0x3f, 0x1a, 0x3b, 0x2a, 0x33, 0x24, 0x22)

static void plt_stubs_reduce_to_an_offset(void **state)
{
	(void)state;
	struct expr_value v;
	assert_true(expr_reduce(PLT, 0x1020, false, &v));
	assert_int_equal(v.shape, EXPR_REG);
	assert_int_equal(v.reg, 7);
	assert_int_equal(v.off, 8);
	assert_true(expr_reduce(PLT, 0x102a, false, &v));
	assert_int_equal(v.off, 8);
	assert_true(expr_reduce(PLT, 0x102b, false, &v));
	assert_int_equal(v.off, 16);
}

static void memory_is_read_once_at_most(void **state)
{
	(void)state;
	struct expr_value v;
	/* gcc, realigned stack: *(rbp - 8). OpenSSL: *(rsp + 40) + 8. */
	assert_true(expr_reduce(EXPR(0x76, 0x78, 0x06), 0, false, &v));
	assert_int_equal(v.shape, EXPR_MEM);
	assert_int_equal(v.reg, 6);
	assert_int_equal(v.off, -8);
	assert_int_equal(v.add, 0);
	assert_true(expr_reduce(EXPR(0x77, 40, 0x06, 0x23, 8), 0, false, &v));
	assert_int_equal(v.shape, EXPR_MEM);
	assert_int_equal(v.off, 40);
	assert_int_equal(v.add, 8);
	assert_false(expr_reduce(EXPR(0x77, 0, 0x06, 0x06), 0, false, &v));
	/* OpenSSL, indexing by a register: sound, but not for a rule. */
	struct cfi_expr indexed = EXPR(0x77, 8, 0x79, 0, 0x38, 0x1e, 0x22, 0x06, 0x23, 8);
	assert_false(expr_reduce(indexed, 0, false, &v));
	assert_true(expr_is_sound(indexed, false));
}

static void unsound_expressions_are_refused(void **state)
{
	(void)state;
	struct expr_value v;
	assert_false(expr_is_sound(EXPR(0x30, 0x2f, 0xfd, 0xff), false)); /* skip -3: for ever */
	assert_false(expr_is_sound(EXPR(0x30, 0x30, 0x1b), false));       /* 0 / 0 */
	assert_false(expr_is_sound(EXPR(0x0a, 1), false));                /* cut off */
	assert_false(expr_is_sound(EXPR(0x9c), false));                   /* DW_OP_call_frame_cfa */
	assert_false(expr_is_sound((struct cfi_expr){NULL, 0}, false));
	assert_false(expr_is_sound(EXPR(0x8f, 0), false)); /* register 31 */
	assert_false(expr_is_sound(EXPR(0x92, 0xff, 0x7f, 0), false));
	assert_false(expr_is_sound(EXPR(0x30, 0x22), false)); /* one operand too few, */
	assert_true(expr_is_sound(EXPR(0x30, 0x22), true));   /* but for the CFA below it */
	assert_false(expr_is_sound(EXPR(0x30, 0x13), false)); /* leaves nothing */
	assert_false(expr_reduce(EXPR(0x22), 0, false, &v));  /* nothing to add */
	assert_false(expr_reduce(EXPR(0x96), 0, false, &v));  /* no result */
	/* A pc may be used for its low bits alone. */
	assert_true(expr_reduce(EXPR(0x80, 0), 0x1234, false, &v) && v.shape == EXPR_PC);
	assert_false(expr_reduce(EXPR(0x80, 0, 0x0a, 0xff, 0xff, 0x1a), 0x1234, false, &v));
}

static struct cfi_row usual_row(void)
{
	struct cfi_row row = {
	        .cfa = {.where = CFI_IS_CFA, .off = 16}, .cfa_reg = 7, .ra_column = 16};
	row.columns[16] = (struct cfi_column){.where = CFI_AT_CFA, .off = -8};
	return row;
}

static void usual_rows_are_plain(void **state)
{
	(void)state;
	union rule_buf buf;
	struct cfi_row row = usual_row();
	row.columns[3] = (struct cfi_column){.where = CFI_AT_CFA, .off = -24};
	rule_from_row(&row, 0, &buf.rule);
	assert_int_equal(buf.rule.kind, RULE_FRAME);
	assert_int_equal(buf.rule.flags, RULE_PLAIN);
	assert_int_equal(buf.rule.cfa_off, 16);
	assert_int_equal(buf.rule.n_slots, 2);
	assert_int_equal(buf.rule.lowest, -24);
	/* A slot at or above the CFA is outside what a plain step has checked. */
	row.columns[3].off = 0;
	rule_from_row(&row, 0, &buf.rule);
	assert_int_equal(buf.rule.flags, 0);
}

static void rows_are_judged(void **state)
{
	(void)state;
	union rule_buf buf;
	struct cfi_row row = usual_row();
	row.columns[16].where = CFI_UNDEFINED;
	rule_from_row(&row, 0, &buf.rule);
	assert_int_equal(buf.rule.kind, RULE_ROOT);
	row.columns[16].where = CFI_DEFAULT;
	rule_from_row(&row, 0, &buf.rule);
	assert_int_equal(buf.rule.kind, RULE_BAD);
	row = usual_row();
	row.ra_column = 3;
	rule_from_row(&row, 0, &buf.rule);
	assert_int_equal(buf.rule.kind, RULE_BAD);
	row = usual_row();
	row.cfa_reg = 99;
	rule_from_row(&row, 0, &buf.rule);
	assert_int_equal(buf.rule.kind, RULE_BAD);
	row = usual_row();
	row.cfa = (struct cfi_column){.where = CFI_IS_EXPR,
	                              .expr = EXPR(0x77, 8, 0x79, 0, 0x38, 0x1e, 0x22, 0x06)};
	rule_from_row(&row, 0, &buf.rule);
	assert_int_equal(buf.rule.kind, RULE_LIBUNWIND);
	row.cfa.expr = EXPR(0x2f, 0xfd, 0xff);
	rule_from_row(&row, 0, &buf.rule);
	assert_int_equal(buf.rule.kind, RULE_BAD);
}

static union rule_buf numbered(int32_t n)
{
	union rule_buf buf;
	memset(&buf, 0, sizeof(buf));
	buf.rule.cfa_off = n;
	rule_add_slot(&buf.rule, 16, SLOT_AT_CFA, 0, -8);
	return buf;
}

static void the_cache_finds_what_was_put(void **state)
{
	(void)state;
	struct rules *rules = rules_create();
	for (uint64_t k = 0; k < 20000; k++) {
		union rule_buf buf = numbered((int32_t)(k % 50));
		assert_int_equal(rules_put(rules, 1, k * 4, &buf.rule)->cfa_off, k % 50);
	}
	unsigned found = 0;
	for (uint64_t k = 0; k < 20000; k++) {
		const struct rule *r = rules_get(rules, 1, k * 4);
		if (r)
			assert_int_equal(r->cfa_off, k % 50);
		found += r != NULL;
		assert_null(rules_get(rules, 2, k * 4));
		assert_null(rules_get(rules, 1, k * 4 + 1));
	}
	assert_true(found > 19000); /* growth keeps sets from overflowing, but for a few */
	rules_destroy(rules);
}

static void the_cache_is_bounded(void **state)
{
	(void)state;
	struct rules *rules = rules_create();
	/* A million addresses, and as many different rules: a hostile file. */
	for (uint64_t k = 0; k < 1000000; k++) {
		union rule_buf buf = numbered((int32_t)k);
		rules_put(rules, 1, k, &buf.rule);
		assert_int_equal(rules_get(rules, 1, k)->cfa_off, k);
	}
	assert_true(rules_bytes(rules) < (size_t)32 << 20);
	rules_destroy(rules);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	        cmocka_unit_test(plt_stubs_reduce_to_an_offset),
	        cmocka_unit_test(memory_is_read_once_at_most),
	        cmocka_unit_test(unsound_expressions_are_refused),
	        cmocka_unit_test(usual_rows_are_plain),
	        cmocka_unit_test(rows_are_judged),
	        cmocka_unit_test(the_cache_finds_what_was_put),
	        cmocka_unit_test(the_cache_is_bounded),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
