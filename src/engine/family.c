/* SPDX-License-Identifier: Apache-2.0 */
/* Children of what we sample. The kernel tells of each fork at once where it tells at all; else
 * /proc is asked now and then, and inherited events bring ticks of processes nobody told of. */
#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <csample/log.h>
#include <csample/mem.h>

#include "internal.h"

#define MAX_GENERATIONS 1024 /* between a process and the ancestor that is sampled */

static bool is_full(struct engine *e)
{
	if (e->n_alive < MAX_PROCESSES)
		return false;
	if (!e->too_many_told)
		log_warn("more than %d processes: those beyond are not sampled", MAX_PROCESSES);
	e->too_many_told = true;
	return true;
}

static void remember(struct engine *e, const struct sideband_event *event)
{
	e->orphans->items[e->orphans->n++ % MAX_ORPHANS] = *event;
}

static void follow(struct engine *e, struct process *parent, const struct sideband_event *fork);

/* What was told of the child before we knew it. */
static void replay_orphans(struct engine *e, struct process *p)
{
	for (size_t i = 0; i < MAX_ORPHANS; i++) {
		struct sideband_event *event = &e->orphans->items[i];
		struct sideband_event copy = *event;
		if (copy.kind == SIDEBAND_FORK && copy.parent_pid == p->space.pid) {
			event->pid = event->parent_pid = 0;
			follow(e, p, &copy);
		} else if (copy.kind == SIDEBAND_EXEC && copy.pid == p->space.pid) {
			event->pid = 0;
			process_on_exec(e, p, copy.time_ns);
		}
	}
}

/* The new process has its parent's memory until it execs: so it gets a copy of what is known of
 * that. Its own maps might be read after an exec that nobody told of yet. */
static void follow(struct engine *e, struct process *parent, const struct sideband_event *fork)
{
	struct target *target, *old = parent->target;
	if (fork->pid == getpid() || is_full(e))
		return;
	bool parent_execed = parent->exec_ns && fork->time_ns > parent->exec_ns;
	if (parent->maps_dirty && !parent->exec_ns && !parent->ended)
		process_refresh_maps(e, parent);
	struct err *err = parent_execed ? target_open(fork->pid, e->images, e->strings, &target)
	                                : target_open_fork(old, fork->pid, &target);
	if (err) {
		log_debug(LOG_TARGET, "child %d of %d: %s", (int)fork->pid, (int)parent->space.pid,
		          err->msg);
		err_free(err);
		return;
	}
	log_debug(LOG_TARGET, "process %d is a child of %d", (int)fork->pid,
	          (int)parent->space.pid);
	struct process *p = process_add(e, target, true);
	p->execed = parent->execed;
	process_add_thread(e, p, fork->pid, fork->time_ns >= e->start_ns);
	if (fork->time_ns < e->start_ns)
		process_read_baseline(e, p);
	struct runtime *runtime;
	if (p->decoding && decoding_runtimes(parent->decoding, &runtime, 1))
		decoding_refresh(p->decoding);
	replay_orphans(e, p);
}

void family_on_event(struct engine *e, const struct sideband_event *event)
{
	struct process *p = process_find(e, event->pid);
	if (event->kind == SIDEBAND_EXEC && !p)
		remember(e, event);
	if (event->kind != SIDEBAND_FORK || event->pid == event->parent_pid)
		return;
	if (p && !p->ended) {
		if (target_exists(p->target))
			return;    /* found before its event was read */
		process_end(e, p); /* its number was given out again */
	}
	struct process *parent = process_find(e, event->parent_pid);
	if (parent)
		follow(e, parent, event);
	else
		remember(e, event);
}

/* A process that is there, whoever told of it. */
static struct process *adopt(struct engine *e, pid_t pid)
{
	struct target *target;
	if (pid == getpid() || is_full(e))
		return NULL;
	struct err *err = target_open(pid, e->images, e->strings, &target);
	if (err) {
		log_debug(LOG_TARGET, "child %d: %s", (int)pid, err->msg);
		err_free(err);
		return NULL;
	}
	log_debug(LOG_TARGET, "process %d is a descendant", (int)pid);
	struct process *p = process_add(e, target, true);
	bool born = e->started && target->start_time >= e->start_ticks;
	process_rescan_threads(e, p, born);
	if (!born)
		process_read_baseline(e, p);
	if (p->decoding)
		decoding_refresh(p->decoding);
	engine_prepare_images(e);
	return p;
}

struct process *family_meet(struct engine *e, pid_t pid)
{
	return e->shared.children ? adopt(e, pid) : NULL;
}

/* proc(5), stat: "pid (name) state ppid ..."; the name may hold anything. */
static pid_t parent_of(int proc_fd, const char *pid)
{
	char path[64], text[512];
	snprintf(path, sizeof(path), "%s/stat", pid);
	_cleanup_close_ int fd = openat(proc_fd, path, O_RDONLY | O_CLOEXEC);
	ssize_t n = fd >= 0 ? read(fd, text, sizeof(text) - 1) : -1;
	text[n > 0 ? n : 0] = '\0';
	const char *p = strrchr(text, ')');
	return p && p[1] && p[2] ? (pid_t)strtol(p + 3, NULL, 10) : 0;
}

static void list_parents(struct map64 *parents)
{
	DIR *dir = opendir("/proc");
	if (!dir)
		return;
	for (struct dirent *entry; (entry = readdir(dir));) {
		char *end;
		long pid = strtol(entry->d_name, &end, 10);
		if (pid > 0 && !*end)
			*map64_put(parents, (uint64_t)pid) =
			        (uint64_t)parent_of(dirfd(dir), entry->d_name);
	}
	closedir(dir);
}

static bool descends(const struct engine *e, const struct map64 *parents, uint64_t pid)
{
	for (int i = 0; i < MAX_GENERATIONS; i++) {
		const uint64_t *parent = map64_get(parents, pid);
		if (!parent || !*parent)
			return false;
		struct process *p = process_find(e, (pid_t)*parent);
		if (p && !p->ended)
			return true;
		pid = *parent;
	}
	return false;
}

void family_find(struct engine *e)
{
	struct map64 parents = {0};
	list_parents(&parents);
	for (size_t i = 0; i < parents.cap; i++) {
		if (!parents.slots[i].used)
			continue;
		pid_t pid = (pid_t)parents.slots[i].key;
		struct process *p = process_find(e, pid);
		if ((p && !p->ended) || !descends(e, &parents, (uint64_t)pid))
			continue;
		p = adopt(e, pid);
		/* Later ones have inherited their parents' events. */
		struct err *err = p && !e->started ? engine_add_events(e, p, NULL) : NULL;
		if (err)
			log_debug(LOG_TRIGGER, "%s", err->msg);
		err_free(err);
	}
	map64_free(&parents);
}
