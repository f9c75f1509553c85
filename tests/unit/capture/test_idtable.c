/* SPDX-License-Identifier: Apache-2.0 */
/* Numbers to objects, while others look. */
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include <csample/capture.h>

#include "../../../src/capture/idtable.h"

#define MANY 5000

static void finds_what_was_added(void **state)
{
	(void)state;
	static struct id_object objects[MANY];
	struct id_table t;
	id_table_init(&t);
	for (int i = 0; i < MANY; i++) {
		objects[i].id = i * 7 + 1;
		free(id_table_add(&t, &objects[i])); /* nobody else looks */
	}
	for (int i = 0; i < MANY; i += 2)
		assert_ptr_equal(id_table_remove(&t, objects[i].id), &objects[i]);
	assert_null(id_table_remove(&t, 1));
	for (int i = 0; i < MANY; i++)
		assert_ptr_equal(id_table_find(&t, objects[i].id), i % 2 ? &objects[i] : NULL);
	assert_null(id_table_find(&t, 3));
	size_t cursor = 0, n = 0;
	while (id_table_next(&t, &cursor))
		n++;
	assert_int_equal(n, MANY / 2);
	assert_int_equal(cursor, 0);
	id_table_deinit(&t);
}

/* Slots once taken must not fill the table: looking for what is not there would never end. */
static void comes_and_goes_for_ever(void **state)
{
	(void)state;
	static struct id_object objects[4];
	struct id_table t;
	id_table_init(&t);
	for (int i = 1; i < 100000; i++) {
		objects[i % 4].id = i;
		free(id_table_add(&t, &objects[i % 4]));
		assert_ptr_equal(id_table_find(&t, i), &objects[i % 4]);
		assert_non_null(id_table_remove(&t, i));
		assert_null(id_table_find(&t, i));
	}
	id_table_deinit(&t);
}

static void count(void *arg)
{
	++*(int *)arg;
}

static void what_is_retired_waits_for_readers(void **state)
{
	(void)state;
	int released = 0;
	struct space space = {.pid = 5};
	struct threads *t = threads_create();
	threads_add_space(t, &space);
	assert_ptr_equal(threads_find_space(t, 5), &space);
	threads_enter(t, 3);
	threads_remove_space(t, 5);
	assert_null(threads_find_space(t, 5));
	threads_retire(t, count, &released);
	threads_collect(t);
	assert_int_equal(released, 0); /* reader 3 may have it still */
	threads_leave(t, 3);
	threads_enter(t, 3); /* it looks again: at what is there now */
	threads_collect(t);
	assert_int_equal(released, 1);
	threads_retire(t, count, &released);
	threads_leave(t, 3);
	threads_destroy(t);
	assert_int_equal(released, 2);
}

struct race {
	struct threads *threads;
	struct space spaces[8];
	_Atomic bool stop;
	_Atomic uint64_t looks, torn;
};

static void *look(void *arg)
{
	struct race *r = arg;
	while (!atomic_load(&r->stop)) {
		threads_enter(r->threads, 1);
		for (pid_t pid = 1; pid <= 8; pid++) {
			const struct space *s = threads_find_space(r->threads, pid);
			if (s && s->mem_fd != pid)
				atomic_fetch_add(&r->torn, 1);
		}
		threads_leave(r->threads, 1);
		atomic_fetch_add(&r->looks, 1);
	}
	return NULL;
}

static void free_space(void *arg)
{
	struct space *s = arg;
	s->mem_fd = -1; /* a reader that still has it would see this */
	free(s);
}

static void readers_never_see_what_is_freed(void **state)
{
	(void)state;
	static struct race r;
	r.threads = threads_create();
	pthread_t reader;
	assert_int_equal(pthread_create(&reader, NULL, look, &r), 0);
	for (int i = 0; i < 20000 || atomic_load(&r.looks) < 100; i++) {
		pid_t pid = i % 8 + 1;
		struct space *s = calloc(1, sizeof(*s));
		s->pid = s->mem_fd = pid;
		threads_add_space(r.threads, s);
		threads_remove_space(r.threads, pid);
		threads_retire(r.threads, free_space, s);
		threads_collect(r.threads);
	}
	atomic_store(&r.stop, true);
	pthread_join(reader, NULL);
	threads_destroy(r.threads);
	assert_int_equal(r.torn, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	        cmocka_unit_test(finds_what_was_added),
	        cmocka_unit_test(comes_and_goes_for_ever),
	        cmocka_unit_test(what_is_retired_waits_for_readers),
	        cmocka_unit_test(readers_never_see_what_is_freed),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
