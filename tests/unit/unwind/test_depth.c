/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "../../../src/unwind/depth.h"
#include "../../../src/unwind/insn.h"
#include "cfi_text.h"

#define CODE_BYTES(...) (const uint8_t[]){__VA_ARGS__}, sizeof((const uint8_t[]){__VA_ARGS__})

static struct insn decode(const uint8_t *p, size_t n)
{
	struct insn i = {0};
	assert_true(insn_decode(p, n, &i));
	assert_int_equal(i.len, n);
	return i;
}
#define DECODE(...) decode(CODE_BYTES(__VA_ARGS__))

static void lengths(void **state)
{
	(void)state;
	DECODE(0x90);
	DECODE(0x48, 0x8b, 0x44, 0x24, 0x08);                /* mov 8(%rsp), %rax */
	DECODE(0x48, 0xb8, 1, 2, 3, 4, 5, 6, 7, 8);          /* movabs */
	DECODE(0x66, 0xc7, 0x05, 1, 2, 3, 4, 5, 6);          /* movw $imm16, m(%rip) */
	DECODE(0xc7, 0x84, 0x24, 1, 2, 3, 4, 5, 6, 7, 8);    /* movl $imm, disp(%rsp) */
	DECODE(0xf6, 0x45, 0x00, 0x01);                      /* testb $1, (%rbp) */
	DECODE(0xf6, 0x5d, 0x00);                            /* negb (%rbp): no immediate */
	DECODE(0x0f, 0x84, 1, 2, 3, 4);                      /* je */
	DECODE(0x66, 0x0f, 0x3a, 0x0f, 0xc1, 8);             /* palignr $8 */
	DECODE(0xc5, 0xf8, 0x77);                            /* vzeroupper */
	DECODE(0xc4, 0xe3, 0x7d, 0x39, 0xc1, 1);             /* vextracti128 $1 */
	DECODE(0x62, 0xf1, 0xfe, 0x48, 0x6f, 0x46, 1);       /* vmovdqu64 64(%rsi), %zmm0 */
	DECODE(0x62, 0xf3, 0x7d, 0x20, 0x3f, 0x07, 0);       /* vpcmpub $0, (%rdi), %ymm16 */
	DECODE(0x64, 0x48, 0x8b, 0x04, 0x25, 0x28, 0, 0, 0); /* mov %fs:0x28, %rax */
	DECODE(0x66, 0x2e, 0x0f, 0x1f, 0x84, 0, 0, 0, 0, 0); /* nop */
	struct insn i;
	assert_false(insn_decode((const uint8_t[]){0xe8, 0, 0}, 3, &i)); /* cut off */
	uint8_t prefixes[32];
	memset(prefixes, 0x66, sizeof(prefixes));
	assert_false(insn_decode(prefixes, sizeof(prefixes), &i));
}

static void effects(void **state)
{
	(void)state;
	struct insn i = DECODE(0x41, 0x54); /* push %r12 */
	assert_int_equal(i.kind, INSN_PUSH);
	assert_int_equal(i.reg, 12);
	i = DECODE(0x5d); /* pop %rbp: 6 for DWARF */
	assert_int_equal(i.kind, INSN_POP);
	assert_int_equal(i.reg, 6);
	i = DECODE(0x48, 0x83, 0xec, 0x18); /* sub $24, %rsp */
	assert_int_equal(i.kind, INSN_MOVE_SP);
	assert_int_equal(i.value, -24);
	i = DECODE(0x48, 0x81, 0xc4, 0, 1, 0, 0); /* add $256, %rsp */
	assert_int_equal(i.value, 256);
	i = DECODE(0x48, 0x8d, 0x64, 0x24, 0x08); /* lea 8(%rsp), %rsp */
	assert_int_equal(i.kind, INSN_MOVE_SP);
	assert_int_equal(i.value, 8);
	i = DECODE(0x48, 0x8d, 0x65, 0xd8); /* lea -40(%rbp), %rsp */
	assert_int_equal(i.kind, INSN_SP_FROM_FP);
	assert_int_equal(i.value, -40);
	assert_int_equal(DECODE(0x48, 0x89, 0xe5).kind, INSN_FP_FROM_SP);
	assert_int_equal(DECODE(0x48, 0x8b, 0xec).kind, INSN_FP_FROM_SP);
	assert_int_equal(DECODE(0x48, 0x83, 0xe4, 0xf0).kind, INSN_LOSE_SP); /* and $-16, %rsp */
	assert_int_equal(DECODE(0x48, 0x29, 0xc4).kind, INSN_LOSE_SP);       /* sub %rax, %rsp */
	assert_int_equal(DECODE(0x48, 0x39, 0xc4).kind, INSN_OTHER);         /* cmp %rax, %rsp */
	assert_int_equal(DECODE(0x48, 0x89, 0xc5).kind, INSN_LOSE_FP);       /* mov %rax, %rbp */
	i = DECODE(0x48, 0x89, 0x5c, 0x24, 0xe8); /* mov %rbx, -24(%rsp) */
	assert_int_equal(i.kind, INSN_SAVE_BY_SP);
	assert_int_equal(i.reg, 3);
	assert_int_equal(i.value, -24);
	assert_int_equal(DECODE(0xff, 0x14, 0xc5, 0, 0, 0, 0).kind,
	                 INSN_CALL); /* call *m(,%rax,8) */
	assert_int_equal(DECODE(0xff, 0x24, 0xc5, 0, 0, 0, 0).kind, INSN_JUMP_INDIRECT);
	assert_int_equal(DECODE(0xeb, 0xfe).value, -2);
	assert_int_equal(DECODE(0xf3, 0xc3).kind, INSN_END); /* rep ret */
	/* The same opcode bytes with VEX are something else. */
	assert_int_equal(DECODE(0xc5, 0xf9, 0x50, 0xc0).kind, INSN_OTHER);
}

struct code {
	struct file file;
	struct strings *strings;
	struct images *images;
	struct image *img;
};

static struct code *code_of(const uint8_t *code, size_t n)
{
	static struct code c;
	file_init(&c.file);
	file_code(&c.file, CODE, code, n);
	c.strings = strings_create();
	c.images = images_create(c.strings);
	c.img = file_image(&c.file, c.images);
	assert_non_null(c.img);
	return &c;
}

static void code_free(struct code *c)
{
	images_destroy(c->images);
	strings_destroy(c->strings);
}

/* The depth of the stack pointer at an offset of the code, -1 where it is not known. */
static int at(const struct code *c, uint64_t offset, struct depth *d)
{
	return depth_at(c->img, CODE, CODE + offset, false, d) && d->sp != DEPTH_UNKNOWN ? d->sp
	                                                                                 : -1;
}

static void follows_pushes_and_branches(void **state)
{
	(void)state;
	struct depth d;
	struct code *c = code_of(CODE_BYTES(0x55,                   /*  0 push %rbp */
	                                    0x53,                   /*  1 push %rbx */
	                                    0x48, 0x83, 0xec, 0x18, /*  2 sub $24, %rsp */
	                                    0x85, 0xff,             /*  6 test %edi, %edi */
	                                    0x74, 0x07,             /*  8 je 17 */
	                                    0x48, 0x83, 0xc4, 0x18, /* 10 add $24, %rsp */
	                                    0x5b, 0x5d, 0xc3,       /* 14 pop; pop; ret */
	                                    0xe8, 0, 0, 0, 0,       /* 17 call 22 */
	                                    0xeb, 0xf2,             /* 22 jmp 10 */
	                                    0x90));                 /* 24 another function's */
	assert_int_equal(at(c, 0, &d), 0);
	assert_int_equal(at(c, 1, &d), 8);
	assert_int_equal(at(c, 6, &d), 40);
	assert_int_equal(d.saved[6], 8);
	assert_int_equal(d.saved[3], 16);
	assert_int_equal(at(c, 14, &d), 16);
	assert_int_equal(at(c, 15, &d), 8);
	assert_int_equal(d.saved[3], 0);
	assert_int_equal(at(c, 16, &d), 0);
	assert_int_equal(at(c, 17, &d), 40);
	assert_int_equal(at(c, 22, &d), 40);
	assert_int_equal(at(c, 24, &d), -1); /* not reached */
	assert_int_equal(at(c, 3, &d), -1);  /* within an instruction */
	assert_true(depth_at(c->img, CODE, CODE + 22, true, &d));
	assert_false(depth_at(c->img, CODE, CODE + 17, true, &d)); /* no call before it */
	code_free(c);
}

static void frame_pointers_survive_what_the_stack_pointer_does_not(void **state)
{
	(void)state;
	struct depth d;
	union rule_buf buf;
	struct code *c = code_of(CODE_BYTES(0x55, 0x48, 0x89, 0xe5, /*  0 push; mov %rsp, %rbp */
	                                    0x48, 0x29, 0xfc,       /*  4 sub %rdi, %rsp */
	                                    0x90,                   /*  7 */
	                                    0x48, 0x8d, 0x65, 0xf0, /*  8 lea -16(%rbp), %rsp */
	                                    0xc9,                   /* 12 leave */
	                                    0xc3));                 /* 13 ret */
	assert_int_equal(at(c, 7, &d), -1);
	assert_int_equal(d.fp, 8);
	assert_true(depth_rule(&d, &buf.rule));
	assert_int_equal(buf.rule.cfa_reg, REG_FP);
	assert_int_equal(buf.rule.cfa_off, 16);
	assert_int_equal(at(c, 12, &d), 24);
	assert_int_equal(at(c, 13, &d), 0);
	assert_int_equal(d.saved[6], 0);
	code_free(c);
}

static void switches_are_guessed_last(void **state)
{
	(void)state;
	struct depth d;
	struct code *c = code_of(CODE_BYTES(0x53,               /*  0 push %rbx */
	                                    0xff, 0xe0,         /*  1 jmp *%rax */
	                                    0x31, 0xc0,         /*  3 a case */
	                                    0x5b, 0xc3,         /*  5 pop; ret */
	                                    0x31, 0xc9, 0x90)); /*  7 another */
	assert_int_equal(at(c, 3, &d), 8);
	assert_int_equal(at(c, 7, &d), 8);
	assert_int_equal(d.saved[3], 8);
	code_free(c);
}

static void what_follows_a_call_is_less_sure_than_what_a_branch_goes_to(void **state)
{
	(void)state;
	struct depth d;
	struct code *c = code_of(CODE_BYTES(0x85, 0xff,       /*  0 test */
	                                    0x74, 0x08,       /*  2 je 12 */
	                                    0x53,             /*  4 push %rbx */
	                                    0x90, 0x90,       /*  5 */
	                                    0xe8, 0, 0, 0, 0, /*  7 call abort: does not return */
	                                    0x90, 0xc3));     /* 12 at depth 0 */
	assert_int_equal(at(c, 12, &d), 0);
	/* But as a return address, it is what the call was made at. */
	assert_true(depth_at(c->img, CODE, CODE + 12, true, &d));
	assert_int_equal(d.sp, 8);
	code_free(c);
}

static void loops_end(void **state)
{
	(void)state;
	struct depth d;
	struct code *c =
	        code_of(CODE_BYTES(0x53, 0xeb, 0xfd)); /* push; jmp to the push, for ever */
	assert_int_equal(at(c, 1, &d), 8);
	assert_int_equal(at(c, 100, &d), -1);
	assert_false(depth_at(c->img, CODE, CODE - 1, false, &d));
	assert_false(depth_at(c->img, 1, CODE, false, &d));
	code_free(c);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	        cmocka_unit_test(lengths),
	        cmocka_unit_test(effects),
	        cmocka_unit_test(follows_pushes_and_branches),
	        cmocka_unit_test(frame_pointers_survive_what_the_stack_pointer_does_not),
	        cmocka_unit_test(switches_are_guessed_last),
	        cmocka_unit_test(what_follows_a_call_is_less_sure_than_what_a_branch_goes_to),
	        cmocka_unit_test(loops_end),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
