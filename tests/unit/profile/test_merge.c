/* SPDX-License-Identifier: Apache-2.0 */
/* Profiles of several runs in one. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <csample/mem.h>
#include <csample/profile.h>

/* A run: its address space begins at base, its image ids at owner. */
struct run {
	struct strings *strings;
	struct profile *p;
	uint64_t base;
	uint32_t owner, mapping;
};

static struct strings *strings;
static struct profile *into;

static int setup(void **state)
{
	(void)state;
	strings = strings_create();
	into = profile_create(strings);
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	profile_destroy(into);
	strings_destroy(strings);
	return 0;
}

static struct run run_begin(uint64_t base, uint32_t owner, const char *build_id)
{
	struct run r = {.strings = strings_create(), .base = base, .owner = owner};
	r.p = profile_create(r.strings);
	struct profile_mapping m = {.start = base,
	                            .limit = base + 0x1000,
	                            .file = intern(r.strings, "/bin/app"),
	                            .build_id = intern(r.strings, build_id)};
	r.mapping = profile_mapping(r.p, &m);
	return r;
}

/* What a merge left must not point there. */
static void run_end(struct run *r)
{
	profile_destroy(r->p);
	strings_destroy(r->strings);
}

static uint32_t call(struct run *r, uint32_t parent, uint64_t offset, const char *name)
{
	struct frame f = {.kind = FRAME_NATIVE, .function = intern(r->strings, name)};
	struct location loc = {.raw = {.kind = RAW_NATIVE, .owner = r->owner, .addr = offset},
	                       .mapping = r->mapping,
	                       .address = r->base + offset,
	                       .n_frames = 1,
	                       .frames = &f};
	return profile_child(r->p, parent, profile_add_location(r->p, &loc));
}

static uint32_t script(struct run *r, uint32_t parent, const char *name, uint32_t line)
{
	struct frame f = {.kind = FRAME_PYTHON,
	                  .function = intern(r->strings, name),
	                  .file = intern(r->strings, "/srv/app.py"),
	                  .line = line};
	struct location loc = {.raw = {.kind = RAW_RUNTIME, .addr = r->base, .aux = line},
	                       .address = r->base,
	                       .n_frames = 1,
	                       .frames = &f};
	return profile_child(r->p, parent, profile_add_location(r->p, &loc));
}

static uint32_t thread(struct run *r, uint32_t tid, const char *name)
{
	struct frame f = {.kind = FRAME_MARK, .function = intern(r->strings, name)};
	struct location loc = {.raw = {.kind = RAW_THREAD,
	                               .owner = tid,
	                               .aux = (uintptr_t)intern(r->strings, name)},
	                       .n_frames = 1,
	                       .frames = &f};
	return profile_child(r->p, 0, profile_add_location(r->p, &loc));
}

static void count(struct run *r, uint32_t node, uint64_t samples)
{
	profile_add_to_node(r->p, node, (uint64_t[PROFILE_VALUES]){samples, samples * 10});
}

static void merge(struct run *r)
{
	profile_merge(into, r->p, NULL, 0);
	run_end(r);
}

/* "main;work 3" for each node with a value, in the order of nodes, joined by commas. */
static const char *text(const struct profile *p)
{
	static char all[1024];
	all[0] = '\0';
	for (uint32_t i = 0; i < p->n_nodes; i++) {
		char stack[256] = "", longer[256];
		if (!p->nodes[i].self[0] && !p->nodes[i].self[1])
			continue;
		assert_int_equal(p->nodes[i].self[1], p->nodes[i].self[0] * 10);
		for (uint32_t n = i; n; n = p->nodes[n].parent) {
			const struct location *loc = &p->locations[p->nodes[n].location];
			assert_true(p->nodes[n].parent < n);
			assert_true(loc->n_frames > 0);
			int len = snprintf(longer, sizeof(longer), "%s%s%s",
			                   loc->frames[0].function, stack[0] ? ";" : "", stack);
			assert_in_range(len, 1, sizeof(longer) - 1);
			memcpy(stack, longer, sizeof(stack));
		}
		size_t used = strlen(all);
		snprintf(all + used, sizeof(all) - used, "%s%s %llu", used ? ", " : "", stack,
		         (unsigned long long)p->nodes[i].self[0]);
	}
	return all;
}

static void equal_stacks_meet_whichever_address_space(void **state)
{
	(void)state;
	struct run a = run_begin(0x55550000, 1, "aa"), b = run_begin(0x7fff0000, 9, "aa");
	uint32_t main_a = call(&a, 0, 0x10, "main"), main_b = call(&b, 0, 0x10, "main");
	count(&a, script(&a, main_a, "work", 7), 3);
	count(&b, script(&b, main_b, "work", 7), 4);
	count(&b, script(&b, main_b, "work", 8), 1);
	count(&a, call(&a, main_a, 0x20, "idle"), 2);
	merge(&a);
	merge(&b);
	assert_string_equal(text(into), "main;work 7, main;idle 2, main;work 1");
	assert_int_equal(into->n_mappings, 1);
	assert_int_equal(into->total[0], 10);
	assert_int_equal(into->total[1], 100);
	/* In the first one's addresses, with nothing of its run. */
	const struct location *loc = &into->locations[into->nodes[1].location];
	assert_int_equal(loc->address, 0x55550010);
	assert_int_equal(loc->raw.kind, 0);
}

static void another_build_or_name_is_another_place(void **state)
{
	(void)state;
	static const char *const ids[] = {"aa", "bb", NULL, "aa"};
	for (size_t i = 0; i < ARRAY_SIZE(ids); i++) {
		struct run r = run_begin(0x1000 * (i + 1), 1, ids[i]);
		count(&r, call(&r, 0, 0x10, i < 3 ? "f" : "g"), 1);
		merge(&r);
	}
	assert_string_equal(text(into), "f 1, f 1, f 1, g 1");
	assert_int_equal(into->n_mappings, 3);
}

static void threads_stay_threads(void **state)
{
	(void)state;
	for (int i = 0; i < 2; i++) {
		struct run r = run_begin(0x1000 * ((uint64_t)i + 1), 1, "aa");
		count(&r, call(&r, thread(&r, 11, "worker"), 0x10, "f"), 1);
		count(&r, call(&r, thread(&r, 12 + (uint32_t)i, "worker"), 0x10, "f"), 1);
		merge(&r);
	}
	assert_string_equal(text(into), "worker;f 2, worker;f 1, worker;f 1");
	const struct location *loc = &into->locations[into->nodes[1].location];
	assert_int_equal(loc->raw.kind, RAW_THREAD);
	assert_int_equal(loc->raw.owner, 11);
	assert_ptr_equal((const char *)loc->raw.aux, intern(strings, "worker"));
}

static void what_was_counted_before_does_not_count(void **state)
{
	(void)state;
	struct run r = run_begin(0x1000, 1, "aa");
	uint32_t f = call(&r, 0, 0x10, "f"), g = call(&r, f, 0x20, "g"), h = call(&r, 0, 0x30, "h");
	count(&r, 0, 2);
	count(&r, f, 5);
	count(&r, g, 1);
	uint64_t baseline[3][PROFILE_VALUES] = {{1, 10}, {3, 30}, {1, 10}};
	assert_true(g == 2 && h == 3);
	count(&r, h, 4);
	profile_merge(into, r.p, baseline, 3);
	assert_string_equal(text(into), " 1, f 2, h 4");
	assert_int_equal(into->n_nodes, 3); /* g did not gain anything */
	run_end(&r);
}

static void below_a_node(void **state)
{
	(void)state;
	struct frame name = {.kind = FRAME_MARK, .function = intern(strings, "version=1")};
	struct location loc = {.n_frames = 1, .frames = &name};
	uint32_t root = profile_child(into, 0, profile_add_location(into, &loc));
	struct run r = run_begin(0x1000, 1, "aa");
	count(&r, call(&r, 0, 0x10, "f"), 1);
	count(&r, 0, 2);
	profile_merge_below(into, root, r.p, NULL, 0);
	merge(&r);
	assert_string_equal(text(into), " 2, version=1 2, version=1;f 1, f 1");
}

static void full(void **state)
{
	(void)state;
	into->max_nodes = 3;
	struct run r = run_begin(0x1000, 1, "aa");
	uint32_t f = call(&r, 0, 0x10, "f"), g = call(&r, f, 0x20, "g");
	count(&r, g, 1);
	count(&r, call(&r, call(&r, f, 0x30, "h"), 0x40, "i"), 2);
	count(&r, f, 4);
	profile_merge(into, r.p, NULL, 0);
	merge(&r);
	assert_string_equal(text(into), "f 8, f;g 2, [too many distinct stacks] 4");
	assert_int_equal(into->total[0], 14);
}

static void facts_of_both(void **state)
{
	(void)state;
	for (int i = 0; i < 3; i++) {
		struct run r = run_begin(0x1000, 1, "aa");
		struct profile_meta *m = &r.p->meta;
		m->command = intern(r.strings, i ? "second" : "first");
		m->event = i ? "wall" : "cpu";
		m->note = i ? intern(r.strings, "slow") : NULL;
		m->pid = 10 + i;
		m->rate_hz = 100 - i;
		m->start_unix_ns = 1000 - 100 * i;
		m->duration_ns = 50;
		m->lost = 2;
		merge(&r);
	}
	const struct profile_meta *m = &into->meta;
	assert_string_equal(m->command, "first");
	assert_string_equal(m->event, "cpu");
	assert_string_equal(m->note, "slow");
	assert_int_equal(m->pid, 10);
	assert_true(m->rate_hz == 100);
	assert_int_equal(m->start_unix_ns, 800);
	assert_int_equal(m->duration_ns, 150);
	assert_int_equal(m->lost, 6);
}

/* What is in the profile before, by other ways, is found as well. */
static void stacks_that_were_there(void **state)
{
	(void)state;
	for (int i = 0; i < 3; i++) {
		struct run own = {.strings = strings, .p = into, .base = 0x9000, .owner = 1};
		struct profile_mapping m = {.start = 0x9000,
		                            .limit = 0xa000,
		                            .file = intern(strings, "/bin/app"),
		                            .build_id = intern(strings, "aa")};
		own.mapping = profile_mapping(into, &m);
		count(&own, call(&own, 0, 0x10 * (uint64_t)i, "f"), 1);
		struct run r = run_begin(0x1000, 1, "aa");
		count(&r, call(&r, 0, 0x10 * (uint64_t)i, "f"), 1);
		merge(&r);
	}
	assert_string_equal(text(into), "f 2, f 2, f 2");
	assert_int_equal(into->n_mappings, 1);
}

int main(void)
{
#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
	const struct CMUnitTest tests[] = {
	        TEST(equal_stacks_meet_whichever_address_space),
	        TEST(another_build_or_name_is_another_place),
	        TEST(threads_stay_threads),
	        TEST(what_was_counted_before_does_not_count),
	        TEST(below_a_node),
	        TEST(full),
	        TEST(facts_of_both),
	        TEST(stacks_that_were_there),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
