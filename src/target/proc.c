/* SPDX-License-Identifier: Apache-2.0 */
#include "proc.h"

#include <elf.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/capability.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <unistd.h>

#include <csample/find.h>
#include <csample/mem.h>

char *proc_read(int proc_fd, const char *name, size_t max, size_t *len_ret)
{
	_cleanup_close_ int fd = openat(proc_fd, name, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return NULL;
	size_t cap = 4096, len = 0;
	char *text = mem_alloc(cap + 1);
	while (len < max) {
		if (len == cap) {
			cap *= 2;
			text = mem_realloc_array(text, cap + 1, 1);
		}
		size_t want = cap - len < max - len ? cap - len : max - len;
		ssize_t n = read(fd, text + len, want);
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0) {
			int errnum = errno;
			free(text);
			errno = errnum;
			return NULL;
		}
		if (n == 0)
			break;
		len += (size_t)n;
	}
	text[len] = '\0';
	*len_ret = len;
	return text;
}

/* Field number (from 1, as proc(5) counts) of a stat line; the name in field 2 may hold anything.
 */
static const char *stat_field(const char *text, int number)
{
	const char *p = strrchr(text, ')');
	for (int field = 2; p && field < number; field++) {
		p = strchr(p, ' ');
		p = p ? p + 1 : NULL;
	}
	return p;
}

static char *read_stat(int proc_fd)
{
	size_t len;
	return proc_read(proc_fd, "stat", 4096, &len);
}

uint64_t proc_start_time(int proc_fd)
{
	_cleanup_free_ char *text = read_stat(proc_fd);
	const char *p = text ? stat_field(text, 22) : NULL;
	return p ? strtoull(p, NULL, 10) : 0;
}

bool proc_reaped_ticks(int proc_fd, uint64_t *ret)
{
	_cleanup_free_ char *text = read_stat(proc_fd);
	const char *p = text ? stat_field(text, 16) : NULL;
	if (!p)
		return false;
	char *next;
	*ret = strtoull(p, &next, 10);
	*ret += strtoull(next, NULL, 10);
	return true;
}

char proc_state(int proc_fd)
{
	_cleanup_free_ char *text = read_stat(proc_fd);
	const char *p = text ? stat_field(text, 3) : NULL;
	return p ? *p : 0;
}

/* The last number of a line such as "NSpid:\t10\t1". */
static long last_number(const char *line)
{
	long value = 0;
	while (*line && *line != '\n') {
		char *end;
		long v = strtol(line, &end, 10);
		if (end == line) {
			line++;
			continue;
		}
		value = v;
		line = end;
	}
	return value;
}

static const char *status_line(const char *text, const char *key)
{
	const char *p = strstr(text, key);
	return p ? p + strlen(key) : "";
}

static bool have_capability(int number)
{
	size_t len;
	_cleanup_close_ int self = open("/proc/self", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	_cleanup_free_ char *text = proc_read(self, "status", 16384, &len);
	unsigned long long caps = text ? strtoull(status_line(text, "\nCapEff:"), NULL, 16) : 0;
	return caps >> number & 1;
}

static int yama_scope(void)
{
	_cleanup_close_ int fd = open("/proc/sys/kernel/yama/ptrace_scope", O_RDONLY | O_CLOEXEC);
	char c = '0';
	if (fd < 0 || read(fd, &c, 1) != 1)
		return 0;
	return c - '0';
}

/* Which of the kernel's checks (ptrace(2), "Ptrace access mode checking") said no. */
static struct err *explain_refusal(pid_t pid, const struct proc_status *status, int proc_fd)
{
	struct stat st;
	if (have_capability(CAP_SYS_PTRACE))
		return err_new(
		        ERR_PERM,
		        "cannot read the memory of process %d although CAP_SYS_PTRACE is held: "
		        "it is in another user namespace, or a seccomp filter or security "
		        "module refuses; run csample on the host, or in Docker with "
		        "--cap-add SYS_PTRACE --security-opt seccomp=unconfined",
		        (int)pid);
	if (status->uid != geteuid())
		return err_new(ERR_PERM,
		               "process %d belongs to user %u and csample runs as %u without "
		               "CAP_SYS_PTRACE: run it with sudo (in Docker: --cap-add SYS_PTRACE)",
		               (int)pid, status->uid, geteuid());
	int scope = yama_scope();
	if (scope)
		return err_new(ERR_PERM,
		               "kernel.yama.ptrace_scope is %d, which forbids looking into process "
		               "%d: run csample with sudo%s",
		               scope, (int)pid,
		               scope < 3 ? ", or: sudo sysctl kernel.yama.ptrace_scope=0" : "");
	if (!fstat(proc_fd, &st) && st.st_uid == 0 && status->uid != 0)
		return err_new(
		        ERR_PERM,
		        "process %d is not dumpable (it changed user, holds file capabilities, "
		        "or asked for it with prctl): run csample with sudo",
		        (int)pid);
	return err_new(
	        ERR_PERM,
	        "cannot read the memory of process %d: run csample with sudo, or in a container "
	        "add CAP_SYS_PTRACE",
	        (int)pid);
}

pid_t proc_ns_tid(int proc_fd, pid_t tid)
{
	char path[64];
	size_t len = 0;
	snprintf(path, sizeof(path), "task/%d/status", (int)tid);
	_cleanup_free_ char *text = proc_read(proc_fd, path, 16384, &len);
	pid_t ns_tid = text ? (pid_t)last_number(status_line(text, "\nNSpid:")) : 0;
	return text && !ns_tid ? tid : ns_tid; /* old kernels do not tell */
}

static struct err *check_32_bit(pid_t pid, int proc_fd)
{
	unsigned char ident[EI_NIDENT];
	_cleanup_close_ int fd = openat(proc_fd, "exe", O_RDONLY | O_CLOEXEC | O_NONBLOCK);
	if (fd >= 0 && read(fd, ident, sizeof(ident)) == sizeof(ident) &&
	    !memcmp(ident, ELFMAG, SELFMAG) && ident[EI_CLASS] == ELFCLASS32)
		return err_new(
		        ERR_UNSUPPORTED,
		        "process %d is a 32-bit program; csample profiles 64-bit programs only",
		        (int)pid);
	return NULL;
}

/* Reads a byte where the first mapping is. */
static struct err *check_access(pid_t pid, const struct proc_status *status, int proc_fd)
{
	size_t len = 0;
	_cleanup_free_ char *maps = proc_read(proc_fd, "maps", 4096, &len);
	if (!maps && (errno == EACCES || errno == EPERM))
		return explain_refusal(pid, status, proc_fd);
	if (!maps || !len)
		return NULL; /* exiting or in exec; whoever comes next will see */
	char byte;
	struct iovec local = {&byte, 1};
	struct iovec remote = {(void *)(uintptr_t)strtoull(maps, NULL, 16), 1};
	if (process_vm_readv(pid, &local, 1, &remote, 1, 0) == 1 ||
	    (errno != EPERM && errno != EACCES && errno != ENOSYS))
		return NULL;
	_cleanup_close_ int mem = openat(proc_fd, "mem", O_RDONLY | O_CLOEXEC);
	return mem >= 0 ? NULL : explain_refusal(pid, status, proc_fd);
}

/* Kernel threads have none, and who is about to end has no more. */
static struct err *without_memory(pid_t pid)
{
	_cleanup_close_ int proc = open("/proc", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	struct process p;
	if (!process_stat(proc, pid, &p) || !p.kernel)
		return err_new(ERR_GONE, "process %d is ending", (int)pid);
	return err_new(ERR_UNSUPPORTED,
	               "process %d is a kernel thread and has no user stack: use perf for it",
	               (int)pid);
}

struct err *proc_check(pid_t pid, struct proc_status *ret)
{
	char path[64];
	snprintf(path, sizeof(path), "/proc/%d", (int)pid);
	_cleanup_close_ int proc_fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	size_t len = 0;
	_cleanup_free_ char *text = proc_fd >= 0 ? proc_read(proc_fd, "status", 16384, &len) : NULL;
	if (!text) {
		if (proc_fd < 0 && access("/proc/self", F_OK))
			return err_new(ERR_SYS, "/proc is not mounted: mount -t proc proc /proc");
		if (kill(pid, 0) == 0 || errno == EPERM)
			return err_new(
			        ERR_PERM,
			        "process %d exists, but /proc hides it (mounted with hidepid): "
			        "run csample with sudo",
			        (int)pid);
		return err_new(ERR_GONE, "no process with pid %d; see: ps -e", (int)pid);
	}
	struct proc_status s = {
	        .tgid = (pid_t)strtol(status_line(text, "\nTgid:"), NULL, 10),
	        .ns_pid = (pid_t)last_number(status_line(text, "\nNSpid:")),
	        .uid = (uid_t)strtoul(status_line(text, "\nUid:"), NULL, 10),
	};
	const char *state = status_line(text, "\nState:");
	s.state = state[strspn(state, " \t")];
	if (!s.ns_pid)
		s.ns_pid = pid;
	if (s.tgid != pid)
		return err_new(ERR_USAGE, "%d is a thread of process %d: use --pid %d", (int)pid,
		               (int)s.tgid, (int)s.tgid);
	if (pid == getpid())
		return err_new(ERR_USAGE, "process %d is csample itself", (int)pid);
	if (s.state == 'Z' || s.state == 'X')
		return err_new(
		        ERR_GONE,
		        "process %d has ended and waits for its parent to notice (a zombie): "
		        "there is nothing to profile",
		        (int)pid);
	if (!*status_line(text, "\nVmSize:"))
		return without_memory(pid);
	struct err *err = check_32_bit(pid, proc_fd);
	if (!err)
		err = check_access(pid, &s, proc_fd);
	if (!err)
		*ret = s;
	return err;
}
