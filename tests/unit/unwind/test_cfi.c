/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "../../../src/unwind/cfi.h"
#include "cfi_text.h"

static struct cfi_section section_of(const struct file *f)
{
	return (struct cfi_section){f->bytes + FRAMES_AT, f->frames, LINKED + FRAMES_AT, true};
}

/* Runs a program at an address offset bytes into its function. */
static bool run_at(const uint8_t *program, size_t n, uint64_t offset, struct cfi_row *row)
{
	static struct file f;
	file_init(&f);
	size_t at = f.frames;
	file_fde(&f, CODE, 0x100, program, n);
	struct cfi_section s = section_of(&f);
	struct cfi_fde fde;
	assert_true(cfi_parse_fde(&s, at, &fde));
	assert_int_equal(fde.start, CODE);
	assert_int_equal(fde.end, CODE + 0x100);
	return cfi_run(&fde, CODE + offset, row);
}
#define RUN(offset, row, ...) \
	run_at((const uint8_t[]){__VA_ARGS__}, sizeof((const uint8_t[]){__VA_ARGS__}), offset, row)

/* push %rbp; mov %rsp, %rbp; ...; pop %rbp; ret, as compilers describe it. */
#define WITH_FRAME_POINTER                                                      \
	0x41, 0x0e, 16, 0x86, 2,        /* 1: CFA offset 16, rbp at CFA - 16 */ \
	        0x43, 0x0d, 6,          /* 4: CFA register rbp */               \
	        0x02, 0x40, 0x0c, 7, 8, /* 68: CFA = rsp + 8 */                 \
	        0xc6                    /* rbp as it was at the start */

static void rows_follow_the_prologue(void **state)
{
	(void)state;
	struct cfi_row row;
	assert_true(RUN(0, &row, WITH_FRAME_POINTER));
	assert_int_equal(row.cfa_reg, 7);
	assert_int_equal(row.cfa.off, 8);
	assert_int_equal(row.columns[16].where, CFI_AT_CFA);
	assert_int_equal(row.columns[16].off, -8);
	assert_int_equal(row.columns[6].where, CFI_DEFAULT);
	assert_true(RUN(1, &row, WITH_FRAME_POINTER));
	assert_int_equal(row.cfa.off, 16);
	assert_int_equal(row.columns[6].off, -16);
	assert_true(RUN(4, &row, WITH_FRAME_POINTER));
	assert_int_equal(row.cfa_reg, 6);
	assert_true(RUN(67, &row, WITH_FRAME_POINTER));
	assert_int_equal(row.cfa_reg, 6);
	assert_true(RUN(68, &row, WITH_FRAME_POINTER));
	assert_int_equal(row.cfa_reg, 7);
	assert_int_equal(row.cfa.off, 8);
	assert_int_equal(row.columns[6].where, CFI_DEFAULT);
}

static void states_are_remembered_in_order(void **state)
{
	(void)state;
	struct cfi_row row;
	/* offset 16; remember; at 1 offset 24; remember; at 2 offset 32; restore; at 3 restore. */
#define NESTED 0x0e, 16, 0x0a, 0x41, 0x0e, 24, 0x0a, 0x41, 0x0e, 32, 0x41, 0x0b, 0x41, 0x0b
	static const int64_t expected[] = {16, 24, 32, 24, 16};
	for (uint64_t at = 0; at < 5; at++) {
		assert_true(RUN(at, &row, NESTED));
		assert_int_equal(row.cfa.off, expected[at]);
	}
}

static void undefined_return_address_is_kept(void **state)
{
	(void)state;
	struct cfi_row row;
	assert_true(RUN(0, &row, 0x07, 16));
	assert_int_equal(row.columns[16].where, CFI_UNDEFINED);
}

static void expressions_are_found_not_judged(void **state)
{
	(void)state;
	struct cfi_row row;
	assert_true(RUN(0, &row, 0x0f, 2, 0x77, 8, 0x10, 6, 2, 0x76, 0, 0x16, 3, 1, 0x30));
	assert_int_equal(row.cfa.where, CFI_IS_EXPR);
	assert_int_equal(row.cfa.expr.len, 2);
	assert_int_equal(row.columns[6].where, CFI_AT_EXPR);
	assert_int_equal(row.columns[3].where, CFI_IS_EXPR);
	assert_int_equal(row.columns[3].expr.len, 1);
}

static void damage_is_refused(void **state)
{
	(void)state;
	struct cfi_row row;
	assert_false(RUN(0, &row, 0x0b));            /* restore what was not remembered */
	assert_false(RUN(0, &row, 0x3f));            /* no such instruction */
	assert_false(RUN(0, &row, 0x0f, 100, 0x77)); /* expression longer than the entry */
	uint8_t deep[64];
	memset(deep, 0x0a, sizeof(deep));
	assert_false(run_at(deep, sizeof(deep), 0, &row)); /* remembers without end */
	/* Registers that are no general ones are ignored, however large. */
	assert_true(RUN(0, &row, 0x05, 0xff, 0xff, 0xff, 0xff, 0x0f, 1));
	assert_false(RUN(0x100, &row, 0)); /* outside the function */
}

static void entries_that_lie_are_refused(void **state)
{
	(void)state;
	static struct file f;
	struct cfi_fde fde;
	file_init(&f);
	size_t at = f.frames;
	file_fde(&f, CODE, 16, NULL, 0);
	struct cfi_section s = section_of(&f);
	assert_true(cfi_parse_fde(&s, at, &fde));
	assert_false(cfi_parse_fde(&s, 0, &fde));              /* a CIE */
	assert_false(cfi_parse_fde(&s, f.frames, &fde));       /* the end */
	assert_false(cfi_parse_fde(&s, UINT64_MAX - 2, &fde)); /* far outside */
	f.bytes[FRAMES_AT + at + 4] ^= 0x10;                   /* its CIE is elsewhere */
	assert_false(cfi_parse_fde(&s, at, &fde));
	f.bytes[FRAMES_AT + at + 4] ^= 0x10;
	f.bytes[FRAMES_AT + at + 3] = 0x7f; /* its length is beyond the section */
	assert_false(cfi_parse_fde(&s, at, &fde));
	f.bytes[FRAMES_AT + at + 3] = 0;
	f.bytes[FRAMES_AT + 8] = 9; /* no such version */
	assert_false(cfi_parse_fde(&s, at, &fde));
	f.bytes[FRAMES_AT + 8] = 1;
	assert_true(cfi_parse_fde(&s, at, &fde));
}

static void debug_frame_counts_from_its_start(void **state)
{
	(void)state;
	/* DWARF 5 appendix D.6 in spirit: version 4, 8-byte addresses, one function. */
	static const uint8_t bytes[] = {20,   0,    0,  0,    0xff, 0xff, 0xff, 0xff, 4,
	                                0,    8,    0,  1,    0x78, 16,                  /* CIE */
	                                0x0c, 7,    8,  0x90, 1,    0,    0,    0,    0, /* */
	                                24,   0,    0,  0,    0,    0,    0,    0,       /* FDE */
	                                0,    0x20, 0,  0,    0,    0,    0,    0,       /* start */
	                                16,   0,    0,  0,    0,    0,    0,    0, /* length */
	                                0x41, 0x0e, 24, 0};
	struct cfi_section s = {bytes, sizeof(bytes), 0, false};
	struct cfi_fde fde;
	struct cfi_row row;
	assert_true(cfi_parse_fde(&s, 24, &fde));
	assert_int_equal(fde.start, 0x2000);
	assert_true(cfi_run(&fde, 0x2001, &row));
	assert_int_equal(row.cfa.off, 24);
	assert_true(cfi_run(&fde, 0x2000, &row));
	assert_int_equal(row.cfa.off, 8);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	        cmocka_unit_test(rows_follow_the_prologue),
	        cmocka_unit_test(states_are_remembered_in_order),
	        cmocka_unit_test(undefined_return_address_is_kept),
	        cmocka_unit_test(expressions_are_found_not_judged),
	        cmocka_unit_test(damage_is_refused),
	        cmocka_unit_test(entries_that_lie_are_refused),
	        cmocka_unit_test(debug_frame_counts_from_its_start),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
