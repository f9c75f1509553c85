/* SPDX-License-Identifier: Apache-2.0 */
/* What is written is read back by zlib and protobuf-c. What go tool pprof thinks of it: tests/e2e.
 */
#include <profile.pb-c.h>
#include <zlib.h>

#include "shape.h"

typedef Perftools__Profiles__Profile Profile;

static Profile *read_back(void)
{
	size_t len;
	_cleanup_free_ char *gz = written("pprof", (struct emit_options){0}, &len);
	size_t cap = 64 * len + (1 << 20);
	_cleanup_free_ uint8_t *plain = mem_alloc(cap);
	z_stream z = {.next_in = (uint8_t *)gz,
	              .avail_in = (uInt)len,
	              .next_out = plain,
	              .avail_out = (uInt)cap};
	assert_int_equal(inflateInit2(&z, 15 + 16), Z_OK);
	assert_int_equal(inflate(&z, Z_FINISH), Z_STREAM_END);
	assert_int_equal(z.avail_in, 0); /* one member, nothing behind it */
	size_t n = z.total_out;
	inflateEnd(&z);
	Profile *pb = perftools__profiles__profile__unpack(NULL, n, plain);
	assert_non_null(pb);
	return pb;
}

static void release(Profile *pb)
{
	perftools__profiles__profile__free_unpacked(pb, NULL);
}

static const char *str(const Profile *pb, int64_t index)
{
	assert_in_range(index, 0, pb->n_string_table - 1);
	return pb->string_table[index];
}

/* Ids are dense and in order, and every reference leads somewhere: what the strictest reader wants.
 */
static void check(const Profile *pb)
{
	assert_string_equal(pb->string_table[0], "");
	for (size_t i = 0; i < pb->n_mapping; i++)
		assert_int_equal(pb->mapping[i]->id, i + 1);
	for (size_t i = 0; i < pb->n_function; i++) {
		assert_int_equal(pb->function[i]->id, i + 1);
		assert_string_not_equal(str(pb, pb->function[i]->name), "");
		str(pb, pb->function[i]->filename);
	}
	for (size_t i = 0; i < pb->n_location; i++) {
		assert_int_equal(pb->location[i]->id, i + 1);
		assert_in_range(pb->location[i]->mapping_id, 0, pb->n_mapping);
		assert_true(pb->location[i]->n_line > 0);
		for (size_t k = 0; k < pb->location[i]->n_line; k++)
			assert_in_range(pb->location[i]->line[k]->function_id, 1, pb->n_function);
	}
	for (size_t i = 0; i < pb->n_sample; i++) {
		assert_int_equal(pb->sample[i]->n_value, pb->n_sample_type);
		assert_true(pb->sample[i]->n_location_id > 0);
		for (size_t k = 0; k < pb->sample[i]->n_location_id; k++)
			assert_in_range(pb->sample[i]->location_id[k], 1, pb->n_location);
	}
}

static const char *function_of(const Profile *pb, uint64_t location, size_t line)
{
	uint64_t id = pb->location[location - 1]->line[line]->function_id;
	return str(pb, pb->function[id - 1]->name);
}

static void stacks_leaf_first_inlined_innermost_first(void **state)
{
	(void)state;
	struct profile_mapping m = {.start = 0x400000,
	                            .limit = 0x500000,
	                            .offset = 0x1000,
	                            .file = intern(strings, "/bin/app"),
	                            .build_id = intern(strings, "abcdef"),
	                            .has_functions = true,
	                            .has_lines = true};
	assert_int_equal(profile_mapping(p, &m), 1);
	uint32_t main = CALL(0, 0x401000, {.function = "main", .file = "/m.c", .line = 7});
	uint32_t leaf = CALL(main, 0x402000,
	                     {.kind = FRAME_INLINED,
	                      .function = "inner",
	                      .file = "/i.h",
	                      .line = 3,
	                      .column = 9},
	                     {.function = "outer", .file = "/o.c", .line = 40});
	p->locations[p->nodes[leaf].location].mapping = 1;
	values(leaf, 3, 31);
	values(main, 0, 5);
	Profile *pb = read_back();
	check(pb);
	assert_int_equal(pb->n_sample, 2);
	const Perftools__Profiles__Sample *s =
	        pb->sample[0]->n_location_id == 2 ? pb->sample[0] : pb->sample[1];
	assert_int_equal(s->value[0], 3);
	assert_int_equal(s->value[1], 31);
	const Perftools__Profiles__Location *top = pb->location[s->location_id[0] - 1];
	assert_int_equal(top->address, 0x402000);
	assert_int_equal(top->mapping_id, 1);
	assert_int_equal(top->n_line, 2);
	assert_string_equal(function_of(pb, s->location_id[0], 0), "inner");
	assert_string_equal(function_of(pb, s->location_id[0], 1), "outer");
	assert_string_equal(function_of(pb, s->location_id[1], 0), "main");
	assert_int_equal(top->line[0]->line, 3);
	assert_int_equal(top->line[0]->column, 9);
	assert_int_equal(top->line[1]->line, 40);
	const Perftools__Profiles__Function *inner = pb->function[top->line[0]->function_id - 1];
	assert_string_equal(str(pb, inner->filename), "/i.h");
	assert_int_equal(inner->system_name, inner->name);
	assert_int_equal(pb->n_mapping, 1);
	assert_int_equal(pb->mapping[0]->memory_start, 0x400000);
	assert_int_equal(pb->mapping[0]->memory_limit, 0x500000);
	assert_int_equal(pb->mapping[0]->file_offset, 0x1000);
	assert_string_equal(str(pb, pb->mapping[0]->filename), "/bin/app");
	assert_string_equal(str(pb, pb->mapping[0]->build_id), "abcdef");
	assert_true(pb->mapping[0]->has_functions && pb->mapping[0]->has_line_numbers);
	assert_false(pb->mapping[0]->has_filenames || pb->mapping[0]->has_inline_frames);
	release(pb);
}

static void types_times_and_comments(void **state)
{
	(void)state;
	p->meta = (struct profile_meta){
	        .command = "app --flag \xff\n\x1b[31m",
	        .event = "wall",
	        .value_type = "wall",
	        .note = "timer fallback",
	        .pid = 42,
	        .rate_hz = 99,
	        .start_unix_ns = 1700000000123456789,
	        .duration_ns = 30000000000,
	        .lost = 7,
	};
	values(CALL(0, 1, NATIVE("main")), 1, 1);
	Profile *pb = read_back();
	check(pb);
	assert_int_equal(pb->n_sample_type, 2);
	assert_string_equal(str(pb, pb->sample_type[0]->type), "samples");
	assert_string_equal(str(pb, pb->sample_type[0]->unit), "count");
	assert_string_equal(str(pb, pb->sample_type[1]->type), "wall");
	assert_string_equal(str(pb, pb->sample_type[1]->unit), "nanoseconds");
	assert_string_equal(str(pb, pb->period_type->type), "wall");
	assert_string_equal(str(pb, pb->period_type->unit), "nanoseconds");
	assert_string_equal(str(pb, pb->default_sample_type), "wall");
	assert_int_equal(pb->period, 10101010);
	assert_int_equal(pb->time_nanos, 1700000000123456789);
	assert_int_equal(pb->duration_nanos, 30000000000);
	static const char *const comments[] = {"command: app --flag \xef\xbf\xbd^J^[[31m",
	                                       "pid: 42", "event: wall, 99 Hz", "lost ticks: 7",
	                                       "note: timer fallback"};
	assert_int_equal(pb->n_comment, ARRAY_SIZE(comments));
	for (size_t i = 0; i < ARRAY_SIZE(comments); i++)
		assert_string_equal(str(pb, pb->comment[i]), comments[i]);
	release(pb);
}

/* A thread at the root is labels of the sample, not a frame. */
static void threads_are_labels(void **state)
{
	(void)state;
	struct raw_frame stack[2] = {{.kind = RAW_NATIVE, .addr = 1},
	                             {.kind = RAW_THREAD,
	                              .owner = 4243,
	                              .aux = (uintptr_t)intern(strings, "worker\xff")}};
	profile_add(p, stack, 2, (uint64_t[PROFILE_VALUES]){2, 20});
	stack[1].owner = 4244;
	stack[1].aux = 0;
	profile_add(p, stack, 2, (uint64_t[PROFILE_VALUES]){3, 30});
	profile_add(p, stack + 1, 1,
	            (uint64_t[PROFILE_VALUES]){4, 40}); /* nothing but the thread */
	Profile *pb = read_back();
	check(pb);
	assert_int_equal(pb->n_sample, 3);
	assert_int_equal(pb->n_location, 2);
	for (size_t i = 0; i < 3; i++) {
		const Perftools__Profiles__Sample *s = pb->sample[i];
		assert_int_equal(s->n_location_id, 1);
		const Perftools__Profiles__Label *tid = s->label[s->n_label - 1];
		assert_string_equal(str(pb, tid->key), "tid");
		assert_int_equal(tid->str, 0);
		assert_int_equal(tid->num, s->value[0] == 2 ? 4243 : 4244);
		if (s->value[0] == 4)
			assert_string_equal(function_of(pb, s->location_id[0], 0), "[no frames]");
		assert_int_equal(s->n_label, s->value[0] == 2 ? 2 : 1);
		if (s->value[0] != 2)
			continue;
		assert_string_equal(str(pb, s->label[0]->key), "thread");
		assert_string_equal(str(pb, s->label[0]->str), "worker\xef\xbf\xbd");
		assert_int_equal(s->label[0]->num, 0);
	}
	release(pb);
}

/* Enough frames for several batches: nothing is lost or doubled where they meet. */
static void large_profiles(void **state)
{
	(void)state;
	enum { STACKS = 2000, DEPTH = 100 };
	uint64_t sum = 0;
	for (uint64_t i = 0; i < STACKS; i++) {
		uint32_t node = 0;
		for (uint64_t d = 0; d < DEPTH; d++)
			node = CALL(node, d < DEPTH - 1 ? d : 1000 + i,
			            NATIVE(d & 1 ? "odd" : "even"));
		values(node, i, 1);
		sum += i;
	}
	Profile *pb = read_back();
	check(pb);
	assert_int_equal(pb->n_sample, STACKS);
	assert_int_equal(pb->n_function, 2);
	assert_int_equal(pb->n_location, STACKS + DEPTH - 1);
	uint64_t got = 0;
	for (size_t i = 0; i < pb->n_sample; i++) {
		assert_int_equal(pb->sample[i]->n_location_id, DEPTH);
		got += (uint64_t)pb->sample[i]->value[0];
	}
	assert_int_equal(got, sum);
	release(pb);
}

static void extremes(void **state)
{
	(void)state;
	values(CALL(0, 1, NATIVE("\xff\xfe")), UINT64_MAX, 1); /* a name that is no text */
	Profile *pb = read_back();
	check(pb);
	assert_true(pb->sample[0]->value[0] == INT64_MAX);
	assert_string_equal(function_of(pb, 1, 0), "\xef\xbf\xbd\xef\xbf\xbd");
	assert_int_equal(pb->period, 0);
	release(pb);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	        cmocka_unit_test_setup_teardown(stacks_leaf_first_inlined_innermost_first, setup,
	                                        teardown),
	        cmocka_unit_test_setup_teardown(types_times_and_comments, setup, teardown),
	        cmocka_unit_test_setup_teardown(threads_are_labels, setup, teardown),
	        cmocka_unit_test_setup_teardown(large_profiles, setup, teardown),
	        cmocka_unit_test_setup_teardown(extremes, setup, teardown),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
