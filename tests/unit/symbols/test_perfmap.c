/* SPDX-License-Identifier: Apache-2.0 */
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

#include "../../../src/symbols/perfmap.h"

#define NS_PID    7
#define OTHER_PID 2000000001 /* no such process, no such file on the host */

struct fixture {
	char dir[64], path[128];
	int root_fd;
	struct perf_map *map;
};

static int setup(void **state)
{
	struct fixture *f = calloc(1, sizeof(*f));
	strcpy(f->dir, "/tmp/csample-test-XXXXXX");
	assert_non_null(mkdtemp(f->dir));
	char tmp[128];
	snprintf(tmp, sizeof(tmp), "%s/tmp", f->dir);
	assert_int_equal(mkdir(tmp, 0700), 0);
	snprintf(f->path, sizeof(f->path), "%s/tmp/perf-%d.map", f->dir, NS_PID);
	f->root_fd = open(f->dir, O_PATH | O_CLOEXEC);
	assert_true(f->root_fd >= 0);
	f->map = perf_map_create(f->root_fd, NS_PID, OTHER_PID, getuid());
	*state = f;
	return 0;
}

static int teardown(void **state)
{
	struct fixture *f = *state;
	char command[128];
	perf_map_destroy(f->map);
	close(f->root_fd);
	snprintf(command, sizeof(command), "rm -rf %s", f->dir);
	int r = system(command);
	free(f);
	return r;
}

static void put(const struct fixture *f, const char *text, const char *mode)
{
	FILE *out = fopen(f->path, mode);
	assert_non_null(out);
	fputs(text, out);
	fclose(out);
}

static bool named(struct fixture *f, uint64_t addr, const char *wanted)
{
	const char *name;
	size_t len;
	if (!perf_map_find(f->map, addr, &name, &len))
		return !wanted;
	return wanted && len == strlen(wanted) && !memcmp(name, wanted, len);
}

/* Files are looked at again after a while: asks until the answer is the wanted one. */
static void expect(struct fixture *f, uint64_t addr, const char *wanted)
{
	const struct timespec pause = {0, 5000000};
	for (int i = 0; i < 1000; i++) {
		if (named(f, addr, wanted))
			return;
		nanosleep(&pause, NULL);
	}
	fail_msg("%llx is not named %s", (unsigned long long)addr, wanted ? wanted : "(nothing)");
}

static void the_tail_is_read_as_it_grows(void **state)
{
	struct fixture *f = *state;
	assert_true(named(f, 0x1000, NULL));
	put(f, "1000 10 first\n2000 10 sec", "w");
	expect(f, 0x1000, "first");
	assert_true(named(f, 0x2000, NULL));
	put(f, "ond (a.js:1)\n1000 10 third\n", "a");
	expect(f, 0x2000, "second (a.js:1)");
	expect(f, 0x1000, "third");
}

static void a_new_file_of_the_name_replaces_the_old(void **state)
{
	struct fixture *f = *state;
	put(f, "1000 10 old\n2000 10 gone\n", "w");
	expect(f, 0x1000, "old");
	unlink(f->path);
	put(f, "1000 10 new\n2100 10 longer than the one before\n", "w");
	expect(f, 0x1000, "new");
	expect(f, 0x2000, NULL);
}

static void a_file_begun_anew_in_place_is_read_anew(void **state)
{
	struct fixture *f = *state;
	put(f, "1000 10 old\n2000 10 gone\n", "w");
	expect(f, 0x1000, "old");
	/* Longer than before, so that its size alone says nothing. */
	put(f, "1000 10 new\n3000 10 somewhere else\n4000 10 and more\n", "w");
	expect(f, 0x1000, "new");
	expect(f, 0x3000, "somewhere else");
	expect(f, 0x2000, NULL);
}

static void names_outlive_the_file(void **state)
{
	struct fixture *f = *state;
	put(f, "1000 10 kept\n", "w");
	expect(f, 0x1000, "kept");
	unlink(f->path);
	expect(f, 0x1008, "kept");
}

static void links_are_not_followed(void **state)
{
	struct fixture *f = *state;
	char real[128];
	snprintf(real, sizeof(real), "%s/tmp/real", f->dir);
	FILE *out = fopen(real, "w");
	fputs("1000 10 evil\n", out);
	fclose(out);
	assert_int_equal(symlink("real", f->path), 0);
	assert_true(named(f, 0x1000, NULL));
	unlink(f->path);
	assert_int_equal(rename(real, f->path), 0);
	expect(f, 0x1000, "evil"); /* as a file it would have been read */
}

static void a_fifo_does_not_block(void **state)
{
	struct fixture *f = *state;
	assert_int_equal(mkfifo(f->path, 0600), 0);
	assert_true(named(f, 0x1000, NULL));
}

static void files_of_others_are_not_read(void **state)
{
	struct fixture *f = *state;
	if (getuid() != 0)
		skip();
	put(f, "1000 10 theirs\n", "w");
	assert_int_equal(chown(f->path, 12345, 12345), 0);
	assert_true(named(f, 0x1000, NULL));
	assert_int_equal(chown(f->path, 0, 0), 0);
	expect(f, 0x1000, "theirs");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	        cmocka_unit_test_setup_teardown(the_tail_is_read_as_it_grows, setup, teardown),
	        cmocka_unit_test_setup_teardown(a_new_file_of_the_name_replaces_the_old, setup,
	                                        teardown),
	        cmocka_unit_test_setup_teardown(a_file_begun_anew_in_place_is_read_anew, setup,
	                                        teardown),
	        cmocka_unit_test_setup_teardown(names_outlive_the_file, setup, teardown),
	        cmocka_unit_test_setup_teardown(links_are_not_followed, setup, teardown),
	        cmocka_unit_test_setup_teardown(a_fifo_does_not_block, setup, teardown),
	        cmocka_unit_test_setup_teardown(files_of_others_are_not_read, setup, teardown),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
