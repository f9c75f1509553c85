/* SPDX-License-Identifier: Apache-2.0 */
/* Children: found, opened with their parents' maps, and what they used. */
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

#include <csample/target.h>

/* A child that says its pid, and waits. */
static pid_t start_child(void (*in_child)(int fd), int *fd_ret)
{
	int ends[2];
	assert_int_equal(pipe(ends), 0);
	pid_t pid = fork();
	if (!pid) {
		close(ends[0]);
		in_child(ends[1]);
		_exit(0);
	}
	close(ends[1]);
	*fd_ret = ends[0];
	return pid;
}

static void tell(int fd, pid_t pid)
{
	if (write(fd, &pid, sizeof(pid)) != sizeof(pid))
		_exit(1);
}

static void be_a_family(int fd)
{
	if (!fork()) {
		tell(fd, getpid());
		pause();
	}
	pause();
}

static void be_alone(int fd)
{
	tell(fd, getpid());
	pause();
}

static void burn(int fd)
{
	(void)fd;
	while (clock() < CLOCKS_PER_SEC / 5)
		;
}

static void burn_in_a_child(int fd)
{
	pid_t pid = fork();
	if (!pid) {
		burn(fd);
		_exit(0);
	}
	waitpid(pid, NULL, 0);
	tell(fd, getpid());
	pause();
}

static void end_child(pid_t pid, int fd)
{
	kill(pid, SIGKILL);
	waitpid(pid, NULL, 0);
	close(fd);
}

static void descendants_come_after_their_parents(void **state)
{
	(void)state;
	int fd;
	pid_t grandchild, child = start_child(be_a_family, &fd), self = getpid();
	assert_int_equal(read(fd, &grandchild, sizeof(grandchild)), sizeof(grandchild));
	struct target_parent *found;
	size_t n = target_descendants(&self, 1, &found);
	size_t at_child = n, at_grandchild = n;
	for (size_t i = 0; i < n; i++) {
		if (found[i].pid == child && found[i].parent == self)
			at_child = i;
		if (found[i].pid == grandchild && found[i].parent == child)
			at_grandchild = i;
		assert_int_not_equal(found[i].pid, self);
	}
	assert_true(at_child < at_grandchild && at_grandchild < n);
	free(found);
	n = target_descendants(&child, 1, &found);
	assert_int_equal(n, 1);
	assert_int_equal(found[0].pid, grandchild);
	free(found);
	kill(grandchild, SIGKILL);
	end_child(child, fd);
}

struct files {
	struct strings *strings;
	struct images *images;
};

static struct files open_files(void)
{
	struct files f = {.strings = strings_create()};
	f.images = images_create(f.strings);
	return f;
}

static void close_files(struct files *f)
{
	images_destroy(f->images);
	strings_destroy(f->strings);
}

static void a_fork_has_its_parents_maps(void **state)
{
	(void)state;
	struct files f = open_files();
	int fd, other_fd;
	pid_t told, pid = start_child(be_alone, &fd), other = start_child(be_alone, &other_fd);
	assert_int_equal(read(fd, &told, sizeof(told)), sizeof(told));
	struct target *parent, *t;
	assert_null(target_open(pid, f.images, f.strings, &parent));
	/* Any process will do to see whose maps it gets. */
	assert_null(target_open_fork(parent, other, &t));
	assert_int_equal(t->pid, other);
	assert_true(t->maps.n > 0 && t->maps.n == parent->maps.n);
	assert_memory_equal(t->maps.items, parent->maps.items, t->maps.n * sizeof(*t->maps.items));
	assert_string_equal(t->command, parent->command);
	assert_true(target_exists(t));
	size_t n = parent->maps.n;
	target_close(t);
	assert_int_equal(parent->maps.n, n);
	end_child(other, other_fd);
	struct err *err = target_open_fork(parent, other, &t);
	assert_non_null(err);
	err_free(err);
	target_close(parent);
	end_child(pid, fd);
	close_files(&f);
}

static void ended_is_neither_alive_nor_there(void **state)
{
	(void)state;
	struct files f = open_files();
	int fd;
	pid_t told, pid = start_child(be_alone, &fd);
	assert_int_equal(read(fd, &told, sizeof(told)), sizeof(told));
	struct target *t;
	assert_null(target_open(pid, f.images, f.strings, &t));
	assert_true(target_alive(t) && target_exists(t));
	kill(pid, SIGKILL);
	siginfo_t info;
	waitid(P_PID, (id_t)pid, &info, WEXITED | WNOWAIT);
	assert_true(!target_alive(t) && target_exists(t)); /* a zombie */
	waitpid(pid, NULL, 0);
	assert_true(!target_alive(t) && !target_exists(t));
	t->start_time = 0; /* as when it had ended before it was opened */
	assert_true(!target_alive(t) && !target_exists(t));
	target_close(t);
	close(fd);
	close_files(&f);
}

static void what_children_used_is_told(void **state)
{
	(void)state;
	struct files f = open_files();
	int fd;
	pid_t told, pid = start_child(burn_in_a_child, &fd);
	assert_int_equal(read(fd, &told, sizeof(told)), sizeof(told));
	struct target *t;
	uint64_t reaped_ns = 0;
	assert_null(target_open(pid, f.images, f.strings, &t));
	assert_true(target_reaped_cpu_ns(t, &reaped_ns));
	assert_in_range(reaped_ns, 170000000, 2000000000);
	assert_true(target_cpu_ns(t) < reaped_ns);
	end_child(pid, fd);
	assert_false(target_reaped_cpu_ns(t, &reaped_ns));
	target_close(t);
	close_files(&f);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	        cmocka_unit_test(descendants_come_after_their_parents),
	        cmocka_unit_test(a_fork_has_its_parents_maps),
	        cmocka_unit_test(ended_is_neither_alive_nor_there),
	        cmocka_unit_test(what_children_used_is_told),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
