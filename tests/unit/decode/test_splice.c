/* SPDX-License-Identifier: Apache-2.0 */
/* Stacks as text, leaf first. Native frames:
 *   w work    e evaluator    p plumbing    a passage    k kernel    j code without a file
 * each 16 bytes of stack. Groups: "12@3 4@5": frames 1 and 2 are run by what the marker in native
 * frame 3 belongs to; "@?" has no marker; capital letters are categories. Expected: what is left, T
 * and t for the marks. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "../../../src/decode/splice.h"

#define SP 0x7fff0000u

struct spec {
	const char *native, *groups;
	enum stack_end end;
	enum walk_end walk;
	enum native_frames show;
	uint64_t sp; /* 0: SP */
};

static const char torn[] = "T", truncated[] = "t";

static enum native_role role(void *arg, const struct raw_frame *raw)
{
	(void)arg;
	switch ((char)raw->addr) {
	case 'e':
	case 'j':
		return ROLE_EVAL;
	case 'p':
		return ROLE_PLUMBING;
	case 'a':
		return ROLE_PASSAGE;
	default:
		return ROLE_NONE;
	}
}

static void fill_native(struct stack *stack, const struct spec *spec)
{
	uint64_t cfa = SP;
	for (const char *p = spec->native; *p; p++) {
		struct raw_frame raw = {.kind = RAW_NATIVE, .addr = (uint64_t)*p};
		if (*p == 'k')
			raw.kind = RAW_KERNEL;
		if (*p == 'j')
			raw.kind = RAW_ANON;
		cfa += *p != 'k' ? 16 : 0;
		bool last = !p[1]; /* unwinding knows no caller's frame */
		assert_true(stack_push(stack, raw, *p == 'k' || last ? 0 : cfa));
	}
	stack->end = spec->end;
}

static uint64_t marker_of(const char *native, const char *at)
{
	if (*at == '?')
		return 0;
	unsigned long index = strtoul(at, NULL, 10);
	size_t n_kernel = strspn(native, "k");
	return SP + 16 * (index - n_kernel) + 8;
}

static void fill_groups(struct runtime_stack *rs, const struct spec *spec)
{
	for (const char *p = spec->groups; *p;) {
		for (; *p != '@'; p++)
			assert_true(runtime_stack_push(
			        rs, (struct raw_frame){
			                    .kind = RAW_RUNTIME,
			                    .flags = *p >= 'A' && *p <= 'Z' ? RAW_CATEGORY : 0,
			                    .addr = (uint64_t)*p}));
		assert_true(runtime_stack_close_group(rs, marker_of(spec->native, p + 1)));
		p += strcspn(p, " ");
		p += *p == ' ';
	}
	rs->end = spec->walk ? spec->walk : WALK_WHOLE;
}

static struct decoded run(const struct spec *spec, char *text, size_t size)
{
	static const struct runtime_ops ops = {.name = "test"};
	struct runtime rt = {.ops = &ops};
	struct splicer s;
	struct stack stack;
	struct runtime_stack rs;
	struct decoded decoded = {0};
	splicer_init(&s);
	stack_init(&stack);
	runtime_stack_init(&rs);
	fill_native(&stack, spec);
	fill_groups(&rs, spec);
	const struct splice_part part = {&rt, &rs, role, NULL, torn, truncated};
	splice(&s, &part, 1, spec->sp ? spec->sp : SP, spec->show, &stack, &decoded);
	assert_true(stack.n < size);
	for (size_t i = 0; i < stack.n; i++) {
		const struct raw_frame *raw = &stack.frames[i];
		text[i] = raw->kind == RAW_MARK ? *(const char *)(uintptr_t)raw->aux
		                                : (char)raw->addr;
	}
	text[stack.n] = '\0';
	assert_int_equal(stack.end, spec->end);
	splicer_deinit(&s);
	stack_deinit(&stack);
	runtime_stack_deinit(&rs);
	return decoded;
}

static void expect(const char *file, int line, struct spec spec, const char *expected,
                   bool unmerged)
{
	char text[256];
	struct decoded decoded = run(&spec, text, sizeof(text));
	if (strcmp(text, expected) != 0 || decoded.unmerged != unmerged)
		fail_msg("%s:%d: %s with %s: '%s'%s, expected '%s'", file, line, spec.native,
		         spec.groups, text, decoded.unmerged ? " (unmerged)" : "", expected);
}
#define SPEC(n, g, ...)                                 \
	(struct spec)                                   \
	{                                               \
		.native = n, .groups = g, ##__VA_ARGS__ \
	}
#define EXPECT(expected, ...)          expect(__FILE__, __LINE__, SPEC(__VA_ARGS__), expected, false)
#define EXPECT_UNMERGED(expected, ...) expect(__FILE__, __LINE__, SPEC(__VA_ARGS__), expected, true)

static void markers_put_groups_in_their_place(void **state)
{
	(void)state;
	EXPECT("w1w", "wew", "1@1");
	EXPECT("w123w4w", "wepwew", "123@1 4@4");
	EXPECT("1w", "ew", "1@0");
	EXPECT("kkw1w", "kkwew", "1@3");
	/* No symbol says that it is the evaluator: stripped, split, renamed. */
	EXPECT("1w", "ww", "1@0");
}

static void machinery_is_hidden(void **state)
{
	(void)state;
	EXPECT("1w2w", "ppeppwpepw", "1@2 2@7");
	/* As a leaf it works; above Python code it leads on. */
	EXPECT("a1w2w", "aeawaeaw", "1@1 2@5");
	/* An evaluator about to begin or to return runs nothing. */
	EXPECT("12w", "eepew", "1@1 2@3");
	EXPECT("w1w", "wepew", "1@1");
	/* A group of no frame is an evaluator all the same. */
	EXPECT("w1w", "wwpew", "@1 1@3");
}

static void all_native_frames(void **state)
{
	(void)state;
	EXPECT("p1pw2pw", "pepwepw", "1@1 2@4", .show = NATIVE_ALL);
	EXPECT("ep1pw", "epepw", "1@2", .show = NATIVE_ALL);
	EXPECT("e1w", "eew", "@0 1@1", .show = NATIVE_ALL);
}

static void no_native_frames(void **state)
{
	(void)state;
	EXPECT("123", "kwpepwew", "12@3 3@6", .show = NATIVE_NONE);
}

static void categories_stand_alone_without_native_frames(void **state)
{
	(void)state;
	EXPECT("G", "kwgew", "G@2 12@3", .show = NATIVE_NONE);
	EXPECT("G", "wgcew", "G@1 C@2 1@3", .show = NATIVE_NONE);
	/* What it calls is the program again. */
	EXPECT("1G2", "wegew", "1@1 G@2 2@3", .show = NATIVE_NONE);
	EXPECT("wG1w", "wgew", "G@1 1@2");
}

static void counted_from_the_outermost(void **state)
{
	(void)state;
	EXPECT("w1w2w", "wewpepw", "1@? 2@?");
	EXPECT("1w2w", "eewew", "1@? 2@?"); /* the innermost runs none yet */
	EXPECT_UNMERGED("w123w", "wewew", "1@? 2@? 3@?");
	EXPECT_UNMERGED("w1w", "weewew", "1@?");
}

static void native_stack_cut(void **state)
{
	(void)state;
	EXPECT("w1w23", "wewp", "1@1 2@4 3@6", .end = STACK_SHORT);
	EXPECT("w1w23", "wewe", "1@1 2@3 3@6", .end = STACK_SHORT);
	EXPECT("w123", "w", "1@1 2@4 3@6", .end = STACK_SHORT);
	EXPECT("w123", "we", "1@? 2@? 3@?", .end = STACK_NO_RULE);
	EXPECT("123", "w", "12@7 3@9", .end = STACK_NO_RULE, .show = NATIVE_NONE);
}

static void code_of_a_jit(void **state)
{
	(void)state;
	/* Trampolines, and traces that the evaluator runs. */
	EXPECT("w12w", "wejejw", "1@1 2@3");
	EXPECT("w1w", "wjjew", "1@3");
	/* Unwinding ends in it. */
	EXPECT("w12", "wj", "1@5 2@9", .end = STACK_NO_RULE);
	/* Someone else's: numba's, a closure of libffi. */
	EXPECT("jw1w", "jwew", "1@2");
	EXPECT("1wjw2w", "ewjwew", "1@0 2@4");
}

static void what_does_not_fit(void **state)
{
	(void)state;
	/* The marker is in no frame of a whole stack, or below all of a cut one. */
	EXPECT_UNMERGED("w12w", "wewew", "1@1 2@9");
	EXPECT_UNMERGED("w12w", "wewew", "1@9 2@3");
	EXPECT_UNMERGED("w21", "wewew", "2@3 1@0", .end = STACK_SHORT);
	/* Nothing tells where: native frames are not guessed at. */
	EXPECT_UNMERGED("12", "www", "1@7 2@9");
	/* A sentinel that nothing runs is no misfit. */
	EXPECT("w1w", "wew", "1@1 @9");
}

static void torn_and_truncated(void **state)
{
	(void)state;
	EXPECT("wTwTw", "wepewew", "", .walk = WALK_TORN);
	EXPECT("wwT", "ww", "", .walk = WALK_TORN);
	EXPECT("T", "wew", "", .walk = WALK_TORN, .show = NATIVE_NONE);
	EXPECT("w1w2tw", "wewepepw", "1@1 2@3", .walk = WALK_TRUNCATED);
	EXPECT("w1w2tw", "wewepepw", "1@? 2@?", .walk = WALK_TRUNCATED);
	EXPECT("w12t", "w", "1@3 2@5", .end = STACK_SHORT, .walk = WALK_TRUNCATED);
}

/* The stack pointer bounds the youngest frame. */
static void leaf_is_bounded(void **state)
{
	(void)state;
	EXPECT_UNMERGED("1w", "ew", "1@0", .sp = SP + 12);
}

/* More frames than unwinding ever makes. */
static void deep_recursion(void **state)
{
	(void)state;
	static const struct runtime_ops ops = {.name = "test"};
	const size_t n = 50000;
	struct runtime rt = {.ops = &ops};
	struct splicer s;
	struct stack stack;
	struct runtime_stack rs;
	struct decoded decoded = {0};
	splicer_init(&s);
	stack_init(&stack);
	runtime_stack_init(&rs);
	const struct spec spec = SPEC("wew", "1@1");
	fill_native(&stack, &spec);
	for (size_t i = 0; i < n; i++)
		assert_true(runtime_stack_push(&rs, (struct raw_frame){.kind = RAW_RUNTIME}));
	assert_true(runtime_stack_close_group(&rs, SP + 24));
	rs.end = WALK_WHOLE;
	const struct splice_part part = {&rt, &rs, role, NULL, torn, truncated};
	splice(&s, &part, 1, SP, NATIVE_OWN, &stack, &decoded);
	assert_int_equal(stack.n, n + 2);
	assert_int_equal(decoded.n_frames, n);
	assert_ptr_equal(decoded.runtime, &rt);
	/* The other half of the swap has room for unwinding too. */
	assert_true(s.out.cap >= STACK_MAX_FRAMES);
	splicer_deinit(&s);
	stack_deinit(&stack);
	runtime_stack_deinit(&rs);
}

/* Many markers that are nowhere, and many frames to look through. */
static void hostile_markers_end_in_time(void **state)
{
	(void)state;
	static const struct runtime_ops ops = {.name = "test"};
	struct runtime rt = {.ops = &ops};
	struct splicer s;
	struct stack stack;
	struct runtime_stack rs;
	struct decoded decoded = {0};
	splicer_init(&s);
	stack_init(&stack);
	runtime_stack_init(&rs);
	for (size_t i = 0; i < STACK_MAX_FRAMES; i++)
		assert_true(stack_push(&stack, (struct raw_frame){.kind = RAW_NATIVE, .addr = 'w'},
		                       SP + 16 * (i + 1)));
	stack.end = STACK_ROOT;
	for (size_t i = 0; i < RUNTIME_MAX_FRAMES; i++)
		assert_true(runtime_stack_close_group(&rs, 1));
	assert_true(runtime_stack_push(&rs, (struct raw_frame){.kind = RAW_RUNTIME}));
	rs.end = WALK_WHOLE;
	const struct splice_part part = {&rt, &rs, role, NULL, torn, truncated};
	splice(&s, &part, 1, SP, NATIVE_OWN, &stack, &decoded);
	assert_true(decoded.unmerged);
	splicer_deinit(&s);
	stack_deinit(&stack);
	runtime_stack_deinit(&rs);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	        cmocka_unit_test(markers_put_groups_in_their_place),
	        cmocka_unit_test(machinery_is_hidden),
	        cmocka_unit_test(all_native_frames),
	        cmocka_unit_test(no_native_frames),
	        cmocka_unit_test(categories_stand_alone_without_native_frames),
	        cmocka_unit_test(counted_from_the_outermost),
	        cmocka_unit_test(native_stack_cut),
	        cmocka_unit_test(code_of_a_jit),
	        cmocka_unit_test(what_does_not_fit),
	        cmocka_unit_test(torn_and_truncated),
	        cmocka_unit_test(leaf_is_bounded),
	        cmocka_unit_test(deep_recursion),
	        cmocka_unit_test(hostile_markers_end_in_time),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
