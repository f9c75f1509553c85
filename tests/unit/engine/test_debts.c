/* SPDX-License-Identifier: Apache-2.0 */
/* What was guessed of a thread and what its clock tells later are together what it used. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "../../../src/engine/debts.h"

#define MS 1000000ULL

static void what_was_guessed_counts_once(void **state)
{
	struct debts d = {0};
	(void)state;
	assert_int_equal(debts_pay(&d, 7, 5 * MS), 5 * MS);
	for (int i = 0; i < 3; i++)
		debts_add(&d, 7, 10 * MS);
	debts_add(&d, 8, 10 * MS);
	assert_int_equal(debts_of(&d, 7), 30 * MS);
	/* Its clock stands at 45 ms, 30 of which have counted; and goes on. */
	assert_int_equal(debts_pay(&d, 7, 45 * MS), 15 * MS);
	assert_int_equal(debts_pay(&d, 7, 9 * MS), 9 * MS);
	assert_int_equal(debts_of(&d, 7), 0);
	assert_int_equal(debts_of(&d, 8), 10 * MS);
	debts_free(&d);
}

/* Three ticks met it in 12 ms. */
static void a_guess_too_high_is_paid_off_by_and_by(void **state)
{
	struct debts d = {0};
	(void)state;
	debts_add(&d, 7, 30 * MS);
	assert_int_equal(debts_pay(&d, 7, 12 * MS), 0);
	assert_int_equal(debts_pay(&d, 7, 10 * MS), 0);
	assert_int_equal(debts_pay(&d, 7, 10 * MS), 2 * MS);
	debts_add(&d, 7, 10 * MS);
	debts_drop(&d, 7);
	assert_int_equal(debts_pay(&d, 7, 10 * MS), 10 * MS);
	debts_free(&d);
}

/* Of those that nobody pays, the oldest go; a thread among them keeps what is its. */
static void debts_of_the_dead_are_forgotten(void **state)
{
	struct debts d = {0};
	(void)state;
	debts_add(&d, 1, MS);
	for (int tid = 100; tid < 100 + 2100; tid++)
		debts_add(&d, tid, MS);
	debts_age(&d);
	debts_add(&d, 1, MS);
	assert_int_equal(debts_of(&d, 1), 2 * MS);
	assert_int_equal(debts_pay(&d, 1, 5 * MS), 3 * MS);
	for (int tid = 100; tid < 100 + 2100; tid++)
		debts_add(&d, 10000 + tid, MS);
	debts_age(&d);
	assert_int_equal(debts_of(&d, 100), 0);
	assert_int_equal(debts_of(&d, 10100), MS);
	debts_free(&d);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	        cmocka_unit_test(what_was_guessed_counts_once),
	        cmocka_unit_test(a_guess_too_high_is_paid_off_by_and_by),
	        cmocka_unit_test(debts_of_the_dead_are_forgotten),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
