/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include <csample/target.h>

static void parse(const char *text, struct strings *strings, struct maps *ret)
{
	maps_parse(text, strlen(text), strings, ret);
}

static void reads_the_fields_of_a_line(void **state)
{
	(void)state;
	struct strings *strings = strings_create();
	struct maps maps;
	parse("55d0a000-55d0b000 r-xp 00001000 fd:01 1234    /usr/bin/a b\n"
	      "7ffe0000-7ffe2000 rw-p 00000000 00:00 0       [stack]\n"
	      "7fff0000-7fff1000 ---p 00000000 00:00 0\n",
	      strings, &maps);
	assert_int_equal(maps.n, 3);
	assert_int_equal(maps.items[0].start, 0x55d0a000);
	assert_int_equal(maps.items[0].end, 0x55d0b000);
	assert_int_equal(maps.items[0].offset, 0x1000);
	assert_int_equal(maps.items[0].dev_major, 0xfd);
	assert_int_equal(maps.items[0].inode, 1234);
	assert_true(maps.items[0].executable && maps.items[0].readable && !maps.items[0].writable);
	assert_string_equal(maps.items[0].name, "/usr/bin/a b");
	assert_string_equal(maps.items[1].name, "[stack]");
	assert_string_equal(maps.items[2].name, "");
	maps_deinit(&maps);
	strings_destroy(strings);
}

static void finds_by_address(void **state)
{
	(void)state;
	struct strings *strings = strings_create();
	struct maps maps;
	parse("1000-2000 r-xp 0 0:0 0 a\n3000-4000 r-xp 0 0:0 0 b\n4000-5000 r-xp 0 0:0 0 c\n",
	      strings, &maps);
	assert_null(maps_find(&maps, 0xfff));
	assert_string_equal(maps_find(&maps, 0x1000)->name, "a");
	assert_string_equal(maps_find(&maps, 0x1fff)->name, "a");
	assert_null(maps_find(&maps, 0x2000));
	assert_string_equal(maps_find(&maps, 0x3fff)->name, "b");
	assert_string_equal(maps_find(&maps, 0x4000)->name, "c");
	assert_null(maps_find(&maps, 0x5000));
	maps_deinit(&maps);
	strings_destroy(strings);
}

static void code_stays_code(void **state)
{
	(void)state;
	struct strings *strings = strings_create();
	struct maps old, fresh;
	parse("1000-2000 r-xp 0 0:0 7 /a\n3000-5000 r-xp 0 0:0 0\n6000-7000 r-xp 0 0:0 0\n",
	      strings, &old);
	/* Made writable, and so one with its neighbours; given up; now a file's. */
	parse("1000-1800 rw-p 0 0:0 0\n2000-4000 rw-p 0 0:0 0\n4000-6800 ---p 0 0:0 0\n"
	      "6800-9000 rw-p 0 0:0 8 /b\n",
	      strings, &fresh);
	maps_keep_code(&fresh, &old);
	static const struct {
		uint64_t start, end;
		bool executable;
	} wanted[] = {{0x1000, 0x1800, false}, {0x2000, 0x3000, false}, {0x3000, 0x4000, true},
	              {0x4000, 0x5000, true},  {0x5000, 0x6000, false}, {0x6000, 0x6800, true},
	              {0x6800, 0x9000, false}};
	assert_int_equal(fresh.n, 7);
	for (size_t i = 0; i < 7; i++) {
		assert_int_equal(fresh.items[i].start, wanted[i].start);
		assert_int_equal(fresh.items[i].end, wanted[i].end);
		assert_int_equal(fresh.items[i].executable, wanted[i].executable);
	}
	assert_true(fresh.items[2].writable);
	maps_deinit(&fresh);
	maps_deinit(&old);
	strings_destroy(strings);
}

static void skips_what_does_not_parse(void **state)
{
	(void)state;
	struct strings *strings = strings_create();
	struct maps maps;
	parse("\n-\nzz\n1000-2000\n1000-2000 rw\n2000-1000 r-xp 0 0:0 0 backwards\n"
	      "1000-3000 r-xp 0 0:0 0 good\n2000-4000 r-xp 0 0:0 0 overlaps\n5000-6000 r-xp 0 0:0 "
	      "7",
	      strings, &maps);
	assert_int_equal(maps.n, 2);
	assert_string_equal(maps.items[0].name, "good");
	assert_int_equal(maps.items[1].inode, 7);
	maps_deinit(&maps);
	strings_destroy(strings);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	        cmocka_unit_test(reads_the_fields_of_a_line),
	        cmocka_unit_test(finds_by_address),
	        cmocka_unit_test(code_stays_code),
	        cmocka_unit_test(skips_what_does_not_parse),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
