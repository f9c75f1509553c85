/* SPDX-License-Identifier: Apache-2.0 */
/* What the kernel tells of processes, in the order in which it happened. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include <csample/trigger.h>

struct seen {
	pid_t self, child;
	uint64_t last_ns, fork_ns, exec_ns, exit_ns;
	bool unordered;
};

static void on_event(void *arg, const struct sideband_event *event)
{
	struct seen *s = arg;
	s->unordered |= event->time_ns < s->last_ns;
	s->last_ns = event->time_ns;
	if (event->kind == SIDEBAND_FORK && event->pid == s->child && event->parent_pid == s->self)
		s->fork_ns = event->time_ns;
	if (event->kind == SIDEBAND_EXEC && event->pid == s->child)
		s->exec_ns = event->time_ns;
	if (event->kind == SIDEBAND_EXIT && event->pid == s->child)
		s->exit_ns = event->time_ns;
}

static void a_child_is_told_of_from_fork_to_exit(void **state)
{
	(void)state;
	int cpus[256];
	size_t n = 0;
	for (long cpu = 0; cpu < sysconf(_SC_NPROCESSORS_ONLN) && n < 256; cpu++)
		cpus[n++] = (int)cpu;
	struct sideband *s;
	struct err *err = sideband_open(cpus, n, &s);
	if (err) {
		print_message("%s\n", err->msg);
		err_free(err);
		skip();
	}
	for (int i = 0; i < 20; i++) {
		struct seen seen = {.self = getpid()};
		seen.child = fork();
		if (!seen.child) {
			execl("/bin/true", "true", (char *)NULL);
			_exit(127);
		}
		waitpid(seen.child, NULL, 0);
		sideband_drain(s, on_event, &seen);
		assert_true(seen.fork_ns && seen.fork_ns < seen.exec_ns);
		assert_true(seen.exec_ns < seen.exit_ns);
		assert_false(seen.unordered);
		sideband_drain(s, on_event, &seen); /* nothing of it comes twice */
		assert_true(seen.last_ns >= seen.exit_ns);
	}
	sideband_close(s);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	        cmocka_unit_test(a_child_is_told_of_from_fork_to_exit),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
