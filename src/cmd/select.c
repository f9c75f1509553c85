/* SPDX-License-Identifier: Apache-2.0 */
/* From what the command line says of processes to their pids. Names in errors are escaped where
 * they are printed. */
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <csample/intern.h>
#include <csample/log.h>
#include <csample/mem.h>
#include <csample/strbuf.h>
#include <csample/vec.h>

#include "options.h"

#define MAX_SHOWN     5  /* of those that are near */
#define SHOWN_COMMAND 60 /* bytes of their command lines */

struct selection select_of(const struct options *opt)
{
	struct selection s = opt->select;
	s.pids = opt->pids;
	s.n_pids = opt->n_pids;
	return s;
}

/* "is named 'a' or 'b'" */
static void add_words(struct strbuf *b, const char *what, const struct find_words *words)
{
	for (size_t i = 0; i < words->n; i++) {
		strbuf_add(b, i ? " or " : b->len ? " and " : "");
		strbuf_addf(b, "%s%s'", i ? "" : what, i ? "" : " ");
		strbuf_add(b, words->items[i]);
		strbuf_addc(b, '\'');
	}
}

/* "; there is nginx (pid 12, 13)": whose name is like a word looked for. */
static bool add_near_names(struct strbuf *b, const struct find_words *words,
                           const struct process *all, size_t n)
{
	VEC(const char *) names = {0};
	for (size_t i = 0; i < n; i++)
		if (!all[i].kernel && all[i].state != 'Z' && all[i].pid != getpid())
			*vec_add(&names) = all[i].comm;
	const char *near = NULL;
	for (size_t i = 0; i < words->n && !near; i++)
		near = suggest(words->items[i], names.items, names.n);
	size_t shown = 0;
	for (size_t i = 0; near && i < n && shown < MAX_SHOWN; i++) {
		if (strcmp(all[i].comm, near) != 0 || all[i].kernel)
			continue;
		if (!shown) {
			strbuf_add(b, "; there is ");
			strbuf_add(b, near);
		}
		strbuf_addf(b, shown++ ? ", %d" : " (pid %d", (int)all[i].pid);
	}
	strbuf_add(b, near ? ")" : "");
	vec_free(&names);
	return near;
}

/* Who fits when case does not count. */
static bool add_other_case(struct strbuf *b, struct selection s)
{
	struct process *found;
	size_t n;
	s.ignore_case = true;
	struct err *err = find_matches(&s, &found, &n);
	if (err) {
		err_free(err);
		return false;
	}
	for (size_t i = 0; i < n && i < MAX_SHOWN; i++) {
		char command[SHOWN_COMMAND];
		if (!process_command(found[i].pid, command, sizeof(command)) || !*command)
			snprintf(command, sizeof(command), "%.*s", (int)sizeof(command) - 1,
			         found[i].comm);
		strbuf_addf(b, "%s %d: ", i ? "," : "; in other case there is process",
		            (int)found[i].pid);
		strbuf_add(b, command);
	}
	free(found);
	return n;
}

static bool add_near_cgroups(struct strbuf *b, const struct find_words *words,
                             const struct process *all, size_t n)
{
	struct strings *strings = strings_create();
	VEC(const char *) names = {0};
	for (size_t i = 0; i < n; i++) {
		char path[4096];
		if (all[i].kernel || !process_cgroup(all[i].pid, path, sizeof(path)))
			continue;
		*vec_add(&names) = intern(strings, path);
		const char *slash = strrchr(path, '/');
		if (slash && slash[1])
			*vec_add(&names) = intern(strings, slash + 1);
	}
	const char *near = NULL;
	for (size_t i = 0; i < words->n && !near; i++)
		near = suggest(words->items[i], names.items, names.n);
	if (near) {
		strbuf_add(b, "; there is ");
		strbuf_add(b, near);
	}
	vec_free(&names);
	strings_destroy(strings);
	return near;
}

static void add_containers(struct strbuf *b, const struct process *all, size_t n)
{
	char names[MAX_SHOWN][129];
	size_t shown = 0;
	for (size_t i = 0; i < n && shown < MAX_SHOWN; i++) {
		bool known = !process_container(all[i].pid, names[shown], sizeof(names[shown]));
		for (size_t k = 0; k < shown && !known; k++)
			known = !strcmp(names[k], names[shown]);
		if (known)
			continue;
		names[shown][16] = '\0';
		strbuf_add(b, shown ? ", " : "; there are ");
		strbuf_add(b, names[shown++]);
	}
	if (!shown)
		strbuf_add(b,
		           "; no cgroup of a process here tells of a container (csample must run "
		           "outside of it, on the host or in a pod that shares process ids)");
}

static struct err *check_pidfiles(const struct selection *s)
{
	for (size_t i = 0; i < s->pidfile.n; i++) {
		pid_t pid;
		struct err *err = pidfile_read(s->pidfile.items[i], &pid);
		if (err)
			return err;
		if (s->pidfile.n == 1)
			return err_new(ERR_GONE,
			               "pid file %s: there is no process %d; has it ended?",
			               s->pidfile.items[i], (int)pid);
	}
	return NULL;
}

struct err *select_nobody(const struct selection *s)
{
	struct strbuf b = {0};
	add_words(&b, "is named", &s->comm);
	add_words(&b, "has a command line that matches", &s->cmdline);
	add_words(&b, "is in cgroup", &s->cgroup);
	add_words(&b, "is in container", &s->container);
	if (!b.len) {
		struct err *err = check_pidfiles(s);
		if (err)
			return err;
		add_words(&b, "is that of pid file", &s->pidfile);
	}
	struct process *all;
	size_t n = processes_list(&all);
	bool near = (s->comm.n || s->cmdline.n) && add_other_case(&b, *s);
	near = near || add_near_names(&b, &s->comm, all, n) ||
	       add_near_names(&b, &s->cmdline, all, n) || add_near_cgroups(&b, &s->cgroup, all, n);
	if (!near && s->container.n)
		add_containers(&b, all, n);
	else if (!near)
		strbuf_add(&b, "; csample list shows who is there");
	struct err *err = err_new(ERR_GONE, "no process %s", b.s);
	free(all);
	strbuf_free(&b);
	return err;
}

static bool has_pid(const struct options *opt, pid_t pid)
{
	for (size_t i = 0; i < opt->n_pids; i++)
		if (opt->pids[i] == pid)
			return true;
	return false;
}

/* Adds those that can be read; *first is why the first of the others cannot. */
static struct err *add_found(struct options *opt, const struct process *found, size_t n,
                             bool with_unreadable, struct err **first)
{
	size_t refused = 0;
	for (size_t i = 0; i < n; i++) {
		if (has_pid(opt, found[i].pid))
			continue;
		struct err *err = with_unreadable ? NULL : process_check(found[i].pid);
		if (err) {
			refused += err->kind != ERR_GONE;
			if (*first)
				err_free(err);
			else
				*first = err;
			continue;
		}
		if (opt->n_pids == OPT_MAX_PIDS)
			return err_new(ERR_USAGE,
			               "%zu processes fit, at most %d can be looked at at once: "
			               "say more precisely which",
			               n, OPT_MAX_PIDS);
		opt->pids[opt->n_pids++] = found[i].pid;
	}
	if (refused && opt->n_pids)
		log_warn("%zu of %zu processes that fit cannot be read: %s", refused, n,
		         (*first)->msg);
	return NULL;
}

struct err *select_resolve(struct options *opt, bool with_unreadable)
{
	struct selection s = select_of(opt);
	struct process *found;
	struct err *first = NULL;
	size_t n;
	struct err *err = find_matches(&s, &found, &n);
	if (err)
		return err;
	err = add_found(opt, found, n, with_unreadable, &first);
	free(found);
	if (!err && !opt->n_pids)
		err = first ? first : select_nobody(&s);
	if (err != first)
		err_free(first);
	opt->pid = opt->pids[0];
	return err;
}
