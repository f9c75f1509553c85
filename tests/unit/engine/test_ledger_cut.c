/* SPDX-License-Identifier: Apache-2.0 */
/* Profiles that end while sampling goes on: all that was used is in exactly one of them. */
#include <malloc.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include <csample/ledger.h>

#define MS     1000000ULL
#define PERIOD (10 * MS)

struct book {
	struct strings *strings;
	struct profile *profile;
	struct target target;
	struct ledger *ledger;
	struct sink sink;
};

static void open_book_as(struct book *b, const struct ledger_config *config)
{
	*b = (struct book){.strings = strings_create(), .target.proc_fd = -1};
	snprintf(b->target.comm, sizeof(b->target.comm), "prog");
	snprintf(b->target.name, sizeof(b->target.name), "prog");
	b->profile = profile_create(b->strings);
	b->ledger = ledger_create(b->profile, config);
	b->sink = ledger_sink(b->ledger);
	b->sink.on_process(b->sink.arg, &b->target);
}

static void open_book(struct book *b, bool wall)
{
	struct ledger_config config = {.wall = wall, .period_ns = PERIOD};
	open_book_as(b, &config);
}

static void close_book(struct book *b)
{
	ledger_destroy(b->ledger);
	profile_destroy(b->profile);
	strings_destroy(b->strings);
}

static void observe(struct book *b, pid_t tid, uint64_t pc, enum captured_by by, uint64_t cpu_ns,
                    uint64_t wall_ns)
{
	struct raw_frame frame = {.kind = RAW_ANON, .addr = pc};
	uint64_t cfa = 0;
	struct stack stack = {.frames = &frame, .cfas = &cfa, .n = 1, .cap = 1, .end = STACK_ROOT};
	struct snapshot snap = {.tid = tid, .by = by, .cpu_ns = cpu_ns, .wall_ns = wall_ns};
	b->sink.on_stack(b->sink.arg, &snap, &stack, &(struct decoded){0});
}

/* The time, in ms, and the samples of stacks whose leaf is pc. */
static uint64_t ms_at(const struct book *b, uint64_t pc, uint64_t *samples_ret)
{
	uint64_t ns = 0, samples = 0;
	for (size_t i = 1; i < b->profile->n_nodes; i++) {
		const struct profile_node *node = &b->profile->nodes[i];
		if (b->profile->locations[node->location].raw.addr == pc) {
			ns += node->self[1];
			samples += node->self[0];
		}
	}
	if (samples_ret)
		*samples_ret = samples;
	return ns / MS;
}

static uint64_t not_sampled_ms(const struct book *b)
{
	for (size_t i = 1; i < b->profile->n_nodes; i++) {
		const struct raw_frame *raw =
		        &b->profile->locations[b->profile->nodes[i].location].raw;
		if (raw->kind == RAW_MARK &&
		    !strcmp((const char *)(uintptr_t)raw->aux, "[not sampled]"))
			return b->profile->nodes[i].self[1] / MS;
	}
	return 0;
}

/* The profile so far, which the caller destroys. */
static struct profile *cut(struct book *b, const struct stats *stats)
{
	struct profile *old = b->profile;
	b->profile = profile_create(b->strings);
	ledger_cut(b->ledger, b->profile, stats);
	return old;
}

static void live_threads_carry_over_what_they_have_used(void **state)
{
	(void)state;
	struct book b;
	struct stats stats = {.samples = 1,
	                      .target_cpu_ns = 18 * MS,
	                      .uncarried_ns = 8 * MS,
	                      .duration_ns = 1000 * MS,
	                      .lost[LOSS_LATE] = 2};
	open_book(&b, false);
	observe(&b, 1, 0xa, BY_PREEMPT, 10 * MS, 0);
	struct profile *first = cut(&b, &stats);
	assert_int_equal(first->total[0], 1);
	assert_int_equal(first->total[1], 10 * MS);
	assert_int_equal(first->meta.duration_ns, 1000 * MS);
	assert_int_equal(first->meta.lost, 2);
	observe(&b, 1, 0xb, BY_PREEMPT, 12 * MS, 0);
	b.sink.on_thread_end(b.sink.arg, 1, true, 3 * MS);
	stats = (struct stats){.samples = 2,
	                       .target_cpu_ns = 25 * MS,
	                       .duration_ns = 1700 * MS,
	                       .lost[LOSS_LATE] = 5};
	ledger_settle(b.ledger, &stats);
	assert_int_equal(ms_at(&b, 0xb, NULL), 15);
	assert_int_equal(b.profile->total[0], 1);
	assert_int_equal(b.profile->meta.duration_ns, 700 * MS);
	assert_int_equal(b.profile->meta.lost, 3);
	assert_int_equal(stats.profile_cpu_ns, 25 * MS);
	assert_int_equal(stats.not_sampled_ns, 0);
	profile_destroy(first);
	close_book(&b);
}

/* What ended threads used last is of the interval in which they ended. */
static void ended_threads_are_settled_at_the_cut(void **state)
{
	(void)state;
	struct book b;
	struct stats stats = {.target_cpu_ns = 50 * MS, .uncarried_ns = 4 * MS};
	open_book(&b, false);
	observe(&b, 1, 0xa, BY_PREEMPT, 10 * MS, 0);
	observe(&b, 2, 0xb, BY_PREEMPT, 5 * MS, 0);
	b.sink.on_thread_end(b.sink.arg, 2, false, 0);
	struct profile *first = cut(&b, &stats);
	struct book old = {.profile = first};
	assert_int_equal(ms_at(&old, 0xa, NULL), 10);
	assert_int_equal(ms_at(&old, 0xb, NULL), 15);
	assert_int_equal(not_sampled_ms(&old), 21);
	assert_int_equal(first->total[1], 46 * MS);
	stats.target_cpu_ns = 60 * MS;
	stats.uncarried_ns = 0;
	ledger_settle(b.ledger, &stats);
	assert_int_equal(first->total[1] + b.profile->total[1], 60 * MS);
	assert_int_equal(stats.not_sampled_ns, 35 * MS);
	profile_destroy(first);
	close_book(&b);
}

/* A thread that sleeps on through cuts is where it went to sleep, callers and all. */
static void sleepers_go_on_sleeping_in_the_next_profile(void **state)
{
	(void)state;
	struct book b;
	struct stats stats = {0};
	struct profile *old[5];
	open_book(&b, true);
	observe(&b, 1, 0xa, BY_ASLEEP, 0, 20 * MS);
	for (int i = 0; i < 5; i++) {
		b.sink.on_repeat(b.sink.arg, 1, 1, 10 * MS);
		old[i] = cut(&b, &stats);
		assert_int_equal(b.profile->n_nodes, 1); /* nothing is there before it is needed */
	}
	b.sink.on_repeat(b.sink.arg, 1, 1, 10 * MS);
	observe(&b, 1, 0xb, BY_PREEMPT, 5 * MS, 15 * MS); /* 10 ms of these it slept */
	ledger_settle(b.ledger, &stats);
	uint64_t samples = b.profile->total[0], wall = b.profile->total[1];
	for (int i = 0; i < 5; i++) {
		struct book one = {.profile = old[i]};
		assert_int_equal(ms_at(&one, 0xa, NULL), i ? 10 : 30);
		samples += old[i]->total[0];
		wall += old[i]->total[1];
		profile_destroy(old[i]);
	}
	assert_int_equal(ms_at(&b, 0xa, NULL), 20);
	assert_int_equal(wall, 95 * MS);
	assert_int_equal(stats.samples, samples);
	close_book(&b);
}

/* Less than a period at the end of one interval and the rest in the next are one sample. */
static void wall_samples_add_up_over_cuts(void **state)
{
	(void)state;
	struct book b;
	struct stats stats = {0};
	uint64_t samples = 0;
	open_book(&b, true);
	observe(&b, 1, 0xa, BY_ASLEEP, 0, MS);
	for (int i = 0; i < 33; i++) {
		b.sink.on_repeat(b.sink.arg, 1, 1, 3 * MS);
		struct profile *old = cut(&b, &stats);
		samples += old->total[0];
		profile_destroy(old);
	}
	assert_int_equal(samples, 100 * MS / PERIOD);
	close_book(&b);
}

/* Threads come and go for months: what is kept of them does not grow. */
static void ended_threads_are_forgotten(void **state)
{
	(void)state;
	struct book b;
	struct stats stats = {0};
	open_book(&b, false);
	size_t most[2] = {0};
	for (int i = 0; i < 3000; i++) {
		for (pid_t tid = 10; tid < 30; tid++) {
			pid_t number = tid + 20 * i;
			observe(&b, number, 0x1000 + (uint64_t)number, BY_PREEMPT, 10 * MS, 0);
			b.sink.on_thread_end(b.sink.arg, number, false, 0);
		}
		observe(&b, 1, 0xa + (uint64_t)i, BY_PREEMPT, MS, 0);
		stats.target_cpu_ns += 201 * MS;
		profile_destroy(cut(&b, &stats));
		size_t used = mallinfo2().uordblks;
		if (used > most[i >= 1500])
			most[i >= 1500] = used;
	}
	assert_in_range(most[1], 0, most[0] + 4096);
	close_book(&b);
}

static void names_come_in_parts(void **state)
{
	(void)state;
	struct book b;
	open_book(&b, false);
	struct images *images = images_create(b.strings);
	struct symbols *symbols = symbols_create(images, b.strings, NULL);
	struct decoder *decoder = decoder_create(b.strings, NATIVE_ALL, NULL, NULL);
	for (int i = 0; i < 10; i++)
		observe(&b, 1, 0x100 + (uint64_t)i, BY_PREEMPT, MS, 0);
	assert_false(ledger_name_some(b.ledger, symbols, decoder, 4));
	for (size_t i = 0; i < b.profile->n_locations; i++)
		assert_int_equal(b.profile->locations[i].n_frames > 0, i < 4);
	assert_true(ledger_name_some(b.ledger, symbols, decoder, 100));
	observe(&b, 1, 0x200, BY_PREEMPT, MS, 0);
	ledger_name(b.ledger, images, symbols, decoder);
	assert_string_equal(b.profile->locations[10].frames[0].function, "[anon]+0x200");
	struct stats stats = {0};
	profile_destroy(cut(&b, &stats));
	observe(&b, 1, 0x300, BY_PREEMPT, MS, 0);
	assert_true(ledger_name_some(b.ledger, symbols, decoder, 1));
	assert_string_equal(b.profile->locations[0].frames[0].function, "[anon]+0x300");
	decoder_destroy(decoder);
	symbols_destroy(symbols);
	images_destroy(images);
	close_book(&b);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	        cmocka_unit_test(live_threads_carry_over_what_they_have_used),
	        cmocka_unit_test(ended_threads_are_settled_at_the_cut),
	        cmocka_unit_test(sleepers_go_on_sleeping_in_the_next_profile),
	        cmocka_unit_test(wall_samples_add_up_over_cuts),
	        cmocka_unit_test(ended_threads_are_forgotten),
	        cmocka_unit_test(names_come_in_parts),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
