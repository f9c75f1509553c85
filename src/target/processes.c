/* SPDX-License-Identifier: Apache-2.0 */
/* All processes, by one small file each. */
#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <csample/find.h>
#include <csample/mem.h>
#include <csample/vec.h>

#include "cgroups.h"
#include "name.h"
#include "proc.h"

#define FLAG_KERNEL_THREAD                                                    \
	0x00200000 /* PF_KTHREAD, include/linux/sched.h; stat shows the flags \
	            */

/* proc(5), stat: "pid (name) state ppid ..."; the name may hold anything. */
static bool parse_stat(char *text, struct process *p)
{
	char *open = strchr(text, '('), *close = strrchr(text, ')');
	unsigned flags;
	unsigned long long utime, stime, start;
	if (!open || !close || close < open)
		return false;
	*close = '\0';
	snprintf(p->comm, sizeof(p->comm), "%s", open + 1);
	int n = sscanf(close + 1,
	               " %c %d %*d %*d %*d %*d %u %*u %*u %*u %*u %llu %llu %*d %*d %*d %*d %*d "
	               "%*d %llu",
	               &p->state, &p->ppid, &flags, &utime, &stime, &start);
	if (n != 6)
		return false;
	p->kernel = flags & FLAG_KERNEL_THREAD;
	p->cpu_ticks = utime + stime;
	p->start_time = start;
	return true;
}

bool process_stat(int proc_fd, pid_t pid, struct process *p)
{
	char path[64], text[1024];
	snprintf(path, sizeof(path), "%d/stat", (int)pid);
	_cleanup_close_ int fd = openat(proc_fd, path, O_RDONLY | O_CLOEXEC);
	ssize_t n = fd >= 0 ? read(fd, text, sizeof(text) - 1) : -1;
	text[n > 0 ? n : 0] = '\0';
	*p = (struct process){.pid = pid};
	return parse_stat(text, p);
}

static int by_pid(const void *a, const void *b)
{
	const struct process *x = a, *y = b;
	return (x->pid > y->pid) - (x->pid < y->pid);
}

size_t processes_list(struct process **ret)
{
	VEC(struct process) all = {0};
	DIR *dir = opendir("/proc");
	for (struct dirent *entry; dir && (entry = readdir(dir));) {
		char *end;
		long pid = strtol(entry->d_name, &end, 10);
		struct process p;
		if (pid > 0 && !*end && process_stat(dirfd(dir), (pid_t)pid, &p))
			*vec_add(&all) = p;
	}
	if (dir)
		closedir(dir);
	if (all.n)
		qsort(all.items, all.n, sizeof(*all.items), by_pid);
	*ret = all.items;
	return all.n;
}

struct err *process_check(pid_t pid)
{
	struct proc_status status;
	return proc_check(pid, &status);
}

/* A file of /proc/PID as text; free it; NULL: gone or hidden. */
static char *read_of(pid_t pid, const char *name, size_t max, size_t *len_ret)
{
	char path[64];
	snprintf(path, sizeof(path), "/proc/%d/%s", (int)pid, name);
	return proc_read(AT_FDCWD, path, max, len_ret);
}

bool process_command(pid_t pid, char *buf, size_t len)
{
	size_t n;
	_cleanup_free_ char *text = read_of(pid, "cmdline", len - 1, &n);
	if (!text)
		return false;
	while (n && !text[n - 1])
		n--;
	for (size_t i = 0; i < n; i++)
		buf[i] = text[i] ? text[i] : ' ';
	buf[n] = '\0';
	return true;
}

bool process_name(pid_t pid, char *buf, size_t len)
{
	size_t comm_len, args_len;
	_cleanup_free_ char *comm = read_of(pid, "comm", 63, &comm_len);
	_cleanup_free_ char *args = read_of(pid, "cmdline", 4095, &args_len);
	if (!comm || !args)
		return false;
	if (comm_len && comm[comm_len - 1] == '\n')
		comm[comm_len - 1] = '\0';
	char path[64], exe[4096], *argv[8] = {0};
	for (size_t i = 0, at = 0; i + 1 < ARRAY_SIZE(argv) && at < args_len; i++) {
		argv[i] = args + at;
		at += strlen(argv[i]) + 1;
	}
	snprintf(path, sizeof(path), "/proc/%d/exe", (int)pid);
	ssize_t n = readlink(path, exe, sizeof(exe) - 1);
	exe[n > 0 ? n : 0] = '\0';
	name_of_process(comm, exe, argv, buf, len);
	return true;
}

uid_t process_uid(pid_t pid)
{
	char path[64];
	struct stat st;
	snprintf(path, sizeof(path), "/proc/%d/stat", (int)pid);
	return stat(path, &st) ? (uid_t)-1 : st.st_uid;
}

char *cgroups_read(pid_t pid)
{
	size_t n;
	return read_of(pid, "cgroup", 64 * 1024, &n);
}

bool process_cgroup(pid_t pid, char *buf, size_t len)
{
	_cleanup_free_ char *text = cgroups_read(pid);
	const char *best = NULL;
	for (const char *line = text; line && *line; line = strchr(line, '\n')) {
		line += *line == '\n';
		const char *path = strstr(line, ":/");
		/* The hierarchy of version 2 has number 0 and no controllers. */
		if (path && (!best || !strncmp(line, "0::", 3)) &&
		    path < line + strcspn(line, "\n"))
			best = path + 1;
	}
	if (!best)
		return false;
	snprintf(buf, len, "%.*s", (int)strcspn(best, "\n"), best);
	return true;
}
