/* SPDX-License-Identifier: Apache-2.0 */
/* The parts of the loop that need no process: boundaries, the budget, memory, outlets in trouble.
 */
#include <pthread.h>
#include <semaphore.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

#include "../../../src/loop/internal.h"

#define S  1000000000LL
#define MS 1000000LL

static void intervals_end_at_multiples(void **state)
{
	(void)state;
	int64_t day = 20000 * 86400 * S;
	assert_int_equal(interval_end(day + 7 * S, 60 * S, true), day + 60 * S);
	/* Too short to be one of its own. */
	assert_int_equal(interval_end(day + 57 * S, 60 * S, true), day + 120 * S);
	assert_int_equal(interval_end(day, 60 * S, false), day + 60 * S);
	/* The clock was set, or we woke early: neither two boundaries in a row nor none. */
	assert_int_equal(interval_end(day - 3 * MS, 60 * S, false), day + 60 * S);
	assert_int_equal(interval_end(day + 3 * MS, 60 * S, false), day + 60 * S);
	for (int64_t off = -29 * S; off < 29 * S; off += S) {
		int64_t end = interval_end(day + off, 60 * S, false);
		assert_int_equal(end % (60 * S), 0);
		assert_in_range(end - day - off, 30 * S, 90 * S);
	}
}

/* A world in which each sample costs the target and us so much. */
struct world {
	struct budget_reading now;
	double held_each_ns, own_each_ns, own_ns_a_second, busy;
};

static unsigned live(struct world *w, struct budget *b, unsigned seconds)
{
	unsigned changes = 0;
	for (unsigned i = 0; i < seconds; i++) {
		double samples = b->rate_hz * w->busy;
		w->now.now_ns += S;
		w->now.target_cpu_ns += (uint64_t)(w->busy * 1e9);
		w->now.samples += (uint64_t)samples;
		w->now.held_ns += (uint64_t)(samples * w->held_each_ns);
		w->now.own_cpu_ns += (uint64_t)(samples * w->own_each_ns + w->own_ns_a_second);
		changes += budget_update(b, &w->now);
	}
	return changes;
}

static void the_rate_goes_to_where_it_fits_and_stays(void **state)
{
	(void)state;
	struct budget b;
	struct world w = {.now.now_ns = 5 * S, .held_each_ns = 400000, .busy = 1};
	budget_init(&b, 0.01, 100);
	live(&w, &b, 30); /* 4% of the target at 100 Hz */
	assert_in_range((uint64_t)b.rate_hz, 18, 25);
	assert_int_equal(live(&w, &b, 300), 0); /* and does not swing */
	assert_true(budget_used(&b) <= 0.01);
	w.held_each_ns = 30000;
	live(&w, &b, 120);
	assert_int_equal((int)b.rate_hz, 100);
}

static void our_own_time_counts_too(void **state)
{
	(void)state;
	struct budget b;
	struct world w = {.now.now_ns = 5 * S, .own_each_ns = 200000, .busy = 1};
	budget_init(&b, 0.01, 100);
	live(&w, &b, 40); /* 2% of a core */
	assert_in_range((uint64_t)b.rate_hz, 35, 50);
}

/* Lowering the rate would not help. */
static void what_does_not_depend_on_the_rate_does_not_lower_it(void **state)
{
	(void)state;
	struct budget b;
	struct world w = {.now.now_ns = 5 * S, .own_ns_a_second = 5e7, .busy = 1};
	budget_init(&b, 0.01, 100);
	live(&w, &b, 300);
	assert_int_equal((int)b.rate_hz, 100);
	assert_true(budget_used(&b) > 0.04); /* and that is not hidden */
	/* What samples cost besides still counts. */
	w = (struct world){.now = w.now, .own_ns_a_second = 7e6, .own_each_ns = 100000, .busy = 1};
	budget_init(&b, 0.01, 100);
	b.last = w.now;
	live(&w, &b, 300);
	assert_in_range((uint64_t)b.rate_hz, 15, 35); /* 0.7% and 0.01% for each Hz */
	assert_true(budget_used(&b) < 0.0105);
}

/* It uses what it uses for waiting; that says nothing of the rate. */
static void an_idle_target_does_not_lower_the_rate(void **state)
{
	(void)state;
	struct budget b;
	struct world w = {.now.now_ns = 5 * S, .own_ns_a_second = 1.2e7, .busy = 0};
	budget_init(&b, 0.01, 100);
	live(&w, &b, 300);
	assert_int_equal((int)b.rate_hz, 100);
}

static void without_a_budget_or_at_the_start_nothing_changes(void **state)
{
	(void)state;
	struct budget b;
	struct world w = {.now.now_ns = 5 * S, .held_each_ns = 900000, .busy = 1};
	budget_init(&b, 0.01, 100);
	assert_int_equal(live(&w, &b, 5), 0); /* all symbols are read in the beginning */
	budget_init(&b, 0, 100);
	assert_int_equal(live(&w, &b, 100), 0);
}

static void an_idle_target_is_not_judged_by_one_sample(void **state)
{
	(void)state;
	struct budget b;
	struct world w = {.now.now_ns = 5 * S, .held_each_ns = 3000000, .busy = 0.001};
	budget_init(&b, 0.01, 100);
	assert_int_equal(live(&w, &b, 100), 0);
}

static void memory_is_compared_with_what_it_settled_at(void **state)
{
	(void)state;
	struct memory m = {.max_growth_bytes = 1 << 20};
	assert_true(memory_own_bytes() > 0);
	assert_false(memory_is_too_much(&m, 90 << 20, 1));
	assert_false(memory_is_too_much(&m, 10 << 20, 1));
	assert_false(memory_is_too_much(&m, 50 << 20, 1)); /* settled */
	assert_false(memory_is_too_much(&m, (50 << 20) + 4096, 1));
	assert_true(memory_is_too_much(&m, 52 << 20, 1));
	assert_false(memory_is_too_much(&m, 40 << 20, 1));
	assert_true(memory_is_too_much(&m, 42 << 20, 1));
	assert_true(memory_is_too_much(&m, 40 << 20, 5000)); /* files have descriptors */
}

static void the_service_manager_hears(void **state)
{
	(void)state;
	char buf[100] = "", dir[] = "/tmp/csample-notify-XXXXXX";
	struct sockaddr_un at = {.sun_family = AF_UNIX};
	int fd = socket(AF_UNIX, SOCK_DGRAM, 0);
	assert_non_null(mkdtemp(dir));
	snprintf(at.sun_path, sizeof(at.sun_path), "%s/s", dir);
	assert_int_equal(bind(fd, (struct sockaddr *)&at, sizeof(at)), 0);
	notify_send(at.sun_path, "READY=1\nSTATUS=x");
	assert_int_equal(recv(fd, buf, sizeof(buf) - 1, MSG_DONTWAIT), 16);
	assert_string_equal(buf, "READY=1\nSTATUS=x");
	close(fd);
	unlink(at.sun_path);
	rmdir(dir);
	notify_send(at.sun_path, "nobody"); /* no harm */
	notify_send(NULL, "nobody");
	/* An abstract name. */
	fd = socket(AF_UNIX, SOCK_DGRAM, 0);
	int len = snprintf(at.sun_path, sizeof(at.sun_path), "@csample-test-%d", (int)getpid());
	char name[64];
	memcpy(name, at.sun_path, (size_t)len + 1);
	at.sun_path[0] = '\0';
	assert_int_equal(bind(fd, (struct sockaddr *)&at,
	                      (socklen_t)(offsetof(struct sockaddr_un, sun_path) + (size_t)len)),
	                 0);
	notify_send(name, "WATCHDOG=1");
	assert_int_equal(recv(fd, buf, sizeof(buf) - 1, MSG_DONTWAIT), 10);
	close(fd);
}

/* An outlet that fails as it is told to. */
struct moody {
	struct outlet base;
	const char *trouble; /* NULL: none */
	unsigned puts;
	uint64_t waiting;
};

static struct err *moody_put(struct outlet *o, const struct delivery *d)
{
	struct moody *m = (struct moody *)o;
	(void)d;
	m->puts++;
	return m->trouble ? err_new(ERR_SYS, "%s", m->trouble) : NULL;
}

static void moody_stats(struct outlet *o, struct outlet_stats *ret)
{
	const struct moody *m = (const struct moody *)o;
	*ret = (struct outlet_stats){.delivered = m->puts, .waiting = m->waiting};
}

static void one_outlet_in_trouble_does_not_stop_another(void **state)
{
	(void)state;
	static const struct outlet_ops ops = {.put = moody_put, .stats = moody_stats};
	struct moody a = {{&ops, (char *)"a"}, "write p-12.json: no space", 0, 0};
	struct moody b = {{&ops, (char *)"b"}, NULL, 0, 0};
	struct outlet *both[] = {&a.base, &b.base};
	struct deliverer d;
	struct delivery what = {0};
	deliverer_init(&d, both, 2);
	deliverer_put(&d, &what);
	a.trouble = "write p-13.json: no space";
	deliverer_put(&d, &what);
	assert_string_equal(d.told[0], "write p-13.json: no space");
	a.trouble = NULL;
	a.waiting = 2; /* told once, and still so */
	deliverer_put(&d, &what);
	assert_string_equal(d.told[0], "write p-13.json: no space");
	a.waiting = 1;
	deliverer_put(&d, &what);
	assert_string_equal(d.told[0], "");
	assert_int_equal(a.puts, 4);
	assert_int_equal(b.puts, 4);
	assert_int_equal(d.errors[0], 2);
	assert_int_equal(d.errors[1], 0);
	deliverer_deinit(&d);
}

/* Names of outlets have paths and hosts in them. */
static void metrics_are_escaped_and_complete(void **state)
{
	(void)state;
	static const struct outlet_ops ops = {.put = moody_put, .stats = moody_stats};
	struct moody a = {{&ops, (char *)"store /a\"b\\c\nd\xff"}, NULL, 7, 3};
	struct outlet *one[] = {&a.base};
	struct loop_config config = {0};
	struct loop l = {.config = &config};
	struct strbuf b = {0};
	l.gone.samples = 12345;
	l.gone.lost[LOSS_QUEUE] = 6;
	histogram_add(&l.gone.pause, 30000);
	histogram_add(&l.gone.pause, 300000);
	budget_init(&l.budget, 0.01, 100);
	deliverer_init(&l.deliverer, one, 1);
	loop_metrics(&l, &b);
	assert_non_null(strstr(b.s, "\ncsample_samples_total 12345\n"));
	assert_non_null(strstr(b.s, "csample_lost_total{reason=\"queue_full\"} 6\n"));
	assert_non_null(strstr(b.s, "csample_outlet_delivered_total{outlet=\"store "
	                            "/a\\\"b\\\\c\\nd\xef\xbf\xbd\"} 7\n"));
	assert_non_null(strstr(b.s, "pause_seconds_bucket{le=\"+Inf\"} 2\n"));
	assert_non_null(strstr(b.s, "pause_seconds_bucket{le=\"1e-05\"} 0\n"));
	assert_non_null(strstr(b.s, "pause_seconds_bucket{le=\"0.0001\"} 1\n"));
	assert_non_null(strstr(b.s, "pause_seconds_sum 0.000330000\n"));
	static const char *const others[] = {
	        "outlet_waiting{",           "outlet_waiting_bytes{",   "outlet_retried_total{",
	        "outlet_rejected_total{",    "outlet_dropped_total{",   "outlet_errors_total{",
	        "cpu_seconds_total ",        "memory_bytes ",           "rate_hertz 100\n",
	        "rate_asked_hertz 100\n",    "rate_changes_total 0\n",  "overhead_ratio ",
	        "target_cpu_seconds_total ", "worker_away_max_seconds "};
	for (size_t i = 0; i < sizeof(others) / sizeof(*others); i++) {
		char line[64];
		snprintf(line, sizeof(line), "\ncsample_%s", others[i]);
		assert_non_null(strstr(b.s, line));
	}
	assert_non_null(strstr(b.s, "\\nd\xef\xbf\xbd\"} 3\n")); /* of what waits */
	/* Each name has its type before its first value. */
	for (const char *p = b.s; *p; p = strchr(p, '\n') + 1)
		assert_true(*p == '#' || !strncmp(p, "csample_", 8));
	deliverer_deinit(&l.deliverer);
	strbuf_free(&b);
}

/* An outlet whose disk hangs until it is let go. */
struct hanging {
	struct outlet base;
	sem_t begun, go;
	pthread_t by;
	uint64_t last;
	unsigned puts, reopened;
	bool in_order, gave_up;
	char label[32];
};

static struct err *hanging_put(struct outlet *o, const struct delivery *d)
{
	struct hanging *h = (struct hanging *)o;
	struct timespec end;
	clock_gettime(CLOCK_REALTIME, &end);
	end.tv_sec += 20;
	h->by = pthread_self();
	h->in_order &= d->sequence == h->last + 1 && d->pprof_len > 0;
	h->last = d->sequence;
	h->puts++;
	snprintf(h->label, sizeof(h->label), "%s=%s", d->labels[0].name, d->labels[0].value);
	sem_post(&h->begun);
	h->gave_up |= sem_timedwait(&h->go, &end) != 0;
	return NULL;
}

static void hanging_reopen(struct outlet *o)
{
	struct hanging *h = (struct hanging *)o;
	h->reopened++;
	h->in_order &= pthread_equal(h->by, pthread_self()) != 0;
}

static struct parcel parcel_of(struct strings *strings, uint64_t sequence)
{
	struct parcel p = {.sequence = sequence, .type = "process_cpu", .n_labels = 1};
	p.profile = profile_create(strings);
	p.profile->meta.title = intern_passing(strings, "passing title", 13);
	p.strings = strings_take_passing(strings);
	p.labels = calloc(1, sizeof(*p.labels));
	p.labels[0] = (struct outlet_label){strdup("service_name"), strdup("x")};
	return p;
}

/* The worker goes back to its queues at once, whatever the disk does. */
static void a_disk_that_hangs_keeps_nobody(void **state)
{
	(void)state;
	static const struct outlet_ops ops = {
	        .put = hanging_put, .reopen = hanging_reopen, .stats = moody_stats};
	struct hanging h = {{&ops, (char *)"disk"}, .in_order = true};
	struct outlet *one[] = {&h.base};
	struct deliverer d;
	struct strings *strings = strings_create();
	sem_init(&h.begun, 0, 0);
	sem_init(&h.go, 0, 0);
	deliverer_init(&d, one, 1);
	struct courier *c = courier_start(&d, NULL);
	assert_true(courier_is_idle(c));
	for (uint64_t i = 1; i <= COURIER_ROOM; i++) {
		struct parcel p = parcel_of(strings, i);
		assert_true(courier_has_room(c));
		courier_put(c, &p); /* does not wait for the first, which is under way */
		if (i == 1)
			sem_wait(&h.begun);
		assert_false(courier_is_idle(c));
	}
	assert_false(courier_has_room(c));
	assert_int_equal(h.puts, 1);
	assert_false(pthread_equal(h.by, pthread_self()));
	courier_reopen(c); /* by the thread that writes, before the next profile */
	sem_post(&h.go);
	sem_wait(&h.begun);
	assert_int_equal(h.reopened, 1);
	assert_true(courier_has_room(c));
	for (unsigned i = 1; i < COURIER_ROOM; i++)
		sem_post(&h.go);
	courier_wait(c);
	assert_true(courier_is_idle(c));
	courier_finish(c);
	assert_int_equal(h.puts, COURIER_ROOM);
	assert_true(h.in_order);
	assert_false(h.gave_up);
	assert_string_equal(h.label, "service_name=x");
	deliverer_deinit(&d);
	strings_destroy(strings);
	sem_destroy(&h.begun);
	sem_destroy(&h.go);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	        cmocka_unit_test(intervals_end_at_multiples),
	        cmocka_unit_test(the_rate_goes_to_where_it_fits_and_stays),
	        cmocka_unit_test(our_own_time_counts_too),
	        cmocka_unit_test(what_does_not_depend_on_the_rate_does_not_lower_it),
	        cmocka_unit_test(an_idle_target_does_not_lower_the_rate),
	        cmocka_unit_test(without_a_budget_or_at_the_start_nothing_changes),
	        cmocka_unit_test(an_idle_target_is_not_judged_by_one_sample),
	        cmocka_unit_test(memory_is_compared_with_what_it_settled_at),
	        cmocka_unit_test(the_service_manager_hears),
	        cmocka_unit_test(one_outlet_in_trouble_does_not_stop_another),
	        cmocka_unit_test(metrics_are_escaped_and_complete),
	        cmocka_unit_test(a_disk_that_hangs_keeps_nobody),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
