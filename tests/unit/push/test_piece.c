/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <csample/mem.h>

#include "../../../src/push/push.h"

typedef Perftools__Profiles__Profile Profile;

/* N samples, each main → fI, values I + 1 and 10 (I + 1), with sparse ids and thread labels. */
struct made {
	Profile pb;
	struct arena *arena;
};

#define NEW(m, type, init)                                         \
	({                                                         \
		type *one = arena_alloc((m)->arena, sizeof(*one)); \
		init(one);                                         \
		one;                                               \
	})

static Profile *make(struct made *m, size_t n)
{
	Profile *p = &m->pb;
	m->arena = arena_create();
	perftools__profiles__profile__init(p);
	p->string_table = arena_alloc(m->arena, (n + 10) * sizeof(char *));
	static char *const fixed[] = {"",     "samples",  "count", "cpu", "nanoseconds",
	                              "main", "/bin/app", "thread"};
	memcpy(p->string_table, fixed, sizeof(fixed));
	p->n_string_table = ARRAY_SIZE(fixed);
	p->n_sample_type = 2;
	p->sample_type = arena_alloc(m->arena, 2 * sizeof(void *));
	for (int i = 0; i < 2; i++) {
		p->sample_type[i] = NEW(m, Perftools__Profiles__ValueType,
		                        perftools__profiles__value_type__init);
		p->sample_type[i]->type = 1 + 2 * i;
		p->sample_type[i]->unit = 2 + 2 * i;
	}
	p->period_type = p->sample_type[1];
	p->period = 10;
	p->time_nanos = 1700000000000000000;
	p->duration_nanos = 1000000000;
	p->n_mapping = 1;
	p->mapping = arena_alloc(m->arena, sizeof(void *));
	p->mapping[0] = NEW(m, Perftools__Profiles__Mapping, perftools__profiles__mapping__init);
	p->mapping[0]->id = 77;
	p->mapping[0]->filename = 6;
	p->sample = arena_alloc(m->arena, n * sizeof(void *));
	p->location = arena_alloc(m->arena, (n + 1) * sizeof(void *));
	p->function = arena_alloc(m->arena, (n + 1) * sizeof(void *));
	p->n_location = p->n_function = n + 1;
	p->n_sample = n;
	for (size_t i = 0; i <= n; i++) {
		Perftools__Profiles__Function *f = p->function[i] =
		        NEW(m, Perftools__Profiles__Function, perftools__profiles__function__init);
		Perftools__Profiles__Location *l = p->location[i] =
		        NEW(m, Perftools__Profiles__Location, perftools__profiles__location__init);
		f->id = 1000 + i * 3;
		f->name = 5;
		if (i) {
			char *name = arena_alloc(m->arena, 32);
			snprintf(name, 32, "f%zu", i - 1);
			f->name = (int64_t)p->n_string_table;
			p->string_table[p->n_string_table++] = name;
		}
		l->id = 5000 + i * 7;
		l->mapping_id = 77;
		l->n_line = 1;
		l->line = arena_alloc(m->arena, sizeof(void *));
		l->line[0] = NEW(m, Perftools__Profiles__Line, perftools__profiles__line__init);
		l->line[0]->function_id = f->id;
		l->line[0]->line = (int64_t)i;
	}
	for (size_t i = 0; i < n; i++) {
		Perftools__Profiles__Sample *s = p->sample[i] =
		        NEW(m, Perftools__Profiles__Sample, perftools__profiles__sample__init);
		s->n_location_id = s->n_value = 2;
		s->location_id = arena_alloc(m->arena, 16);
		s->value = arena_alloc(m->arena, 16);
		s->location_id[0] = p->location[i + 1]->id;
		s->location_id[1] = p->location[0]->id;
		s->value[0] = (int64_t)i + 1;
		s->value[1] = 10 * ((int64_t)i + 1);
		s->n_label = 1;
		s->label = arena_alloc(m->arena, sizeof(void *));
		s->label[0] = NEW(m, Perftools__Profiles__Label, perftools__profiles__label__init);
		s->label[0]->key = s->label[0]->str = 7;
	}
	return p;
}

static struct entry pack(const Profile *p)
{
	struct entry e = {0};
	struct err *err = piece_pack(p, &e.pprof, &e.pprof_len);
	assert_null(err);
	return e;
}

static struct err *unpack(const Profile *p, struct unpacked *ret)
{
	struct entry e = pack(p);
	struct err *err = unpacked_create(&e, ret);
	free(e.pprof);
	return err;
}

/* Sample i of the piece is sample first + i of the whole, and all that is referred to is there. */
static void assert_part(const Profile *piece, size_t first, size_t n)
{
	assert_int_equal(piece->n_sample, n);
	assert_string_equal(piece->string_table[0], "");
	assert_int_equal(piece->n_location, n + 1);
	assert_int_equal(piece->n_function, n + 1);
	assert_int_equal(piece->n_mapping, 1);
	assert_int_equal(piece->mapping[0]->id, 1);
	assert_string_equal(piece->string_table[piece->mapping[0]->filename], "/bin/app");
	for (size_t i = 0; i <= n; i++) {
		assert_int_equal(piece->location[i]->id, i + 1);
		assert_int_equal(piece->function[i]->id, i + 1);
		assert_int_equal(piece->location[i]->mapping_id, 1);
	}
	for (size_t i = 0; i < n; i++) {
		const Perftools__Profiles__Sample *s = piece->sample[i];
		char name[32];
		snprintf(name, sizeof(name), "f%zu", first + i);
		const Perftools__Profiles__Location *leaf = piece->location[s->location_id[0] - 1];
		const Perftools__Profiles__Location *root = piece->location[s->location_id[1] - 1];
		assert_string_equal(
		        piece->string_table[piece->function[leaf->line[0]->function_id - 1]->name],
		        name);
		assert_string_equal(
		        piece->string_table[piece->function[root->line[0]->function_id - 1]->name],
		        "main");
		assert_int_equal(s->value[0], first + i + 1);
		assert_string_equal(piece->string_table[s->label[0]->key], "thread");
	}
	assert_string_equal(piece->string_table[piece->period_type->type], "cpu");
	assert_string_equal(piece->string_table[piece->sample_type[0]->unit], "count");
}

static void pieces_make_the_whole(void **state)
{
	(void)state;
	struct made m;
	struct unpacked u;
	assert_null(unpack(make(&m, 1000), &u));
	static const struct piece_limits limits[] = {
	        {300, SIZE_MAX}, {SIZE_MAX, 4000}, {1000, SIZE_MAX}, {SIZE_MAX, 10}};
	static const size_t most[] = {300, 200, 1000, 1};
	for (size_t k = 0; k < ARRAY_SIZE(limits); k++) {
		size_t first = 0, pieces = 0, n;
		for (; first < 1000; first += n, pieces++) {
			Profile *piece =
			        piece_cut(&u, first, &limits[k], (int64_t)pieces * 1000000, &n);
			assert_in_range(n, 1, most[k]);
			assert_part(piece, first, n);
			assert_true(piece->time_nanos ==
			            m.pb.time_nanos + (int64_t)pieces * 1000000);
			size_t size = perftools__profiles__profile__get_packed_size(piece);
			assert_true(size <= limits[k].bytes || n == 1);
			piece_free(piece);
		}
		assert_int_equal(first, 1000);
	}
	unpacked_free(&u);
	arena_destroy(m.arena);
}

static void assert_refused(const Profile *p, const char *why)
{
	struct unpacked u = {0};
	struct err *err = unpack(p, &u);
	assert_non_null(err);
	assert_non_null(strstr(err->msg, why));
	assert_null(u.pb);
	err_free(err);
}

/* Each of these takes a Parca down, or all queries of its series. */
static void what_kills_a_server_is_refused(void **state)
{
	(void)state;
	struct made m;
	Profile *p = make(&m, 3);
	Perftools__Profiles__ValueType odd = *p->period_type, *good = p->period_type;
	p->period_type = NULL;
	assert_refused(p, "period type");
	p->period_type = &odd;
	odd.type = (int64_t)p->n_string_table;
	assert_refused(p, "period type");
	odd.type = odd.unit = 0;
	assert_refused(p, "period type");
	odd.type = -1;
	odd.unit = 2;
	assert_refused(p, "period type");
	p->period_type = good;
	p->string_table[5] = "\xff\xfe";
	assert_refused(p, "UTF-8");
	p->string_table[5] = "main";
	p->string_table[0] = "x";
	assert_refused(p, "first string");
	p->string_table[0] = "";
	p->sample[1]->n_value = 1;
	assert_refused(p, "values");
	p->sample[1]->n_value = 2;
	p->n_sample_type = 0;
	assert_refused(p, "sample type");
	p->n_sample_type = 2;
	struct unpacked u;
	assert_null(unpack(p, &u));
	assert_true(unpacked_any(&u));
	unpacked_free(&u);
	for (int i = 0; i < 3; i++)
		p->sample[i]->value[0] = p->sample[i]->value[1] = 0;
	assert_null(unpack(p, &u));
	assert_false(unpacked_any(&u));
	unpacked_free(&u);
	arena_destroy(m.arena);
}

static void entries_survive_the_way_through_a_file(void **state)
{
	(void)state;
	struct profile profile = {.meta.start_unix_ns = 1700000000123456789};
	static const struct outlet_label labels[] = {
	        {"env", "a\"b\\c\n\xff"}, {"service_name", "caf\xc3\xa9"}, {"zone", ""}};
	struct delivery d = {.profile = &profile,
	                     .type = "process_cpu",
	                     .labels = labels,
	                     .n_labels = ARRAY_SIZE(labels),
	                     .pprof = "gzip\n\0bytes",
	                     .pprof_len = 11,
	                     .pprof_unpacked_len = 99};
	struct strbuf b = {0};
	entry_pack(&d, 5000000, &b);
	struct entry e;
	assert_null(entry_unpack(b.s, b.len, &e));
	assert_string_equal(e.type, "process_cpu");
	assert_true(e.start_unix_ns == profile.meta.start_unix_ns && e.shift_ns == 5000000);
	assert_int_equal(e.n_labels, 3);
	assert_string_equal(e.labels[0].name, "env");
	assert_string_equal(e.labels[0].value, "a\"b\\c\n\xef\xbf\xbd");
	assert_string_equal(e.labels[1].value, "caf\xc3\xa9");
	assert_string_equal(e.labels[2].name, "zone");
	assert_string_equal(e.labels[2].value, "");
	assert_int_equal(e.pprof_len, 11);
	assert_memory_equal(e.pprof, "gzip\n\0bytes", 11);
	assert_int_equal(e.unpacked_len, 99);
	entry_free(&e);
	for (size_t len = 0; len < b.len; len++) { /* wherever it was cut off */
		struct err *err = entry_unpack(b.s, len, &e);
		assert_non_null(err);
		err_free(err);
	}
	for (size_t i = b.len - 11; i < b.len; i++) {
		b.s[i] ^= 1;
		struct err *err = entry_unpack(b.s, b.len, &e);
		assert_non_null(err);
		err_free(err);
		b.s[i] ^= 1;
	}
	strbuf_free(&b);
}

static void bombs_and_rubbish_end_soon(void **state)
{
	(void)state;
	size_t size = (size_t)64 << 20;
	char *zeros = mem_zalloc(size);
	struct entry e = {0};
	assert_null(gzip_pack(zeros, size, &e.pprof, &e.pprof_len));
	void *bytes;
	size_t len;
	struct err *err = gzip_unpack(e.pprof, e.pprof_len, size - 1, &bytes, &len);
	assert_non_null(err);
	err_free(err);
	assert_null(gzip_unpack(e.pprof, e.pprof_len, size, &bytes, &len));
	assert_int_equal(len, size);
	free(bytes);
	struct unpacked u;
	err = unpacked_create(&e, &u); /* not a profile */
	assert_non_null(err);
	err_free(err);
	free(e.pprof);
	free(zeros);
	e.pprof = "\x1f\x8b rubbish";
	e.pprof_len = 10;
	err = unpacked_create(&e, &u);
	assert_non_null(err);
	err_free(err);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	        cmocka_unit_test(pieces_make_the_whole),
	        cmocka_unit_test(what_kills_a_server_is_refused),
	        cmocka_unit_test(entries_survive_the_way_through_a_file),
	        cmocka_unit_test(bombs_and_rubbish_end_soon),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
