/* SPDX-License-Identifier: Apache-2.0 */
/* Which of a producer's sample types become samples and time. Whole files: tests/e2e. */
#include <profile.pb-c.h>

#include "shape.h"

typedef Perftools__Profiles__Profile Profile;
typedef Perftools__Profiles__ValueType ValueType;

/* Reads a profile of two sample types and one sample without a stack. */
static struct err *read_types(char *type0, char *unit0, char *type1, char *unit1, int64_t value0,
                              int64_t value1, int64_t period)
{
	char *strings_of[] = {(char[]){""}, type0, unit0, type1, unit1};
	ValueType types[2], *list[2] = {&types[0], &types[1]};
	Perftools__Profiles__Sample sample = PERFTOOLS__PROFILES__SAMPLE__INIT;
	Perftools__Profiles__Sample *samples[] = {&sample};
	int64_t numbers[] = {value0, value1};
	Profile pb = PERFTOOLS__PROFILES__PROFILE__INIT;
	for (int i = 0; i < 2; i++) {
		perftools__profiles__value_type__init(&types[i]);
		types[i].type = 1 + 2 * i;
		types[i].unit = 2 + 2 * i;
	}
	pb.n_string_table = ARRAY_SIZE(strings_of);
	pb.string_table = strings_of;
	pb.n_sample_type = 2;
	pb.sample_type = list;
	pb.n_sample = 1;
	pb.sample = samples;
	sample.n_value = 2;
	sample.value = numbers;
	pb.period_type = &types[1];
	pb.period = period;
	size_t len = perftools__profiles__profile__get_packed_size(&pb);
	_cleanup_free_ uint8_t *bytes = mem_alloc(len);
	perftools__profiles__profile__pack(&pb, bytes);
	assert_true(format_by_name("pprof")->is_it((char *)bytes, len));
	return format_by_name("pprof")->read((char *)bytes, len, p);
}
#define TEXT(s) ((char[]){s})

static void time_has_a_unit(void **state)
{
	(void)state;
	assert_null(read_types(TEXT("hits"), TEXT("count"), TEXT("wall"), TEXT("microseconds"), 3,
	                       70, 10000));
	assert_int_equal(p->total[0], 3);
	assert_int_equal(p->total[1], 70000);
	assert_string_equal(p->meta.value_type, "wall");
	assert_true(p->meta.rate_hz > 99.9 && p->meta.rate_hz < 100.1);
}

static void other_units_are_not_time(void **state)
{
	(void)state;
	assert_null(read_types(TEXT("objects"), TEXT("count"), TEXT("space"), TEXT("bytes"), 3, 70,
	                       10));
	assert_int_equal(p->total[0], 3);
	assert_int_equal(p->total[1], 0);
}

static void refused(void **state)
{
	(void)state;
	struct err *err =
	        read_types(TEXT("space"), TEXT("bytes"), TEXT("space"), TEXT("bytes"), 3, 70, 10);
	assert_int_equal(err->kind, ERR_UNSUPPORTED);
	assert_non_null(strstr(err->msg, "space"));
	err_free(err);
	err = read_types(TEXT("hits"), TEXT("count"), TEXT("cpu"), TEXT("nanoseconds"), 3, -70, 10);
	assert_non_null(strstr(err->msg, "negative"));
	err_free(err);
	err = read_types(TEXT("hits"), TEXT("count"), TEXT("cpu"), TEXT("seconds"), 3,
	                 INT64_MAX / 2, 10);
	assert_non_null(strstr(err->msg, "too large"));
	err_free(err);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	        cmocka_unit_test_setup_teardown(time_has_a_unit, setup, teardown),
	        cmocka_unit_test_setup_teardown(other_units_are_not_time, setup, teardown),
	        cmocka_unit_test_setup_teardown(refused, setup, teardown),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
