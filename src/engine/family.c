/* SPDX-License-Identifier: Apache-2.0 */
/* Children of what we sample. The kernel tells of each fork at once where it tells at all; else
 * /proc is asked now and then, and inherited events bring ticks of processes nobody told of. */
#include <stdlib.h>
#include <unistd.h>

#include <csample/log.h>

#include "internal.h"

#define MAX_ENDED 16 /* processes in a row that end before they are seen */

static bool is_full(struct engine *e)
{
	if (e->n_alive < MAX_PROCESSES)
		return false;
	if (!e->too_many_told)
		log_warn("more than %d processes: those beyond are not sampled", MAX_PROCESSES);
	e->too_many_told = true;
	return true;
}

#define TRIED (-1) /* as tid: the process has been followed, or has ended */

static void remember(struct engine *e, const struct sideband_event *event, bool tried)
{
	struct sideband_event *kept = &e->orphans->items[e->orphans->n++ % MAX_ORPHANS];
	*kept = *event;
	if (tried)
		kept->tid = TRIED;
}

/* What was told of pid before, newest first; NULL: nothing. */
static struct sideband_event *recall(struct engine *e, enum sideband_kind kind, pid_t pid)
{
	struct orphans *o = e->orphans;
	size_t n = o->n < MAX_ORPHANS ? o->n : MAX_ORPHANS;
	for (size_t i = 1; i <= n; i++) {
		struct sideband_event *event = &o->items[(o->n - i) % MAX_ORPHANS];
		if (event->kind == kind && event->pid == pid)
			return event;
	}
	return NULL;
}

static void follow(struct engine *e, struct process *parent, const struct sideband_event *fork);

/* What was told of children of pid before it was known. It is p, or has ended and was p's child. */
static void replay_forks(struct engine *e, pid_t pid, struct process *p)
{
	for (size_t i = 0; i < MAX_ORPHANS; i++) {
		struct sideband_event *event = &e->orphans->items[i];
		struct sideband_event copy = *event;
		if (copy.kind != SIDEBAND_FORK || copy.parent_pid != pid || copy.tid == TRIED)
			continue;
		event->tid = TRIED;
		follow(e, p, &copy);
	}
}

static void set_parent(struct process *p, struct process *parent)
{
	p->parent = parent;
	if (parent)
		parent->has_children = true;
}

/* The new process has its parent's memory until it execs: so it gets a copy of what is known of
 * that. Its own maps might be read after an exec that nobody told of yet. */
static void follow(struct engine *e, struct process *parent, const struct sideband_event *fork)
{
	struct target *target, *old = parent->target;
	if (fork->pid == getpid() || is_full(e))
		return;
	/* The fork may be of a child of parent's that has ended, and had execed before. */
	bool parent_execed = (parent->exec_ns && fork->time_ns > parent->exec_ns) ||
	                     (fork->parent_pid != parent->space.pid &&
	                      recall(e, SIDEBAND_EXEC, fork->parent_pid));
	if (parent->maps_dirty && !parent->exec_ns && !parent->ended)
		process_refresh_maps(e, parent);
	struct err *err = parent_execed ? target_open(fork->pid, e->images, e->strings, &target)
	                                : target_open_fork(old, fork->pid, &target);
	if (err) {
		log_debug(LOG_TARGET, "child %d of %d: %s", (int)fork->pid, (int)parent->space.pid,
		          err->msg);
		err_free(err);
		parent->reaped_unsure |= fork->time_ns < e->start_ns;
		remember(e, fork, true); /* its children may live on */
		replay_forks(e, fork->pid, parent);
		return;
	}
	log_debug(LOG_TARGET, "process %d is a child of %d", (int)fork->pid,
	          (int)parent->space.pid);
	struct process *p = process_add(e, target, true);
	set_parent(p, parent);
	process_add_thread(e, p, fork->pid, fork->time_ns >= e->start_ns);
	if (fork->time_ns < e->start_ns)
		process_read_baseline(e, p);
	struct runtime *runtime;
	if (p->decoding && decoding_runtimes(parent->decoding, &runtime, 1))
		decoding_refresh(p->decoding);
	const struct sideband_event *exec = recall(e, SIDEBAND_EXEC, fork->pid);
	if (exec && exec->time_ns > fork->time_ns)
		process_on_exec(e, p, exec->time_ns);
	replay_forks(e, fork->pid, p);
}

/* The process, or the one it descends from through some that have ended unseen. */
static struct process *find_forebear(struct engine *e, pid_t pid)
{
	for (int i = 0; i < MAX_ENDED; i++) {
		struct process *p = process_find(e, pid);
		const struct sideband_event *fork = p ? NULL : recall(e, SIDEBAND_FORK, pid);
		if (!fork || !fork->parent_pid)
			return p;
		pid = fork->parent_pid;
	}
	return NULL;
}

void family_on_event(struct engine *e, const struct sideband_event *event)
{
	struct process *p = process_find(e, event->pid);
	if (event->kind == SIDEBAND_EXEC && !p)
		remember(e, event, false);
	if (event->kind != SIDEBAND_FORK || event->pid == event->parent_pid)
		return;
	if (p && !p->ended) {
		if (target_exists(p->target))
			return;    /* found before its event was read */
		process_end(e, p); /* its number was given out again */
	}
	struct process *parent = find_forebear(e, event->parent_pid);
	if (parent)
		follow(e, parent, event);
	else
		remember(e, event, false);
}

/* A process that is there, whoever told of it. */
static struct process *adopt(struct engine *e, pid_t pid, struct process *parent)
{
	struct target *target;
	if (pid == getpid() || is_full(e))
		return NULL;
	struct err *err = target_open(pid, e->images, e->strings, &target);
	if (err) {
		log_debug(LOG_TARGET, "child %d: %s", (int)pid, err->msg);
		err_free(err);
		if (parent)
			parent->reaped_unsure = true;
		return NULL;
	}
	log_debug(LOG_TARGET, "process %d is a descendant", (int)pid);
	struct process *p = process_add(e, target, true);
	set_parent(p, parent);
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
	return e->shared.children ? adopt(e, pid, NULL) : NULL;
}

void family_find(struct engine *e)
{
	VEC(pid_t) pids = {0};
	for (size_t i = 0; i < e->processes.n; i++)
		if (!e->processes.items[i]->ended)
			*vec_add(&pids) = e->processes.items[i]->space.pid;
	struct target_parent *found;
	size_t n = target_descendants(pids.items, pids.n, &found);
	for (size_t i = 0; i < n; i++) {
		struct process *p = process_find(e, found[i].pid);
		if (p && !p->ended)
			continue;
		p = adopt(e, found[i].pid, process_find(e, found[i].parent));
		/* Later ones have inherited their parents' events. */
		struct err *err = p && !e->started ? engine_add_events(e, p, NULL) : NULL;
		if (err)
			log_debug(LOG_TRIGGER, "%s", err->msg);
		err_free(err);
	}
	free(found);
	vec_free(&pids);
}
