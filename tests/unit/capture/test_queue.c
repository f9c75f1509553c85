/* SPDX-License-Identifier: Apache-2.0 */
#include <pthread.h>
#include <sched.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include <csample/capture.h>

#define BYTES ((size_t)256 * 1024)

static void hands_over_what_was_pushed(void **state)
{
	(void)state;
	struct queue *q;
	assert_null(queue_create(BYTES, &q));
	assert_null(queue_peek(q));
	struct snapshot *snap = queue_reserve(q, 4096);
	assert_non_null(snap);
	snap->tid = 42;
	snap->n_bytes = 5;
	memcpy(snap->bytes, "hello", 5);
	assert_null(queue_peek(q)); /* reserved is not pushed */
	queue_push(q, snap);
	const struct snapshot *got = queue_peek(q);
	assert_non_null(got);
	assert_int_equal(got->tid, 42);
	assert_memory_equal(got->bytes, "hello", 5);
	queue_pop(q);
	assert_null(queue_peek(q));
	queue_destroy(q);
}

static void refuses_when_full_and_recovers(void **state)
{
	(void)state;
	struct queue *q;
	assert_null(queue_create(BYTES, &q));
	unsigned n = 0;
	bool woke = false;
	for (struct snapshot *snap; (snap = queue_reserve(q, 16384)); n++) {
		snap->tid = (pid_t)n;
		snap->n_bytes = 16384;
		woke |= queue_push(q, snap);
	}
	assert_true(n > 8 && n < 16);
	assert_true(woke);
	for (unsigned i = 0; i < n; i++) {
		assert_int_equal(queue_peek(q)->tid, i);
		queue_pop(q);
	}
	assert_null(queue_peek(q));
	assert_non_null(queue_reserve(q, 16384));
	queue_destroy(q);
}

/* Room for a large one, wherever in the ring the last one ended, and although one waits. */
static void takes_more_than_half_of_itself(void **state)
{
	(void)state;
	struct queue *q;
	assert_null(queue_create(BYTES, &q));
	for (pid_t i = 0; i < 100; i++) {
		uint32_t most = queue_most(q);
		assert_true(most > BYTES / 2);
		struct snapshot *snap = queue_reserve(q, most);
		assert_non_null(snap);
		snap->tid = i;
		snap->n_bytes = BYTES / 5 - 3000 * (unsigned)(i % 7);
		memset(snap->bytes, i, most);
		queue_push(q, snap);
		if (!i)
			continue; /* one always waits: that must not cost the next its room */
		assert_int_equal(queue_peek(q)->tid, i - 1);
		assert_int_equal(queue_peek(q)->bytes[0], i - 1);
		assert_int_equal(queue_peek(q)->bytes[queue_peek(q)->n_bytes - 1], i - 1);
		queue_pop(q);
	}
	queue_destroy(q);
}

#define ROUNDS 200000

struct pair {
	struct queue *q;
	uint64_t refused;
};

/* Sizes that wrap at every offset; each byte tells which snapshot it belongs to. */
static void *produce(void *arg)
{
	struct pair *pair = arg;
	for (uint64_t i = 0; i < ROUNDS;) {
		uint32_t size = (uint32_t)(i * 2654435761u % 9000);
		struct snapshot *snap = queue_reserve(pair->q, 9000);
		if (!snap) {
			pair->refused++;
			sched_yield();
			continue;
		}
		snap->time_ns = i;
		snap->n_bytes = size;
		memset(snap->bytes, (int)(i & 0xff), size);
		queue_push(pair->q, snap);
		i++;
	}
	return NULL;
}

static void keeps_order_and_bytes_between_threads(void **state)
{
	(void)state;
	struct pair pair = {0};
	pthread_t thread;
	assert_null(queue_create(BYTES, &pair.q));
	pthread_create(&thread, NULL, produce, &pair);
	for (uint64_t i = 0; i < ROUNDS;) {
		const struct snapshot *snap = queue_peek(pair.q);
		if (!snap) {
			sched_yield();
			continue;
		}
		assert_int_equal(snap->time_ns, i);
		assert_int_equal(snap->n_bytes, (uint32_t)(i * 2654435761u % 9000));
		if (snap->n_bytes) {
			assert_int_equal(snap->bytes[0], i & 0xff);
			assert_int_equal(snap->bytes[snap->n_bytes - 1], i & 0xff);
		}
		queue_pop(pair.q);
		i++;
	}
	pthread_join(thread, NULL);
	assert_null(queue_peek(pair.q));
	queue_destroy(pair.q);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	        cmocka_unit_test(hands_over_what_was_pushed),
	        cmocka_unit_test(refuses_when_full_and_recovers),
	        cmocka_unit_test(takes_more_than_half_of_itself),
	        cmocka_unit_test(keeps_order_and_bytes_between_threads),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
