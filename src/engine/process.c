/* SPDX-License-Identifier: Apache-2.0 */
/* A process from its first tick to its last snapshot. */
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <unistd.h>

#include <csample/log.h>
#include <csample/mem.h>

#include "internal.h"

/* process_vm_readv where it works, else the mem file. */
static int open_mem_if_needed(struct target *t)
{
	char byte;
	struct err *err =
	        t->maps.n ? rmem_read(&t->mem.rm, t->maps.items[0].start, &byte, 1) : NULL;
	err_free(err);
	return t->mem.mem_fd;
}

struct process *process_add(struct engine *e, struct target *target, bool owned)
{
	struct process *p = mem_zalloc(sizeof(*p));
	p->target = target;
	p->owns_target = owned;
	p->execed = true;
	p->decoding = e->processes.n ? NULL : e->config.decoding;
	if (e->config.decoder) {
		p->decoding = decoding_open(e->config.decoder, target);
		p->owns_decoding = true;
	}
	p->added_ns = now_ns();
	p->space.pid = target->pid;
	p->space.mem_fd = open_mem_if_needed(target);
	if (p->decoding)
		p->space.gather = decoding_gatherer(p->decoding);
	*vec_add(&e->processes) = p;
	*map64_put(&e->by_pid, (uint64_t)target->pid) = (uintptr_t)p;
	e->n_alive++;
	e->n_processes++;
	struct epoll_event event = {.events = EPOLLIN, .data.ptr = p};
	if (target->pid_fd >= 0)
		epoll_ctl(e->ended_fd, EPOLL_CTL_ADD, target->pid_fd, &event);
	threads_add_space(e->shared.threads, &p->space);
	engine_note_young(e, p);
	if (e->sink.on_process)
		e->sink.on_process(e->sink.arg, target);
	return p;
}

struct process *process_find(const struct engine *e, pid_t pid)
{
	const uint64_t *p = map64_get(&e->by_pid, (uint64_t)pid);
	return p ? (struct process *)(uintptr_t)*p : NULL;
}

/* Opening files took its time: what threads used meanwhile is not ours to count. The process's
 * clock and the threads' are read together; where a busy machine keeps us from the CPU in between,
 * again. */
void process_read_baseline(struct engine *e, struct process *p)
{
	const uint64_t apart_ns = 5000000;
	account_begin(e, p);
	for (int i = 0; i < 5; i++) {
		p->start_cpu_ns = p->last_cpu_ns = target_cpu_ns(p->target);
		for (size_t k = 0; k < threads_count(e->shared.threads); k++) {
			struct thread *th = threads_at(e->shared.threads, k);
			if (th->space != &p->space)
				continue;
			thread_cpu_ns(th, &th->credited_ns);
			th->observed_ns = now_ns();
		}
		if (target_cpu_ns(p->target) - p->start_cpu_ns < apart_ns)
			break;
	}
}

void process_read_clock(struct engine *e, struct process *p)
{
	uint64_t cpu_ns = target_cpu_ns(p->target);
	/* The clock goes by number: when the process is gone, that may be another's. */
	if (cpu_ns > p->last_cpu_ns && target_exists(p->target))
		p->last_cpu_ns = cpu_ns;
	account_read_reaped(e, p);
}

/* The sampler may hold it right now: then what it slept through stays with it. */
static void hand_over_repeats(struct engine *e, struct thread *th)
{
	if (!thread_try_hold(th))
		return;
	if (th->repeats)
		e->sink.on_repeat(e->sink.arg, th->tid, th->repeats, th->repeats_wall_ns);
	e->stats.samples += th->repeats;
	th->repeats = th->repeats_wall_ns = 0;
	/* Never released: it is about to go. */
}

static void mark_unseen(void *arg)
{
	struct process *p = arg;
	p->unseen = true;
}

void process_end(struct engine *e, struct process *p)
{
	if (p->ended)
		return;
	log_debug(LOG_TARGET, "process %d has ended", (int)p->space.pid);
	process_read_clock(e, p);
	p->ended = true;
	e->n_alive--;
	if (p->parent && !p->is_orphan)
		p->parent->n_ended_children++;
	if (p->target->pid_fd >= 0)
		epoll_ctl(e->ended_fd, EPOLL_CTL_DEL, p->target->pid_fd, NULL);
	for (size_t i = threads_count(e->shared.threads); i-- > 0;) {
		struct thread *th = threads_at(e->shared.threads, i);
		if (th->space != &p->space)
			continue;
		*vec_add(&p->tids) = th->tid;
		hand_over_repeats(e, th);
		threads_remove(e->shared.threads, th->tid);
	}
	threads_remove_space(e->shared.threads, p->space.pid);
	threads_retire(e->shared.threads, mark_unseen, p);
}

void process_free(struct process *p)
{
	if (p->owns_decoding)
		decoding_close(p->decoding);
	if (p->owns_target)
		target_close(p->target);
	vec_free(&p->tids);
	free(p);
}

static void forget(struct engine *e, struct process *p)
{
	for (size_t i = 0; i < p->tids.n && e->sink.on_thread_end; i++)
		e->sink.on_thread_end(e->sink.arg, p->tids.items[i], false, 0);
	if (e->sink.on_process_end)
		e->sink.on_process_end(e->sink.arg, p->target);
	if (p->has_anonymous)
		symbols_end_process(e->symbols, (uint32_t)p->space.pid);
	account_end(e, p);
	e->n_execs -= p->exec_ns != 0;
	uint64_t *listed = map64_get(&e->by_pid, (uint64_t)p->space.pid);
	if (listed && *listed == (uintptr_t)p)
		*listed = 0;
	for (size_t i = 0; p->is_young && i < e->young.n; i++)
		if (e->young.items[i] == p)
			e->young.items[i--] = e->young.items[--e->young.n];
	process_free(p);
}

void process_sweep(struct engine *e)
{
	/* Children come after their parents in the list, and go before them: their parents' sums
	 * have their time. */
	for (size_t i = e->processes.n; i-- > 0;) {
		struct process *p = e->processes.items[i];
		if (!p->unseen || p->n_ended_children)
			continue;
		memmove(&e->processes.items[i], &e->processes.items[i + 1],
		        (--e->processes.n - i) * sizeof(p));
		forget(e, p);
	}
	size_t kept = e->processes.n;
	/* Numbers once used stay in the map. */
	if (e->by_pid.n < 1024 + 4 * kept)
		return;
	map64_clear(&e->by_pid);
	for (size_t i = 0; i < kept; i++) {
		struct process *p = e->processes.items[i];
		uint64_t *listed = map64_put(&e->by_pid, (uint64_t)p->space.pid);
		if (!*listed || !p->ended)
			*listed = (uintptr_t)p;
	}
}

void process_add_thread(struct engine *e, struct process *p, pid_t tid, bool born)
{
	static bool told;
	bool full = false;
	struct thread *known = threads_find(e->shared.threads, tid);
	if (known && known->space == &p->space)
		return;
	if (known) /* its number was given out again */
		process_end_thread(e, tid);
	struct thread *th =
	        threads_add(e->shared.threads, &p->space, p->target->proc_fd, tid, born, &full);
	if (full && !told) {
		log_warn("too many threads for the limit of open files: those beyond it are not "
		         "sampled; raise ulimit -n");
		told = true;
	}
	/* Its clock counts from now on: what was guessed of it before is not in there. */
	if (th && !born)
		debts_drop(&e->debts, tid);
}

void process_end_thread(struct engine *e, pid_t tid)
{
	if (e->sink.on_thread_end)
		e->sink.on_thread_end(e->sink.arg, tid, false, 0);
	threads_remove(e->shared.threads, tid);
}

void process_rescan_threads(struct engine *e, struct process *p, bool born)
{
	pid_t *tids = NULL;
	size_t n = 0;
	struct err *err = target_threads(p->target, &tids, &n);
	if (err) {
		err_free(err);
		return;
	}
	struct map64 listed = {0};
	for (size_t i = 0; i < n; i++) {
		*map64_put(&listed, (uint64_t)tids[i]) = 1;
		process_add_thread(e, p, tids[i], born);
	}
	free(tids);
	for (size_t i = threads_count(e->shared.threads); i-- > 0;) {
		struct thread *th = threads_at(e->shared.threads, i);
		if (th->space != &p->space)
			continue;
		if (!map64_get(&listed, (uint64_t)th->tid) || atomic_load(&th->ended))
			process_end_thread(e, th->tid);
		else
			thread_check_policy(th);
	}
	map64_free(&listed);
}

void process_refresh_maps(struct engine *e, struct process *p)
{
	struct err *err = target_refresh_maps(p->target);
	p->maps_unknown &= err != NULL;
	err_free(err); /* gone: the old maps serve what is still in the queues */
	p->maps_read_ns = now_ns();
	p->maps_dirty = false;
	engine_prepare_images(e);
	if (p->decoding)
		decoding_refresh(p->decoding);
}

void process_note_anonymous(struct engine *e, struct process *p)
{
	p->has_anonymous = true;
	symbols_add_process(e->symbols, (uint32_t)p->space.pid, p->target->root_fd,
	                    p->target->ns_pid, p->target->uid);
}

void process_on_exec(struct engine *e, struct process *p, uint64_t time_ns)
{
	e->n_execs += !p->exec_ns;
	p->exec_ns = time_ns;
	/* Read not knowing of it: what was captured before it cannot be unwound any more. */
	p->maps_ahead = time_ns < p->maps_read_ns;
}

void process_act_on_exec(struct engine *e, struct process *p)
{
	log_debug(LOG_TARGET, "process %d has execed", (int)p->space.pid);
	p->last_exec_ns = p->exec_ns;
	engine_note_young(e, p);
	p->exec_ns = 0;
	e->n_execs--;
	p->execed = true;
	p->maps_ahead = false;
	if (p->decoding)
		decoding_restart(p->decoding);
	struct err *err = target_reload(p->target);
	/* The old maps must not name what the new program does. */
	p->maps_unknown = err != NULL;
	err_free(err);
	p->maps_read_ns = now_ns();
	p->maps_dirty = false;
	engine_prepare_images(e);
	if (p->decoding)
		decoding_refresh(p->decoding);
	process_rescan_threads(e, p, true);
	if (e->sink.on_process)
		e->sink.on_process(e->sink.arg, p->target);
	if (e->sink.on_thread_name)
		e->sink.on_thread_name(e->sink.arg, p->space.pid);
}

struct err *engine_add_process(struct engine *e, struct target *target)
{
	if (e->n_alive >= MAX_PROCESSES) {
		target_close(target);
		return err_new(ERR_SYS, "more than %d processes", MAX_PROCESSES);
	}
	struct process *p = process_add(e, target, true);
	struct err *err = engine_add_events(e, p, NULL);
	process_rescan_threads(e, p, false);
	process_read_baseline(e, p);
	if (e->started && p->decoding)
		decoding_refresh(p->decoding);
	engine_prepare_images(e);
	if (e->orphans)
		family_find(e);
	return err;
}
