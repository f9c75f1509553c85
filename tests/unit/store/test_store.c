/* SPDX-License-Identifier: Apache-2.0 */
/* The store on a real file system, with what kills, fills and damages it. */
#include "stocked.h"

static void what_was_put_is_found(void **state)
{
	(void)state;
	struct store *s = opened(STORE_CREATE);
	put(s, START, "checkout", "v2.1");
	put(s, START + 10 * SECOND, "checkout", "v2.1");
	put(s, START + 20 * SECOND, "checkout", "v3.0");
	put(s, START + 20 * SECOND, "cart", "v2.1");
	assert_string_equal(
	        look(s, "process_cpu{service_name=\"checkout\",version=~\"v2.*\"}", 0, INT64_MAX)
	                .text,
	        "{\"service_name\":\"checkout\",\"version\":\"v2.1\"}+0 "
	        "{\"service_name\":\"checkout\",\"version\":\"v2.1\"}+10");
	assert_int_equal(look(s, "wall", 0, INT64_MAX).n, 0);
	assert_int_equal(look(s, "{}", START, START + 20 * SECOND).n, 2);
	assert_int_equal(look(s, "{}", START + 1, START + 20 * SECOND + 1).n, 3);
	store_close(s);
	s = opened(STORE_READ);
	assert_int_equal(look(s, "{service_name=\"cart\"}", 0, INT64_MAX).n, 1);
	struct strbuf b = {0};
	setenv("TZ", "UTC", 1);
	tzset();
	fine(store_describe(s, START, START + 1, &b));
	assert_string_equal(b.s,
	                    "the store has 4 profiles, from 2026-11-21 08:30:00 to 2026-11-21 "
	                    "08:30:20; in the time asked for: types (process_cpu); service_name "
	                    "(checkout); version (v2.1)");
	strbuf_clear(&b);
	fine(store_describe(s, 0, 1, &b));
	assert_non_null(strstr(b.s, "none of them in the time asked for; then: types"));
	strbuf_free(&b);
	store_close(s);
	is_sound(4);
}

/* Many series are searched in another way. */
static void many_series(void **state)
{
	(void)state;
	struct store *s = opened(STORE_CREATE);
	for (int i = 0; i < 70; i++) {
		char version[16];
		snprintf(version, sizeof(version), "v%d", i);
		put(s, START + i * SECOND, i % 2 ? "odd" : "even", version);
	}
	assert_int_equal(look(s, "{}", 0, INT64_MAX).n, 70);
	assert_int_equal(look(s, "{version=~\"v.*\"}", START + 10 * SECOND, INT64_MAX).n, 60);
	assert_int_equal(look(s, "{service_name=\"odd\"}", 0, INT64_MAX).n, 35);
	store_close(s);
}

static void bad_ones_are_not_taken(void **state)
{
	(void)state;
	struct store *s = opened(STORE_CREATE);
	struct outlet_label labels[] = {{"a", "b"}, {"c", "d"}};
	struct store_profile profile = profile_at(START, labels);
	struct err *err = store_put(s, &profile, "text", 4);
	assert_int_equal(err->kind, ERR_FORMAT);
	err_free(err);
	_cleanup_free_ char *large = mem_alloc(70000);
	memset(large, 'x', 69999);
	large[69999] = '\0';
	labels[0].value = large;
	err = store_put(s, &profile, pprof, pprof_len);
	assert_int_equal(err->kind, ERR_USAGE);
	err_free(err);
	store_close(s);
	is_sound(0);
	assert_non_null(err = store_open("missing", STORE_READ, &s));
	assert_non_null(strstr(err->msg, "not a store"));
	err_free(err);
}

static void retention(void **state)
{
	(void)state;
	struct store *s = opened(STORE_CREATE);
	uint64_t removed, bytes;
	for (int i = 0; i < 10; i++)
		put(s, START + i * 86400 * SECOND, i ? "a" : "b", "v1");
	struct retention keep = {.count = 8};
	fine(store_retain(s, &keep, START, &removed, &bytes));
	assert_int_equal(removed, 2);
	assert_true(bytes > 2 * pprof_len);
	assert_int_equal(look(s, "{}", 0, INT64_MAX).n, 8);
	/* Its day's directory has gone too, and its series. */
	assert_true(access("s/blobs/2026-11-21", F_OK) && errno == ENOENT);
	struct strbuf b = {0};
	fine(store_describe(s, 0, INT64_MAX, &b));
	assert_non_null(strstr(b.s, "service_name (a)"));
	strbuf_free(&b);
	keep = (struct retention){.age_ns = 3 * 86400 * SECOND};
	fine(store_retain(s, &keep, START + 9 * 86400 * SECOND + 20 * SECOND, &removed, &bytes));
	assert_int_equal(removed, 5);
	struct store_totals totals = {0};
	fine(store_totals(s, &totals));
	assert_int_equal(totals.profiles, 3);
	keep = (struct retention){.bytes = totals.bytes - 1};
	fine(store_retain(s, &keep, START, &removed, &bytes));
	assert_int_equal(removed, 1);
	keep = (struct retention){0};
	fine(store_retain(s, &keep, START, &removed, &bytes));
	assert_int_equal(removed, 0);
	put(s, START, "c", "v1"); /* the directory is made again */
	store_close(s);
	is_sound(3);
}

static void put_text(const char *path, const char *text, bool append)
{
	FILE *f = fopen(path, append ? "a" : "w");
	assert_non_null(f);
	fputs(text, f);
	fclose(f);
}

/* The path of some blob of the day. */
static char *a_blob(void)
{
	char *path = NULL;
	DIR *dir = opendir("s/blobs/2026-11-21");
	assert_non_null(dir);
	const struct dirent *entry;
	while ((entry = readdir(dir)))
		if (!path && entry->d_name[0] != '.')
			path = mem_asprintf("s/blobs/2026-11-21/%s", entry->d_name);
	closedir(dir);
	assert_non_null(path);
	return path;
}

static void check_finds_and_mends(void **state)
{
	(void)state;
	struct store *s = opened(STORE_CREATE);
	for (int i = 0; i < 4; i++)
		put(s, START + i * SECOND, "a", "v1");
	store_close(s);
	_cleanup_free_ char *missing = a_blob();
	assert_int_equal(unlink(missing), 0);
	_cleanup_free_ char *cut = a_blob();
	struct stat st;
	assert_int_equal(stat(cut, &st), 0);
	assert_int_equal(truncate(cut, st.st_size - 5), 0);
	put_text("s/blobs/2026-11-21/.new-00000001", "x", false);
	struct timespec old[2] = {{.tv_sec = 1000}, {.tv_sec = 1000}};
	assert_int_equal(utimensat(AT_FDCWD, "s/blobs/2026-11-21/.new-00000001", old, 0), 0);
	put_text("s/blobs/2026-11-21/.new-00000002", "x", false); /* may be being written */
	put_text("s/blobs/2026-11-21/000000.000-00000001.pb.gz", "hostile", false);
	put_text("s/blobs/2026-11-21/notes.txt", "not ours", false);
	struct store_problems found = checked(false);
	assert_int_equal(found.missing, 1);
	assert_int_equal(found.damaged, 2);
	assert_int_equal(found.unfinished, 1);
	assert_int_equal(found.unindexed, 0);
	assert_int_equal(found.repaired, 0);
	assert_int_equal(checked(true).repaired, 4);
	assert_int_equal(access("s/blobs/2026-11-21/notes.txt", F_OK), 0);
	assert_int_equal(access("s/blobs/2026-11-21/.new-00000002", F_OK), 0);
	is_sound(2);
}

static void a_damaged_index_is_made_anew(void **state)
{
	(void)state;
	static const char *const ways[] = {"missing", "text", "cut", "pages", "empty"};
	for (size_t i = 0; i < ARRAY_SIZE(ways); i++) {
		struct store *s = opened(STORE_CREATE);
		for (int n = 0; n < 50; n++)
			put(s, START + n * SECOND, "a", "v1");
		store_close(s);
		unlink("s/index.db-wal");
		unlink("s/index.db-shm");
		struct stat st;
		assert_int_equal(stat("s/index.db", &st), 0);
		if (!i)
			unlink("s/index.db");
		else if (i == 1)
			put_text("s/index.db", "this is no index, but it is long enough", false);
		else if (i == 2)
			assert_int_equal(truncate("s/index.db", 5000), 0);
		else if (i == 4)
			assert_int_equal(truncate("s/index.db", 0), 0);
		int fd = i == 3 ? open("s/index.db", O_WRONLY) : -1;
		for (off_t at = 4096; fd >= 0 && at < st.st_size; at += 4096)
			assert_int_equal(pwrite(fd, "\xff\xff\xff\xff\xff\xff\xff\xff", 8, at), 8);
		if (fd >= 0)
			close(fd);
		/* By whoever comes first: a reader or a writer. */
		s = opened(i % 2 ? STORE_READ : STORE_WRITE);
		struct found found = look(s, "{service_name=\"a\"}", 0, INT64_MAX);
		if (found.n != 50 * (i + 1))
			fail_msg("%s: %zu profiles", ways[i], found.n);
		store_close(s);
		is_sound(50 * (i + 1));
	}
}

static void a_writer_follows_a_new_index(void **state)
{
	(void)state;
	struct store *writer = opened(STORE_CREATE);
	put(writer, START, "a", "v1");
	assert_int_equal(rename("s/index.db", "s/old.db"), 0);
	unlink("s/index.db-wal");
	unlink("s/index.db-shm");
	store_close(opened(STORE_WRITE)); /* makes it anew */
	put(writer, START + SECOND, "a", "v1");
	store_close(writer);
	is_sound(2);
}

static void of_a_newer_csample(void **state)
{
	(void)state;
	store_close(opened(STORE_CREATE));
	/* user_version: bytes 60..63 of the header, once the log is merged by the last close. */
	int fd = open("s/index.db", O_WRONLY);
	assert_int_equal(pwrite(fd, "\0\0\0\x63", 4, 60), 4);
	close(fd);
	struct store *s;
	struct err *err = store_open("s", STORE_WRITE, &s);
	assert_non_null(err);
	assert_int_equal(err->kind, ERR_UNSUPPORTED);
	assert_non_null(strstr(err->msg, "version 99"));
	err_free(err);
}

/* Puts until it is killed; tells of each that has returned. */
static pid_t start_writer(int tell, int64_t start)
{
	pid_t pid = fork();
	if (pid)
		return pid;
	struct store *s = NULL;
	struct err *err = store_open("s", STORE_CREATE, &s);
	for (int i = 0; !err; i++) {
		struct outlet_label labels[] = {{"service_name", "a"}, {"version", "v1"}};
		struct store_profile profile = profile_at(start + i * (SECOND / 1000), labels);
		err = store_put(s, &profile, pprof, pprof_len);
		if (!err && write(tell, "x", 1) != 1)
			err = &err_gone;
	}
	fprintf(stderr, "writer: %s\n", err->msg);
	_exit(1);
}

/* Two writers at once, killed at random moments, a hundred times in all: what has been put is
 * there, at most one more for each kill, and nothing is damaged. */
static void writers_are_killed(void **state)
{
	(void)state;
	int told[2];
	char buf[4096];
	size_t n = 0, kills = 0;
	srand(1);
	assert_int_equal(pipe2(told, O_NONBLOCK), 0);
	for (int round = 0; round < 50; round++) {
		pid_t pids[2];
		for (int i = 0; i < 2; i++)
			pids[i] = start_writer(told[1], START + (round * 2 + i) * 60 * SECOND);
		/* Half of them while they open the store, half while they put. */
		struct pollfd ready = {.fd = told[0], .events = POLLIN};
		if (round % 2)
			assert_int_equal(poll(&ready, 1, 60000), 1);
		usleep((useconds_t)(rand() % 20000));
		for (int i = 0; i < 2; i++) {
			int status;
			assert_int_equal(kill(pids[i], SIGKILL), 0);
			assert_int_equal(waitpid(pids[i], &status, 0), pids[i]);
			assert_true(WIFSIGNALED(status)); /* it had not failed */
			kills++;
		}
		for (ssize_t got; (got = read(told[0], buf, sizeof(buf))) > 0;)
			n += (size_t)got;
	}
	close(told[0]);
	close(told[1]);
	store_close(opened(STORE_CREATE)); /* indexes what was named and not indexed */
	struct store_problems problems = checked(false);
	assert_int_equal(problems.missing + problems.unindexed + problems.damaged, 0);
	assert_false(problems.index_damaged);
	assert_true(n >= kills / 4);
	assert_in_range(problems.profiles, n, n + kills);
	is_sound(problems.profiles);
}

int main(void)
{
#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
	const struct CMUnitTest tests[] = {
	        TEST(what_was_put_is_found),        TEST(many_series),
	        TEST(bad_ones_are_not_taken),       TEST(retention),
	        TEST(check_finds_and_mends),        TEST(a_damaged_index_is_made_anew),
	        TEST(a_writer_follows_a_new_index), TEST(of_a_newer_csample),
	        TEST(writers_are_killed),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
