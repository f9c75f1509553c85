/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include <csample/mem.h>

#include "../../../runtimes/cpython/version.h"

static uint32_t search(const char *text)
{
	uint32_t hex = 0;
	return py_version_search((const uint8_t *)text, strlen(text), &hex) ? hex : 0;
}

static void texts_of_real_interpreters(void **state)
{
	(void)state;
	assert_int_equal(search("3.6.15 (default, May  9 2026, 07:30:54) \n[GCC 12.2.0]"),
	                 0x03060ff0);
	assert_int_equal(search("3.9.2 (default, Mar 20 2025, 22:21:41) \n[GCC 10.2.1 20210110]"),
	                 0x030902f0);
	assert_int_equal(search("3.14.10 (main, Oct 26 2026, 15:12:11) [GCC 16.2.0]"), 0x030e0af0);
	assert_int_equal(search("2.7.18 (default, May  9 2026, 07:29:50) \n[GCC 12.2.0]"),
	                 0x020712f0);
	assert_int_equal(search("3.15.0b2+ (main, Jun  1 2026, 00:00:00) [Clang 20.1.0 ]"),
	                 0x030f00b2);
	assert_int_equal(search("3.14.0rc1 (main, Jul 22 2025, 00:00:00) [GCC 14]"), 0x030e00c1);
	assert_int_equal(
	        search("3.13.1 experimental free-threading build (main, Dec  4 2024) [GCC]"),
	        0x030d01f0);
	assert_int_equal(
	        search("3.9.7 | packaged by conda-forge | (default, Sep 29 2021) \n[GCC 9]"),
	        0x030907f0);
}

static void other_texts(void **state)
{
	(void)state;
	static const char *const texts[] = {
	        "",
	        "3.",
	        "3.9.2",
	        "3.9.2 (default",
	        "GTK 3.24.38 (stable) released",
	        "3.45.1 2024-01-30 16:01:20 e876e51a0ed5c5b3",
	        "13.9.2 (default, x) [GCC]",
	        "1.3.9.2 (default, x) [GCC]",
	        "3.999.2 (default, x) [GCC]",
	        "3.9.99999999999 (default, x) [GCC]",
	        "3.9.2x (default, x) [GCC]",
	        "3.9.2a (default, x) [GCC]",
	        "3.9.2 (def\x01ult, x) [GCC]",
	        "3.9.2 default, x) [GCC]",
	};
	for (size_t i = 0; i < ARRAY_SIZE(texts); i++)
		assert_int_equal(search(texts[i]), 0);
}

static void found_anywhere(void **state)
{
	(void)state;
	uint8_t data[600];
	const char *text = "3.8.18 (default, May  9 2026) \n[GCC 12.2.0]";
	for (size_t at = 0; at + strlen(text) <= sizeof(data); at++) {
		uint32_t hex = 0;
		memset(data, 0, sizeof(data));
		memcpy(data + (at ? at - 1 : 0), "\x93", at ? 1 : 0);
		memcpy(data + at, text, strlen(text));
		assert_true(py_version_search(data, sizeof(data), &hex));
		assert_int_equal(hex, 0x030812f0);
	}
}

/* Every text cut at every length: read within it, under the sanitizers. */
static void cut_anywhere(void **state)
{
	(void)state;
	const char *text = "x3.8.18rc1+ | a (default, May  9 2026) \n[GCC 12.2.0]";
	for (size_t len = 0; len <= strlen(text); len++) {
		char *copy = mem_strndup(text, len);
		uint32_t hex = 0;
		py_version_search((const uint8_t *)copy, len, &hex);
		assert_true(hex == 0 || hex == 0x030812c1);
		mem_cleanup_free(&copy);
	}
}

static void file_names(void **state)
{
	(void)state;
	static const struct {
		const char *path;
		uint32_t hex;
	} names[] = {{"/usr/lib/libpython3.9.so.1.0", 0x03090000},
	             {"/opt/python3.12/bin/python3.11", 0x030b0000},
	             {"/usr/bin/python2.7", 0x02070000},
	             {"python3.13t", 0x030d0000},
	             {"/opt/python3.12/bin/uwsgi", 0},
	             {"/usr/bin/python3", 0},
	             {"/usr/bin/python", 0},
	             {"/usr/bin/python4.1", 0},
	             {"", 0}};
	for (size_t i = 0; i < ARRAY_SIZE(names); i++) {
		uint32_t hex = 0;
		assert_int_equal(py_version_of_path(names[i].path, &hex), names[i].hex != 0);
		assert_int_equal(hex, names[i].hex);
	}
}

static void for_people(void **state)
{
	(void)state;
	static const struct {
		uint32_t hex;
		bool free_threaded;
		const char *text;
	} versions[] = {{0x030e0af0, false, "3.14.10"},   {0x030d05f0, true, "3.13.5t"},
	                {0x030f00a1, false, "3.15.0a1"},  {0x030f00b2, true, "3.15.0b2t"},
	                {0x030e00c3, false, "3.14.0rc3"}, {0x03090000, false, "3.9"}};
	for (size_t i = 0; i < ARRAY_SIZE(versions); i++) {
		char text[32];
		py_version_text(versions[i].hex, versions[i].free_threaded, text, sizeof(text));
		assert_string_equal(text, versions[i].text);
	}
	assert_true(py_version_plausible(0x030f02f0));
	assert_false(py_version_plausible(0));
	assert_false(py_version_plausible(0x040f02f0));
	assert_false(py_version_plausible(0x030f0200));
	assert_false(py_version_plausible(0x1030f02f0));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	        cmocka_unit_test(texts_of_real_interpreters),
	        cmocka_unit_test(other_texts),
	        cmocka_unit_test(found_anywhere),
	        cmocka_unit_test(cut_anywhere),
	        cmocka_unit_test(file_names),
	        cmocka_unit_test(for_people),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
