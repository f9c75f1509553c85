/* SPDX-License-Identifier: Apache-2.0 */
/* From one interval to the next. Samplers go on meanwhile: what they take waits in their queues. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <csample/clock.h>
#include <csample/log.h>
#include <csample/mem.h>

#include "internal.h"

#define NAMING_NS    2000000ULL /* between two looks at the queues */
#define NAMES        16         /* between two looks at the clock */
#define MAX_PIDS     16384
#define CLOCK_SET_NS 1000000000LL /* no more lies between reading two clocks */

static int64_t unix_ns(void)
{
	struct timespec now;
	clock_gettime(CLOCK_REALTIME, &now);
	return (int64_t)now.tv_sec * 1000000000 + now.tv_nsec;
}

/* at_unix_ns: when the profile before ended, a little ago. */
static void begin_at(struct loop *l, int64_t at_unix_ns, bool first)
{
	int64_t now = unix_ns();
	l->began_unix_ns = at_unix_ns;
	int64_t end = interval_end(now, l->config->interval_ns, first);
	l->end_ns = now_ns() + (uint64_t)(end - now);
}

void rotate_begin(struct loop *l, bool first)
{
	struct stats stats = {0};
	if (l->line.engine)
		engine_get_stats(l->line.engine, &stats);
	begin_at(l, unix_ns() - (int64_t)stats.duration_ns, first);
}

/* Where the profile before ended by our clock; by the wall clock if that was set meanwhile. */
static int64_t next_begin(const struct loop *l, const struct profile *p)
{
	int64_t now = unix_ns(), end = l->began_unix_ns + (int64_t)p->meta.duration_ns;
	return llabs(now - end) < CLOCK_SET_NS ? end : now;
}

bool rotate_prepare(struct loop *l)
{
	uint64_t start = now_ns(), now = start;
	bool all = false;
	while (!all && now - start < NAMING_NS) {
		all = ledger_name_some(l->line.ledger, l->line.symbols, l->line.decoder, NAMES);
		now = now_ns();
	}
	if (now - start > l->naming_max_ns)
		l->naming_max_ns = now - start;
	return all;
}

/* Counts; what is a state (rates, memory) is from's. */
static void add_stats(struct stats *into, const struct stats *from)
{
	into->samples += from->samples;
	for (unsigned i = 0; i < CAPTURED_WAYS; i++)
		into->captured[i] += from->captured[i];
	for (unsigned i = 0; i < LOSSES; i++)
		into->lost[i] += from->lost[i];
	for (unsigned i = 0; i < STACK_ENDS; i++)
		into->ends[i] += from->ends[i];
	for (unsigned i = 0; i < STATS_RUNTIMES && from->runtimes[i].name; i++) {
		struct runtime_stats *of = stats_runtime(into, from->runtimes[i].name);
		if (!of)
			continue;
		of->stacks += from->runtimes[i].stacks;
		of->starting += from->runtimes[i].starting;
		of->truncated += from->runtimes[i].truncated;
		of->torn += from->runtimes[i].torn;
		of->unmerged += from->runtimes[i].unmerged;
	}
	into->reads += from->reads;
	histogram_merge(&into->pause, &from->pause);
	into->duration_ns += from->duration_ns;
	into->target_cpu_ns += from->target_cpu_ns;
	into->not_sampled_ns += from->not_sampled_ns;
	into->self_cpu_ns += from->self_cpu_ns;
	into->processes += from->processes;
	into->self_rss_bytes = from->self_rss_bytes;
	into->rate_asked = from->rate_asked;
	into->rate_reached = from->rate_reached;
	if (!into->first_sample_ns)
		into->first_sample_ns = from->first_sample_ns;
}

void loop_stats(struct loop *l, struct stats *ret)
{
	struct stats now;
	*ret = l->gone;
	if (!l->line.engine)
		return;
	engine_get_stats(l->line.engine, &now);
	add_stats(ret, &now);
}

static void describe(struct loop *l, const struct stats *stats)
{
	struct profile *p = l->line.profile;
	l->ops->describe(l->arg, &l->line, stats, p);
	p->meta.start_unix_ns = l->began_unix_ns;
	p->meta.rate_hz = l->budget.rate_hz;
	if (!l->note[0])
		return;
	_cleanup_free_ char *note =
	        p->meta.note ? mem_asprintf("%s; %s", p->meta.note, l->note) : mem_strdup(l->note);
	p->meta.note = intern_passing(l->line.strings, note, strlen(note));
}

/* The profile has its names and all its values. Takes it over; of the table of strings it uses,
 * those that come and go have to be of no other use. */
static void hand_over(struct loop *l, struct profile *p)
{
	const struct outlet_label *labels;
	struct parcel parcel = {
	        .profile = p,
	        .strings = strings_take_passing(p->strings),
	        .sequence = ++l->sequence,
	        .type = l->config->type,
	};
	l->profile_cpu_ns += p->total[1];
	l->samples += p->total[0];
	parcel.n_labels = l->ops->labels(l->arg, &labels);
	parcel.labels = mem_realloc_array(NULL, parcel.n_labels + 1, sizeof(*parcel.labels));
	for (size_t i = 0; i < parcel.n_labels; i++)
		parcel.labels[i] = (struct outlet_label){mem_strdup(labels[i].name),
		                                         mem_strdup(labels[i].value)};
	courier_put(l->courier, &parcel);
}

/* Settles and names the profile of the line, of which stats are the counts. */
static void complete(struct loop *l, struct stats *stats)
{
	ledger_settle(l->line.ledger, stats);
	ledger_name(l->line.ledger, l->line.images, l->line.symbols, l->line.decoder);
	describe(l, stats);
}

void rotate(struct loop *l)
{
	uint64_t start = now_ns();
	struct loop_line *line = &l->line;
	struct stats stats;
	engine_checkpoint(line->engine, &stats);
	complete(l, &stats);
	int64_t at = next_begin(l, line->profile);
	clerk_before_cut(l);
	struct profile *old = line->profile;
	line->profile = profile_create(line->strings);
	ledger_cut(line->ledger, line->profile, &stats);
	begin_at(l, at, false);
	/* Nothing of what is gone waits for a name. */
	decoder_collect(line->decoder);
	symbols_collect(line->symbols);
	hand_over(l, old); /* nothing of the new one has its name yet */
	if (now_ns() - start > l->rotation_max_ns)
		l->rotation_max_ns = now_ns() - start;
}

static void close_line(struct loop *l, struct loop_line *line)
{
	l->ops->close(l->arg, line);
	*line = (struct loop_line){0};
}

void rotate_tidy(struct loop *l)
{
	if (l->old.strings && courier_is_idle(l->courier))
		close_line(l, &l->old);
}

void rotate_finish(struct loop *l)
{
	struct stats stats;
	if (!l->line.engine) {
		courier_wait(l->courier);
		rotate_tidy(l);
		return;
	}
	engine_stop(l->line.engine);
	engine_get_stats(l->line.engine, &stats);
	complete(l, &stats);
	hand_over(l, l->line.profile);
	l->line.profile = NULL;
	add_stats(&l->gone, &stats);
	courier_wait(l->courier);
	close_line(l, &l->line);
	rotate_tidy(l);
}

struct err *rotate_rebuild(struct loop *l)
{
	_cleanup_free_ pid_t *pids = mem_realloc_array(NULL, MAX_PIDS, sizeof(*pids));
	size_t n = engine_pids(l->line.engine, pids, MAX_PIDS);
	struct loop_line next = {0};
	struct err *err = n ? l->ops->open(l->arg, pids, n, l->budget.rate_hz, false, &next) : NULL;
	if (err || !n) { /* ended meanwhile, or no room: there is always a later time */
		err_free(err);
		l->rebuilt_ns = now_ns();
		rotate(l);
		return NULL;
	}
	log_debug(LOG_TARGET, "names and files are read anew, of %zu processes", n);
	struct stats stats;
	/* All that takes its time is done while the old line samples on. */
	engine_poll(l->line.engine, 0);
	engine_prepare(next.engine);
	engine_poll(l->line.engine, 0);
	uint64_t start = now_ns();
	engine_hold(l->line.engine); /* if it cannot be, some is sampled twice */
	err = engine_start(next.engine);
	if (now_ns() - start > l->pause_max_ns)
		l->pause_max_ns = now_ns() - start;
	engine_stop(l->line.engine);
	engine_get_stats(l->line.engine, &stats);
	complete(l, &stats);
	clerk_before_cut(l);
	add_stats(&l->gone, &stats);
	hand_over(l, l->line.profile);
	l->line.profile = NULL;
	l->old = l->line; /* its last profile uses its names */
	l->line = next;
	if (err)
		close_line(l, &l->line);
	l->rebuilds++;
	l->rebuilt_ns = now_ns();
	l->memory = (struct memory){.max_growth_bytes = l->memory.max_growth_bytes};
	rotate_begin(l, false);
	return err;
}
