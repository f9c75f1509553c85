/* SPDX-License-Identifier: Apache-2.0 */
/* The life of runtimes in a process, with runtimes made for the test. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

#include <csample/decode.h>
#include <csample/mem.h>

#define BIAS 0x10000u
#define SP   0x7fff0000u
#define EVAL 0x5000u /* address of the runtime's evaluator */

/* What the fake runtimes are told to do, and what they were asked. */
static struct fake {
	bool ready, unsupported, gone, lock;
	enum walk_end end;
	unsigned recognised, attached, gathered, walked, detached, destroyed;
} fakes[2];

static struct err *attach(struct fake *f, const struct runtime_ops *ops, struct target *t,
                          struct image *img, uint64_t bias, struct runtime **ret)
{
	if (bias != BIAS)
		return err_new(ERR_FORMAT, "mapped in part here");
	f->attached++;
	if (f->unsupported)
		return err_new(ERR_UNSUPPORTED, "version 0.1");
	if (!f->ready)
		return NULL;
	struct runtime *rt = mem_zalloc(sizeof(*rt));
	*rt = (struct runtime){.ops = ops, .target = t, .image = img, .bias = bias};
	*ret = rt;
	return NULL;
}

static void walk(struct fake *f, const struct runtime *rt, struct runtime_stack *out)
{
	f->walked++;
	out->end = f->end;
	out->holds_lock = f->lock;
	if (f->end != WALK_WHOLE)
		return;
	runtime_stack_push(out,
	                   (struct raw_frame){.kind = RAW_RUNTIME, .owner = rt->index, .addr = 7});
	runtime_stack_close_group(out, SP + 8);
}

#define FAKE(i)                                                                                  \
	static bool recognise##i(struct image *img)                                              \
	{                                                                                        \
		(void)img;                                                                       \
		fakes[i].recognised++;                                                           \
		return true;                                                                     \
	}                                                                                        \
	extern const struct runtime_ops fake##i;                                                 \
	static struct err *attach##i(struct target *t, struct image *img, uint64_t bias,         \
	                             struct runtime **ret)                                       \
	{                                                                                        \
		return attach(&fakes[i], &fake##i, t, img, bias, ret);                           \
	}                                                                                        \
	static size_t gather##i(struct runtime *rt, unsigned round, const struct snapshot *snap, \
	                        struct region *more, size_t max)                                 \
	{                                                                                        \
		(void)rt, (void)snap;                                                            \
		fakes[i].gathered++;                                                             \
		if (round > i || !max)                                                           \
			return 0;                                                                \
		more[0] = (struct region){.addr = 0x1000 * (i + 1), .len = 8};                   \
		return 1;                                                                        \
	}                                                                                        \
	static void walk##i(struct runtime *rt, const struct snapshot *snap,                     \
	                    struct runtime_stack *out)                                           \
	{                                                                                        \
		(void)snap;                                                                      \
		walk(&fakes[i], rt, out);                                                        \
	}                                                                                        \
	static struct err *refresh##i(struct runtime *rt)                                        \
	{                                                                                        \
		(void)rt;                                                                        \
		return fakes[i].gone ? &err_gone : NULL;                                         \
	}                                                                                        \
	static void detach##i(struct runtime *rt)                                                \
	{                                                                                        \
		rt->target = NULL;                                                               \
		fakes[i].detached++;                                                             \
	}                                                                                        \
	static void destroy##i(struct runtime *rt)                                               \
	{                                                                                        \
		fakes[i].destroyed++;                                                            \
		free(rt);                                                                        \
	}                                                                                        \
	const struct runtime_ops fake##i = {                                                     \
	        .name = "fake" #i,                                                               \
	        .title = "Fake",                                                                 \
	        .recognise = recognise##i,                                                       \
	        .attach = attach##i,                                                             \
	        .gather = gather##i,                                                             \
	        .walk = walk##i,                                                                 \
	        .describe = describe,                                                            \
	        .role = role,                                                                    \
	        .refresh = refresh##i,                                                           \
	        .detach = detach##i,                                                             \
	        .destroy = destroy##i,                                                           \
	};

static void describe(struct runtime *rt, struct raw_frame raw, struct frame *out)
{
	(void)rt, (void)raw;
	*out = (struct frame){.kind = FRAME_PYTHON, .function = "f"};
}

static enum native_role role(struct runtime *rt, const struct image *img, const char *name,
                             uint64_t start)
{
	(void)rt, (void)img;
	if (start == EVAL)
		return ROLE_EVAL;
	return name && !strcmp(name, "call") ? ROLE_PLUMBING : ROLE_NONE;
}

FAKE(0)
FAKE(1)

/* Instead of the real ones. */
const struct runtime_ops *const all_runtimes[] = {&fake0, &fake1, NULL};

struct world {
	struct strings *strings;
	struct images *images;
	struct decoder *decoder;
	struct target target;
	struct mapping mappings[2];
	struct snapshot snap;
	struct stack stack;
	uint64_t outer; /* address of the outer of its two frames */
};

static struct image *own_image(struct images *images)
{
	struct image *img = NULL;
	size_t n = 4096;
	char *bytes = mem_alloc(n);
	FILE *f = fopen("/proc/self/exe", "re");
	assert_non_null(f);
	assert_int_equal(fread(bytes, 1, n, f), n);
	fclose(f);
	assert_null(images_add_memory(images, bytes, n, "/usr/bin/fake", &img));
	free(bytes);
	return img;
}

static int setup_mode(void **state, enum native_frames native)
{
	struct world *w = mem_zalloc(sizeof(*w));
	memset(fakes, 0, sizeof(fakes));
	w->strings = strings_create();
	w->images = images_create(w->strings);
	w->decoder = decoder_create(w->strings, native, NULL, NULL);
	struct image *img = own_image(w->images);
	for (int i = 0; i < 2; i++)
		w->mappings[i] =
		        (struct mapping){.name = "/usr/bin/fake", .image = img, .bias = BIAS};
	w->target = (struct target){.pid = getpid(),
	                            .images = w->images,
	                            .strings = w->strings,
	                            .maps = {w->mappings, 2, 1}};
	w->target.rm = &w->target.mem.rm;
	regs_set(&w->snap.regs, REG_SP, SP);
	stack_init(&w->stack);
	*state = w;
	return 0;
}

static int setup(void **state)
{
	return setup_mode(state, NATIVE_OWN);
}

static int setup_none(void **state)
{
	return setup_mode(state, NATIVE_NONE);
}

static int teardown(void **state)
{
	struct world *w = *state;
	decoder_destroy(w->decoder);
	images_destroy(w->images);
	strings_destroy(w->strings);
	stack_deinit(&w->stack);
	free(w);
	return 0;
}

static struct decoded decode_now(struct world *w, struct decoding *p)
{
	struct timespec t;
	clock_gettime(CLOCK_MONOTONIC, &t);
	w->snap.time_ns = (uint64_t)t.tv_sec * 1000000000ULL + (uint64_t)t.tv_nsec;
	stack_reset(&w->stack);
	for (uint64_t i = 0; i < 2; i++)
		stack_push(&w->stack,
		           (struct raw_frame){
		                   .kind = RAW_NATIVE, .owner = 1, .addr = i ? w->outer : 0},
		           i ? 0 : SP + 16);
	w->stack.end = STACK_ROOT;
	return decode(p, &w->snap, &w->stack);
}

/* Tries are paced. */
static void refresh_until(struct decoding *p, const unsigned *count, unsigned n)
{
	for (int i = 0; i < 5000 && *count < n; i++) {
		decoding_refresh(p);
		usleep(1000);
	}
	assert_true(*count >= n);
}

static void attached_when_ready(void **state)
{
	struct world *w = *state;
	struct runtime *rt[4];
	fakes[1].unsupported = true;
	struct decoding *p = decoding_open(w->decoder, &w->target);
	refresh_until(p, &fakes[0].attached, 3);
	assert_int_equal(decoding_runtimes(p, rt, 4), 0);
	assert_true(decoding_is_starting(p));
	struct decoded d = decode_now(w, p);
	assert_int_equal(d.end, WALK_STARTING);
	assert_ptr_equal(d.ops, &fake0);
	assert_int_equal(w->stack.n, 2);
	fakes[0].ready = true;
	refresh_until(p, &fakes[0].attached, fakes[0].attached + 1);
	assert_int_equal(decoding_runtimes(p, rt, 4), 1);
	assert_false(decoding_is_starting(p));
	assert_int_equal(fakes[0].recognised, 1); /* two mappings, many tries: one file */
	assert_int_equal(fakes[1].attached, 1);   /* unsupported is for good */
	fakes[0].end = WALK_WHOLE;
	fakes[0].lock = true;
	d = decode_now(w, p);
	assert_int_equal(d.end, WALK_WHOLE);
	assert_ptr_equal(d.runtime, rt[0]);
	assert_true(d.holds_lock);
	assert_int_equal(d.n_frames, 1);
	assert_int_equal(w->stack.frames[0].kind, RAW_RUNTIME);
	decoding_close(p);
	assert_int_equal(fakes[0].detached, 1);
	assert_int_equal(fakes[0].destroyed, 0); /* its frames are named later */
	struct frame f;
	decoder_name(w->decoder, w->stack.frames[0], &f);
	assert_string_equal(f.function, "f");
	decoder_name(w->decoder, (struct raw_frame){.kind = RAW_RUNTIME, .owner = 99}, &f);
	assert_string_equal(f.function, "[unknown]");
}

/* Nothing was gathered for them. */
static void snapshots_from_before_are_not_walked(void **state)
{
	struct world *w = *state;
	fakes[0].ready = fakes[1].unsupported = true;
	fakes[0].end = WALK_WHOLE;
	struct decoding *p = decoding_open(w->decoder, &w->target);
	stack_reset(&w->stack);
	w->snap.time_ns = 1;
	decoding_refresh(p);
	struct decoded d = decode(p, &w->snap, &w->stack);
	assert_int_equal(d.end, WALK_STARTING);
	assert_int_equal(fakes[0].walked, 0);
	/* A recording has another clock. */
	struct rmem rm = {0};
	w->target.rm = &rm;
	d = decode(p, &w->snap, &w->stack);
	assert_int_equal(fakes[0].walked, 1);
	decoding_close(p);
}

static void regions_of_all_runtimes(void **state)
{
	struct world *w = *state;
	struct region more[4];
	fakes[0].ready = fakes[1].ready = true;
	struct decoding *p = decoding_open(w->decoder, &w->target);
	struct gatherer g = decoding_gatherer(p);
	assert_int_equal(g.gather(g.arg, 0, &w->snap, more, 4), 0);
	decoding_refresh(p);
	assert_int_equal(g.gather(g.arg, 0, &w->snap, more, 4), 2);
	assert_int_equal(more[0].addr, 0x1000);
	assert_int_equal(more[1].addr, 0x2000);
	assert_int_equal(g.gather(g.arg, 0, &w->snap, more, 1), 1);
	assert_int_equal(g.gather(g.arg, 1, &w->snap, more, 4), 1);
	assert_int_equal(more[0].addr, 0x2000);
	struct runtime *rt[4];
	assert_int_equal(decoding_runtimes(p, rt, 4), 2);
	assert_int_not_equal(rt[0]->index, rt[1]->index);
	decoding_restart(p);
	assert_int_equal(fakes[0].detached + fakes[1].detached, 2);
	assert_int_equal(decoding_runtimes(p, rt, 4), 0);
	assert_int_equal(g.gather(g.arg, 0, &w->snap, more, 4), 0);
	decoding_refresh(p); /* the next program */
	assert_int_equal(decoding_runtimes(p, rt, 4), 2);
	assert_int_equal(rt[0]->index, 2);
	decoding_close(p);
}

static void a_runtime_that_has_ended_is_left(void **state)
{
	struct world *w = *state;
	struct runtime *rt[4];
	fakes[0].ready = fakes[1].unsupported = true;
	struct decoding *p = decoding_open(w->decoder, &w->target);
	decoding_refresh(p);
	assert_int_equal(decoding_runtimes(p, rt, 4), 1);
	fakes[0].gone = true;
	fakes[0].ready = false;
	refresh_until(p, &fakes[0].detached, 1);
	assert_int_equal(decoding_runtimes(p, rt, 4), 0);
	fakes[0].gone = false;
	fakes[0].ready = true;
	refresh_until(p, &fakes[0].attached, 2);
	decoding_close(p);
}

/* Unmapped before it was ready: no more tries. */
static void unmapped_images_are_forgotten(void **state)
{
	struct world *w = *state;
	struct decoding *p = decoding_open(w->decoder, &w->target);
	decoding_refresh(p);
	assert_true(decoding_is_starting(p));
	w->target.maps.n = 0;
	w->target.maps.generation++;
	decoding_refresh(p);
	assert_false(decoding_is_starting(p));
	decoding_close(p);
}

static void only_runtimes(void **state)
{
	struct world *w = *state;
	fakes[0].ready = fakes[1].unsupported = true;
	struct decoding *p = decoding_open(w->decoder, &w->target);
	decoding_refresh(p);
	decode_now(w, p);
	assert_int_equal(w->stack.n, 1);
	assert_int_equal(w->stack.frames[0].kind, RAW_MARK);
	assert_string_equal((const char *)(uintptr_t)w->stack.frames[0].aux, "[native]");
	fakes[0].end = WALK_TORN;
	struct decoded d = decode_now(w, p);
	assert_int_equal(d.end, WALK_TORN);
	assert_int_equal(w->stack.n, 1);
	assert_string_equal((const char *)(uintptr_t)w->stack.frames[0].aux, "[fake0: torn]");
	fakes[0].end = WALK_WHOLE;
	decode_now(w, p);
	assert_int_equal(w->stack.n, 1);
	assert_int_equal(w->stack.frames[0].kind, RAW_RUNTIME);
	decoding_close(p);
}

/* The native stack says that something is run, the runtime that nothing is. */
static void evaluators_without_frames(void **state)
{
	struct world *w = *state;
	fakes[0].ready = fakes[1].unsupported = true;
	struct decoding *p = decoding_open(w->decoder, &w->target);
	decoding_refresh(p);
	fakes[0].end = WALK_NONE;
	w->outer = EVAL;
	struct decoded d = decode_now(w, p);
	assert_int_equal(d.end, WALK_STARTING); /* a thread not known yet */
	assert_int_equal(w->stack.frames[1].kind, RAW_NATIVE);
	fakes[0].end = WALK_WHOLE;
	decode_now(w, p);
	fakes[0].end = WALK_NONE;
	d = decode_now(w, p);
	assert_int_equal(d.end, WALK_TORN);
	assert_int_equal(w->stack.frames[1].kind, RAW_MARK);
	w->outer = 0; /* runs nothing of it now */
	d = decode_now(w, p);
	assert_int_equal(d.end, WALK_NONE);
	assert_int_equal(w->stack.n, 2);
	decoding_close(p);
}

static size_t hidden(struct world *w, uint32_t image, struct frame *frames, size_t n)
{
	return decoder_hide_inlined(
	        w->decoder, (struct raw_frame){.kind = RAW_NATIVE, .owner = image}, frames, n);
}

/* Only what was inlined, and only in the runtime's own file. */
static void inlined_machinery_is_hidden(void **state)
{
	struct world *w = *state;
	const struct frame all[] = {{.kind = FRAME_INLINED, .function = "call"},
	                            {.kind = FRAME_INLINED, .function = "work"},
	                            {.kind = FRAME_INLINED, .function = "call"},
	                            {.kind = FRAME_NATIVE, .function = "call"}};
	struct frame frames[4];
	uint32_t image = w->mappings[0].image->id;
	memcpy(frames, all, sizeof(all));
	assert_int_equal(hidden(w, image, frames, 4), 4); /* no runtime yet */
	fakes[0].ready = fakes[1].unsupported = true;
	struct decoding *p = decoding_open(w->decoder, &w->target);
	decoding_refresh(p);
	assert_int_equal(hidden(w, image + 1, frames, 4), 4);
	assert_int_equal(hidden(w, image, frames, 4), 2);
	assert_string_equal(frames[0].function, "work");
	assert_int_equal(frames[1].kind, FRAME_NATIVE);
	decoding_close(p);
}

static void a_part_mapped_elsewhere_is_not_told(void **state)
{
	struct world *w = *state;
	struct unattached un[4];
	w->mappings[0].bias = 2 * BIAS;
	struct decoding *p = decoding_open(w->decoder, &w->target);
	decoding_refresh(p);
	assert_int_equal(decoding_unattached(p, un, 4), 4); /* two runtimes, two places */
	fakes[0].ready = true;
	refresh_until(p, &fakes[0].attached, fakes[0].attached + 1);
	assert_int_equal(decoding_unattached(p, un, 4), 2);
	assert_ptr_equal(un[0].ops, &fake1);
	assert_ptr_equal(un[1].ops, &fake1);
	decoding_close(p);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	        cmocka_unit_test_setup_teardown(attached_when_ready, setup, teardown),
	        cmocka_unit_test_setup_teardown(snapshots_from_before_are_not_walked, setup,
	                                        teardown),
	        cmocka_unit_test_setup_teardown(regions_of_all_runtimes, setup, teardown),
	        cmocka_unit_test_setup_teardown(a_runtime_that_has_ended_is_left, setup, teardown),
	        cmocka_unit_test_setup_teardown(unmapped_images_are_forgotten, setup, teardown),
	        cmocka_unit_test_setup_teardown(evaluators_without_frames, setup, teardown),
	        cmocka_unit_test_setup_teardown(inlined_machinery_is_hidden, setup, teardown),
	        cmocka_unit_test_setup_teardown(only_runtimes, setup_none, teardown),
	        cmocka_unit_test_setup_teardown(a_part_mapped_elsewhere_is_not_told, setup,
	                                        teardown),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
