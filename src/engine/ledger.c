/* SPDX-License-Identifier: Apache-2.0 */
#include "ledger.h"

#include <stdlib.h>
#include <string.h>

struct ledger *ledger_create(struct profile *profile, const struct ledger_config *config)
{
	struct ledger *l = mem_zalloc(sizeof(*l));
	l->profile = profile;
	l->config = *config;
	if (config->timeline)
		profile->max_samples = PROFILE_MAX_SAMPLES;
	l->cap_frames = STACK_MAX_FRAMES + EXTRA_FRAMES;
	l->frames = mem_realloc_array(NULL, l->cap_frames, sizeof(*l->frames));
	return l;
}

void ledger_destroy(struct ledger *l)
{
	if (!l)
		return;
	map64_free(&l->by_pid);
	map64_free(&l->by_tid);
	map64_free(&l->ended);
	profile_destroy(l->kept);
	vec_free(&l->members);
	vec_free(&l->free_members);
	vec_free(&l->accounts);
	vec_free(&l->places);
	free(l->frames);
	free(l);
}

static struct account *account_of(struct ledger *l, pid_t tid)
{
	uint64_t *index = map64_put(&l->by_tid, (uint64_t)tid);
	if (!*index) {
		*vec_add(&l->accounts) = (struct account){.tid = tid};
		*index = l->accounts.n;
	}
	l->accounts.items[*index - 1].used = l->n_cuts;
	return &l->accounts.items[*index - 1];
}

struct raw_frame ledger_mark(struct ledger *l, const char *text)
{
	return (struct raw_frame){.kind = RAW_MARK,
	                          .aux = (uint64_t)(uintptr_t)intern(l->profile->strings, text)};
}

/* NULL: a process that nobody told us of. */
static struct member *member_of(struct ledger *l, pid_t pid)
{
	uint64_t *index = map64_get(&l->by_pid, (uint64_t)pid);
	return index && *index ? &l->members.items[*index - 1] : NULL;
}

/* What the runtime calls it, or, as long as that is not known, what the kernel does. */
static const char *thread_name(struct ledger *l, struct account *a, const struct member *m,
                               const struct decoded *decoded)
{
	char name[256];
	struct runtime *rt = decoded ? decoded->runtime : NULL;
	if (rt && !a->named_by_runtime && rt->ops->thread_name &&
	    rt->ops->thread_name(rt, a->tid, name, sizeof(name))) {
		a->name = intern(l->profile->strings, name);
		a->named_by_runtime = true;
	}
	if (!a->name) {
		if (!m || !target_thread_name(m->target, a->tid, name, sizeof(m->target->comm)))
			snprintf(name, sizeof(name), "%s", m ? m->target->comm : "?");
		a->name = intern(l->profile->strings, name);
	}
	return a->name;
}

static struct raw_frame thread_root(struct ledger *l, struct account *a, const struct member *m,
                                    const struct decoded *decoded)
{
	return (struct raw_frame){.kind = RAW_THREAD,
	                          .owner = (uint32_t)a->tid,
	                          .aux = (uint64_t)(uintptr_t)thread_name(l, a, m, decoded)};
}

static struct raw_frame process_root(struct ledger *l, pid_t pid, const struct member *m)
{
	const char *name = m ? m->name : intern(l->profile->strings, "?");
	return (struct raw_frame){
	        .kind = RAW_PROCESS, .owner = (uint32_t)pid, .aux = (uint64_t)(uintptr_t)name};
}

/* pprof wants to know where a file was mapped. Asked while it still is. */
static void note_image(struct ledger *l, const struct maps *maps, uint32_t image)
{
	while (l->places.n <= image)
		*vec_add(&l->places) = (struct place){0};
	struct place *place = &l->places.items[image];
	if (place->mapping)
		return;
	for (size_t i = 0; i < maps->n; i++) {
		const struct mapping *m = &maps->items[i];
		if (!m->executable || !m->image || m->image->id != image)
			continue;
		struct profile_mapping mapping = {
		        .start = m->start,
		        .limit = m->end,
		        .offset = m->offset,
		        .file = m->image->path,
		        .build_id = m->image->build_id_len
		                            ? intern(l->profile->strings, m->image->build_id_hex)
		                            : NULL,
		};
		place->mapping = profile_mapping(l->profile, &mapping);
		place->what = mapping;
		place->known = true;
		place->bias = m->bias;
		return;
	}
}

/* Readers of pprof take the first mapping for the program. It lies lowest: at its fixed address, or
 * where the kernel puts position-independent programs, below all libraries. */
static void note_program(struct ledger *l, const struct maps *maps)
{
	for (size_t i = 0; i < maps->n; i++) {
		if (!maps->items[i].executable || !maps->items[i].image)
			continue;
		note_image(l, maps, maps->items[i].image->id);
		return;
	}
}

static uint32_t add_stack(struct ledger *l, struct account *a, pid_t pid, const struct stack *stack,
                          const struct decoded *decoded)
{
	static const uint64_t nothing[PROFILE_VALUES];
	static const struct maps no_maps;
	size_t n = stack->n;
	const struct member *m = member_of(l, pid);
	const struct maps *maps = m ? &m->target->maps : &no_maps;
	if (!l->profile->n_mappings)
		note_program(l, maps);
	if (n + EXTRA_FRAMES > l->cap_frames) {
		l->cap_frames = 2 * n + EXTRA_FRAMES;
		l->frames = mem_realloc_array(l->frames, l->cap_frames, sizeof(*l->frames));
	}
	memcpy(l->frames, stack->frames, n * sizeof(*l->frames));
	for (size_t i = 0; i < n; i++)
		if (l->frames[i].kind == RAW_NATIVE)
			note_image(l, maps, l->frames[i].owner);
	if (stack->end == STACK_SHORT || stack->end == STACK_TOO_DEEP)
		l->frames[n++] = ledger_mark(l, "[truncated]");
	else if (stack->end != STACK_ROOT)
		l->frames[n++] = ledger_mark(l, "[unwound no further]");
	if (l->config.threads)
		l->frames[n++] = thread_root(l, a, m, decoded);
	if (l->config.processes)
		l->frames[n++] = process_root(l, pid, m);
	return profile_add(l->profile, l->frames, n, nothing);
}

void ledger_credit(struct ledger *l, uint32_t node, uint64_t samples, uint64_t ns)
{
	const uint64_t values[PROFILE_VALUES] = {samples, ns};
	if (samples || ns)
		profile_add_to_node(l->profile, node, values);
}

/* What its stacks are told apart by where they have times. */
static void note_thread(struct ledger *l, struct account *a, const struct snapshot *snap,
                        const struct decoded *decoded)
{
	if (!l->config.timeline)
		return;
	const struct member *m = member_of(l, snap->pid);
	const char *name = thread_name(l, a, m, decoded);
	const struct profile_thread *old = a->is_over ? &l->profile->threads[a->thread - 1] : NULL;
	if (old && (old->pid != snap->pid || old->name != name))
		a->thread = 0;
	a->is_over = false;
	if (!a->thread)
		a->thread = 1 + profile_add_thread(
		                        l->profile,
		                        &(struct profile_thread){.pid = snap->pid, .tid = a->tid});
	/* Both may have been others at first: a program, too, has its name from exec on. */
	l->profile->threads[a->thread - 1].process = m ? m->name : NULL;
	l->profile->threads[a->thread - 1].name = name;
}

/* A sample of the time until at_ns (CLOCK_MONOTONIC). */
static void note_sample(struct ledger *l, struct account *a, uint32_t node, uint64_t at_ns,
                        uint64_t samples, uint64_t ns)
{
	uint64_t start_ns = l->profile->meta.start_ns;
	a->seen_ns = at_ns;
	if (!a->thread || (!samples && !ns))
		return;
	profile_add_sample(l->profile, &(struct profile_sample){
	                                       .time_ns = at_ns > start_ns ? at_ns - start_ns : 0,
	                                       .node = node,
	                                       .thread = a->thread - 1,
	                                       .values = {samples, ns}});
}

static void credit_cpu(struct ledger *l, struct account *a, uint32_t node,
                       const struct snapshot *snap)
{
	ledger_credit(l, node, 1, snap->cpu_ns);
	note_sample(l, a, node, snap->time_ns, 1, snap->cpu_ns);
}

/* Wall time comes in pieces of any length; each period of it is one sample. */
static void credit_wall(struct ledger *l, struct account *a, uint32_t node, uint64_t at_ns,
                        uint64_t ns, uint64_t *rest_ns)
{
	*rest_ns += ns;
	uint64_t samples = *rest_ns / l->config.period_ns;
	*rest_ns %= l->config.period_ns;
	ledger_credit(l, node, samples, ns);
	note_sample(l, a, node, at_ns, samples, ns);
}

/* Time of this stack alone counts: what else the thread did, it may have done without the lock. */
static void on_locked_stack(struct ledger *l, struct account *a, const struct snapshot *snap,
                            const struct stack *stack, const struct decoded *decoded)
{
	struct runtime *rt = decoded->runtime;
	a->asleep = 0;
	if (rt && rt->ops->has_lock)
		l->locking = rt;
	if (!decoded->holds_lock)
		return;
	uint32_t node = add_stack(l, a, snap->pid, stack, decoded);
	note_thread(l, a, snap, decoded);
	if (!l->config.wall)
		credit_cpu(l, a, node, snap);
	else
		credit_wall(l, a, node, snap->time_ns, snap->wall_ns, &a->ran_rest_ns);
	if (snap->by == BY_ASLEEP)
		a->asleep = node;
}

static void on_stack(void *arg, const struct snapshot *snap, const struct stack *stack,
                     const struct decoded *decoded)
{
	struct ledger *l = arg;
	struct account *a = account_of(l, snap->tid);
	a->pid = snap->pid;
	if (l->config.lock_only) {
		on_locked_stack(l, a, snap, stack, decoded);
		return;
	}
	uint32_t node = add_stack(l, a, snap->pid, stack, decoded);
	a->last = node;
	note_thread(l, a, snap, decoded);
	if (!l->config.wall) {
		credit_cpu(l, a, node, snap);
		return;
	}
	/* schedstat says how much of the time since the last observation the thread ran: that part
	 * belongs to where it was seen running, the rest to where it was seen asleep. */
	uint64_t ran = snap->cpu_ns < snap->wall_ns ? snap->cpu_ns : snap->wall_ns;
	bool asleep = snap->by == BY_ASLEEP;
	if (asleep)
		a->asleep = node;
	else
		a->running = node;
	uint64_t slept = snap->wall_ns - ran, at = snap->time_ns;
	uint32_t ran_at = asleep && a->running ? ledger_live_node(l, &a->running) : node;
	uint32_t slept_at = !asleep && a->asleep ? ledger_live_node(l, &a->asleep) : node;
	if (!asleep) /* the part that goes on now is the later one */
		credit_wall(l, a, slept_at, at - ran, slept, &a->slept_rest_ns);
	credit_wall(l, a, ran_at, asleep ? at - slept : at, ran, &a->ran_rest_ns);
	if (asleep)
		credit_wall(l, a, slept_at, at, slept, &a->slept_rest_ns);
}

static void on_repeat(void *arg, pid_t tid, uint64_t n, uint64_t wall_ns)
{
	struct ledger *l = arg;
	struct account *a = account_of(l, tid);
	(void)n;
	if (a->asleep)
		credit_wall(l, a, ledger_live_node(l, &a->asleep), a->seen_ns + wall_ns, wall_ns,
		            &a->slept_rest_ns);
}

static void on_thread_end(void *arg, pid_t tid, bool left, uint64_t left_ns)
{
	struct ledger *l = arg;
	uint64_t *index = map64_get(&l->by_tid, (uint64_t)tid);
	if (left && !l->config.wall && !l->config.lock_only) {
		struct account *a = account_of(l, tid);
		if (a->last) {
			ledger_credit(l, ledger_live_node(l, &a->last), 0, left_ns);
			note_sample(l, a, a->last, a->seen_ns + left_ns, 0, left_ns);
		}
	} else if (!left && index && *index) {
		struct account *a = &l->accounts.items[*index - 1];
		if (a->last) {
			++*map64_put(&l->ended, ledger_live_node(l, &a->last));
			l->n_ended++;
		}
		/* The number may be given out again; but something of it may also still be on its
		 * way. */
		*a = (struct account){.tid = tid, .thread = a->thread, .is_over = a->thread != 0};
	}
}

static void on_thread_name(void *arg, pid_t tid)
{
	struct ledger *l = arg;
	uint64_t *index = map64_get(&l->by_tid, (uint64_t)tid);
	if (index && *index)
		l->accounts.items[*index - 1].name = NULL,
		                           l->accounts.items[*index - 1].named_by_runtime = false;
}

/* A process, or the new program of one. */
static void on_process(void *arg, struct target *target)
{
	struct ledger *l = arg;
	uint64_t *index = map64_put(&l->by_pid, (uint64_t)target->pid);
	if (!*index && l->free_members.n) {
		*index = l->free_members.items[--l->free_members.n] + 1;
	} else if (!*index) {
		vec_add(&l->members);
		*index = l->members.n;
	}
	l->members.items[*index - 1] =
	        (struct member){target, intern(l->profile->strings, target->name)};
}

static void on_process_end(void *arg, struct target *target)
{
	struct ledger *l = arg;
	uint64_t *index = map64_get(&l->by_pid, (uint64_t)target->pid);
	/* Its number may be another's by now. */
	if (!index || !*index || l->members.items[*index - 1].target != target)
		return;
	*vec_add(&l->free_members) = *index - 1;
	*index = 0;
}

struct sink ledger_sink(struct ledger *l)
{
	return (struct sink){
	        .arg = l,
	        .on_stack = on_stack,
	        .on_repeat = on_repeat,
	        .on_thread_end = on_thread_end,
	        .on_thread_name = on_thread_name,
	        .on_process = on_process,
	        .on_process_end = on_process_end,
	};
}

struct runtime *ledger_locking(const struct ledger *l)
{
	return l->locking;
}
