/* SPDX-License-Identifier: Apache-2.0 */
/* Real processes found by what they are called. */
#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include <csample/find.h>

static pid_t children[8];
static size_t n_children;

/* A sleeper with this argv[0] and comm. */
static pid_t start(const char *argv0, const char *comm)
{
	int ends[2];
	char byte;
	assert_int_equal(pipe(ends), 0);
	pid_t pid = fork();
	if (!pid) {
		close(ends[0]);
		if (comm) {
			prctl(PR_SET_NAME, comm);
			if (write(ends[1], "x", 1) != 1)
				_exit(1);
			pause();
		}
		/* Closed by exec: the reader then knows. */
		char fd_flag[] = "1000";
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		fcntl(ends[1], F_SETFD, FD_CLOEXEC);
		execl("/bin/sleep", argv0, fd_flag, NULL);
		_exit(1);
	}
	close(ends[1]);
	ssize_t n = read(ends[0], &byte, 1);
	assert_int_equal(n, comm ? 1 : 0);
	close(ends[0]);
	children[n_children++] = pid;
	return pid;
}

static int end_children(void **state)
{
	(void)state;
	for (; n_children; n_children--) {
		kill(children[n_children - 1], SIGKILL);
		waitpid(children[n_children - 1], NULL, 0);
	}
	return 0;
}

/* How many fit; found says whether pid is one of them. */
static size_t look(const struct selection *s, pid_t pid, bool *found)
{
	struct process *all;
	size_t n;
	struct err *err = find_matches(s, &all, &n);
	if (err)
		fail_msg("%s", err->msg);
	*found = false;
	for (size_t i = 0; i < n; i++) {
		*found |= all[i].pid == pid;
		assert_true(!i || all[i - 1].pid < all[i].pid);
		assert_false(all[i].kernel);
		assert_int_not_equal(all[i].pid, getpid());
	}
	free(all);
	return n;
}

static void by_comm(void **state)
{
	(void)state;
	bool found;
	pid_t pid = start(NULL, "cs) find-me-15c"); /* cut to 15 bytes by the kernel */
	struct selection s = {.comm = {.items = {"cs) find-me-15c"}, .n = 1}};
	assert_int_equal(look(&s, pid, &found), 1);
	assert_true(found);
	s.comm.items[0] = "cs) find-me-15c-and-more";
	look(&s, pid, &found);
	assert_true(found);
	s.comm.items[0] = "cs) find-me";
	assert_int_equal(look(&s, pid, &found), 0);
	s.comm.items[0] = "CS) FIND-me-15c";
	assert_int_equal(look(&s, pid, &found), 0);
	s.ignore_case = true;
	assert_int_equal(look(&s, pid, &found), 1);
}

/* The program's name is one too, whatever the process calls itself. */
static void by_program(void **state)
{
	(void)state;
	bool found;
	pid_t pid = start("renamed", NULL);
	struct selection s = {.comm = {.items = {"no-such-name", "sleep"}, .n = 2}};
	look(&s, pid, &found);
	assert_true(found);
}

static void by_command_line(void **state)
{
	(void)state;
	bool found;
	char word[64], other[64];
	snprintf(word, sizeof(word), "cs-find-%d-a", (int)getpid());
	snprintf(other, sizeof(other), "cs-find-%d-b", (int)getpid());
	pid_t a = start(word, NULL), b = start(other, NULL);
	struct selection s = {.cmdline = {.items = {word}, .n = 1}};
	assert_int_equal(look(&s, a, &found), 1);
	assert_true(found);
	s.cmdline.items[s.cmdline.n++] = "^cs-find-[0-9]+-b 1000$";
	assert_true(look(&s, b, &found) >= 2);
	assert_true(found);
	/* Kinds narrow each other; pids come besides. */
	s.comm = (struct find_words){.items = {"no-such-name"}, .n = 1};
	assert_int_equal(look(&s, a, &found), 0);
	s.pids = &a;
	s.n_pids = 1;
	assert_int_equal(look(&s, a, &found), 1);
	assert_true(found);
}

static void bad_expression(void **state)
{
	(void)state;
	struct process *all = NULL;
	size_t n;
	struct selection s = {.cmdline = {.items = {"fine", "a{2"}, .n = 2}};
	struct err *err = find_matches(&s, &all, &n);
	assert_non_null(err);
	assert_int_equal(err->kind, ERR_USAGE);
	assert_non_null(strstr(err->msg, "a{2"));
	assert_null(all);
	err_free(err);
}

static void write_file(const char *path, const char *text)
{
	FILE *f = fopen(path, "w");
	assert_non_null(f);
	fputs(text, f);
	fclose(f);
}

static void by_pidfile(void **state)
{
	(void)state;
	char path[] = "/tmp/csample-find-XXXXXX", text[64];
	close(mkstemp(path));
	bool found;
	pid_t pid = start("x", NULL), read_pid;
	struct selection s = {.pidfile = {.items = {path}, .n = 1}};
	assert_true(selection_is_search(&s));
	snprintf(text, sizeof(text), " %d\nmore", (int)pid);
	write_file(path, text);
	assert_int_equal(look(&s, pid, &found), 1);
	assert_true(found);
	static const char *const bad[] = {"",    "x1", "-1", "0", "1x", "99999999999999999999",
	                                  "0x10"};
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		write_file(path, bad[i]);
		struct err *err = pidfile_read(path, &read_pid);
		if (!err)
			fail_msg("'%s' is a pid", bad[i]);
		assert_non_null(strstr(err->msg, path));
		err_free(err);
		assert_int_equal(look(&s, pid, &found), 0);
	}
	unlink(path);
	assert_int_equal(mkfifo(path, 0600), 0); /* must not wait for a writer */
	struct err *err = pidfile_read(path, &read_pid);
	assert_non_null(err);
	err_free(err);
	unlink(path);
	assert_int_equal(look(&s, pid, &found), 0);
}

/* The identity is that of stat(5), and CPU time moves. */
static void listed(void **state)
{
	(void)state;
	struct process *all;
	size_t n = processes_list(&all), mine = n;
	for (size_t i = 0; i < n; i++)
		if (all[i].pid == getpid())
			mine = i;
	assert_true(mine < n);
	assert_int_equal(all[mine].ppid, getppid());
	assert_int_equal(all[mine].state, 'R');
	assert_false(all[mine].kernel);
	assert_string_equal(all[mine].comm, "test_find");
	unsigned long long start = 0;
	char text[1024];
	FILE *f = fopen("/proc/self/stat", "r");
	assert_non_null(f);
	assert_non_null(fgets(text, sizeof(text), f));
	fclose(f);
	char *p = strrchr(text, ')') + 1;
	for (int field = 4; field <= 22; field++)
		start = strtoull(p += strspn(p, " RS"), &p, 10);
	assert_int_equal(all[mine].start_time, start);
	free(all);
}

/* A word that does not fit until later; how many looks it takes to see that. */
static int looks_until_seen(struct finder *f, const struct selection *s, pid_t pid)
{
	for (int i = 1; i <= 100; i++) {
		struct process *all;
		size_t n;
		struct err *err = finder_matches(f, s, &all, &n);
		if (err)
			fail_msg("%s", err->msg);
		bool seen = n == 1 && all[0].pid == pid;
		free(all);
		if (seen)
			return i;
	}
	return 0;
}

/* Its child is named only when a byte comes. */
static pid_t start_late(const char *comm, int *go_fd)
{
	int ends[2];
	char byte;
	assert_int_equal(pipe(ends), 0);
	pid_t pid = fork();
	if (!pid) {
		close(ends[1]);
		if (read(ends[0], &byte, 1) == 1)
			prctl(PR_SET_NAME, comm);
		pause();
		_exit(0);
	}
	close(ends[0]);
	*go_fd = ends[1];
	children[n_children++] = pid;
	return pid;
}

static void rename_now(pid_t pid, const char *comm, int go_fd)
{
	char path[64], name[32] = "";
	assert_int_equal(write(go_fd, "x", 1), 1);
	close(go_fd);
	snprintf(path, sizeof(path), "/proc/%d/comm", (int)pid);
	while (strcmp(name, comm) != 0) {
		FILE *file = fopen(path, "r");
		assert_non_null(file);
		assert_non_null(fgets(name, sizeof(name), file));
		name[strcspn(name, "\n")] = '\0';
		fclose(file);
	}
}

static void looking_again_sees_what_has_changed(void **state)
{
	(void)state;
	struct finder *f = finder_create();
	struct selection s = {.comm = {.items = {"cs-late"}, .n = 1}};
	int young_fd, old_fd;
	pid_t young = start_late("cs-late", &young_fd);
	assert_int_equal(looks_until_seen(f, &s, young), 0);
	rename_now(young, "cs-late", young_fd);
	int late = looks_until_seen(f, &s, young);
	assert_in_range(late, 1, 10);
	/* From now on each time. */
	assert_int_equal(looks_until_seen(f, &s, young), 1);
	end_children(NULL);

	/* Who is new is not taken for known. */
	pid_t old = start_late("cs-late", &old_fd);
	struct process *all;
	size_t n;
	assert_null(finder_matches(f, &s, &all, &n));
	assert_int_equal(n, 0);
	free(all);
	rename_now(old, "cs-late", old_fd);
	assert_int_equal(looks_until_seen(f, &s, old), 1);
	finder_destroy(f);
}

/* In most looks nothing is read of who did not fit. */
static void looking_again_remembers(void **state)
{
	(void)state;
	struct selection s = {.comm = {.items = {"cs-memory"}, .n = 1}};
	unsigned at_once = 0;
	/* The kernel may forget the numbers that it gave to directories: not each time. */
	for (int round = 0; round < 3; round++) {
		struct finder *f = finder_create();
		int go_fd;
		pid_t pid = start_late("cs-memory", &go_fd);
		/* Every tenth look is a thorough one, and the next is not that. */
		for (int i = 0; i < 10 || (i + pid) % 10 != 1; i++) {
			struct process *all;
			size_t n;
			assert_null(finder_matches(f, &s, &all, &n));
			assert_int_equal(n, 0);
			free(all);
		}
		rename_now(pid, "cs-memory", go_fd);
		at_once += looks_until_seen(f, &s, pid) == 1;
		finder_destroy(f);
		end_children(NULL);
	}
	assert_in_range(at_once, 0, 2);
}

/* What it knows to be unfit is no reason to leave it out when it is named. */
static void looking_again_finds_who_is_named(void **state)
{
	(void)state;
	struct finder *f = finder_create();
	struct selection s = {.comm = {.items = {"cs-nobody"}, .n = 1}};
	pid_t pid = start("cs-named", NULL);
	assert_int_equal(looks_until_seen(f, &s, pid), 0);
	struct selection named = {.comm = s.comm, .pids = &pid, .n_pids = 1};
	for (int i = 0; i < 10; i++)
		assert_int_equal(looks_until_seen(f, &named, pid), 1);
	finder_destroy(f);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	        cmocka_unit_test_teardown(by_comm, end_children),
	        cmocka_unit_test_teardown(by_program, end_children),
	        cmocka_unit_test_teardown(by_command_line, end_children),
	        cmocka_unit_test_teardown(by_pidfile, end_children),
	        cmocka_unit_test_teardown(looking_again_sees_what_has_changed, end_children),
	        cmocka_unit_test_teardown(looking_again_remembers, end_children),
	        cmocka_unit_test_teardown(looking_again_finds_who_is_named, end_children),
	        cmocka_unit_test(bad_expression),
	        cmocka_unit_test(listed),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
