/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <fcntl.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "../../../src/symbols/safeopen.h"

#define CHARACTER_DEVICE "/dev/zero"

struct fixture {
	char dir[64];
	int root_fd;
};

static void put(const struct fixture *f, const char *name, const char *text)
{
	char path[256];
	snprintf(path, sizeof(path), "%s/%s", f->dir, name);
	FILE *out = fopen(path, "w");
	assert_non_null(out);
	fputs(text, out);
	fclose(out);
}

static void link_to(const struct fixture *f, const char *goal, const char *name)
{
	char path[256];
	snprintf(path, sizeof(path), "%s/%s", f->dir, name);
	assert_int_equal(symlink(goal, path), 0);
}

static int setup(void **state)
{
	struct fixture *f = calloc(1, sizeof(*f));
	char path[128];
	strcpy(f->dir, "/tmp/csample-test-XXXXXX");
	assert_non_null(mkdtemp(f->dir));
	snprintf(path, sizeof(path), "%s/etc", f->dir);
	assert_int_equal(mkdir(path, 0700), 0);
	put(f, "etc/passwd", "inside");
	link_to(f, "/etc/passwd", "absolute");
	link_to(f, "../../../../../../../../etc/passwd", "upwards");
	link_to(f, "etc", "directory");
	link_to(f, "/proc/self/exe", "magic");
	snprintf(path, sizeof(path), "%s/fifo", f->dir);
	assert_int_equal(mkfifo(path, 0600), 0);
	f->root_fd = open(f->dir, O_PATH | O_CLOEXEC);
	*state = f;
	return 0;
}

static int teardown(void **state)
{
	struct fixture *f = *state;
	char command[128];
	close(f->root_fd);
	snprintf(command, sizeof(command), "rm -rf %s", f->dir);
	int r = system(command);
	free(f);
	return r;
}

/* "inside", "outside", or "none" when it was not opened. */
static const char *what(const struct fixture *f, const char *path, bool no_symlink)
{
	char text[16] = "";
	int fd = open_regular(f->root_fd, path, no_symlink);
	if (fd < 0)
		return "none";
	ssize_t n = read(fd, text, sizeof(text) - 1);
	close(fd);
	return n == 6 && !strcmp(text, "inside") ? "inside" : "outside";
}

static void links_mean_what_they_mean_to_the_target(void **state)
{
	struct fixture *f = *state;
	assert_string_equal(what(f, "/etc/passwd", true), "inside");
	assert_string_equal(what(f, "/absolute", false), "inside");
	assert_string_equal(what(f, "/upwards", false), "inside");
	assert_string_equal(what(f, "/directory/passwd", true), "inside");
	assert_string_equal(what(f, "/../../etc/passwd", false), "inside");
	assert_string_equal(what(f, "/absolute", true), "none");
	assert_string_equal(what(f, "/magic", false), "none");
}

static void only_regular_files_are_opened(void **state)
{
	struct fixture *f = *state;
	assert_string_equal(what(f, "/fifo", false), "none");
	assert_string_equal(what(f, "/etc", false), "none");
	assert_string_equal(what(f, "/missing", false), "none");
	assert_int_equal(open_regular(-1, CHARACTER_DEVICE, false), -1);
}

/* As kernels before 5.6 answer. */
static bool forbid_openat2(void)
{
	struct sock_filter filter[] = {
	        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
	        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_openat2, 0, 1),
	        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | ENOSYS),
	        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
	};
	struct sock_fprog program = {sizeof(filter) / sizeof(filter[0]), filter};
	return !prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) &&
	       !prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program);
}

static void without_openat2_nothing_leads_out_either(void **state)
{
	struct fixture *f = *state;
	pid_t pid = fork();
	if (!pid) {
		if (!forbid_openat2())
			_exit(77);
		_exit(strcmp(what(f, "/etc/passwd", true), "inside") ||
		      strcmp(what(f, "//etc//passwd", false), "inside") ||
		      strcmp(what(f, "/absolute", false), "none") ||
		      strcmp(what(f, "/upwards", false), "none") ||
		      strcmp(what(f, "/directory/passwd", false), "none") ||
		      strcmp(what(f, "/../../etc/passwd", false), "none"));
	}
	int status;
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_true(WIFEXITED(status));
	if (WEXITSTATUS(status) == 77)
		skip();
	assert_int_equal(WEXITSTATUS(status), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	        cmocka_unit_test_setup_teardown(links_mean_what_they_mean_to_the_target, setup,
	                                        teardown),
	        cmocka_unit_test_setup_teardown(only_regular_files_are_opened, setup, teardown),
	        cmocka_unit_test_setup_teardown(without_openat2_nothing_leads_out_either, setup,
	                                        teardown),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
