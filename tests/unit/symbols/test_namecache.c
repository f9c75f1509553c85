/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "../../../src/symbols/namecache.h"

static struct raw_frame at(uint64_t addr)
{
	return (struct raw_frame){.kind = RAW_NATIVE, .owner = 1, .addr = addr};
}

static void what_was_put_is_found(void **state)
{
	(void)state;
	struct name_cache *c = name_cache_create();
	struct raw_frame a = at(1), b = at(2);
	struct frame frames[2] = {{.function = "inner"}, {.function = "outer"}};
	size_t n;
	assert_null(name_cache_get(c, &a, &n));
	name_cache_put(c, &a, frames, 2);
	const struct frame *got = name_cache_get(c, &a, &n);
	assert_int_equal(n, 2);
	assert_string_equal(got[1].function, "outer");
	assert_null(name_cache_get(c, &b, &n));
	b = a;
	b.flags = RAW_RETURN;
	assert_null(name_cache_get(c, &b, &n));
	name_cache_destroy(c);
}

static void memory_is_bounded_and_the_used_stays(void **state)
{
	(void)state;
	struct name_cache *c = name_cache_create();
	struct raw_frame hot = at(0);
	struct frame frame = {.function = "f"};
	size_t n, most = 0;
	name_cache_put(c, &hot, &frame, 1);
	for (uint64_t i = 1; i < 200000; i++) {
		struct raw_frame raw = at(i);
		name_cache_put(c, &raw, &frame, 1);
		if (i % 64 == 0)
			assert_non_null(name_cache_get(c, &hot, &n));
		if (name_cache_bytes(c) > most)
			most = name_cache_bytes(c);
	}
	assert_true(most < (size_t)5 << 20);
	struct raw_frame cold = at(1);
	assert_null(name_cache_get(c, &cold, &n));
	name_cache_destroy(c);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	        cmocka_unit_test(what_was_put_is_found),
	        cmocka_unit_test(memory_is_bounded_and_the_used_stays),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
