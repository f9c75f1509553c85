/* SPDX-License-Identifier: Apache-2.0 */
/* Ends profiles, the last one or one of many. What was used and is in none of them yet is either
 * still to be carried by a live thread's next snapshot, or never will be, and belongs here. */
#include <string.h>

#include "ledger.h"

#define FORGET_CUTS 64   /* a thread that was not needed for so long */
#define KEPT_NODES  1024 /* so many may be of no use any more, in any case */

/* What ended threads used after their last snapshot is known only in sum. Each tick stands for a
 * period, so no thread's last stack gets more than that; the rest was on no stack. */
static uint64_t settle_ended(struct ledger *l, uint64_t missing_ns)
{
	if (!l->n_ended)
		return missing_ns;
	uint64_t each = missing_ns / l->n_ended;
	if (each > l->config.period_ns)
		each = l->config.period_ns;
	for (size_t i = 0; i < l->ended.cap; i++) {
		const struct map64_slot *slot = &l->ended.slots[i];
		if (!slot->used)
			continue;
		ledger_credit(l, (uint32_t)slot->key, 0, slot->value * each);
		missing_ns -= slot->value * each;
	}
	map64_clear(&l->ended);
	l->n_ended = 0;
	return missing_ns;
}

void ledger_settle(struct ledger *l, struct stats *stats)
{
	struct profile *p = l->profile;
	bool charged = !l->config.wall && !l->config.lock_only;
	uint64_t have_ns = l->total[1] + p->total[1] + stats->uncarried_ns;
	bool sampled = l->total[0] + p->total[0]; /* a run without a sample stays empty */
	if (charged && sampled && stats->target_cpu_ns > have_ns) {
		uint64_t missing_ns = settle_ended(l, stats->target_cpu_ns - have_ns);
		if (missing_ns) {
			const struct raw_frame not_sampled = ledger_mark(l, "[not sampled]");
			const uint64_t values[PROFILE_VALUES] = {0, missing_ns};
			profile_add(p, &not_sampled, 1, values);
			l->not_sampled_ns += missing_ns;
		}
	}
	stats->not_sampled_ns = l->not_sampled_ns;
	if (!charged)
		stats->samples = l->total[0] + p->total[0];
	if (!l->config.wall)
		stats->profile_cpu_ns = l->total[1] + p->total[1];
	p->meta.duration_ns = stats->duration_ns - l->duration_ns;
	p->meta.lost = stats_lost(stats) - l->lost;
}

/* The stack of a node, leaf first, in l->frames; returns its length. */
static size_t read_path(struct ledger *l, const struct profile *p, uint32_t node)
{
	size_t n = 0;
	for (; node; node = p->nodes[node].parent) {
		if (n == l->cap_frames) {
			l->cap_frames *= 2;
			l->frames = mem_realloc_array(l->frames, l->cap_frames, sizeof(*l->frames));
		}
		l->frames[n++] = p->locations[p->nodes[node].location].raw;
	}
	return n;
}

static const uint64_t nothing[PROFILE_VALUES];

uint32_t ledger_live_node(struct ledger *l, uint32_t *node)
{
	if (!(*node & KEPT))
		return *node;
	size_t n = read_path(l, l->kept, *node & ~KEPT);
	if (!l->profile->n_mappings && l->program.file)
		profile_mapping(l->profile, &l->program);
	for (size_t i = 0; i < n; i++) {
		struct place *place =
		        l->frames[i].kind == RAW_NATIVE && l->frames[i].owner < l->places.n
		                ? &l->places.items[l->frames[i].owner]
		                : NULL;
		if (place && place->known && !place->mapping)
			place->mapping = profile_mapping(l->profile, &place->what);
	}
	return *node = profile_add(l->profile, l->frames, n, nothing);
}

/* Its stack into what is kept; from: the profile that is cut off, or what was kept before. */
static void keep(struct ledger *l, uint32_t *node, bool all, const struct profile *old_kept)
{
	bool was_kept = *node & KEPT;
	if (!*node || (was_kept && !all))
		return;
	const struct profile *from = was_kept ? old_kept : l->profile;
	size_t n = read_path(l, from, *node & ~KEPT);
	uint32_t at = profile_add(l->kept, l->frames, n, nothing);
	*node = at ? at | KEPT : 0;
}

static bool is_needed(const struct ledger *l, const struct account *a)
{
	const uint64_t *member = map64_get(&l->by_pid, (uint64_t)a->pid);
	bool known = a->last || a->running || a->asleep || a->name;
	return known && member && *member && l->n_cuts - a->used < FORGET_CUTS;
}

/* What live threads did last goes over into the time after the cut; ended ones are forgotten. */
static void carry_accounts(struct ledger *l)
{
	bool anew = !l->kept || l->kept->n_nodes > 2 * l->kept_nodes + KEPT_NODES;
	struct profile *old = l->kept;
	size_t n = 0;
	if (anew)
		l->kept = profile_create(l->profile->strings);
	for (size_t i = 0; i < l->accounts.n; i++) {
		struct account *a = &l->accounts.items[i];
		uint64_t *index = map64_put(&l->by_tid, (uint64_t)a->tid);
		*index = 0;
		if (!is_needed(l, a))
			continue;
		keep(l, &a->last, anew, old);
		keep(l, &a->running, anew, old);
		keep(l, &a->asleep, anew, old);
		l->accounts.items[n++] = *a;
		*index = n;
	}
	l->accounts.n = n;
	if (anew) {
		profile_destroy(old);
		l->kept_nodes = l->kept->n_nodes;
	}
	if (l->by_tid.n > 2 * n + 1024)
		map64_compact(&l->by_tid);
	if (l->by_pid.n > 2 * l->members.n + 1024)
		map64_compact(&l->by_pid);
}

void ledger_cut(struct ledger *l, struct profile *next, const struct stats *stats)
{
	struct profile *p = l->profile;
	struct stats settled = *stats;
	ledger_settle(l, &settled);
	for (size_t v = 0; v < PROFILE_VALUES; v++)
		l->total[v] += p->total[v];
	l->duration_ns = stats->duration_ns;
	l->lost = stats_lost(stats);
	l->n_cuts++;
	carry_accounts(l);
	if (p->n_mappings)
		l->program = p->mappings[0];
	for (size_t i = 0; i < l->places.n; i++)
		l->places.items[i].mapping = 0;
	map64_clear(&l->ended); /* nodes of the old profile */
	l->n_ended = 0;
	l->named = 0;
	l->profile = next;
}
