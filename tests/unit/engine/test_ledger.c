/* SPDX-License-Identifier: Apache-2.0 */
/* Each nanosecond on exactly one stack. */
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

static void open_book(struct book *b, bool wall, bool threads)
{
	struct ledger_config config = {.wall = wall, .threads = threads, .period_ns = PERIOD};
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

static void cpu_time_goes_where_it_was_seen(void **state)
{
	(void)state;
	struct book b;
	struct stats stats = {.target_cpu_ns = 45 * MS};
	open_book(&b, false, false);
	observe(&b, 1, 0xa, BY_PREEMPT, 10 * MS, 0);
	observe(&b, 1, 0xb, BY_PREEMPT, 30 * MS, 0);       /* ticks were lost: their time is not */
	b.sink.on_thread_end(b.sink.arg, 1, true, 5 * MS); /* since its last snapshot */
	ledger_settle(b.ledger, &stats);
	assert_int_equal(ms_at(&b, 0xa, NULL), 10);
	assert_int_equal(ms_at(&b, 0xb, NULL), 35);
	assert_int_equal(b.profile->total[1], 45 * MS);
	assert_int_equal(stats.profile_cpu_ns, 45 * MS);
	assert_int_equal(stats.not_sampled_ns, 0);
	close_book(&b);
}

static void what_no_stack_carried_is_shown(void **state)
{
	(void)state;
	struct book b;
	struct stats stats = {.target_cpu_ns = 100 * MS};
	open_book(&b, false, false);
	observe(&b, 1, 0xa, BY_PREEMPT, 10 * MS, 0);
	ledger_settle(b.ledger, &stats);
	assert_int_equal(not_sampled_ms(&b), 90);
	assert_int_equal(b.profile->total[1], 100 * MS);
	close_book(&b);
}

static void ended_threads_get_a_period_at_most(void **state)
{
	(void)state;
	struct book b;
	struct stats stats = {.target_cpu_ns = 50 * MS};
	open_book(&b, false, false);
	observe(&b, 1, 0xa, BY_PREEMPT, 2 * MS, 0);
	b.sink.on_thread_end(b.sink.arg, 1, false, 0);
	observe(&b, 1, 0xb, BY_PREEMPT, 3 * MS, 0); /* another thread of the same number */
	b.sink.on_thread_end(b.sink.arg, 1, false, 0);
	b.sink.on_thread_end(b.sink.arg, 2, false, 0); /* never seen */
	ledger_settle(b.ledger, &stats);
	assert_int_equal(ms_at(&b, 0xa, NULL), 12);
	assert_int_equal(ms_at(&b, 0xb, NULL), 13);
	assert_int_equal(not_sampled_ms(&b), 25);
	close_book(&b);
}

static void observe_lock(struct book *b, uint64_t pc, enum captured_by by, uint64_t wall_ns,
                         bool holds_lock)
{
	struct raw_frame frame = {.kind = RAW_ANON, .addr = pc};
	uint64_t cfa = 0;
	struct stack stack = {.frames = &frame, .cfas = &cfa, .n = 1, .cap = 1, .end = STACK_ROOT};
	struct snapshot snap = {.tid = 1, .by = by, .cpu_ns = 10 * MS, .wall_ns = wall_ns};
	b->sink.on_stack(b->sink.arg, &snap, &stack, &(struct decoded){.holds_lock = holds_lock});
}

/* What a thread does without the lock is not in the profile, neither as its own stack nor as
 * someone's share of the rest. */
static void only_who_holds_the_lock(void **state)
{
	(void)state;
	struct book b;
	struct stats stats = {.target_cpu_ns = 200 * MS, .samples = 3};
	struct ledger_config config = {.lock_only = true, .period_ns = PERIOD};
	open_book_as(&b, &config);
	observe_lock(&b, 0xa, BY_PREEMPT, 0, true);
	observe_lock(&b, 0xb, BY_PREEMPT, 0, false);
	observe_lock(&b, 0xa, BY_PREEMPT, 0, true);
	b.sink.on_thread_end(b.sink.arg, 1, true, 5 * MS);
	ledger_settle(b.ledger, &stats);
	assert_int_equal(ms_at(&b, 0xa, NULL), 20);
	assert_int_equal(ms_at(&b, 0xb, NULL), 0);
	assert_int_equal(b.profile->total[1], 20 * MS);
	assert_int_equal(stats.samples, 2);
	assert_int_equal(stats.profile_cpu_ns, 20 * MS);
	assert_int_equal(stats.not_sampled_ns, 0);
	close_book(&b);
}

static void only_who_sleeps_with_the_lock(void **state)
{
	(void)state;
	struct book b;
	struct ledger_config config = {.lock_only = true, .wall = true, .period_ns = PERIOD};
	open_book_as(&b, &config);
	observe_lock(&b, 0xa, BY_ASLEEP, 20 * MS, true);
	b.sink.on_repeat(b.sink.arg, 1, 1, 10 * MS); /* sleeps on, as it was */
	observe_lock(&b, 0xb, BY_ASLEEP, 40 * MS, false);
	b.sink.on_repeat(b.sink.arg, 1, 1, 10 * MS);
	assert_int_equal(ms_at(&b, 0xa, NULL), 30);
	assert_int_equal(b.profile->total[1], 30 * MS);
	close_book(&b);
}

static bool known_name;
static bool runtime_name(struct runtime *rt, pid_t tid, char *buf, size_t len)
{
	(void)rt;
	snprintf(buf, len, "Worker-%d", (int)tid);
	return known_name;
}

/* A thread's root has the name its runtime gave it, from when that is known. */
static void threads_are_named_by_their_runtime(void **state)
{
	(void)state;
	static const struct runtime_ops ops = {.name = "test", .thread_name = runtime_name};
	struct runtime rt = {.ops = &ops};
	struct decoded decoded = {.runtime = &rt};
	struct raw_frame frame = {.kind = RAW_ANON, .addr = 1};
	uint64_t cfa = 0;
	struct stack stack = {.frames = &frame, .cfas = &cfa, .n = 1, .cap = 1, .end = STACK_ROOT};
	struct snapshot snap = {.tid = 7, .by = BY_PREEMPT, .cpu_ns = MS};
	struct book b;
	open_book(&b, false, true);
	for (int i = 0; i < 3; i++) {
		known_name = i == 1;
		b.sink.on_stack(b.sink.arg, &snap, &stack, &decoded);
	}
	const char *names[3] = {0};
	size_t n = 0;
	for (size_t i = 0; i < b.profile->n_locations; i++)
		if (b.profile->locations[i].raw.kind == RAW_THREAD && n < 3)
			names[n++] = (const char *)(uintptr_t)b.profile->locations[i].raw.aux;
	assert_int_equal(n, 2);
	assert_string_equal(names[0], "prog");
	assert_string_equal(names[1], "Worker-7");
	close_book(&b);
}

/* Deeper than unwinding goes: a runtime's frames. */
static void deep_stacks_fit(void **state)
{
	(void)state;
	enum { N = 3 * STACK_MAX_FRAMES };
	static struct raw_frame frames[N];
	static uint64_t cfas[N];
	for (size_t i = 0; i < N; i++)
		frames[i] = (struct raw_frame){.kind = RAW_ANON, .addr = i + 1};
	struct stack stack = {frames, cfas, N, N, STACK_SHORT};
	struct snapshot snap = {.tid = 7, .by = BY_PREEMPT, .cpu_ns = MS};
	struct book b;
	open_book(&b, false, true);
	b.sink.on_stack(b.sink.arg, &snap, &stack, &(struct decoded){0});
	assert_int_equal(b.profile->n_nodes, 1 + N + 2);
	close_book(&b);
}

static void an_empty_profile_stays_empty(void **state)
{
	(void)state;
	struct book b;
	struct stats stats = {.target_cpu_ns = 50 * MS};
	open_book(&b, false, false);
	ledger_settle(b.ledger, &stats);
	assert_int_equal(b.profile->n_nodes, 1);
	assert_int_equal(b.profile->total[1], 0);
	close_book(&b);
}

static void wall_time_is_split_by_what_the_scheduler_says(void **state)
{
	(void)state;
	struct book b;
	struct stats stats = {0};
	uint64_t samples;
	open_book(&b, true, false);
	observe(&b, 1, 0xa, BY_PREEMPT, 10 * MS, 10 * MS);
	observe(&b, 1, 0xb, BY_ASLEEP, 4 * MS, 20 * MS);  /* it ran 4 ms of these, at 0xa */
	b.sink.on_repeat(b.sink.arg, 1, 3, 30 * MS);      /* and slept on */
	observe(&b, 1, 0xc, BY_PREEMPT, 5 * MS, 15 * MS); /* 10 ms of these it slept, at 0xb */
	ledger_settle(b.ledger, &stats);
	assert_int_equal(ms_at(&b, 0xa, NULL), 14);
	assert_int_equal(ms_at(&b, 0xb, &samples), 16 + 30 + 10);
	assert_int_equal(samples, 5);
	assert_int_equal(ms_at(&b, 0xc, NULL), 5);
	assert_int_equal(b.profile->total[1], 75 * MS);
	assert_int_equal(stats.samples, b.profile->total[0]);
	close_book(&b);
}

static void open_timeline(struct book *b, bool wall)
{
	struct ledger_config config = {.wall = wall, .timeline = true, .period_ns = PERIOD};
	open_book_as(b, &config);
	b->profile->meta.start_ns = 100 * MS;
}

static void observe_at(struct book *b, uint64_t at_ns, pid_t tid, uint64_t pc, enum captured_by by,
                       uint64_t cpu_ns, uint64_t wall_ns)
{
	struct raw_frame frame = {.kind = RAW_ANON, .addr = pc};
	uint64_t cfa = 0;
	struct stack stack = {.frames = &frame, .cfas = &cfa, .n = 1, .cap = 1, .end = STACK_ROOT};
	struct snapshot snap = {
	        .tid = tid, .by = by, .time_ns = at_ns, .cpu_ns = cpu_ns, .wall_ns = wall_ns};
	b->sink.on_stack(b->sink.arg, &snap, &stack, &(struct decoded){0});
}

/* The i-th sample: its end and time in ms, its place and thread. */
static void assert_sample(const struct book *b, size_t i, uint64_t end_ms, uint64_t pc, uint64_t ms,
                          uint32_t thread)
{
	assert_true(i < b->profile->n_samples);
	const struct profile_sample *s = &b->profile->samples[i];
	const struct profile_node *node = &b->profile->nodes[s->node];
	assert_int_equal(s->time_ns / MS, end_ms);
	assert_int_equal(b->profile->locations[node->location].raw.addr, pc);
	assert_int_equal(s->values[1] / MS, ms);
	assert_int_equal(s->thread, thread);
}

static void samples_keep_their_times(void **state)
{
	(void)state;
	struct book b;
	open_timeline(&b, false);
	observe_at(&b, 110 * MS, 1, 0xa, BY_PREEMPT, 10 * MS, 0);
	observe_at(&b, 90 * MS, 2, 0xb, BY_PREEMPT, 3 * MS, 0); /* before the beginning: at it */
	observe_at(&b, 115 * MS, 2, 0xb, BY_PREEMPT, 3 * MS, 0);
	b.sink.on_thread_end(b.sink.arg, 1, true, 5 * MS);
	b.sink.on_thread_end(b.sink.arg, 2, false, 0);
	observe_at(&b, 150 * MS, 2, 0xb, BY_PREEMPT, MS, 0); /* it was still on its way */
	assert_int_equal(b.profile->n_samples, 5);
	assert_sample(&b, 0, 10, 0xa, 10, 0);
	assert_sample(&b, 1, 0, 0xb, 3, 1);
	assert_sample(&b, 2, 15, 0xb, 3, 1);
	assert_sample(&b, 3, 15, 0xa, 5, 0);
	assert_sample(&b, 4, 50, 0xb, 1, 1);
	assert_int_equal(b.profile->n_threads, 2);
	assert_int_equal(b.profile->threads[1].tid, 2);
	assert_string_equal(b.profile->threads[1].name, "prog");
	assert_string_equal(b.profile->threads[1].process, "prog");
	close_book(&b);
}

/* What ran and what slept of the same time follow one another. */
static void wall_samples_follow_one_another(void **state)
{
	(void)state;
	struct book b;
	open_timeline(&b, true);
	observe_at(&b, 110 * MS, 1, 0xa, BY_PREEMPT, 10 * MS, 10 * MS);
	observe_at(&b, 130 * MS, 1, 0xb, BY_ASLEEP, 4 * MS, 20 * MS);
	b.sink.on_repeat(b.sink.arg, 1, 3, 30 * MS);
	observe_at(&b, 175 * MS, 1, 0xc, BY_PREEMPT, 5 * MS, 15 * MS);
	assert_int_equal(b.profile->n_samples, 6);
	assert_sample(&b, 0, 10, 0xa, 10, 0);
	assert_sample(&b, 1, 14, 0xa, 4, 0);
	assert_sample(&b, 2, 30, 0xb, 16, 0);
	assert_sample(&b, 3, 60, 0xb, 30, 0);
	assert_sample(&b, 4, 70, 0xb, 10, 0);
	assert_sample(&b, 5, 75, 0xc, 5, 0);
	close_book(&b);
}

static void without_a_timeline_no_times(void **state)
{
	(void)state;
	struct book b;
	open_book(&b, false, false);
	observe_at(&b, 110 * MS, 1, 0xa, BY_PREEMPT, 10 * MS, 0);
	assert_int_equal(b.profile->n_samples + b.profile->n_threads, 0);
	assert_int_equal(b.profile->n_samples_lost, 0);
	close_book(&b);
}

static void cut_stacks_and_threads_are_marked(void **state)
{
	(void)state;
	struct book b;
	open_book(&b, false, true);
	struct raw_frame frame = {.kind = RAW_ANON, .addr = 0xa};
	uint64_t cfa = 0;
	struct stack stack = {.frames = &frame, .cfas = &cfa, .n = 1, .cap = 1, .end = STACK_SHORT};
	struct snapshot snap = {.tid = 9, .by = BY_PREEMPT, .cpu_ns = MS};
	b.sink.on_stack(b.sink.arg, &snap, &stack, &(struct decoded){0});
	/* thread root, mark, leaf: parents come first */
	assert_int_equal(b.profile->n_nodes, 4);
	const struct location *locs = b.profile->locations;
	const struct profile_node *nodes = b.profile->nodes;
	assert_int_equal(locs[nodes[1].location].raw.kind, RAW_THREAD);
	assert_int_equal(locs[nodes[1].location].raw.owner, 9);
	assert_string_equal((const char *)(uintptr_t)locs[nodes[2].location].raw.aux,
	                    "[truncated]");
	assert_int_equal(nodes[3].self[1], MS);
	close_book(&b);
}

static void processes_are_roots_by_their_program(void **state)
{
	(void)state;
	struct book b;
	open_book(&b, false, true);
	ledger_destroy(b.ledger);
	struct ledger_config config = {.processes = true, .threads = true, .period_ns = PERIOD};
	b.ledger = ledger_create(b.profile, &config);
	b.sink = ledger_sink(b.ledger);
	struct target other = {.pid = 5, .proc_fd = -1, .name = "sh"};
	b.sink.on_process(b.sink.arg, &b.target);
	b.sink.on_process(b.sink.arg, &other);
	struct raw_frame frame = {.kind = RAW_ANON, .addr = 0xa};
	uint64_t cfa = 0;
	struct stack stack = {.frames = &frame, .cfas = &cfa, .n = 1, .cap = 1, .end = STACK_ROOT};
	struct snapshot snap = {.pid = 5, .tid = 5, .by = BY_PREEMPT, .cpu_ns = MS};
	b.sink.on_stack(b.sink.arg, &snap, &stack, &(struct decoded){0});
	snprintf(other.name, sizeof(other.name), "cat"); /* it execs */
	b.sink.on_process(b.sink.arg, &other);
	b.sink.on_stack(b.sink.arg, &snap, &stack, &(struct decoded){0});
	b.sink.on_process_end(b.sink.arg, &other);
	const struct location *locs = b.profile->locations;
	const char *names[2];
	size_t n = 0;
	for (size_t i = 1; i < b.profile->n_nodes; i++) {
		const struct raw_frame *raw = &locs[b.profile->nodes[i].location].raw;
		assert_int_equal(b.profile->nodes[i].parent == 0, raw->kind == RAW_PROCESS);
		if (raw->kind != RAW_PROCESS)
			continue;
		assert_int_equal(raw->owner, 5);
		assert_true(n < 2);
		names[n++] = (const char *)(uintptr_t)raw->aux;
	}
	assert_int_equal(n, 2);
	assert_string_equal(names[0], "sh");
	assert_string_equal(names[1], "cat");
	close_book(&b);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	        cmocka_unit_test(samples_keep_their_times),
	        cmocka_unit_test(wall_samples_follow_one_another),
	        cmocka_unit_test(without_a_timeline_no_times),
	        cmocka_unit_test(cpu_time_goes_where_it_was_seen),
	        cmocka_unit_test(what_no_stack_carried_is_shown),
	        cmocka_unit_test(ended_threads_get_a_period_at_most),
	        cmocka_unit_test(only_who_holds_the_lock),
	        cmocka_unit_test(only_who_sleeps_with_the_lock),
	        cmocka_unit_test(threads_are_named_by_their_runtime),
	        cmocka_unit_test(deep_stacks_fit),
	        cmocka_unit_test(an_empty_profile_stays_empty),
	        cmocka_unit_test(wall_time_is_split_by_what_the_scheduler_says),
	        cmocka_unit_test(cut_stacks_and_threads_are_marked),
	        cmocka_unit_test(processes_are_roots_by_their_program),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
