/* SPDX-License-Identifier: Apache-2.0 */
/* Which processes? All of /proc, and those of them that a user means by a name, a command line, a
 * cgroup, a container or a pid file. */
#ifndef CSAMPLE_FIND_H
#define CSAMPLE_FIND_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include <csample/err.h>

/* A process as /proc/PID/stat has it; nothing of it was opened. */
struct process {
	pid_t pid, ppid;
	uint64_t start_time; /* clock ticks after boot: with pid, its identity; as in struct target
	                      */
	uint64_t cpu_ticks;  /* CPU time of all its threads, user and system, clock ticks */
	char state;          /* R S D T t Z X I */
	bool kernel;         /* a kernel thread */
	char comm[64];       /* may hold anything but NUL */
};
/* All that /proc shows, by pid. Free *ret. A few us each. */
size_t processes_list(struct process **ret);

#define FIND_MAX_WORDS 16

/* Alternatives, borrowed; none: the question is not asked. */
struct find_words {
	const char *items[FIND_MAX_WORDS];
	size_t n;
};

/* Who is meant: the processes of pids and pidfile, and besides those each process that fits one
 * alternative of every other kind that is asked for. */
struct selection {
	const pid_t *pids; /* borrowed */
	size_t n_pids;
	struct find_words pidfile; /* files that begin with a pid; read anew each time */
	struct find_words comm; /* the whole name, as ps -e shows it, or its program's file name */
	/* Extended regular expressions, searched in the arguments joined by blanks. Of csample's
	 * own ancestors shells and sudo never fit, nor do those whose arguments mention csample:
	 * the expression is there because it is being looked for. */
	struct find_words cmdline;
	/* A path, /a/b or /sys/fs/cgroup/a/b: this cgroup and those below it; or some whole
	 * components in the middle, nginx.service. */
	struct find_words cgroup;
	/* The beginning of a container's id as in the names of cgroups, "docker://" before it or
	 * not; or the name of an LXC or systemd-nspawn container. */
	struct find_words container;
	bool ignore_case; /* for comm and cmdline */
};
/* Something else than pids is asked for. */
bool selection_is_search(const struct selection *s);

/* Who fits now, by pid; never csample itself, kernel threads and zombies. Of pids all that are
 * there. Costs 20 us for each process of the machine. No match is no error. ERR_USAGE: a regular
 * expression that is none, a container id that several containers begin with. Free *ret. */
struct err *find_matches(const struct selection *s, struct process **ret, size_t *n_ret);

/* The same for who looks again and again: remembers who did not fit, so that a look costs 3 us for
 * each of them. Whoever is new is looked at in five looks (it may be about to become another
 * program), later in every tenth: names that change late are found that late. */
struct finder;
struct finder *finder_create(void);
struct err *finder_matches(struct finder *f, const struct selection *s, struct process **ret,
                           size_t *n_ret);
void finder_destroy(struct finder *f);

/* Why it cannot be profiled: no such process, a kernel thread, 32-bit, which privilege is missing;
 * NULL: it can, as far as reading a byte of it tells. Stops nothing. */
struct err *process_check(pid_t pid);
/* What people call it: the name of its main thread, as ps -e shows it, or that of its program where
 * the main thread has a name of its own ("MainThread" of Node.js 24). False: gone. */
bool process_name(pid_t pid, char *buf, size_t len);
/* Arguments joined by blanks, cut at len; "" for who has none. False: gone, or hidden. */
bool process_command(pid_t pid, char *buf, size_t len);
/* Who owns it, as /proc shows it: the effective user, or root when it may not be looked at. */
uid_t process_uid(pid_t pid);
/* Its cgroup: of version 2, else the first named; false: none. */
bool process_cgroup(pid_t pid, char *buf, size_t len);
/* The id or name of the container it is in, the innermost one's; false: none to be seen. */
bool process_container(pid_t pid, char *buf, size_t len);
/* The pid a pid file begins with. ERR_SYS and so on: it cannot be read, or begins otherwise. */
struct err *pidfile_read(const char *path, pid_t *ret);

#endif
