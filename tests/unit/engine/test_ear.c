/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "../../../src/engine/ear.h"

#define MS 1000000ULL

/* A turn of the worker that found these records. */
static int turn(struct ear *ear, unsigned own, unsigned foreign, uint64_t now_ns)
{
	ear->own = own;
	ear->foreign = foreign;
	ear_turn(ear, now_ns);
	return ear_deaf_ms(ear, now_ns);
}

static void strangers_are_not_listened_to(void **state)
{
	struct ear ear = {0};
	(void)state;
	assert_int_equal(turn(&ear, 0, 0, 9000 * MS), 0);
	int nap_ms = turn(&ear, 0, 1, 9001 * MS);
	assert_in_range(nap_ms, 5, 50);
	for (unsigned i = 0; i < 100; i++)
		assert_int_equal(turn(&ear, 0, 3, (9002 + i) * MS), nap_ms);
}

static void silence_opens_the_ear_again(void **state)
{
	struct ear ear = {0};
	unsigned turns = 0;
	(void)state;
	turn(&ear, 0, 5, 9000 * MS);
	while (turn(&ear, 0, 0, 9001 * MS))
		assert_true(++turns < 100);
	assert_true(turns > 1); /* one silent turn is no silence */
}

static void what_is_ours_is_heard_among_strangers(void **state)
{
	struct ear ear = {0};
	(void)state;
	int nap_ms = turn(&ear, 0, 1, 9000 * MS);
	assert_int_equal(turn(&ear, 1, 1, 9001 * MS), 0);
	/* More may follow soon. */
	int short_ms = turn(&ear, 0, 1, 9002 * MS);
	assert_in_range(short_ms, 1, nap_ms - 1);
	assert_int_equal(turn(&ear, 0, 1, 12002 * MS), nap_ms);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	        cmocka_unit_test(strangers_are_not_listened_to),
	        cmocka_unit_test(silence_opens_the_ear_again),
	        cmocka_unit_test(what_is_ours_is_heard_among_strangers),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
