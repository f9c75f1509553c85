/* SPDX-License-Identifier: Apache-2.0 */
/* Copying out of our own address space, with holes in it. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cmocka.h>

#include "../../../src/capture/copy.h"

#define PAGE 4096u

/* What a gatherer answers in each round. */
struct script {
	struct region rounds[4][8];
	size_t n[4];
	uint16_t n_regions_seen[4];
	uint32_t len_seen; /* of the last region when round 1 is asked */
	unsigned calls;
};

static size_t follow(void *arg, unsigned round, const struct snapshot *snap, struct region *more,
                     size_t max)
{
	struct script *s = arg;
	s->calls++;
	if (round >= 4)
		return 0;
	s->n_regions_seen[round] = snap->n_regions;
	if (round == 1)
		s->len_seen = snap->regions[snap->n_regions - 1].len;
	size_t n = s->n[round] < max ? s->n[round] : max;
	memcpy(more, s->rounds[round], n * sizeof(*more));
	return n;
}

/* A stack of 4 pages between two pages that cannot be read, and a heap of 4 pages likewise. */
struct world {
	uint8_t *stack, *heap;
	struct capture capture;
	struct thread thread;
	struct script script;
	struct snapshot snap;
	uint8_t bytes[64 * PAGE];
};

static uint8_t *with_guards(size_t pages, uint8_t fill)
{
	uint8_t *p = mmap(NULL, (pages + 2) * PAGE, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	assert_true(p != MAP_FAILED);
	assert_int_equal(mprotect(p + PAGE, pages * PAGE, PROT_READ | PROT_WRITE), 0);
	memset(p + PAGE, fill, pages * PAGE);
	return p + PAGE;
}

static int setup(void **state)
{
	struct world *w = calloc(1, sizeof(*w));
	w->stack = with_guards(4, 0x51);
	w->heap = with_guards(4, 0x48);
	w->capture.pid = getpid();
	w->capture.mem_fd = -1;
	w->capture.gather = (struct gatherer){follow, &w->script};
	w->thread.learned = true;
	w->thread.copy_bytes = PAGE;
	w->thread.stack_root = (uintptr_t)w->stack + 3 * PAGE;
	w->snap.bytes = w->bytes;
	regs_set(&w->snap.regs, REG_SP, (uintptr_t)w->stack + 2 * PAGE);
	*state = w;
	return 0;
}

static int teardown(void **state)
{
	struct world *w = *state;
	munmap(w->stack - PAGE, (size_t)6 * PAGE);
	munmap(w->heap - PAGE, (size_t)6 * PAGE);
	free(w);
	return 0;
}

static struct region at(const uint8_t *p, uint32_t len)
{
	return (struct region){.addr = (uintptr_t)p, .len = len};
}

static int copy(struct world *w)
{
	return copy_memory(&w->capture, &w->thread, &w->snap, sizeof(w->bytes));
}

static void a_prediction_is_read_with_the_stack(void **state)
{
	struct world *w = *state;
	w->heap[100] = 0x77;
	w->script.rounds[0][0] = at(w->heap + 100, 50);
	w->script.n[0] = 1;
	assert_int_equal(copy(w), CAPTURED);
	assert_int_equal(w->snap.reads, 1);
	assert_int_equal(w->snap.n_regions, 2);
	assert_int_equal(*snapshot_at(&w->snap, (uintptr_t)w->heap + 100, 50), 0x77);
	assert_int_equal(*snapshot_at(&w->snap, (uintptr_t)w->stack + 2 * PAGE, PAGE), 0x51);
	/* Asked before anything was read but the stack's place in line. */
	assert_int_equal(w->script.n_regions_seen[0], 1);
}

static void a_stack_cut_by_its_mapping_loses_nothing_after_it(void **state)
{
	struct world *w = *state;
	/* The root seems to lie beyond the mapping. */
	w->thread.stack_root = (uintptr_t)w->stack + 5 * PAGE;
	w->script.rounds[0][0] = at(w->heap, 8);
	w->script.n[0] = 1;
	assert_int_equal(copy(w), CAPTURED);
	assert_int_equal(w->snap.reads, 2);
	assert_int_equal(w->snap.regions[0].len, 2 * PAGE + STACK_RED_ZONE);
	assert_int_equal(*snapshot_at(&w->snap, (uintptr_t)w->heap, 8), 0x48);
}

static void a_wrong_prediction_costs_itself_alone(void **state)
{
	struct world *w = *state;
	w->script.rounds[0][0] = at(w->heap, 16);
	w->script.rounds[0][1] = at(w->heap - 8, 4);             /* in the guard page */
	w->script.rounds[0][2] = at(w->heap + 4 * PAGE - 8, 16); /* half of it */
	w->heap[40] = 0x77;
	w->script.rounds[0][3] = at(w->heap + 40, 16);
	w->script.n[0] = 4;
	assert_int_equal(copy(w), CAPTURED);
	assert_int_equal(w->snap.regions[1].len, 16);
	assert_int_equal(w->snap.regions[2].len, 0);
	assert_int_equal(w->snap.regions[3].len, 8);
	assert_int_equal(w->snap.regions[4].len, 16);
	assert_int_equal(*snapshot_at(&w->snap, (uintptr_t)w->heap + 40, 16), 0x77);
	assert_int_equal(w->snap.reads, 3);
}

static void predictions_that_all_fail_end(void **state)
{
	struct world *w = *state;
	for (size_t i = 0; i < 8; i++)
		w->script.rounds[0][i] = at(w->heap - 8, 4);
	w->script.n[0] = 8;
	assert_int_equal(copy(w), CAPTURED);
	assert_true(w->snap.reads <= 6);
	for (size_t i = 1; i <= 8; i++)
		assert_int_equal(w->snap.regions[i].len, 0);
	assert_int_equal(w->snap.regions[0].len, PAGE + 256); /* up to the root, and some */
}

static void later_rounds_see_what_was_read(void **state)
{
	struct world *w = *state;
	w->script.rounds[0][0] = at(w->heap + 4 * PAGE - 8, 16);
	w->script.n[0] = 1;
	w->script.rounds[1][0] = at(w->heap, 32);
	w->script.n[1] = 1;
	assert_int_equal(copy(w), CAPTURED);
	assert_int_equal(w->script.len_seen, 8);
	assert_int_equal(w->script.calls, 3);
	assert_int_equal(*snapshot_at(&w->snap, (uintptr_t)w->heap, 32), 0x48);
}

static void an_unknown_stack_is_widened_before_predictions(void **state)
{
	struct world *w = *state;
	w->thread.learned = false;
	w->script.rounds[0][0] = at(w->heap, 32);
	w->script.n[0] = 1;
	assert_int_equal(copy(w), CAPTURED);
	assert_int_equal(w->snap.regions[0].len, 2 * PAGE + STACK_RED_ZONE);
	assert_int_equal(*snapshot_at(&w->snap, (uintptr_t)w->heap, 32), 0x48);
}

static void no_stack_is_a_loss(void **state)
{
	struct world *w = *state;
	regs_set(&w->snap.regs, REG_SP, (uintptr_t)w->stack + 4 * PAGE + 512);
	w->thread.stack_root = (uintptr_t)w->stack + 5 * PAGE;
	w->script.rounds[0][0] = at(w->heap, 32);
	w->script.n[0] = 1;
	assert_int_equal(copy(w), LOSS_MEMORY);
}

static void more_than_there_is_room_for_is_left_out(void **state)
{
	struct world *w = *state;
	w->script.rounds[0][0] = at(w->heap, UINT32_MAX);
	w->script.rounds[0][1] = at(w->heap, 32);
	w->script.n[0] = 2;
	assert_int_equal(copy(w), CAPTURED);
	assert_int_equal(w->snap.n_regions, 2);
	assert_int_equal(w->snap.regions[1].len, 32);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
int main(void)
{
	const struct CMUnitTest tests[] = {
	        TEST(a_prediction_is_read_with_the_stack),
	        TEST(a_stack_cut_by_its_mapping_loses_nothing_after_it),
	        TEST(a_wrong_prediction_costs_itself_alone),
	        TEST(predictions_that_all_fail_end),
	        TEST(later_rounds_see_what_was_read),
	        TEST(an_unknown_stack_is_widened_before_predictions),
	        TEST(no_stack_is_a_loss),
	        TEST(more_than_there_is_room_for_is_left_out),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
