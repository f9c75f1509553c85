/* SPDX-License-Identifier: Apache-2.0 */
/* A literal stack for each rule. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "cfi_text.h"

#define PROGRAM(...) (const uint8_t[]){__VA_ARGS__}, sizeof((const uint8_t[]){__VA_ARGS__})
#define AT(offset)   (CODE + (offset))

/* Functions of the made file, each 0x100 long. */
enum {
	START = AT(0x000),     /* return address undefined */
	PLAIN = AT(0x100),     /* CFA = rsp + 24 */
	FRAMED = AT(0x200),    /* CFA = rbp + 16, rbp saved */
	SAVES_RBX = AT(0x300), /* CFA = rsp + 16, rbx saved */
	DRAP = AT(0x400),      /* CFA = *(rbp - 8), rbp at *rbp */
	RESTORER = AT(0x500),  /* signal frame, as glibc describes it */
	INDEXED = AT(0x600),   /* CFA = *(rsp + 8 * rbx): for libunwind */
	DAMAGED = AT(0x700),
	NO_CFI = AT(0x800),
	BY_R10 = AT(0xa00),  /* CFA = r10 + 16 */
	JUMPS = AT(0xb00),   /* longjmp: CFA = rdi, rsp is r8, rip is rdx */
	START_2 = AT(0xd00), /* CFA = rsp + 8; before it is no function */
};

static void make_file(struct file *f)
{
	static const uint8_t call_no_cfi[] = {0xe8, 0xf6, 0x06, 0, 0};
	file_init(f);
	file_fde(f, START, 0x100, PROGRAM(0x07, 16));
	file_fde(f, PLAIN, 0x100, PROGRAM(0x0e, 24));
	file_fde(f, FRAMED, 0x100, PROGRAM(0x0c, 6, 16, 0x86, 2));
	file_fde(f, SAVES_RBX, 0x100, PROGRAM(0x0e, 16, 0x83, 2));
	file_fde(f, DRAP, 0x100, PROGRAM(0x0f, 3, 0x76, 0x78, 0x06, 0x10, 6, 2, 0x76, 0));
	file_fde(f, INDEXED, 0x100, PROGRAM(0x0f, 8, 0x77, 0, 0x73, 0, 0x38, 0x1e, 0x22, 0x06));
	file_fde(f, DAMAGED, 0x100, PROGRAM(0x0b));
	file_fde(f, BY_R10, 0x100, PROGRAM(0x0c, 10, 16));
	file_fde(f, JUMPS, 0x100, PROGRAM(0x0c, 5, 0, 0x09, 7, 8, 0x09, 16, 1, 0x83, 0));
	file_fde(f, START_2, 0x100, PROGRAM(0));
	file_cie(f, "zRS", PROGRAM(0));
	/* CFA = *(rsp + 160), rbx at rsp + 128, rbp at rsp + 120, rsp and rip after that. */
	file_fde(f, RESTORER - 1, 0x101,
	         PROGRAM(0x0f, 4, 0x77, 0xa0, 1, 0x06, 0x10, 3, 3, 0x77, 0x80, 1, 0x10, 6, 3, 0x77,
	                 0xf8, 0, 0x10, 7, 3, 0x77, 0xa0, 1, 0x10, 16, 3, 0x77, 0xa8, 1));
	/* A call of NO_CFI that returns to PLAIN + 10. */
	file_code(f, PLAIN + 5, call_no_cfi, sizeof(call_no_cfi));
}

static void expect(const struct scene *s, enum stack_end end, size_t n, const uint64_t *pcs)
{
	for (size_t i = 0; i < n && i < s->stack.n; i++)
		assert_int_equal(s->stack.frames[i].addr, pcs[i]);
	assert_int_equal(s->stack.n, n);
	assert_int_equal(s->stack.end, end);
}
#define EXPECT(s, end, ...) \
	expect(s, end, sizeof((const uint64_t[]){__VA_ARGS__}) / 8, (const uint64_t[]){__VA_ARGS__})

static struct file file;

static int set_up(void **state)
{
	struct scene *s = malloc(sizeof(*s));
	make_file(&file);
	scene_init(s, &file);
	*state = s;
	return s->mappings[0].image ? 0 : -1;
}

static int tear_down(void **state)
{
	scene_deinit(*state);
	free(*state);
	return 0;
}

static void a_leaf_and_its_root(void **state)
{
	struct scene *s = *state;
	s->words[2] = BIAS + START + 0x20;
	scene_unwind(s, PLAIN + 0x10);
	EXPECT(s, STACK_ROOT, PLAIN + 0x10, START + 0x20);
	assert_int_equal(s->stack.frames[0].kind, RAW_NATIVE);
	assert_int_equal(s->stack.frames[0].owner, s->mappings[0].image->id);
	assert_int_equal(s->stack.frames[0].flags, 0);
	assert_int_equal(s->stack.frames[1].flags, RAW_RETURN);
	assert_int_equal(s->stack.cfas[0], s->sp + 24);
}

static void a_return_address_belongs_to_the_call_before_it(void **state)
{
	struct scene *s = *state;
	/* The call was the last instruction of START; after it PLAIN begins. */
	s->words[2] = BIAS + START + 0x100;
	s->words[5] = s->sp; /* where PLAIN's rule would look */
	scene_unwind(s, PLAIN);
	EXPECT(s, STACK_ROOT, PLAIN, START + 0x100);
}

static void frame_pointers_by_cfi(void **state)
{
	struct scene *s = *state;
	regs_set(&s->snap.regs, REG_FP, s->sp + 64);
	s->words[8] = s->sp + 128; /* FRAMED: saved rbp, return address */
	s->words[9] = BIAS + FRAMED + 0x30;
	s->words[16] = 0;
	s->words[17] = BIAS + START + 0x20;
	scene_unwind(s, FRAMED + 0x10);
	EXPECT(s, STACK_ROOT, FRAMED + 0x10, FRAMED + 0x30, START + 0x20);
	assert_int_equal(s->stack.cfas[1], s->sp + 144);
}

static void an_unknown_frame_pointer_is_not_made_up(void **state)
{
	struct scene *s = *state;
	scene_unwind(s, FRAMED + 0x10);
	EXPECT(s, STACK_BAD_CFI, FRAMED + 0x10);
}

static void a_callee_gives_the_frame_pointer_back(void **state)
{
	struct scene *s = *state;
	/* DRAP saved rbp, which FRAMED needs; its own rbp is known. */
	regs_set(&s->snap.regs, REG_FP, s->sp + 32);
	s->words[3] = s->sp + 80;  /* rbp - 8: the CFA */
	s->words[4] = s->sp + 160; /* at rbp: FRAMED's rbp */
	s->words[9] = BIAS + FRAMED + 0x30;
	s->words[20] = 0;
	s->words[21] = BIAS + START + 0x20;
	scene_unwind(s, DRAP + 0x10);
	EXPECT(s, STACK_ROOT, DRAP + 0x10, FRAMED + 0x30, START + 0x20);
	assert_int_equal(s->stack.cfas[0], s->sp + 80);
}

static void a_signal_frame_restores_everything(void **state)
{
	struct scene *s = *state;
	/* PLAIN is the handler; it returns to RESTORER, with the ucontext at its stack pointer. */
	const size_t uc = 3; /* words: rsp after the handler's return */
	s->words[2] = BIAS + RESTORER;
	s->words[uc + 160 / 8] = s->sp + 1024;
	s->words[uc + 120 / 8] = s->sp + 1024 + 48; /* rbp */
	s->words[uc + 168 / 8] = BIAS + FRAMED;     /* interrupted at its very start, */
	s->words[128 + 7] = BIAS + START + 0x20;    /* where the row above has rbp set */
	scene_unwind(s, PLAIN + 0x10);
	EXPECT(s, STACK_ROOT, PLAIN + 0x10, RESTORER, FRAMED, START + 0x20);
	assert_int_equal(s->stack.frames[1].flags, 0);
	assert_int_equal(s->stack.frames[2].flags, 0); /* it did not call, it was interrupted */
	assert_int_equal(s->stack.frames[3].flags, RAW_RETURN);
}

static void the_kernel_s_frame_is_known_without_cfi(void **state)
{
	struct scene *s = *state;
	static const uint8_t sigreturn[] = {0x48, 0xc7, 0xc0, 15, 0, 0, 0, 0x0f, 0x05};
	const size_t uc = 3;
	/* Not through file_code(): the image has been made. */
	uint8_t *code = (uint8_t *)s->mappings[0].image->data + NO_CFI + 0x40 - LINKED;
	memcpy(code, sigreturn, sizeof(sigreturn));
	s->words[2] = BIAS + NO_CFI + 0x40;
	s->words[uc + 160 / 8] = s->sp + 1024;
	s->words[uc + 168 / 8] = BIAS + PLAIN + 0x20;
	s->words[128 + 2] = BIAS + START + 0x20;
	scene_unwind(s, PLAIN + 0x10);
	EXPECT(s, STACK_ROOT, PLAIN + 0x10, NO_CFI + 0x40, PLAIN + 0x20, START + 0x20);
	assert_int_equal(s->stack.frames[2].flags, 0);
}

static void libunwind_does_what_rules_cannot(void **state)
{
	struct scene *s = *state;
	struct unwinder_stats stats;
	regs_set(&s->snap.regs, 3, 5);
	regs_set(&s->snap.regs, REG_FP, s->sp + 200);
	s->words[5] = s->sp + 80; /* the CFA, at rsp + 8 * rbx */
	s->words[9] = BIAS + FRAMED + 0x30;
	s->words[25] = 0;
	s->words[26] = BIAS + START + 0x20;
	scene_unwind(s, INDEXED + 0x10);
	EXPECT(s, STACK_ROOT, INDEXED + 0x10, FRAMED + 0x30, START + 0x20);
	assert_int_equal(s->stack.cfas[0], s->sp + 80);
	unwinder_get_stats(s->unwinder, &stats);
	assert_int_equal(stats.by_libunwind, 1);
	/* And says so when a register it needs is unknown. */
	s->snap.regs.valid &= ~(1ULL << 3);
	scene_unwind(s, INDEXED + 0x10);
	EXPECT(s, STACK_BAD_CFI, INDEXED + 0x10);
}

static void calls_do_not_keep_all_registers(void **state)
{
	struct scene *s = *state;
	regs_set(&s->snap.regs, 3, 5);
	regs_set(&s->snap.regs, 10, s->sp + 160);
	regs_set(&s->snap.regs, REG_FP, s->sp + 200);
	s->words[21] = BIAS + START + 0x20;
	scene_unwind(s, BY_R10 + 0x10);
	EXPECT(s, STACK_ROOT, BY_R10 + 0x10, START + 0x20);
	/* As a caller its r10 is unknown, whichever way the callee was stepped over. */
	s->words[2] = BIAS + BY_R10 + 0x20;
	scene_unwind(s, PLAIN + 0x10);
	EXPECT(s, STACK_BAD_CFI, PLAIN + 0x10, BY_R10 + 0x20);
	s->words[5] = s->sp + 80;
	s->words[9] = BIAS + BY_R10 + 0x20;
	scene_unwind(s, INDEXED + 0x10);
	EXPECT(s, STACK_BAD_CFI, INDEXED + 0x10, BY_R10 + 0x20);
	s->words[24] = s->sp + 80; /* DRAP, with rbp at word 25 */
	scene_unwind(s, DRAP + 0x10);
	EXPECT(s, STACK_BAD_CFI, DRAP + 0x10, BY_R10 + 0x20);
}

static void longjmp_takes_registers_for_the_stack(void **state)
{
	struct scene *s = *state;
	regs_set(&s->snap.regs, 5, 0x5000); /* the buffer is not on the stack, nor copied */
	regs_set(&s->snap.regs, 8, s->sp + 64);
	regs_set(&s->snap.regs, 1, BIAS + PLAIN + 0x20);
	s->words[8 + 2] = BIAS + START + 0x20;
	scene_unwind(s, JUMPS + 0x10);
	EXPECT(s, STACK_ROOT, JUMPS + 0x10, PLAIN + 0x20, START + 0x20);
	assert_int_equal(s->stack.cfas[0], s->sp + 64);
	regs_set(&s->snap.regs, 8, s->sp - 64);
	scene_unwind(s, JUMPS + 0x10);
	EXPECT(s, STACK_LOOP, JUMPS + 0x10);
}

static void a_coroutine_ends_where_none_has_called(void **state)
{
	struct scene *s = *state;
	s->words[2] = BIAS + START_2;
	scene_unwind(s, PLAIN + 0x10);
	EXPECT(s, STACK_ROOT, PLAIN + 0x10, START_2);
}

static void stacks_end_with_their_reason(void **state)
{
	struct scene *s = *state;
	scene_unwind(s, DAMAGED + 0x10);
	EXPECT(s, STACK_BAD_CFI, DAMAGED + 0x10);

	/* A return address that is data. */
	s->words[2] = s->sp;
	scene_unwind(s, PLAIN + 0x10);
	EXPECT(s, STACK_NO_RULE, PLAIN + 0x10);

	/* The frame is above what was copied. */
	regs_set(&s->snap.regs, REG_SP, s->sp + STACK_COPIED - 16);
	scene_unwind(s, PLAIN + 0x10);
	EXPECT(s, STACK_SHORT, PLAIN + 0x10);

	/* The frame is where no stack is. */
	regs_set(&s->snap.regs, REG_SP, 0x1000);
	scene_unwind(s, PLAIN + 0x10);
	EXPECT(s, STACK_NO_MEMORY, PLAIN + 0x10);

	/* The CFA is below the stack pointer. */
	regs_set(&s->snap.regs, REG_SP, s->sp + 512);
	regs_set(&s->snap.regs, REG_FP, s->sp);
	scene_unwind(s, FRAMED + 0x10);
	EXPECT(s, STACK_LOOP, FRAMED + 0x10);

	/* A frame that is its own caller. */
	regs_set(&s->snap.regs, REG_SP, s->sp);
	regs_set(&s->snap.regs, REG_FP, s->sp + 64);
	s->words[8] = s->sp + 64;
	s->words[9] = BIAS + FRAMED + 0x30;
	scene_unwind(s, FRAMED + 0x10);
	EXPECT(s, STACK_LOOP, FRAMED + 0x10, FRAMED + 0x30);

	/* Return address zero, no frame pointer: the outermost frame. */
	s->words[2] = 0;
	s->snap.regs.valid &= ~(1ULL << REG_FP);
	scene_unwind(s, PLAIN + 0x10);
	EXPECT(s, STACK_ROOT, PLAIN + 0x10);
}

static void no_registers_no_frames(void **state)
{
	struct scene *s = *state;
	s->snap.regs.valid = 0;
	stack_reset(&s->stack);
	unwind(s->unwinder, &s->maps, 1, &s->snap, &s->stack);
	assert_int_equal(s->stack.n, 0);
	assert_int_equal(s->stack.end, STACK_NO_RULE);
}

static void a_pc_nowhere_is_one_frame(void **state)
{
	struct scene *s = *state;
	scene_unwind(s, 0x123456 - BIAS);
	EXPECT(s, STACK_NO_RULE, 0x123456);
	assert_int_equal(s->stack.frames[0].kind, RAW_ANON);
	assert_int_equal(s->stack.frames[0].aux, 0);
}

static void jit_code_has_frame_pointers(void **state)
{
	struct scene *s = *state;
	regs_set(&s->snap.regs, REG_FP, s->sp + 64);
	s->words[8] = s->sp + 128;
	s->words[9] = ANON + 0x200;
	s->words[16] = 0;
	s->words[17] = BIAS + START + 0x100; /* after a call, to what the file says: nops */
	scene_unwind(s, ANON + 0x100 - BIAS);
	/* What is before START + 0x100 is no call: not a caller. */
	EXPECT(s, STACK_NO_RULE, ANON + 0x100, ANON + 0x200);
	s->words[17] = BIAS + PLAIN + 10;
	s->words[18 + 2] = BIAS + START + 0x20;
	scene_unwind(s, ANON + 0x100 - BIAS);
	EXPECT(s, STACK_ROOT, ANON + 0x100, ANON + 0x200, PLAIN + 10, START + 0x20);
	assert_int_equal(s->stack.frames[0].kind, RAW_ANON);
	assert_int_equal(s->stack.frames[0].owner, 1);
	assert_ptr_equal((void *)(uintptr_t)s->stack.frames[0].aux, s->mappings[1].name);
	assert_int_equal(s->stack.frames[1].flags, RAW_RETURN);
}

static void a_frameless_leaf_is_proven_by_the_call(void **state)
{
	struct scene *s = *state;
	s->words[0] = BIAS + PLAIN + 10;
	s->words[3] = BIAS + START + 0x20;
	scene_unwind(s, NO_CFI + 0x20);
	EXPECT(s, STACK_ROOT, NO_CFI + 0x20, PLAIN + 10, START + 0x20);
	/* A call of something else proves nothing, and there is no frame pointer. */
	s->words[0] = BIAS + PLAIN + 11;
	scene_unwind(s, NO_CFI + 0x20);
	EXPECT(s, STACK_NO_RULE, NO_CFI + 0x20);
	s->words[0] = BIAS + PLAIN + 10;
	scene_unwind(s, NO_CFI - 1);
	EXPECT(s, STACK_BAD_CFI, NO_CFI - 1); /* another function */
}

static void code_tells_how_deep_the_stack_is(void **state)
{
	struct scene *s = *state;
	/* push %rbx; sub $16, %rsp; then nops */
	static const uint8_t prologue[] = {0x53, 0x48, 0x83, 0xec, 16};
	memcpy((uint8_t *)s->mappings[0].image->data + NO_CFI - LINKED, prologue, sizeof(prologue));
	s->words[0] = BIAS + PLAIN + 10; /* a stale return address of the same call: too high up */
	s->words[2] = 5;                 /* rbx, which INDEXED needs */
	s->words[3] = BIAS + PLAIN + 10;
	s->words[4 + 2] = BIAS + START + 0x20;
	scene_unwind(s, NO_CFI + 0x20);
	EXPECT(s, STACK_ROOT, NO_CFI + 0x20, PLAIN + 10, START + 0x20);
	assert_int_equal(s->stack.cfas[0], s->sp + 32);
	/* Once known, it serves callers that prove less: but only after a call. */
	s->words[3] = BIAS + PLAIN + 12;
	scene_unwind(s, NO_CFI + 0x20);
	EXPECT(s, STACK_NO_RULE, NO_CFI + 0x20);
}

static void code_replaces_an_unknown_frame_pointer(void **state)
{
	struct scene *s = *state;
	/* push %rbp; mov %rsp, %rbp; sub $32, %rsp; then nops */
	static const uint8_t prologue[] = {0x55, 0x48, 0x89, 0xe5, 0x48, 0x83, 0xec, 32};
	memcpy((uint8_t *)s->mappings[0].image->data + FRAMED - LINKED, prologue, sizeof(prologue));
	s->words[4] = s->sp + 120;
	s->words[5] = BIAS + PLAIN + 10;
	s->words[6 + 2] = BIAS + START + 0x20;
	scene_unwind(s, FRAMED + 0x10);
	EXPECT(s, STACK_ROOT, FRAMED + 0x10, PLAIN + 10, START + 0x20);
	assert_int_equal(s->stack.cfas[0], s->sp + 48);
}

static void put_code(struct scene *s, uint64_t vaddr, const void *code, size_t n)
{
	memcpy((uint8_t *)s->mappings[0].image->data + vaddr - LINKED, code, n);
}

static void the_next_instruction_tells(void **state)
{
	struct scene *s = *state;
	static const struct {
		uint8_t code[8];
		uint8_t pc_at, ra_at; /* byte in code, word of the stack */
	} cases[] = {
	        {{0xc3}, 0, 0},                   /* ret */
	        {{0xff, 0x25, 0, 0, 0, 0}, 0, 0}, /* jmp *slot: a PLT stub without CFI */
	        {{0x55, 0x48, 0x89, 0xe5}, 0, 0}, /* push %rbp; mov %rsp, %rbp */
	        {{0x55, 0x48, 0x89, 0xe5}, 1, 1}, /* after the push */
	        {{0x5d, 0xc3}, 0, 1},             /* pop %rbp; ret */
	        {{0xf3, 0x0f, 0x1e, 0xfa}, 0, 0}, /* endbr64 */
	};
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		uint64_t at = NO_CFI + 0x10 + 16 * i;
		memset(s->words, 0, 64);
		put_code(s, at, cases[i].code, sizeof(cases[i].code));
		s->words[cases[i].ra_at] = BIAS + PLAIN + 10;
		s->words[cases[i].ra_at + 3] = BIAS + START + 0x20;
		scene_unwind(s, at + cases[i].pc_at);
		EXPECT(s, STACK_ROOT, at + cases[i].pc_at, PLAIN + 10, START + 0x20);
	}
}

static void a_thread_ends_where_its_starter_exits(void **state)
{
	struct scene *s = *state;
	static const uint8_t glibc[] = {0x48, 0x89, 0xc7, 0xb8, 60, 0, 0, 0, 0x0f, 0x05};
	static const uint8_t musl[] = {0x89, 0xc7, 0x31, 0xc0, 0xb0, 60, 0x0f, 0x05};
	put_code(s, NO_CFI + 0x20, glibc, sizeof(glibc));
	put_code(s, NO_CFI + 0x40, musl, sizeof(musl));
	s->words[2] = BIAS + NO_CFI + 0x20;
	scene_unwind(s, PLAIN + 0x10);
	EXPECT(s, STACK_ROOT, PLAIN + 0x10, NO_CFI + 0x20);
	s->words[2] = BIAS + NO_CFI + 0x40;
	scene_unwind(s, PLAIN + 0x10);
	EXPECT(s, STACK_ROOT, PLAIN + 0x10, NO_CFI + 0x40);
	s->words[2] = BIAS + NO_CFI + 0x60;
	scene_unwind(s, PLAIN + 0x10);
	/* Other code: its return address was looked for in all that was copied, which was not all.
	 */
	EXPECT(s, STACK_SHORT, PLAIN + 0x10, NO_CFI + 0x60);
}

static void the_entry_point_has_no_caller(void **state)
{
	struct scene *s = *state;
	s->mappings[0].image->entry = NO_CFI + 0x80;
	s->words[2] = BIAS + NO_CFI + 0x90;
	scene_unwind(s, PLAIN + 0x10);
	EXPECT(s, STACK_ROOT, PLAIN + 0x10, NO_CFI + 0x90);
}

static void the_stack_is_bounded(void **state)
{
	struct scene *s = *state;
	/* Each frame is 24 bytes: the copy ends first. */
	for (size_t i = 2; i < STACK_COPIED / 8; i += 3)
		s->words[i] = BIAS + PLAIN + 0x30;
	scene_unwind(s, PLAIN + 0x10);
	assert_int_equal(s->stack.n, STACK_COPIED / 24 + 1);
	assert_int_equal(s->stack.end, STACK_SHORT);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
	const struct CMUnitTest tests[] = {
	        TEST(a_leaf_and_its_root),
	        TEST(a_return_address_belongs_to_the_call_before_it),
	        TEST(frame_pointers_by_cfi),
	        TEST(an_unknown_frame_pointer_is_not_made_up),
	        TEST(a_callee_gives_the_frame_pointer_back),
	        TEST(a_signal_frame_restores_everything),
	        TEST(the_kernel_s_frame_is_known_without_cfi),
	        TEST(libunwind_does_what_rules_cannot),
	        TEST(calls_do_not_keep_all_registers),
	        TEST(longjmp_takes_registers_for_the_stack),
	        TEST(a_coroutine_ends_where_none_has_called),
	        TEST(stacks_end_with_their_reason),
	        TEST(no_registers_no_frames),
	        TEST(a_pc_nowhere_is_one_frame),
	        TEST(jit_code_has_frame_pointers),
	        TEST(a_frameless_leaf_is_proven_by_the_call),
	        TEST(code_tells_how_deep_the_stack_is),
	        TEST(code_replaces_an_unknown_frame_pointer),
	        TEST(the_next_instruction_tells),
	        TEST(a_thread_ends_where_its_starter_exits),
	        TEST(the_entry_point_has_no_caller),
	        TEST(the_stack_is_bounded),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
