/* SPDX-License-Identifier: Apache-2.0 */
/* The store as an outlet: what is delivered arrives, now or when there is room. */
#include "stocked.h"

static uint64_t soon(void)
{
	return now_ns() + 20 * SECOND;
}

static struct err *deliver(struct outlet *o, int64_t start)
{
	static const struct outlet_label labels[] = {{"service_name", "a"}, {"version", "v1"}};
	struct delivery d = {.profile = p,
	                     .type = "process_cpu",
	                     .labels = labels,
	                     .n_labels = 2,
	                     .pprof = pprof,
	                     .pprof_len = pprof_len};
	p->meta.start_unix_ns = start;
	return o->ops->put(o, &d);
}

static struct outlet_stats stats_of(struct outlet *o)
{
	struct outlet_stats stats;
	o->ops->stats(o, &stats);
	return stats;
}

static void delivered_profiles_arrive(void **state)
{
	(void)state;
	struct outlet *o;
	struct retention keep = {.count = 5};
	fine(outlet_store("s", &keep, &o));
	assert_string_equal(o->name, "store s");
	for (int i = 0; i < 20; i++)
		fine(deliver(o, START + i * SECOND));
	o->ops->close(o, soon());
	struct store *s = opened(STORE_READ);
	struct found found = look(s, NULL, 0, INT64_MAX);
	assert_int_equal(found.n, 5); /* retention comes at the end as well */
	assert_int_equal(found.last, START + 19 * SECOND);
	store_close(s);
	is_sound(5);
}

/* A limit of file sizes stands in for a full disk: it is told once, what was delivered waits, and
 * is written when there is room again. */
static void a_full_disk_passes(void **state)
{
	(void)state;
	struct outlet *o;
	struct rlimit old, none;
	fine(outlet_store("s", NULL, &o));
	fine(deliver(o, START));
	while (stats_of(o).delivered < 1)
		usleep(1000);
	signal(SIGXFSZ, SIG_IGN);
	getrlimit(RLIMIT_FSIZE, &old);
	none = (struct rlimit){100, old.rlim_max};
	assert_int_equal(setrlimit(RLIMIT_FSIZE, &none), 0);
	fine(deliver(o, START + SECOND));
	while (stats_of(o).retried < 1)
		usleep(1000);
	assert_int_equal(stats_of(o).waiting, 1);
	assert_non_null(strstr(stats_of(o).last_error, "File too large"));
	struct err *err = deliver(o, START + 2 * SECOND);
	assert_non_null(err);
	assert_non_null(strstr(err->msg, "File too large; it is tried again"));
	err_free(err);
	fine(deliver(o, START + 3 * SECOND)); /* that is known by now */
	for (int i = 4; i < 260; i++)
		fine(deliver(o, START + i * SECOND));
	struct outlet_stats stats = stats_of(o);
	assert_int_equal(stats.waiting, 256);
	assert_int_equal(stats.dropped, 3);
	assert_int_equal(setrlimit(RLIMIT_FSIZE, &old), 0);
	while (stats_of(o).waiting)
		usleep(1000);
	assert_int_equal(stats_of(o).delivered, 257);
	o->ops->close(o, soon());
	is_sound(257);
}

static void what_cannot_be_written_ends_at_the_deadline(void **state)
{
	(void)state;
	struct outlet *o;
	struct rlimit old, none;
	fine(outlet_store("s", NULL, &o));
	signal(SIGXFSZ, SIG_IGN);
	getrlimit(RLIMIT_FSIZE, &old);
	none = (struct rlimit){100, old.rlim_max};
	assert_int_equal(setrlimit(RLIMIT_FSIZE, &none), 0);
	fine(deliver(o, START));
	o->ops->close(o, now_ns() + SECOND / 10);
	assert_int_equal(setrlimit(RLIMIT_FSIZE, &old), 0);
	is_sound(0);
}

int main(void)
{
#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
	const struct CMUnitTest tests[] = {
	        TEST(delivered_profiles_arrive),
	        TEST(a_full_disk_passes),
	        TEST(what_cannot_be_written_ends_at_the_deadline),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
