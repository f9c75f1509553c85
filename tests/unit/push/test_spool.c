/* SPDX-License-Identifier: Apache-2.0 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <glob.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include <csample/mem.h>

#include "../../../src/push/push.h"

static char root[] = "/tmp/csample-test-spool-XXXXXX", dir[64];

static int set_up(void **state)
{
	(void)state;
	strcpy(root + strlen(root) - 6, "XXXXXX");
	assert_non_null(mkdtemp(root));
	snprintf(dir, sizeof(dir), "%s/a/b", root);
	return 0;
}

static int tear_down(void **state)
{
	(void)state;
	char command[128];
	snprintf(command, sizeof(command), "rm -rf '%s'", root);
	return system(command);
}

static struct spool *opened(uint64_t max)
{
	struct spool *sp;
	struct err *err = spool_open(dir, max, &sp);
	assert_null(err);
	return sp;
}

static void put_text(struct spool *sp, const char *text)
{
	int errnum;
	spool_put(sp, text, strlen(text), &errnum);
	assert_int_equal(errnum, 0);
}

static void assert_oldest(struct spool *sp, const char *text)
{
	void *bytes;
	size_t len;
	struct spool_progress progress;
	assert_true(spool_oldest(sp, &bytes, &len, &progress));
	assert_int_equal(len, strlen(text));
	assert_memory_equal(bytes, text, len);
	free(bytes);
}

static void assert_next(struct spool *sp, const char *text)
{
	assert_oldest(sp, text);
	spool_done(sp);
}

static void assert_empty(struct spool *sp)
{
	void *bytes;
	size_t len;
	struct spool_progress progress;
	assert_false(spool_oldest(sp, &bytes, &len, &progress));
	struct spool_counts c;
	spool_count(sp, &c);
	assert_int_equal(c.waiting, 0);
	assert_int_equal(c.bytes, 0);
}

static size_t count_files(const char *pattern)
{
	char path[160];
	glob_t g;
	snprintf(path, sizeof(path), "%s/%s", dir, pattern);
	size_t n = glob(path, 0, NULL, &g) ? 0 : g.gl_pathc;
	globfree(&g);
	return n;
}

static void keeps_the_order_and_survives(void **state)
{
	(void)state;
	struct spool *sp = opened(0);
	char text[32];
	for (int i = 0; i < 3000; i++) {
		snprintf(text, sizeof(text), "profile %d", i);
		put_text(sp, text);
	}
	for (int i = 0; i < 1500; i++) {
		snprintf(text, sizeof(text), "profile %d", i);
		assert_next(sp, text);
	}
	assert_oldest(sp, "profile 1500"); /* was being sent when it ended */
	spool_close(sp);
	sp = opened(0);
	put_text(sp, "new");
	for (int i = 1500; i < 3000; i++) {
		snprintf(text, sizeof(text), "profile %d", i);
		assert_next(sp, text);
	}
	assert_next(sp, "new");
	assert_empty(sp);
	assert_int_equal(count_files("*/*"), 0);
	spool_close(sp);
}

static void drops_the_oldest_but_not_what_is_being_sent(void **state)
{
	(void)state;
	struct spool *sp = opened(10);
	put_text(sp, "aaaa");
	assert_oldest(sp, "aaaa");
	put_text(sp, "bbbb");
	put_text(sp, "cccc");
	put_text(sp, "far too long for it");
	struct spool_counts c;
	spool_count(sp, &c);
	assert_int_equal(c.waiting, 2);
	assert_int_equal(c.bytes, 8);
	assert_int_equal(c.dropped, 2);
	assert_int_equal(count_files("0/*"), 2);
	spool_done(sp);
	assert_next(sp, "cccc");
	assert_empty(sp);
	spool_close(sp);
}

static void progress_survives(void **state)
{
	(void)state;
	struct spool *sp = opened(0);
	put_text(sp, "large");
	assert_oldest(sp, "large");
	spool_progressed(sp, (struct spool_progress){.samples = 15000, .pieces = 1});
	spool_close(sp);
	sp = opened(0);
	void *bytes;
	size_t len;
	struct spool_progress p;
	assert_true(spool_oldest(sp, &bytes, &len, &p));
	free(bytes);
	assert_int_equal(p.samples, 15000);
	assert_int_equal(p.pieces, 1);
	spool_done(sp);
	assert_int_equal(count_files("0/*"), 0);
	spool_close(sp);
}

static void processes_do_not_collide_and_inherit(void **state)
{
	(void)state;
	struct spool *a = opened(0), *b = opened(0);
	put_text(a, "1 of a");
	put_text(b, "2 of b");
	put_text(a, "3 of a");
	put_text(b, "4 of b");
	assert_false(spool_adopt(b)); /* a lives */
	assert_next(a, "1 of a");
	put_text(b, "5 of b");
	assert_oldest(b, "2 of b");
	spool_close(a);
	assert_true(spool_adopt(b));
	spool_done(b);
	assert_next(b, "3 of a");
	assert_next(b, "4 of b");
	spool_close(b);
	a = opened(0); /* gets the first slot, and what the second has */
	assert_next(a, "5 of b");
	assert_empty(a);
	spool_close(a);
}

static void a_full_disk_is_bridged_by_memory(void **state)
{
	(void)state;
	struct spool *sp = opened(0);
	put_text(sp, "1");
	signal(SIGXFSZ, SIG_IGN); /* a write past this limit fails, as on a full disk */
	struct rlimit old, none;
	getrlimit(RLIMIT_FSIZE, &old);
	none = old;
	none.rlim_cur = 0;
	setrlimit(RLIMIT_FSIZE, &none);
	int errnum = 0;
	spool_put(sp, "2", 1, &errnum);
	int errnum3 = 0;
	spool_put(sp, "3", 1, &errnum3);
	uint64_t in_memory = spool_settle(sp);
	setrlimit(RLIMIT_FSIZE, &old);
	assert_int_equal(errnum, EFBIG);
	assert_int_equal(errnum3, EFBIG);
	assert_int_equal(in_memory, 2);
	assert_int_equal(count_files("0/*"), 1);
	put_text(sp, "4");
	assert_next(sp, "1");
	assert_next(sp, "2");
	assert_int_equal(spool_settle(sp), 0);
	assert_int_equal(count_files("0/*"), 2);
	spool_close(sp);
	sp = opened(0);
	assert_next(sp, "3");
	assert_next(sp, "4");
	assert_empty(sp);
	spool_close(sp);
}

static void memory_alone_is_bounded(void **state)
{
	(void)state;
	struct spool *sp;
	assert_null(spool_open(NULL, 0, &sp));
	char *mebibyte = mem_zalloc(1 << 20);
	for (int i = 0; i < 40; i++) {
		int errnum;
		mebibyte[0] = (char)i;
		spool_put(sp, mebibyte, 1 << 20, &errnum);
	}
	struct spool_counts c;
	spool_count(sp, &c);
	assert_int_equal(c.waiting, 16);
	assert_int_equal(c.dropped, 24);
	void *bytes;
	size_t len;
	struct spool_progress p;
	assert_true(spool_oldest(sp, &bytes, &len, &p));
	assert_int_equal(((char *)bytes)[0], 24);
	free(bytes);
	free(mebibyte);
	spool_close(sp);
}

static void what_is_foreign_is_left_alone(void **state)
{
	(void)state;
	spool_close(opened(0));
	static const char *const names[] = {
	        "notes.txt", "1-2.profile", "00000000000000000001-0-0.profile.txt",
	        "00000000000000000001- 1-0.profile", "+0000000000000000001-0-0.profile"};
	char path[200];
	for (size_t i = 0; i < ARRAY_SIZE(names); i++) {
		snprintf(path, sizeof(path), "%s/0/%s", dir, names[i]);
		close(open(path, O_CREAT | O_WRONLY, 0600));
	}
	/* A write that was cut short, and what only looks like a profile. */
	snprintf(path, sizeof(path), "%s/0/.00000000000000000001-0-0.profile", dir);
	close(open(path, O_CREAT | O_WRONLY, 0600));
	snprintf(path, sizeof(path), "%s/0/00000000000000000001-0-0.profile", dir);
	assert_int_equal(symlink("/etc/hostname", path), 0);
	snprintf(path, sizeof(path), "%s/0/00000000000000000002-0-0.profile", dir);
	assert_int_equal(mkfifo(path, 0600), 0);
	struct spool *sp = opened(0);
	assert_empty(sp);
	assert_int_equal(count_files("0/*"), ARRAY_SIZE(names) + 2);
	assert_int_equal(count_files("0/.0*"), 0);
	spool_close(sp);
}

static void files_that_vanish_are_dropped(void **state)
{
	(void)state;
	struct spool *sp = opened(0);
	put_text(sp, "1");
	char command[128];
	snprintf(command, sizeof(command), "rm %s/0/*", dir);
	assert_int_equal(system(command), 0);
	put_text(sp, "2");
	assert_next(sp, "2");
	struct spool_counts c;
	spool_count(sp, &c);
	assert_int_equal(c.dropped, 1);
	spool_close(sp);
}

static void refused_ones_are_kept_in_bounds(void **state)
{
	(void)state;
	struct spool *sp = opened(200 * 1024); /* of which a quarter for these */
	for (int i = 0; i < 20; i++) {
		char text[32];
		snprintf(text, sizeof(text), "refused %d", i);
		put_text(sp, text);
		assert_oldest(sp, text);
		spool_aside(sp, text, strlen(text), "why");
		spool_done(sp);
	}
	assert_empty(sp);
	size_t n = count_files("rejected/*.pb.gz");
	assert_in_range(n, 4, 7);
	assert_in_range(count_files("rejected/*.reason"), n - 1, n);
	char command[160];
	snprintf(command, sizeof(command), "grep -q 'refused 19' %s/rejected/*.pb.gz", dir);
	assert_int_equal(system(command), 0);
	spool_close(sp);
}

static void a_place_that_cannot_be_written_is_told(void **state)
{
	(void)state;
	struct spool *sp;
	struct err *err = spool_open("/proc/csample/x", 0, &sp);
	assert_non_null(err);
	assert_non_null(strstr(err->msg, "/proc/csample/x"));
	err_free(err);
	snprintf(dir, sizeof(dir), "%s/file", root);
	close(open(dir, O_CREAT | O_WRONLY, 0600));
	err = spool_open(dir, 0, &sp);
	assert_non_null(err);
	err_free(err);
}

/* The writer dies at some instant of its puts: each that returned is there, whole, in order. */
static void a_kill_loses_nothing(void **state)
{
	(void)state;
	for (int round = 0; round < 15; round++) {
		int said[2];
		assert_int_equal(pipe(said), 0);
		pid_t pid = fork();
		if (!pid) {
			struct spool *sp;
			if (spool_open(dir, 0, &sp))
				_exit(1);
			for (uint32_t i = 0;; i++) {
				char big[5000];
				int errnum;
				memset(big, 'x', sizeof(big));
				memcpy(big, &i, sizeof(i));
				spool_put(sp, big, sizeof(big), &errnum);
				if (write(said[1], &i, sizeof(i)) != sizeof(i))
					_exit(1);
			}
		}
		close(said[1]);
		uint32_t last = 0, i = 0;
		while (last < (uint32_t)(round * 7) + 3)
			assert_int_equal(read(said[0], &last, sizeof(last)), sizeof(last));
		kill(pid, SIGKILL);
		waitpid(pid, NULL, 0);
		while (read(said[0], &last, sizeof(last)) == sizeof(last))
			;
		close(said[0]);
		struct spool *sp = opened(0);
		void *bytes;
		size_t len;
		struct spool_progress p;
		for (; spool_oldest(sp, &bytes, &len, &p); i++) {
			assert_int_equal(len, 5000);
			assert_memory_equal(bytes, &i, sizeof(i));
			free(bytes);
			spool_done(sp);
		}
		assert_in_range(i, last + 1, last + 2); /* one may have been put and not said */
		spool_close(sp);
	}
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
	const struct CMUnitTest tests[] = {
	        TEST(keeps_the_order_and_survives),
	        TEST(drops_the_oldest_but_not_what_is_being_sent),
	        TEST(progress_survives),
	        TEST(processes_do_not_collide_and_inherit),
	        TEST(a_full_disk_is_bridged_by_memory),
	        TEST(memory_alone_is_bounded),
	        TEST(what_is_foreign_is_left_alone),
	        TEST(files_that_vanish_are_dropped),
	        TEST(refused_ones_are_kept_in_bounds),
	        TEST(a_place_that_cannot_be_written_is_told),
	        TEST(a_kill_loses_nothing),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
