/* SPDX-License-Identifier: Apache-2.0 */
/* Who is sampled: those it began with, or whoever fits now. */
#include <stdlib.h>

#include <csample/log.h>
#include <csample/mem.h>

#include "internal.h"

#define MAX_PIDS    16384
#define MAX_REFUSED 65536

/* Told once of each process, whatever becomes of it. */
static void refuse(struct loop *l, const struct process *p, struct err *err)
{
	if (l->refused.n >= MAX_REFUSED)
		map64_clear(&l->refused);
	uint64_t *told = map64_put(&l->refused, (uint64_t)p->pid);
	if (*told != p->start_time && err->kind != ERR_GONE)
		log_warn("process %d is not sampled: %s", (int)p->pid, err->msg);
	*told = p->start_time;
	err_free(err);
}

static bool is_refused(const struct loop *l, const struct process *p)
{
	const uint64_t *told = map64_get(&l->refused, (uint64_t)p->pid);
	return told && *told == p->start_time;
}

static struct err *open_line(struct loop *l, const pid_t *pids, size_t n)
{
	struct err *err = l->ops->open(l->arg, pids, n, l->budget.rate_hz, false, &l->line);
	if (err)
		return err;
	if (engine_note(l->line.engine))
		log_warn("%s", engine_note(l->line.engine));
	err = engine_start(l->line.engine);
	if (!err && l->ops->started)
		err = l->ops->started(l->arg);
	return err;
}

/* The first of those that fit and can be sampled; the others join as new ones do. */
static struct err *open_first(struct loop *l, const struct process *found, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		if (is_refused(l, &found[i]))
			continue;
		struct err *err = open_line(l, &found[i].pid, 1);
		/* What does not depend on the process is not going to get better. */
		if (!err || l->line.engine || (err->kind != ERR_GONE && n == 1 && !l->sequence))
			return err;
		refuse(l, &found[i], err);
	}
	return NULL;
}

static void add(struct loop *l, const struct process *p)
{
	struct target *target;
	struct err *err = target_open(p->pid, l->line.images, l->line.strings, &target);
	if (!err)
		err = engine_add_process(l->line.engine, target);
	if (err)
		refuse(l, p, err);
	else
		log_debug(LOG_TARGET, "process %d is sampled from now on", (int)p->pid);
}

struct err *follow(struct loop *l)
{
	struct process *found = NULL;
	size_t n = 0;
	if (!l->ops->find)
		return l->line.engine ? NULL : open_line(l, l->config->pids, l->config->n_pids);
	struct err *err = l->ops->find(l->arg, &found, &n);
	if (!err && !l->line.engine)
		err = open_first(l, found, n);
	if (err || !l->line.engine) {
		free(found);
		return err;
	}
	_cleanup_free_ pid_t *pids = mem_realloc_array(NULL, MAX_PIDS, sizeof(*pids));
	size_t n_known = engine_pids(l->line.engine, pids, MAX_PIDS);
	struct map64 known = {0};
	for (size_t i = 0; i < n_known; i++)
		*map64_put(&known, (uint64_t)pids[i]) = 1;
	for (size_t i = 0; i < n; i++)
		if (!map64_get(&known, (uint64_t)found[i].pid) && !is_refused(l, &found[i]))
			add(l, &found[i]);
	map64_free(&known);
	free(found);
	return NULL;
}
