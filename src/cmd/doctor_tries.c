/* SPDX-License-Identifier: Apache-2.0 */
/* What sampling needs, tried rather than deduced: by the functions that record uses where they are,
 * and otherwise in children of ours, so that nothing changes for csample itself or the target. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/perf_event.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <unistd.h>

#include <csample/mem.h>
#include <csample/target.h>

#include "doctor.h"

#define RT_PRIORITY     55
#define RT_PRIORITY_MAX 98

static char *take_message(struct err *err)
{
	char *msg = err ? mem_strdup(err->msg) : NULL;
	err_free(err);
	return msg;
}

/* A child that waits, readable like any process of this user, and dies with us. */
static pid_t start_waiter(void)
{
	int ready[2];
	if (pipe2(ready, O_CLOEXEC))
		return -1;
	pid_t pid = fork();
	if (pid == 0) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		prctl(PR_SET_DUMPABLE, 1); /* lost when csample has file capabilities */
		for (int sig = 1; sig < NSIG; sig++)
			signal(sig, SIG_DFL);
		ssize_t n = write(ready[1], "r", 1);
		for (;;)
			n = pause() + n;
	}
	char c;
	ssize_t n;
	close(ready[1]);
	do
		n = read(ready[0], &c, 1);
	while (n < 0 && errno == EINTR);
	close(ready[0]);
	return pid;
}

static void end_waiter(pid_t pid)
{
	if (pid <= 0)
		return;
	kill(pid, SIGKILL);
	while (waitpid(pid, NULL, __WALL) < 0 && errno == EINTR)
		;
}

static void try_ptrace(pid_t child, struct tries *t)
{
	static char byte, copy;
	struct iovec local = {&copy, 1}, remote = {&byte, 1};
	t->own_memory = process_vm_readv(child, &local, 1, &remote, 1, 0) == 1;
	t->own_memory_errno = t->own_memory ? 0 : errno;
	if (ptrace(PTRACE_SEIZE, child, 0, 0)) {
		t->ptrace_errno = errno;
		return;
	}
	/* The child ends while it is seized: nothing to undo. */
	if (ptrace(PTRACE_INTERRUPT, child, 0, 0))
		t->ptrace_errno = errno;
}

/* What the child of try_sched() tells its parent. */
struct sched_report {
	int rt_errno;
	cpu_set_t pinned;
};

static void sched_child(int fd, int priority, const cpu_set_t *online)
{
	struct sched_report report = {0};
	for (int cpu = 0; cpu < CPU_SETSIZE; cpu++) {
		cpu_set_t one;
		CPU_ZERO(&one);
		CPU_SET(cpu, &one);
		/* Beyond a cpuset it fails, or succeeds and leaves us elsewhere. */
		if (CPU_ISSET(cpu, online) && !sched_setaffinity(0, sizeof(one), &one) &&
		    sched_getcpu() == cpu)
			CPU_SET(cpu, &report.pinned);
	}
	struct sched_param param = {.sched_priority = priority ? priority : RT_PRIORITY_MAX};
	if (sched_setscheduler(0, SCHED_FIFO | SCHED_RESET_ON_FORK, &param))
		report.rt_errno = errno;
	ssize_t n = write(fd, &report, sizeof(report));
	_exit(n == sizeof(report) ? 0 : 1);
}

static void try_sched(const cpu_set_t *online, struct tries *t)
{
	struct sched_report report = {.rt_errno = EAGAIN};
	int fds[2];
	if (pipe2(fds, O_CLOEXEC)) {
		t->rt_errno = errno;
		return;
	}
	pid_t pid = fork();
	if (pid == 0)
		sched_child(fds[1], t->rt_priority, online);
	close(fds[1]);
	if (pid < 0 || read(fds[0], &report, sizeof(report)) != sizeof(report))
		report = (struct sched_report){.rt_errno = EAGAIN};
	close(fds[0]);
	if (pid > 0)
		while (waitpid(pid, NULL, 0) < 0 && errno == EINTR)
			;
	t->rt_errno = report.rt_errno;
	t->pinned = report.pinned;
}

/* The errno of the humblest event: user code of one process. */
static int humblest_event(pid_t pid)
{
	struct perf_event_attr attr = {.type = PERF_TYPE_SOFTWARE,
	                               .size = sizeof(attr),
	                               .config = PERF_COUNT_SW_CPU_CLOCK,
	                               .sample_period = 1000000000,
	                               .disabled = 1,
	                               .exclude_kernel = 1,
	                               .exclude_hv = 1};
	long fd = syscall(SYS_perf_event_open, &attr, pid, -1, -1, PERF_FLAG_FD_CLOEXEC);
	if (fd < 0)
		return errno;
	close((int)fd);
	return 0;
}

/* A ring for each CPU we can be on, all open at once as record has them. */
static char *try_rings(const struct perf_config *config, const struct tries *t)
{
	VEC(struct perf_ring *) rings = {0};
	struct err *err = NULL;
	for (int cpu = 0; cpu < CPU_SETSIZE && !err; cpu++) {
		struct perf_ring *ring;
		if (!CPU_ISSET(cpu, &t->pinned))
			continue;
		err = perf_ring_open(config, &t->perf_access, cpu, &ring);
		if (err)
			break;
		*vec_add(&rings) = ring;
		if (t->perf_access.scope == PERF_PER_THREAD)
			err = perf_ring_add_thread(ring, config->pid);
	}
	for (size_t i = 0; i < rings.n; i++)
		perf_ring_close(rings.items[i]);
	vec_free(&rings);
	return take_message(err);
}

static void try_perf(pid_t pid, struct tries *t)
{
	struct perf_config config = {.pid = pid, .period_ns = 1000000000};
	t->perf_errno = humblest_event(pid);
	t->perf_error = take_message(perf_probe(&config, &t->perf_access));
	t->perf = !t->perf_error;
	if (t->perf)
		t->ring_error = try_rings(&config, t);
	struct perf_access access;
	config.cycles = true;
	t->cycles_error = take_message(perf_probe(&config, &access));
	t->cycles = !t->cycles_error;
}

/* Field number (from 3, as proc(5) counts) of a stat file's text. */
static long stat_field(const char *text, int number)
{
	const char *p = strrchr(text, ')');
	for (int field = 2; p && field < number; field++) {
		p = strchr(p, ' ');
		p = p ? p + 1 : NULL;
	}
	return p ? strtol(p, NULL, 10) : 0;
}

/* The threads: how many, and the highest real-time priority among them. */
static void look_at_threads(pid_t pid, struct tries *t)
{
	char path[128], text[1024];
	snprintf(path, sizeof(path), "/proc/%d/task", (int)pid);
	DIR *dir = opendir(path);
	long highest = 0;
	for (struct dirent *entry; dir && (entry = readdir(dir));) {
		if (entry->d_name[0] == '.')
			continue;
		t->n_threads++;
		snprintf(path, sizeof(path), "/proc/%d/task/%.20s/stat", (int)pid, entry->d_name);
		if (read_small_file(path, text, sizeof(text)) && stat_field(text, 40) > highest)
			highest = stat_field(text, 40);
	}
	if (dir)
		closedir(dir);
	/* As the samplers do: above interrupt threads, above the target's own, below the watchdogs.
	 */
	t->rt_priority = highest < RT_PRIORITY ? RT_PRIORITY : (int)highest + 1;
	if (t->rt_priority > RT_PRIORITY_MAX)
		t->rt_priority = 0;
}

static void look_at_files(pid_t pid, struct tries *t)
{
	char path[128], text[8192];
	snprintf(path, sizeof(path), "/proc/%d/task/%d/schedstat", (int)pid, (int)pid);
	t->schedstat = read_small_file(path, text, sizeof(text)) && strtoull(text, NULL, 10) > 0;
	snprintf(path, sizeof(path), "/proc/%d/task/%d/syscall", (int)pid, (int)pid);
	t->syscall = read_small_file(path, text, sizeof(text)) && text[0];
	snprintf(path, sizeof(path), "/proc/%d/status", (int)pid);
	if (read_small_file(path, text, sizeof(text))) {
		const char *tracer = strstr(text, "\nTracerPid:");
		t->traced_by = tracer ? (pid_t)strtol(tracer + 11, NULL, 10) : 0;
	}
	CPU_ZERO(&t->target_cpus);
	sched_getaffinity(pid, sizeof(t->target_cpus), &t->target_cpus);
}

static void try_memory(pid_t pid, struct tries *t)
{
	struct strings *strings = strings_create();
	struct images *images = images_create(strings);
	struct target *target = NULL;
	t->memory_error = take_message(target_open(pid, images, strings, &target));
	t->memory = !t->memory_error;
	target_close(target);
	images_destroy(images);
	strings_destroy(strings);
}

void tries_make(pid_t pid, struct tries *t)
{
	*t = (struct tries){0};
	cpu_set_t all;
	CPU_ZERO(&all);
	for (int cpu = 0; cpu < CPU_SETSIZE; cpu++)
		CPU_SET(cpu, &all);
	pid_t child = start_waiter();
	t->pid = pid ? pid : child;
	look_at_threads(t->pid, t);
	look_at_files(t->pid, t);
	try_sched(&all, t);
	try_memory(t->pid, t);
	/* Where the target is out of reach, the other answers are those for a process that is not.
	 */
	try_perf(t->memory ? t->pid : child, t);
	try_ptrace(child, t);
	end_waiter(child);
}

void tries_free(struct tries *t)
{
	free(t->memory_error);
	free(t->perf_error);
	free(t->cycles_error);
	free(t->ring_error);
}
