/* SPDX-License-Identifier: Apache-2.0 */
/* A thread that was moved is met on its new CPU; one that stayed is not. */
#include <sched.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <unistd.h>

#include <cmocka.h>

#include <csample/trigger.h>

static const int two[] = {0, 1};

static bool go_to(int cpu)
{
	cpu_set_t set;
	CPU_ZERO(&set);
	CPU_SET((unsigned)cpu, &set);
	return !sched_setaffinity(0, sizeof(set), &set) && sched_getcpu() == cpu;
}

static struct moves *open_or_skip(void)
{
	struct moves *m = NULL;
	if (sysconf(_SC_NPROCESSORS_ONLN) != 2) {
		print_message("not two CPUs\n");
		skip();
	}
	struct err *err = moves_open(two, 2, &m);
	if (err || !go_to(1) || !go_to(0)) {
		print_message("%s\n", err ? err->msg : "not both CPUs are ours");
		err_free(err);
		moves_close(m);
		skip();
	}
	return m;
}

/* Beyond what two clocks may be apart. */
static uint64_t a_while_later(void)
{
	for (uint64_t then = now_ns(); now_ns() - then < 300000;)
		;
	return now_ns();
}

static void a_moved_thread_is_met_elsewhere(void **state)
{
	(void)state;
	struct moves *m = open_or_skip();
	for (int i = 0; i < 100; i++) {
		uint64_t before = a_while_later();
		assert_true(go_to(1));
		/* More than a few others came meanwhile: then nobody knows. */
		assert_true(moves_ran_elsewhere(m, 0, gettid(), before));
		uint64_t after = a_while_later();
		assert_false(moves_ran_elsewhere(m, 0, gettid(), after));
		/* It came to CPU 1, so seen from there it has not been elsewhere. */
		assert_false(moves_ran_elsewhere(m, 1, gettid(), before));
		assert_true(go_to(0));
	}
	moves_close(m);
}

static void of_too_many_nobody_knows(void **state)
{
	(void)state;
	struct moves *m = open_or_skip();
	uint64_t before = a_while_later();
	for (int i = 0; i < 400; i++) /* more than the ring holds */
		assert_true(go_to(i % 2));
	assert_true(moves_ran_elsewhere(m, 0, 1, before));
	assert_false(moves_ran_elsewhere(m, 0, 1, a_while_later()));
	moves_close(m);
}

static void cpus_that_change_end_it(void **state)
{
	(void)state;
	static const int other[] = {0, 2}, three[] = {0, 1, 2};
	struct moves *m = open_or_skip();
	assert_false(moves_valid(NULL));
	assert_true(moves_valid(m));
	assert_true(moves_cover(m, two, 2));
	assert_false(moves_cover(m, two, 1));
	assert_false(moves_cover(m, other, 2));
	assert_false(moves_cover(m, three, 3));
	moves_expire(m);
	assert_false(moves_valid(m));
	moves_close(m);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	        cmocka_unit_test(a_moved_thread_is_met_elsewhere),
	        cmocka_unit_test(of_too_many_nobody_knows),
	        cmocka_unit_test(cpus_that_change_end_it),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
