/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <csample/trigger.h>

#define PERIOD 10000000ULL

static void periods_are_apart_from_the_mean_and_keep_it(void **state)
{
	(void)state;
	uint64_t random = 12345, sum = 0;
	for (int i = 0; i < 100000; i++) {
		uint64_t p = detuned(PERIOD, &random);
		uint64_t off = p > PERIOD ? p - PERIOD : PERIOD - p;
		assert_in_range(off, PERIOD / 16 - 1, PERIOD * 3 / 16 + 1);
		sum += p;
	}
	assert_in_range(sum / 100000, PERIOD - PERIOD / 200, PERIOD + PERIOD / 200);
}

/* Work with the period of the rate, whose first half is one function: 30 s of samples, taken as a
 * sampler takes them. With the period itself the share would be 0 or 1. */
static void what_stays_is_never_near(void **state)
{
	(void)state;
	uint64_t random = 12345, sum = 0;
	for (int i = 0; i < 100000; i++) {
		uint64_t p = detuned_for_good(PERIOD, &random);
		uint64_t off = p > PERIOD ? p - PERIOD : PERIOD - p;
		assert_in_range(off, PERIOD / 64 - 1, PERIOD * 3 / 64 + 1);
		sum += p;
	}
	assert_in_range(sum / 100000, PERIOD - PERIOD / 500, PERIOD + PERIOD / 500);
}

static void work_of_the_same_period_is_seen_whole(void **state)
{
	(void)state;
	for (uint64_t seed = 1; seed <= 20; seed++) {
		uint64_t random = seed * 7919, now = seed * 123457, period = PERIOD;
		unsigned first = 0, n = 3000;
		for (unsigned i = 0; i < n; i++) {
			if (i % 8 == 0)
				period = detuned(PERIOD, &random);
			now += period;
			first += now % PERIOD < PERIOD / 2;
		}
		assert_in_range(first, n * 48 / 100, n * 52 / 100);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	        cmocka_unit_test(periods_are_apart_from_the_mean_and_keep_it),
	        cmocka_unit_test(what_stays_is_never_near),
	        cmocka_unit_test(work_of_the_same_period_is_seen_whole),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
