/* SPDX-License-Identifier: Apache-2.0 */
/* Which of all processes are meant. */
#include <dirent.h>
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
#include <csample/hash.h>
#include <csample/mem.h>
#include <csample/vec.h>

#include "cgroups.h"
#include "proc.h"

#define MAX_COMMAND    16384 /* bytes of a command line that are searched */
#define MAX_COMM       15    /* the kernel cuts names there */
#define MAX_PIDFILE    64
#define MAX_GENERATION 256
#define YOUNG_LOOKS    5  /* in which who is new is looked at each time */
#define AGAIN_LOOKS    10 /* later each is looked at once in so many */

/* Who did not fit. /proc numbers a directory anew for each process, so that pid and inode are its
 * identity at the cost of reading a directory alone; where they should lie, AGAIN_LOOKS bounds it.
 */
struct finder {
	struct map64 unfit, still; /* by pid: the inode, times 8, and in how many looks so far */
	uint64_t looks;
};

struct processes {
	struct process *items;
	size_t n, cap;
};

struct search {
	struct finder *finder; /* NULL: nothing is remembered */
	int proc_fd;           /* /proc */
	const struct selection *s;
	regex_t regex[FIND_MAX_WORDS];
	size_t n_regex;
	struct container_search container;
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

static void note_ancestors(struct search *f)
{
	struct process p;
	bool known = f->n_regex && process_stat(f->proc_fd, getpid(), &p);
	while (known && f->n_ancestors < MAX_GENERATION && p.ppid > 0) {
		f->ancestors[f->n_ancestors++] = p.ppid;
		known = process_stat(f->proc_fd, p.ppid, &p);
	}
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

static bool is_listed(const struct search *f, pid_t pid)
{
	for (size_t i = 0; i < f->s->n_pids; i++)
		if (f->s->pids[i] == pid)
			return true;
	for (size_t i = 0; i < f->s->pidfile.n; i++)
		if (f->from_files[i] == pid)
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

/* It did not fit when it was looked at, and still is the same, as far as that can be had for
 * nothing.
 */
static bool is_known_unfit(const struct finder *finder, pid_t pid, uint64_t inode)
{
	const uint64_t *known = finder ? map64_get(&finder->unfit, (uint64_t)pid) : NULL;
	return known && *known >> 3 == (inode & (UINT64_MAX >> 3)) && (*known & 7) >= YOUNG_LOOKS &&
	       (finder->looks + (uint64_t)pid) % AGAIN_LOOKS;
}

static void remember_unfit(struct finder *finder, pid_t pid, uint64_t inode)
{
	const uint64_t *known = map64_get(&finder->unfit, (uint64_t)pid);
	uint64_t same = inode << 3, looks = 0;
	if (known && *known >> 3 == same >> 3)
		looks = *known & 7;
	*map64_put(&finder->still, (uint64_t)pid) =
	        same | (looks < YOUNG_LOOKS ? looks + 1 : looks);
}

/* Who has ended is forgotten: it was not seen in this look. */
static void end_look(struct finder *finder)
{
	struct map64 old = finder->unfit;
	finder->unfit = finder->still;
	finder->still = old;
	map64_clear(&finder->still);
	finder->looks++;
}

static void look(struct search *f, const struct dirent *entry, struct processes *found)
{
	char *end;
	long number = strtol(entry->d_name, &end, 10);
	pid_t pid = (pid_t)number;
	if (number <= 0 || number > INT_MAX || *end || pid == getpid())
		return;
	struct process p;
	bool listed = is_listed(f, pid), unfit = false;
	if (!listed && is_known_unfit(f->finder, pid, entry->d_ino)) {
		unfit = true;
	} else if (process_stat(f->proc_fd, pid, &p) && p.state != 'Z' && p.state != 'X') {
		unfit = p.kernel || !(listed || fits(f, &p));
		if (!unfit)
			*vec_add(found) = p;
	}
	if (unfit && f->finder)
		remember_unfit(f->finder, pid, entry->d_ino);
}

static int by_pid(const void *a, const void *b)
{
	const struct process *x = a, *y = b;
	return (x->pid > y->pid) - (x->pid < y->pid);
}

static struct err *search(struct search *f, DIR *dir, struct processes *found)
{
	struct err *err = compile(f);
	if (err)
		return err;
	f->container.words = &f->s->container;
	f->proc_fd = dir ? dirfd(dir) : -1;
	note_ancestors(f);
	for (size_t i = 0; i < f->s->pidfile.n; i++)
		err_free(pidfile_read(f->s->pidfile.items[i], &f->from_files[i]));
	for (struct dirent *entry; dir && (entry = readdir(dir));)
		look(f, entry, found);
	if (f->finder)
		end_look(f->finder);
	if (found->n)
		qsort(found->items, found->n, sizeof(*found->items), by_pid);
	return container_search_check(&f->container);
}

struct err *finder_matches(struct finder *finder, const struct selection *s, struct process **ret,
                           size_t *n_ret)
{
	struct search f = {.s = s, .finder = finder};
	struct processes found = {0};
	DIR *dir = opendir("/proc");
	struct err *err = search(&f, dir, &found);
	for (size_t i = 0; i < f.n_regex; i++)
		regfree(&f.regex[i]);
	if (dir)
		closedir(dir);
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
	return finder_matches(NULL, s, ret, n_ret);
}

struct finder *finder_create(void)
{
	return mem_zalloc(sizeof(struct finder));
}

void finder_destroy(struct finder *f)
{
	if (!f)
		return;
	map64_free(&f->unfit);
	map64_free(&f->still);
	free(f);
}
