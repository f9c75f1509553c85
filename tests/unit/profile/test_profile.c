/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <csample/hash.h>
#include <csample/mem.h>
#include <csample/profile.h>

static struct strings *strings;
static struct profile *p;

static int setup(void **state)
{
	(void)state;
	strings = strings_create();
	p = profile_create(strings);
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	profile_destroy(p);
	strings_destroy(strings);
	return 0;
}

static struct raw_frame native(uint64_t addr)
{
	return (struct raw_frame){.kind = RAW_NATIVE, .owner = 1, .addr = addr};
}

/* Adds a stack of addresses, leaf first, as one sample of 10 ns. */
static uint32_t add(const uint64_t *addrs, size_t n)
{
	static const uint64_t values[PROFILE_VALUES] = {1, 10};
	_cleanup_free_ struct raw_frame *frames = mem_zalloc(n * sizeof(*frames));
	for (size_t i = 0; i < n; i++)
		frames[i] = native(addrs[i]);
	return profile_add(p, frames, n, values);
}

static void equal_stacks_meet(void **state)
{
	(void)state;
	uint32_t first = add((uint64_t[]){3, 2, 1}, 3);
	uint32_t other = add((uint64_t[]){4, 2, 1}, 3);
	assert_int_equal(add((uint64_t[]){3, 2, 1}, 3), first);
	assert_int_not_equal(first, other);
	assert_int_equal(p->n_nodes, 5); /* the root, 1, 1 2, 1 2 3, 1 2 4 */
	assert_int_equal(p->n_locations, 4);
	assert_int_equal(p->nodes[first].self[0], 2);
	assert_int_equal(p->nodes[first].self[1], 20);
	assert_int_equal(p->nodes[first].parent, p->nodes[other].parent);
	assert_int_equal(p->total[0], 3);
	assert_int_equal(p->total[1], 30);
	assert_int_equal(p->locations[p->nodes[first].location].raw.addr, 3);
}

/* A stack that is the caller's part of another has its values on an inner node. */
static void a_prefix_is_a_stack(void **state)
{
	(void)state;
	uint32_t leaf = add((uint64_t[]){2, 1}, 2), inner = add((uint64_t[]){1}, 1);
	assert_int_equal(p->nodes[leaf].parent, inner);
	assert_int_equal(p->nodes[inner].self[0], 1);
	assert_int_equal(add(NULL, 0), 0);
	assert_int_equal(p->nodes[0].self[0], 1);
	profile_add_to_node(p, inner, (uint64_t[PROFILE_VALUES]){0, 5});
	assert_int_equal(p->nodes[inner].self[0], 1);
	assert_int_equal(p->nodes[inner].self[1], 15);
	assert_int_equal(p->total[1], 35);
}

/* Each field of a raw frame tells places apart. */
static void raw_frames_differ_in_every_field(void **state)
{
	(void)state;
	struct raw_frame frames[6];
	for (size_t i = 0; i < ARRAY_SIZE(frames); i++)
		frames[i] = native(7);
	frames[1].flags = RAW_RETURN;
	frames[2].owner = 2;
	frames[3].addr = 8;
	frames[4].aux = 1;
	frames[5].kind = RAW_ANON;
	for (size_t i = 0; i < ARRAY_SIZE(frames); i++)
		profile_add(p, &frames[i], 1, (uint64_t[PROFILE_VALUES]){1, 1});
	assert_int_equal(p->n_locations, ARRAY_SIZE(frames));
}

/* Against the plainest model there is: the sum per leaf and length, over many random stacks. */
static void many_stacks(void **state)
{
	(void)state;
	enum { STACKS = 3000, DEPTH = 12, ROUNDS = 3 };
	uint32_t *leaves = mem_zalloc(STACKS * sizeof(*leaves));
	for (size_t round = 0; round < ROUNDS; round++) {
		for (uint64_t i = 0; i < STACKS; i++) {
			uint64_t addrs[DEPTH + 1];
			for (size_t d = 0; d < DEPTH; d++)
				addrs[d + 1] = hash_u64(i * DEPTH + d) % 5;
			addrs[0] = 1000 + i; /* so that each is a stack of its own */
			uint32_t leaf = add(addrs, DEPTH + 1);
			assert_true(!round || leaves[i] == leaf);
			leaves[i] = leaf;
		}
	}
	for (size_t i = 0; i < STACKS; i++)
		assert_int_equal(p->nodes[leaves[i]].self[0], ROUNDS);
	assert_int_equal(p->n_locations, STACKS + 5);
	assert_int_equal(p->total[0], STACKS * ROUNDS);
	for (uint32_t i = 1; i < p->n_nodes; i++)
		assert_true(p->nodes[i].parent < i);
	free(leaves);
}

static void deepest_stack(void **state)
{
	(void)state;
	uint64_t addrs[STACK_MAX_FRAMES];
	for (size_t i = 0; i < STACK_MAX_FRAMES; i++)
		addrs[i] = i % 3;
	uint32_t leaf = add(addrs, STACK_MAX_FRAMES);
	assert_int_equal(leaf, STACK_MAX_FRAMES);
	assert_int_equal(p->n_locations, 3);
}

/* A target that makes up ever new stacks costs no more memory, and no time is lost. */
static void full(void **state)
{
	(void)state;
	p->max_nodes = 100;
	uint32_t known = add((uint64_t[]){2, 1}, 2);
	for (uint64_t i = 0; i < 5000; i++)
		add((uint64_t[]){i + 10, i + 100000, 1}, 3);
	assert_in_range(p->n_nodes, 100, 102);
	assert_in_range(p->n_locations, 50, 102);
	assert_int_equal(p->total[0], 5001);
	assert_int_equal(add((uint64_t[]){2, 1}, 2), known);
	uint32_t rest = add((uint64_t[]){3, 4, 5}, 3);
	assert_int_equal(p->nodes[rest].parent, 0);
	assert_string_equal((char *)p->locations[p->nodes[rest].location].raw.aux,
	                    "[too many distinct stacks]");
}

struct namer {
	size_t calls, frames;
};

static size_t give_names(void *arg, const struct location *loc, struct frame *out, size_t max)
{
	struct namer *namer = arg;
	namer->calls++;
	assert_true(max >= 65); /* a function and all that may be inlined into it */
	for (size_t i = 0; i < namer->frames; i++)
		out[i] =
		        (struct frame){.kind = i ? FRAME_NATIVE : FRAME_INLINED,
		                       .function = loc->raw.addr == 2 ? NULL : intern(strings, "f"),
		                       .line = (uint32_t)(loc->raw.addr * 10 + i)};
	return namer->frames;
}

static void naming(void **state)
{
	(void)state;
	struct namer namer = {.frames = 2};
	add((uint64_t[]){2, 1}, 2);
	profile_name(p, give_names, &namer);
	assert_int_equal(namer.calls, 2);
	const struct location *one = &p->locations[0], *two = &p->locations[1];
	assert_int_equal(one->n_frames, 2);
	assert_int_equal(one->frames[0].kind, FRAME_INLINED);
	assert_int_equal(one->frames[1].line, 11);
	assert_string_equal(one->frames[0].function, "f");
	assert_string_equal(two->frames[0].function, "[unknown]"); /* never NULL */

	/* What is named stays so; what is new is asked for. */
	const struct frame *before = one->frames;
	namer.frames = 0;
	add((uint64_t[]){3, 1}, 2);
	profile_name(p, give_names, &namer);
	assert_int_equal(namer.calls, 3);
	assert_ptr_equal(p->locations[0].frames, before);
	assert_int_equal(p->locations[2].n_frames, 1);
	assert_string_equal(p->locations[2].frames[0].function, "[unknown]");
}

static void marks_name_themselves(void **state)
{
	(void)state;
	struct namer namer = {.frames = 1};
	struct raw_frame mark = {.kind = RAW_MARK,
	                         .aux = (uintptr_t)intern(strings, "[truncated]")};
	profile_add(p, &mark, 1, (uint64_t[PROFILE_VALUES]){1, 1});
	profile_name(p, give_names, &namer);
	assert_int_equal(namer.calls, 0);
	assert_int_equal(p->locations[0].frames[0].kind, FRAME_MARK);
	assert_string_equal(p->locations[0].frames[0].function, "[truncated]");
}

static void named_locations(void **state)
{
	(void)state;
	struct frame frame = {.kind = FRAME_PYTHON, .function = intern(strings, "run"), .line = 3};
	struct location loc = {.n_frames = 1, .frames = &frame, .address = 0x1234, .mapping = 1};
	uint32_t a = profile_add_location(p, &loc), b = profile_add_location(p, &loc);
	assert_int_not_equal(a, b); /* without a raw frame each is a new one */
	loc.raw = native(9);
	uint32_t c = profile_add_location(p, &loc);
	frame.line = 4; /* copied */
	assert_int_equal(profile_add_location(p, &loc), c);
	assert_int_equal(p->locations[c].frames[0].line, 3);
	assert_int_equal(p->locations[c].address, 0x1234);
	assert_int_equal(p->locations[c].mapping, 1);
	uint32_t node = profile_child(p, profile_child(p, 0, a), c);
	assert_int_equal(profile_child(p, profile_child(p, 0, a), c), node);
	assert_int_equal(p->n_nodes, 3);
	/* A sample of the same raw frame finds it, names and all. */
	add((uint64_t[]){9}, 1);
	assert_int_equal(p->n_locations, 3);
}

static void mappings(void **state)
{
	(void)state;
	struct profile_mapping m = {.start = 0x1000,
	                            .limit = 0x2000,
	                            .file = intern(strings, "/bin/a"),
	                            .build_id = intern(strings, "ab")};
	assert_int_equal(profile_mapping(p, &m), 1);
	m.limit = 0x3000;
	m.has_lines = true;
	assert_int_equal(profile_mapping(p, &m), 1);
	assert_int_equal(p->mappings[0].limit, 0x3000);
	assert_true(p->mappings[0].has_lines);
	m.has_lines = false;
	m.limit = 0x1800;
	assert_int_equal(profile_mapping(p, &m), 1);
	assert_int_equal(p->mappings[0].limit, 0x3000);
	assert_true(p->mappings[0].has_lines);
	for (uint64_t i = 0; i < 1000; i++) {
		m.start = 0x10000 * (i + 1);
		assert_int_equal(profile_mapping(p, &m), i + 2);
	}
	m.build_id = NULL;
	assert_int_equal(profile_mapping(p, &m), 1002);
	assert_int_equal(p->n_mappings, 1002);
}

static void samples_have_a_limit(void **state)
{
	(void)state;
	struct profile_sample sample = {.values = {1, 10}};
	profile_add_sample(p, &sample); /* nobody asked for them */
	assert_int_equal(p->n_samples, 0);
	assert_int_equal(p->n_samples_lost, 1);
	p->max_samples = 1000;
	for (uint64_t i = 0; i < 1500; i++) {
		sample.time_ns = i;
		sample.thread =
		        profile_add_thread(p, &(struct profile_thread){.tid = (int32_t)i + 1});
		profile_add_sample(p, &sample);
	}
	assert_int_equal(p->n_samples, 1000);
	assert_int_equal(p->n_samples_lost, 501);
	for (size_t i = 0; i < 1000; i++)
		assert_int_equal(p->threads[p->samples[i].thread].tid, p->samples[i].time_ns + 1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	        cmocka_unit_test_setup_teardown(equal_stacks_meet, setup, teardown),
	        cmocka_unit_test_setup_teardown(a_prefix_is_a_stack, setup, teardown),
	        cmocka_unit_test_setup_teardown(raw_frames_differ_in_every_field, setup, teardown),
	        cmocka_unit_test_setup_teardown(many_stacks, setup, teardown),
	        cmocka_unit_test_setup_teardown(deepest_stack, setup, teardown),
	        cmocka_unit_test_setup_teardown(full, setup, teardown),
	        cmocka_unit_test_setup_teardown(naming, setup, teardown),
	        cmocka_unit_test_setup_teardown(marks_name_themselves, setup, teardown),
	        cmocka_unit_test_setup_teardown(named_locations, setup, teardown),
	        cmocka_unit_test_setup_teardown(mappings, setup, teardown),
	        cmocka_unit_test_setup_teardown(samples_have_a_limit, setup, teardown),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
