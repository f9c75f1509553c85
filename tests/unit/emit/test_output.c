/* SPDX-License-Identifier: Apache-2.0 */
/* In a directory of its own each time, on a real file system. What needs another user or a mount of
 * its own runs in a child, and is skipped where that is not to be had. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <sched.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include <csample/format.h>
#include <csample/mem.h>

static char home[PATH_MAX];

static int setup(void **state)
{
	(void)state;
	const char *tmp = getenv("TMPDIR");
	snprintf(home, sizeof(home), "%s/csample-output-XXXXXX", tmp ? tmp : "/tmp");
	umask(022);
	return mkdtemp(home) && !chdir(home) ? 0 : -1;
}

static int teardown(void **state)
{
	(void)state;
	_cleanup_free_ char *command = mem_asprintf("rm -rf '%s'", home);
	return chdir("/") || system(command) ? -1 : 0;
}

static void put(const char *path, const char *text)
{
	FILE *f = fopen(path, "w");
	assert_non_null(f);
	fputs(text, f);
	assert_int_equal(fclose(f), 0);
}

/* The text of a small file, until the next call. */
static const char *text_of(const char *path)
{
	static char got[256];
	FILE *f = fopen(path, "r");
	if (!f)
		return strerror(errno);
	got[fread(got, 1, sizeof(got) - 1, f)] = '\0';
	fclose(f);
	return got;
}

static void has(const char *path, const char *text)
{
	assert_string_equal(text_of(path), text);
}

static size_t count(const char *dir)
{
	size_t n = 0;
	DIR *d = opendir(dir);
	for (struct dirent *e; d && (e = readdir(d));)
		n += strcmp(e->d_name, ".") && strcmp(e->d_name, "..");
	if (d)
		closedir(d);
	return n;
}

/* Nothing is in the directory but so many files. */
static void entries(const char *dir, size_t expect)
{
	assert_int_equal(count(dir), expect);
}

static mode_t mode_of(const char *path)
{
	struct stat st;
	assert_int_equal(stat(path, &st), 0);
	return st.st_mode & 07777;
}

static struct output *opened(const char *path)
{
	struct output *o = NULL;
	struct err *err = output_open(path, &o);
	if (err)
		fail_msg("%s", err->msg);
	return o;
}

static void commit(struct output *o)
{
	struct err *err = output_commit(o);
	if (err)
		fail_msg("%s", err->msg);
}

/* The file cannot be opened, and the one line said of it has these words. */
static void refused(const char *path, enum err_kind kind, const char *words)
{
	struct output *o = NULL;
	struct err *err = output_open(path, &o);
	assert_non_null(err);
	assert_null(o);
	if (err->kind != kind || !strstr(err->msg, words) || !strstr(err->msg, path) ||
	    strchr(err->msg, '\n'))
		fail_msg("kind %d: %s", (int)err->kind, err->msg);
	err_free(err);
}

/* Runs in a child, which has CHECK instead of cmocka's asserts, since those would go on in it with
 * the next test; _exit(77) is a skip. */
static void in_child(void (*run)(void), int uid, bool own_mounts)
{
	fflush(NULL);
	pid_t pid = fork();
	assert_true(pid >= 0);
	if (!pid) {
		if (own_mounts &&
		    (unshare(CLONE_NEWNS) || mount("none", "/", NULL, MS_REC | MS_PRIVATE, NULL)))
			_exit(77);
		if (uid && (setgid((gid_t)uid) || setuid((uid_t)uid)))
			_exit(77);
		run();
		_exit(0);
	}
	int status = 0;
	assert_int_equal(waitpid(pid, &status, 0), pid);
	if (WIFEXITED(status) && WEXITSTATUS(status) == 77)
		skip();
	assert_true(WIFEXITED(status));
	assert_int_equal(WEXITSTATUS(status), 0);
}

#define CHECK(condition)                                                   \
	do {                                                               \
		if (!(condition)) {                                        \
			fprintf(stderr, "%d: %s\n", __LINE__, #condition); \
			_exit(1);                                          \
		}                                                          \
	} while (0)

static void appears_whole(void **state)
{
	(void)state;
	struct output *o = opened("out.svg");
	fputs("new", output_stream(o));
	fflush(output_stream(o));
	assert_int_equal(access("out.svg", F_OK), -1);
	commit(o);
	has("out.svg", "new");
	entries(".", 1);
	assert_int_equal(mode_of("out.svg"), 0644);
	umask(077);
	commit(opened("private"));
	assert_int_equal(mode_of("private"), 0600);
}

static void replaces_whole(void **state)
{
	(void)state;
	put("out.svg", "a longer old text");
	assert_int_equal(chmod("out.svg", 0640), 0);
	struct output *o = opened("out.svg");
	fputs("new", output_stream(o));
	fflush(output_stream(o));
	has("out.svg", "a longer old text");
	commit(o);
	has("out.svg", "new");
	assert_int_equal(mode_of("out.svg"), 0640);
	entries(".", 1);
}

static void abort_leaves_the_old(void **state)
{
	(void)state;
	put("out.svg", "old");
	struct output *o = opened("out.svg");
	fputs("new", output_stream(o));
	output_abort(o);
	output_abort(NULL);
	has("out.svg", "old");
	output_abort(opened("never"));
	entries(".", 1);
}

static void links_are_followed(void **state)
{
	(void)state;
	assert_int_equal(mkdir("there", 0755), 0);
	put("there/real", "old");
	assert_int_equal(symlink("there/real", "link"), 0);
	struct output *o = opened("link");
	fputs("new", output_stream(o));
	commit(o);
	has("there/real", "new");
	struct stat st;
	assert_int_equal(lstat("link", &st), 0);
	assert_true(S_ISLNK(st.st_mode));
	entries("there", 1);
}

/* The directory is found once: a profiler that changes its own later writes where it was told to.
 */
static void directory_is_found_at_the_start(void **state)
{
	(void)state;
	struct output *o = opened("out.svg");
	assert_int_equal(mkdir("elsewhere", 0755) || chdir("elsewhere"), 0);
	fputs("new", output_stream(o));
	commit(o);
	has("../out.svg", "new");
	entries(".", 0);
}

static void a_file_that_appeared_meanwhile(void **state)
{
	(void)state;
	struct output *o = opened("out.svg");
	put("out.svg", "another's");
	fputs("new", output_stream(o));
	commit(o);
	has("out.svg", "new");
	entries(".", 1);
}

/* A device node of our own (mem(4): major 1): were the code wrong, a test run by root would put a
 * file in the place of the machine's. */
static void make_device(const char *name, unsigned minor)
{
	if (mknod(name, S_IFCHR | 0600, makedev(1, minor)) || access(name, W_OK))
		skip(); /* not root, or a file system mounted nodev */
	int fd = open(name, O_WRONLY | O_CLOEXEC);
	if (fd < 0)
		skip();
	close(fd);
}

static void devices_are_written_to(void **state)
{
	(void)state;
	make_device("null", 3);
	struct output *o = opened("null");
	fputs("new", output_stream(o));
	commit(o);
	struct stat st;
	assert_int_equal(stat("null", &st), 0);
	assert_true(S_ISCHR(st.st_mode));
}

static void pipes_are_written_to(void **state)
{
	(void)state;
	struct output *o;
	struct stat st;

	assert_int_equal(mkfifo("pipe", 0600), 0);
	int reader = open("pipe", O_RDONLY | O_NONBLOCK | O_CLOEXEC);
	o = opened("pipe");
	fputs("through", output_stream(o));
	commit(o);
	char got[16] = "";
	assert_int_equal(read(reader, got, sizeof(got)), 7);
	assert_string_equal(got, "through");
	close(reader);
	assert_int_equal(stat("pipe", &st), 0);
	assert_true(S_ISFIFO(st.st_mode));
}

static void stdout_is_not_closed(void **state)
{
	(void)state;
	static const char *const names[] = {"-", "/dev/stdout"};
	int saved = dup(STDOUT_FILENO);
	fflush(stdout);
	for (size_t i = 0; i < ARRAY_SIZE(names); i++) {
		int file = open("stdout", O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
		dup2(file, STDOUT_FILENO);
		struct output *o = NULL;
		struct err *err = output_open(names[i], &o);
		fputs("text", err ? stderr : output_stream(o));
		err = err ? err : output_commit(o);
		bool open_still = fcntl(STDOUT_FILENO, F_GETFD) >= 0;
		dup2(saved, STDOUT_FILENO);
		close(file);
		assert_null(err);
		assert_true(open_still);
		has("stdout", "text");
	}
	close(saved);
	entries(".", 1);
}

static void refusals(void **state)
{
	(void)state;
	put("file", "old");
	refused("missing/out.svg", ERR_SYS,
	        "No such file or directory; create the directory first");
	refused(".", ERR_SYS, "Is a directory; name a file in it");
	refused("new/", ERR_SYS, "directory");
	refused("file/out.svg", ERR_SYS, "Not a directory");
	refused("", ERR_SYS, "No such file");
	char longest[NAME_MAX + 2] = {0};
	memset(longest, 'x', NAME_MAX + 1);
	refused(longest, ERR_SYS, "File name too long");
	refused("/proc/none.svg", ERR_SYS, "");
	entries(".", 1);
	has("file", "old");
}

static void disk_full(void **state)
{
	(void)state;
	make_device("full", 7);
	struct output *o = opened("full");
	for (int i = 0; i < 100000; i++)
		fputs("0123456789", output_stream(o)); /* more than is buffered */
	struct err *err = output_commit(o);
	assert_non_null(err);
	assert_int_equal(err->kind, ERR_SYS);
	assert_string_equal(err->msg, "cannot write 'full': No space left on device; free some "
	                              "space there, or choose another file with -o");
	err_free(err);
}

static void reader_gone(void **state)
{
	(void)state;
	signal(SIGPIPE, SIG_IGN);
	assert_int_equal(mkfifo("pipe", 0600), 0);
	int reader = open("pipe", O_RDONLY | O_NONBLOCK | O_CLOEXEC);
	struct output *o = opened("pipe");
	close(reader);
	fputs("text", output_stream(o));
	struct err *err = output_commit(o);
	assert_non_null(err);
	assert_non_null(strstr(err->msg, "Broken pipe"));
	err_free(err);
}

static void unprivileged(void)
{
	struct output *o = NULL;
	struct err *err = output_open("root/new", &o);
	CHECK(err && err->kind == ERR_PERM &&
	      strstr(err->msg, "cannot write 'root/new': Permission denied; "));
	err_free(err);
	err = output_open("read-only", &o);
	CHECK(err && err->kind == ERR_PERM);
	err_free(err);
	/* A file that may be written, in a directory that may not, is written in place at the end.
	 */
	CHECK(!output_open("root/open", &o));
	fputs("new", output_stream(o));
	fflush(output_stream(o));
	struct stat st;
	CHECK(!stat("root/open", &st) && st.st_size == 17);
	CHECK(!output_commit(o));
	CHECK(!stat("root/open", &st) && st.st_size == 3 && st.st_uid == 0);
	/* Another's file that the group may write, in a directory that may be: still the group's.
	 */
	CHECK(!output_open("open/file", &o));
	CHECK(!output_commit(o));
	CHECK(!stat("open/file", &st) && st.st_size == 0 && st.st_gid == 12345 &&
	      (st.st_mode & 0777) == 0664);
}

static void permissions(void **state)
{
	(void)state;
	if (geteuid())
		skip();
	assert_int_equal(mkdir("root", 0755) || mkdir("open", 0777) || chmod("open", 0777), 0);
	assert_int_equal(chmod(".", 0755), 0);
	put("root/open", "a longer old text");
	put("read-only", "old");
	put("open/file", "old");
	assert_int_equal(chmod("root/open", 0666), 0);
	assert_int_equal(chmod("read-only", 0444), 0);
	assert_int_equal(chown("open/file", 0, 12345) || chmod("open/file", 0664), 0);
	in_child(unprivileged, 12345, false);
	has("root/open", "new");
	has("read-only", "old");
	entries("root", 1);
	entries("open", 1);
}

static void keeps_owner(void **state)
{
	(void)state;
	if (geteuid())
		skip();
	put("out.svg", "old");
	assert_int_equal(chown("out.svg", 12345, 12346), 0);
	commit(opened("out.svg"));
	struct stat st;
	assert_int_equal(stat("out.svg", &st), 0);
	assert_int_equal(st.st_uid, 12345);
	assert_int_equal(st.st_gid, 12346);
}

static void on_small_disk(void)
{
	CHECK(!mkdir("disk", 0755));
	if (mount("none", "disk", "tmpfs", 0, "size=64k"))
		_exit(77);
	put("disk/out.svg", "old");
	struct output *o;
	CHECK(!output_open("disk/out.svg", &o));
	for (int i = 0; i < 100000; i++)
		fputs("0123456789", output_stream(o));
	struct err *err = output_commit(o);
	CHECK(err && strstr(err->msg, "cannot write 'disk/out.svg': No space left on device; "));
	err_free(err);
	CHECK(!strcmp(text_of("disk/out.svg"), "old"));
	CHECK(count("disk") == 1);
	/* And once there is room again, it works. */
	CHECK(!output_open("disk/out.svg", &o));
	CHECK(!output_commit(o));
	CHECK(!strcmp(text_of("disk/out.svg"), ""));
	/* A file system that is read-only says so at the start. */
	CHECK(!mount("none", "disk", NULL, MS_REMOUNT | MS_RDONLY, NULL));
	err = output_open("disk/out.svg", &o);
	CHECK(err && strstr(err->msg, "Read-only file system; "));
	err_free(err);
	err = output_open("disk/new.svg", &o);
	CHECK(err && strstr(err->msg, "Read-only file system; "));
	err_free(err);
}

static void small_disk(void **state)
{
	(void)state;
	in_child(on_small_disk, 0, true);
}

/* A single file mounted into a container can only be written in place. */
static void on_bind_mount(void)
{
	put("inside", "a longer old text");
	put("outside", "a longer old text");
	if (mount("outside", "inside", NULL, MS_BIND, NULL))
		_exit(77);
	struct output *o;
	CHECK(!output_open("inside", &o));
	fputs("new", output_stream(o));
	fflush(output_stream(o));
	CHECK(!strcmp(text_of("outside"), "a longer old text"));
	CHECK(!output_commit(o));
	CHECK(!strcmp(text_of("outside"), "new"));
	CHECK(count(".") == 2);
}

static void bind_mount(void **state)
{
	(void)state;
	in_child(on_bind_mount, 0, true);
}

/* Where nameless files cannot be had, the content has a temporary name, which goes away. */
static void without_proc(void)
{
	put("out.svg", "old");
	if (mount("none", "/proc", "tmpfs", 0, "size=64k"))
		_exit(77);
	struct output *o;
	CHECK(!output_open("out.svg", &o));
	fputs("new", output_stream(o));
	fflush(output_stream(o));
	CHECK(count(".") == 2 && !strcmp(text_of("out.svg"), "old"));
	CHECK(!output_commit(o));
	CHECK(count(".") == 1 && !strcmp(text_of("out.svg"), "new"));
	CHECK(mode_of("out.svg") == 0644);
	CHECK(!output_open("out.svg", &o));
	output_abort(o);
	CHECK(!output_open("other.svg", &o));
	output_abort(o);
	CHECK(count(".") == 1 && !strcmp(text_of("out.svg"), "new"));
}

/* And where the nameless file can get no name at the end, what it holds is copied. */
static void proc_goes_away(void)
{
	put("out.svg", "a longer old text");
	struct output *o[2];
	CHECK(!output_open("out.svg", &o[0]) && !output_open("new.svg", &o[1]));
	if (mount("none", "/proc", "tmpfs", 0, "size=64k"))
		_exit(77);
	for (int i = 0; i < 2; i++) {
		fputs("new", output_stream(o[i]));
		CHECK(!output_commit(o[i]));
	}
	CHECK(!strcmp(text_of("out.svg"), "new") && !strcmp(text_of("new.svg"), "new"));
	CHECK(count(".") == 2);
}

static void no_links(void **state)
{
	(void)state;
	in_child(proc_goes_away, 0, true);
}

static void temporary_names(void **state)
{
	(void)state;
	in_child(without_proc, 0, true);
}

/* Killed while it writes: the old file is there, and nothing else is (where O_TMPFILE is known). */
static void killed(void **state)
{
	(void)state;
	int probe = open(".", O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);
	if (probe < 0)
		skip();
	close(probe);
	put("out.svg", "old");
	int ready[2];
	assert_int_equal(pipe2(ready, O_CLOEXEC), 0);
	pid_t pid = fork();
	if (!pid) {
		struct output *o;
		CHECK(!output_open("out.svg", &o));
		fputs("new", output_stream(o));
		fflush(output_stream(o));
		CHECK(write(ready[1], "x", 1) == 1);
		for (;;)
			pause();
	}
	char c;
	assert_int_equal(read(ready[0], &c, 1), 1);
	kill(pid, SIGKILL);
	waitpid(pid, NULL, 0);
	close(ready[0]);
	close(ready[1]);
	has("out.svg", "old");
	entries(".", 1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	        cmocka_unit_test_setup_teardown(appears_whole, setup, teardown),
	        cmocka_unit_test_setup_teardown(replaces_whole, setup, teardown),
	        cmocka_unit_test_setup_teardown(abort_leaves_the_old, setup, teardown),
	        cmocka_unit_test_setup_teardown(links_are_followed, setup, teardown),
	        cmocka_unit_test_setup_teardown(directory_is_found_at_the_start, setup, teardown),
	        cmocka_unit_test_setup_teardown(a_file_that_appeared_meanwhile, setup, teardown),
	        cmocka_unit_test_setup_teardown(devices_are_written_to, setup, teardown),
	        cmocka_unit_test_setup_teardown(pipes_are_written_to, setup, teardown),
	        cmocka_unit_test_setup_teardown(stdout_is_not_closed, setup, teardown),
	        cmocka_unit_test_setup_teardown(refusals, setup, teardown),
	        cmocka_unit_test_setup_teardown(disk_full, setup, teardown),
	        cmocka_unit_test_setup_teardown(reader_gone, setup, teardown),
	        cmocka_unit_test_setup_teardown(permissions, setup, teardown),
	        cmocka_unit_test_setup_teardown(keeps_owner, setup, teardown),
	        cmocka_unit_test_setup_teardown(small_disk, setup, teardown),
	        cmocka_unit_test_setup_teardown(bind_mount, setup, teardown),
	        cmocka_unit_test_setup_teardown(temporary_names, setup, teardown),
	        cmocka_unit_test_setup_teardown(no_links, setup, teardown),
	        cmocka_unit_test_setup_teardown(killed, setup, teardown),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
