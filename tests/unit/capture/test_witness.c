/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <unistd.h>

#include <cmocka.h>

#include <csample/capture.h>

#define TRIES 1000 /* others may take the CPU from us at any moment */

/* Whether a tick that came in the last of so many sleeps would be believed to have ended it. */
static bool believed(struct witness *w, int sleeps)
{
	witness_before_sleep(w);
	for (int i = 0; i < sleeps; i++)
		usleep(1000); /* long enough to be switched out for */
	struct tick tick = {.time_ns = now_ns()};
	return witness_woken_by(w, &tick);
}

static void one_sleep_is_believed(void **state)
{
	(void)state;
	struct witness w;
	bool once = false, again = false;
	witness_open(&w, 0);
	for (int i = 0; i < TRIES && !(once && again); i++) {
		again = once && believed(&w, 1); /* counts from what was seen last */
		once = again || believed(&w, 1);
	}
	assert_true(once && again);
	witness_close(&w);
}

static void more_than_one_is_not(void **state)
{
	(void)state;
	struct witness w;
	witness_open(&w, 0);
	for (int i = 0; i < 50; i++)
		assert_false(believed(&w, 2));
	witness_close(&w);
}

static void none_is_not(void **state)
{
	(void)state;
	struct witness w;
	bool refused = false;
	witness_open(&w, 0);
	for (int i = 0; i < TRIES && !refused; i++)
		refused = !believed(&w, 0);
	assert_true(refused);
	witness_close(&w);
}

static void nor_a_tick_of_before(void **state)
{
	(void)state;
	struct witness w;
	witness_open(&w, 0);
	struct tick tick = {.time_ns = now_ns()};
	for (int i = 0; i < 50; i++) {
		witness_before_sleep(&w);
		usleep(1000); /* long enough to be switched out for */
		assert_false(witness_woken_by(&w, &tick));
	}
	witness_close(&w);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	        cmocka_unit_test(one_sleep_is_believed),
	        cmocka_unit_test(more_than_one_is_not),
	        cmocka_unit_test(none_is_not),
	        cmocka_unit_test(nor_a_tick_of_before),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
