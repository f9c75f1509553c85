/* SPDX-License-Identifier: Apache-2.0 */
/* _Py_DebugOffsets of real processes, and what could be left of it. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <csample/err.h>
#include <csample/mem.h>

#include "../../../runtimes/cpython/layout.h"

#define RECORDED "tests/unit/cpython/debugoffsets.txt"
#define MAX_LINE 4096

struct recorded {
	unsigned minor, micro;
	bool free_threaded;
	uint8_t bytes[PY_MAX_SELF_DESCRIPTION];
	size_t len;
};

static struct recorded all[16];
static size_t n_all;

static int read_recorded(void **state)
{
	(void)state;
	FILE *f = fopen(RECORDED, "r");
	char line[MAX_LINE], hex[MAX_LINE];
	if (!f)
		return -1;
	while (fgets(line, sizeof(line), f) && n_all < ARRAY_SIZE(all)) {
		struct recorded *r = &all[n_all];
		unsigned byte;
		r->free_threaded = line[0] == 't';
		if (sscanf(line + r->free_threaded, "3.%u.%u %4095s", &r->minor, &r->micro, hex) !=
		    3)
			continue;
		for (const char *p = hex; sscanf(p, "%2x", &byte) == 1; p += 2)
			r->bytes[r->len++] = (uint8_t)byte;
		n_all++;
	}
	fclose(f);
	return n_all ? 0 : -1;
}

static void put(uint8_t *bytes, size_t at, uint64_t v)
{
	memcpy(bytes + at, &v, sizeof(v));
}

static uint64_t get(const uint8_t *bytes, size_t at)
{
	uint64_t v;
	memcpy(&v, bytes + at, sizeof(v));
	return v;
}

/* Every field that is told was found where the debug information of another build, or of this very
 * one, says it is. */
static void real_ones_agree_with_the_rows(void **state)
{
	(void)state;
	for (size_t i = 0; i < n_all; i++) {
		struct py_layout l;
		uint32_t hex = 0;
		bool known = false;
		assert_null(py_describe_self(all[i].bytes, all[i].len, &l, &hex, &known));
		assert_true(known);
		assert_int_equal(hex, 3u << 24 | all[i].minor << 16 | all[i].micro << 8 | 0xf0);
		const struct py_layout *row =
		        py_layout_find((uint16_t)(hex >> 16), all[i].free_threaded);
		assert_memory_equal(&l, row, sizeof(l));
	}
}

/* What is told wins over the row, and takes along what is not told. */
static void the_process_is_right(void **state)
{
	(void)state;
	struct recorded r = all[n_all - 1];
	struct py_layout l;
	uint32_t hex;
	bool known;
	const struct py_layout *row = py_layout_find(PYVER(3, 15), false);
	for (size_t at = 24; at + 8 <= r.len; at += 8)
		if (get(r.bytes, at) == row->thread.datastack_chunk.at)
			put(r.bytes, at, row->thread.datastack_chunk.at + 16);
	assert_null(py_describe_self(r.bytes, r.len, &l, &hex, &known));
	assert_int_equal(l.thread.datastack_chunk.at, row->thread.datastack_chunk.at + 16);
	assert_int_equal(l.thread.datastack_top.at, row->thread.datastack_top.at + 16);
	assert_int_equal(l.thread.size, row->thread.size + 16);
	assert_int_equal(l.thread.interp.at, row->thread.interp.at);
}

/* Writes what a build with this row would tell. */
static size_t tell(const struct py_self_description *d, const struct py_layout *row, uint8_t *bytes)
{
	memset(bytes, 0, PY_MAX_SELF_DESCRIPTION);
	memcpy(bytes, "xdebugpy", 8);
	put(bytes, 8, (uint64_t)d->version << 16 | 0x1f0);
	put(bytes, 16, row->free_threaded);
	for (unsigned i = 0; i < d->n; i++) {
		const struct py_told *t = &d->told[i];
		uint32_t at;
		memcpy(&at, (const uint8_t *)row + t->member, sizeof(at));
		put(bytes, t->size, 1 << 20);
		/* The other part of a difference or a sum is some number. */
		if (t->minus)
			put(bytes, t->minus, 7000);
		if (t->plus)
			put(bytes, t->plus, 8);
		put(bytes, t->told, t->minus ? at + 7000 : t->plus ? at - 8 : at);
	}
	return d->size;
}

static void every_row_can_be_told(void **state)
{
	(void)state;
	for (unsigned i = 0; i < py_n_self_descriptions; i++) {
		const struct py_self_description *d = &py_self_descriptions[i];
		for (int free_threaded = 0; free_threaded < 2; free_threaded++) {
			const struct py_layout *row = py_layout_find(d->version, free_threaded);
			uint8_t bytes[PY_MAX_SELF_DESCRIPTION];
			struct py_layout l;
			uint32_t hex;
			bool known;
			size_t len = tell(d, row, bytes);
			struct err *err = py_describe_self(bytes, len, &l, &hex, &known);
			if (err)
				fail_msg("%s: %s", row->origin, err->msg);
			assert_true(known);
			assert_memory_equal(&l, row, sizeof(l));
		}
	}
}

static void a_newer_release_is_read_as_the_newest(void **state)
{
	(void)state;
	struct recorded r = all[n_all - 1];
	struct py_layout l;
	uint32_t hex;
	bool known = true;
	put(r.bytes, 8, 0x031000f0);
	assert_null(py_describe_self(r.bytes, r.len, &l, &hex, &known));
	assert_false(known);
	assert_int_equal(hex, 0x031000f0);
	assert_int_equal(l.version, PYVER(3, 16));
	assert_int_equal(l.thread.current_frame.at,
	                 py_layout_find(PYVER(3, 15), false)->thread.current_frame.at);
}

static void a_prerelease_is_no_known_release(void **state)
{
	(void)state;
	struct recorded r = all[n_all - 1];
	struct py_layout l;
	uint32_t hex;
	bool known = true;
	put(r.bytes, 8, 0x030f00a3);
	assert_null(py_describe_self(r.bytes, r.len, &l, &hex, &known));
	assert_false(known);
	assert_int_equal(l.version, PYVER(3, 15));
	/* An early one still has the list of the release before it. */
	for (size_t i = 0; i < n_all; i++) {
		if (all[i].minor != 14 || all[i].free_threaded)
			continue;
		r = all[i];
		put(r.bytes, 8, 0x030f00a1);
		assert_null(py_describe_self(r.bytes, sizeof(r.bytes), &l, &hex, &known));
		assert_false(known);
		assert_int_equal(l.version, PYVER(3, 15));
		assert_int_equal(l.thread.thread_id.at,
		                 py_layout_find(PYVER(3, 14), false)->thread.thread_id.at);
	}
}

static void refuse(const uint8_t *bytes, size_t len, enum err_kind kind)
{
	struct py_layout l, before;
	uint32_t hex;
	bool known;
	memset(&l, 0x5a, sizeof(l));
	before = l;
	struct err *err = py_describe_self(bytes, len, &l, &hex, &known);
	assert_non_null(err);
	assert_int_equal(err->kind, kind);
	err_free(err);
	assert_memory_equal(&l, &before, sizeof(l));
}

/* A word that was never filled in. */
static void what_is_not_told_is_not_zero(void **state)
{
	(void)state;
	for (unsigned i = 0; i < py_n_self_descriptions; i++) {
		const struct py_self_description *d = &py_self_descriptions[i];
		const struct py_layout *row = py_layout_find(d->version, false);
		uint8_t bytes[PY_MAX_SELF_DESCRIPTION];
		size_t len = tell(d, row, bytes);
		for (unsigned k = 0; k < d->n; k++) {
			if (d->told[k].member != offsetof(struct py_layout, interp.threads_head))
				continue;
			put(bytes, d->told[k].told, 0);
			refuse(bytes, len, ERR_UNSUPPORTED);
		}
	}
}

/* A release that had one more word in the middle: nothing fits, so nothing is guessed. */
static void a_list_that_does_not_fit_is_refused(void **state)
{
	(void)state;
	struct recorded r = all[n_all - 1];
	put(r.bytes, 8, 0x031000f0);
	memmove(r.bytes + 128, r.bytes + 120, r.len - 128);
	put(r.bytes, 120, 0xffff0);
	refuse(r.bytes, r.len, ERR_UNSUPPORTED);
	r = all[n_all - 1];
	refuse(r.bytes, r.len - 1, ERR_UNSUPPORTED);
	for (size_t i = 0; i < n_all; i++) {
		/* A final release of the wrong list. */
		r = all[i];
		put(r.bytes, 8,
		    r.minor == 15 ? 0x030e00f0 : (uint64_t)(r.minor + 1) << 16 | 0x030000f0);
		refuse(r.bytes, r.len, ERR_UNSUPPORTED);
	}
}

static void what_is_none_is_refused(void **state)
{
	(void)state;
	struct recorded r = all[0];
	for (size_t len = 0; len < 24; len++)
		refuse(r.bytes, len, ERR_FORMAT);
	r.bytes[3] ^= 1;
	refuse(r.bytes, r.len, ERR_FORMAT);
	r = all[0];
	put(r.bytes, 8, 0x020712f0);
	refuse(r.bytes, r.len, ERR_FORMAT);
	put(r.bytes, 8, 0x0000030d00f00000);
	refuse(r.bytes, r.len, ERR_FORMAT);
	put(r.bytes, 8, 0x030c00f0); /* 3.12 has none */
	refuse(r.bytes, r.len, ERR_UNSUPPORTED);
	r = all[0];
	put(r.bytes, 16, 2);
	refuse(r.bytes, r.len, ERR_FORMAT);
}

/* Each word turned into what it must not be: refused or still a layout with bounded sizes. */
static void mutated_words_are_survived(void **state)
{
	(void)state;
	static const uint64_t values[] = {
	        0, 1, 7, 12, 0x7ffff, 0x3fffff, 0x400000, 0xffffffff, 1ull << 62, ~0ull - 7, ~0ull};
	unsigned refused = 0, taken = 0;
	for (size_t i = 0; i < n_all; i++) {
		for (size_t at = 24; at + 8 <= all[i].len; at += 8) {
			for (size_t k = 0; k < ARRAY_SIZE(values); k++) {
				struct recorded r = all[i];
				struct py_layout l;
				uint32_t hex;
				bool known;
				put(r.bytes, at, values[k]);
				struct err *err =
				        py_describe_self(r.bytes, r.len, &l, &hex, &known);
				if (err) {
					refused++;
					err_free(err);
					continue;
				}
				taken++;
				assert_null(py_layout_missing(&l));
				assert_true(l.thread.size <= PY_MAX_THREAD_BYTES);
				assert_true(l.frame.size <= PY_MAX_FRAME_BYTES);
				assert_true(l.code.size <= PY_MAX_CODE_BYTES);
			}
		}
	}
	assert_true(refused > 3000 && taken > 500);
}

static void asyncio_tells_its_own(void **state)
{
	(void)state;
	/* Of CPython 3.15.2. */
	uint64_t v[13] = {168, 136, 96, 108, 109, 128, 152, 226240, 10856, 1104, 1024, 1032, 1048};
	struct py_layout l = {0};
	assert_true(py_describe_asyncio((const uint8_t *)v, sizeof(v), &l));
	assert_int_equal(l.asyncio.name.at, 136);
	assert_int_equal(l.asyncio.is_task.width, 1);
	assert_int_equal(l.asyncio.node, 152);
	assert_int_equal(l.asyncio.thread_running_task.at, 1032);
	for (size_t i = 0; i < ARRAY_SIZE(v); i++) {
		struct py_layout before = {0};
		uint64_t good = v[i];
		l = before;
		v[i] = i == 0 || i == 7 || i == 9 ? 8 : 1ull << 40;
		assert_false(py_describe_asyncio((const uint8_t *)v, sizeof(v), &l));
		v[i] = 0;
		assert_false(py_describe_asyncio((const uint8_t *)v, sizeof(v), &l));
		v[i] = good;
		assert_memory_equal(&l, &before, sizeof(l));
	}
	assert_false(py_describe_asyncio((const uint8_t *)v, sizeof(v) - 1, &l));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	        cmocka_unit_test(real_ones_agree_with_the_rows),
	        cmocka_unit_test(the_process_is_right),
	        cmocka_unit_test(every_row_can_be_told),
	        cmocka_unit_test(a_newer_release_is_read_as_the_newest),
	        cmocka_unit_test(a_prerelease_is_no_known_release),
	        cmocka_unit_test(what_is_not_told_is_not_zero),
	        cmocka_unit_test(a_list_that_does_not_fit_is_refused),
	        cmocka_unit_test(what_is_none_is_refused),
	        cmocka_unit_test(mutated_words_are_survived),
	        cmocka_unit_test(asyncio_tells_its_own),
	};
	return cmocka_run_group_tests(tests, read_recorded, NULL);
}
