/* SPDX-License-Identifier: Apache-2.0 */
/* Which of all processes are meant. */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <regex.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/stat.h>
#include <unistd.h>

#include <csample/find.h>
#include <csample/mem.h>
#include <csample/vec.h>

#include "cgroups.h"

#define MAX_COMMAND    16384 /* bytes of a command line that are searched */
#define MAX_COMM       15    /* the kernel cuts names there */
#define MAX_PIDFILE    64
#define MAX_GENERATION 256

struct search {
	const struct selection *s;
	regex_t regex[FIND_MAX_WORDS];
	size_t n_regex;
	struct container_search container;
	struct process *all;
	size_t n_all;
	pid_t ancestors[MAX_GENERATION];
	size_t n_ancestors;
	pid_t from_files[FIND_MAX_WORDS]; /* 0: such a file cannot be read now */
};

bool selection_is_search(const struct selection *s)
{
	return s->pidfile.n || s->comm.n || s->cmdline.n || s->cgroup.n || s->container.n;
}

struct err *pidfile_read(const char *path, pid_t *ret)
{
	/* Not blocking: a fifo in its place must not hold us. */
	_cleanup_close_ int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
	char text[MAX_PIDFILE];
	struct stat st;
	if (fd < 0 || fstat(fd, &st))
		return err_errno(errno, "pid file %s", path);
	if (!S_ISREG(st.st_mode))
		return err_new(ERR_FORMAT, "pid file %s: not a regular file", path);
	ssize_t n = read(fd, text, sizeof(text) - 1);
	if (n < 0)
		return err_errno(errno, "pid file %s", path);
	text[n] = '\0';
	const char *p = text + strspn(text, " \t");
	char *end = NULL;
	long pid = *p >= '0' && *p <= '9' ? strtol(p, &end, 10) : 0;
	if (pid <= 0 || pid > INT_MAX || (*end && !strchr(" \t\r\n", *end)))
		return err_new(ERR_FORMAT, "pid file %s: does not begin with a process id", path);
	*ret = (pid_t)pid;
	return NULL;
}

static struct err *compile(struct search *f)
{
	int flags = REG_EXTENDED | REG_NOSUB | (f->s->ignore_case ? REG_ICASE : 0);
	for (; f->n_regex < f->s->cmdline.n; f->n_regex++) {
		const char *text = f->s->cmdline.items[f->n_regex];
		int code = regcomp(&f->regex[f->n_regex], text, flags);
		if (code) {
			char why[128];
			regerror(code, &f->regex[f->n_regex], why, sizeof(why));
			return err_new(ERR_USAGE, "'%s' is not an extended regular expression: %s",
			               text, why);
		}
	}
	return NULL;
}

static const struct process *lookup(const struct search *f, pid_t pid)
{
	size_t low = 0, high = f->n_all;
	while (low < high) {
		size_t mid = low + (high - low) / 2;
		if (f->all[mid].pid < pid)
			low = mid + 1;
		else
			high = mid;
	}
	return low < f->n_all && f->all[low].pid == pid ? &f->all[low] : NULL;
}

static void note_ancestors(struct search *f)
{
	const struct process *p = lookup(f, getpid());
	while (p && f->n_ancestors < MAX_GENERATION && (p = lookup(f, p->ppid)))
		f->ancestors[f->n_ancestors++] = p->pid;
}

static bool same(const struct search *f, const char *a, const char *b)
{
	return f->s->ignore_case ? !strcasecmp(a, b) : !strcmp(a, b);
}

/* The last part of what /proc/PID/exe says; "" when that is refused. */
static void program_name(pid_t pid, char *buf, size_t len)
{
	char link[64], path[PATH_MAX];
	snprintf(link, sizeof(link), "/proc/%d/exe", (int)pid);
	ssize_t n = readlink(link, path, sizeof(path) - 1);
	path[n > 0 ? n : 0] = '\0';
	char *gone = strstr(path, " (deleted)");
	if (gone && !gone[10])
		*gone = '\0';
	const char *slash = strrchr(path, '/');
	snprintf(buf, len, "%.*s", (int)len - 1, slash ? slash + 1 : path);
}

static bool fits_comm(const struct search *f, const struct process *p)
{
	const struct find_words *w = &f->s->comm;
	char program[NAME_MAX + 1];
	for (size_t i = 0; i < w->n; i++) {
		char cut[MAX_COMM + 1];
		snprintf(cut, sizeof(cut), "%s", w->items[i]);
		if (same(f, p->comm, w->items[i]) ||
		    (strlen(p->comm) == MAX_COMM && same(f, p->comm, cut)))
			return true;
	}
	/* Threads name themselves: Node's main one is "MainThread" or "node-MainThread". */
	program_name(p->pid, program, sizeof(program));
	for (size_t i = 0; i < w->n && *program; i++)
		if (same(f, program, w->items[i]))
			return true;
	return false;
}

/* It is one that started us, and has what we are looking for in its arguments for no other reason.
 */
static bool only_mentions(const struct search *f, const struct process *p, const char *command)
{
	static const char *const launchers[] = {"sh",   "bash",    "dash",  "zsh",     "fish",
	                                        "ksh",  "busybox", "sudo",  "su",      "doas",
	                                        "env",  "timeout", "watch", "setsid",  "nohup",
	                                        "nice", "script",  "xargs", "parallel"};
	bool ancestor = false;
	for (size_t i = 0; i < f->n_ancestors && !ancestor; i++)
		ancestor = f->ancestors[i] == p->pid;
	if (!ancestor)
		return false;
	char program[NAME_MAX + 1];
	program_name(p->pid, program, sizeof(program));
	for (size_t i = 0; i < ARRAY_SIZE(launchers); i++)
		if (!strcmp(p->comm, launchers[i]) || !strcmp(program, launchers[i]))
			return true;
	return strstr(command, "csample");
}

static bool fits_cmdline(const struct search *f, const struct process *p)
{
	char command[MAX_COMMAND];
	if (!process_command(p->pid, command, sizeof(command)))
		return false;
	for (size_t i = 0; i < f->n_regex; i++)
		if (!regexec(&f->regex[i], command, 0, NULL, 0))
			return !only_mentions(f, p, command);
	return false;
}

static bool is_listed(const struct search *f, const struct process *p)
{
	for (size_t i = 0; i < f->s->n_pids; i++)
		if (f->s->pids[i] == p->pid)
			return true;
	for (size_t i = 0; i < f->s->pidfile.n; i++)
		if (f->from_files[i] == p->pid)
			return true;
	return false;
}

static bool fits(struct search *f, const struct process *p)
{
	const struct selection *s = f->s;
	bool asked = s->comm.n || s->cmdline.n || s->cgroup.n || s->container.n;
	if (!asked || (s->comm.n && !fits_comm(f, p)))
		return false;
	if (s->cgroup.n || s->container.n) {
		_cleanup_free_ char *cgroups = cgroups_read(p->pid);
		if (!cgroups || (s->cgroup.n && !cgroups_below(cgroups, &s->cgroup)) ||
		    (s->container.n && !cgroups_contained(cgroups, &f->container)))
			return false;
	}
	return !s->cmdline.n || fits_cmdline(f, p);
}

static struct err *search(struct search *f, struct process **ret, size_t *n_ret)
{
	VEC(struct process) found = {0};
	struct err *err = compile(f);
	if (err)
		return err;
	f->container.words = &f->s->container;
	f->n_all = processes_list(&f->all);
	note_ancestors(f);
	for (size_t i = 0; i < f->s->pidfile.n; i++)
		err_free(pidfile_read(f->s->pidfile.items[i], &f->from_files[i]));
	for (size_t i = 0; i < f->n_all; i++) {
		const struct process *p = &f->all[i];
		if (p->kernel || p->state == 'Z' || p->state == 'X' || p->pid == getpid())
			continue;
		if (is_listed(f, p) || fits(f, p))
			*vec_add(&found) = *p;
	}
	err = container_search_check(&f->container);
	if (err) {
		vec_free(&found);
		return err;
	}
	*ret = found.items;
	*n_ret = found.n;
	return NULL;
}

struct err *find_matches(const struct selection *s, struct process **ret, size_t *n_ret)
{
	struct search f = {.s = s};
	struct err *err = search(&f, ret, n_ret);
	for (size_t i = 0; i < f.n_regex; i++)
		regfree(&f.regex[i]);
	free(f.all);
	return err;
}
