/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include <csample/clock.h>
#include <csample/log.h>
#include <csample/mem.h>

#include "internal.h"

#define POLL_MS    50
#define COURIER_MS 5 /* an interval that should have ended waits for earlier ones to be written */
#define FOLLOW_NS  1000000000ULL
#define GROWTH     ((uint64_t)64 << 20)
#define REBUILD_NS 600000000000ULL
#define LATE_NS    500000000ULL /* an interval may end so late, that naming is not in the way */

/* As people read it: 2000 Hz, not 2e+03. */
static void put_hz(char text[32], double hz)
{
	snprintf(text, 32, "%.*f Hz", hz < 100, hz);
}

/* A fraction of what was asked for, as people read it. */
static void note_rate(struct loop *l, double from_hz)
{
	const struct budget *b = &l->budget;
	char now[32], from[32], asked[32];
	put_hz(now, b->rate_hz);
	put_hz(from, from_hz);
	put_hz(asked, b->asked_hz);
	l->note[0] = '\0';
	if (b->rate_hz < b->asked_hz)
		snprintf(l->note, sizeof(l->note),
		         "sampled at %s instead of %s to keep the overhead below %.3g%%", now,
		         asked, b->share * 100);
	log_info("rate %s from %s to %s, to %s %.3g%% of overhead (--max-overhead)",
	         b->rate_hz < from_hz ? "lowered" : "raised", from, now,
	         b->rate_hz < from_hz ? "stay below" : "use no more than", b->share * 100);
	l->rate_changes++;
}

static void read_budget(struct loop *l, struct budget_reading *ret)
{
	struct stats stats;
	loop_stats(l, &stats);
	*ret = (struct budget_reading){.now_ns = now_ns(),
	                               .held_ns = stats.pause.sum,
	                               .target_cpu_ns = stats.target_cpu_ns,
	                               .own_cpu_ns = stats.self_cpu_ns,
	                               .samples = stats.samples};
}

static void keep_budget(struct loop *l)
{
	struct budget_reading reading;
	double before = l->budget.rate_hz;
	read_budget(l, &reading);
	if (!budget_update(&l->budget, &reading))
		return;
	engine_set_rate(l->line.engine, l->budget.rate_hz);
	note_rate(l, before);
}

static void tell_status(const struct loop *l)
{
	char rate[32];
	put_hz(rate, l->budget.rate_hz);
	_cleanup_free_ char *text =
	        mem_asprintf("STATUS=%llu profiles, %llu samples, %s",
	                     (unsigned long long)l->sequence, (unsigned long long)l->samples, rate);
	notify_send(l->config->notify_socket, text);
}

static struct err *end_interval(struct loop *l)
{
	uint64_t now = now_ns();
	struct err *err = NULL;
	if (!l->line.engine) {
		rotate_begin(l, false);
		return NULL;
	}
	bool grown =
	        memory_is_too_much(&l->memory, memory_own_bytes(), images_count(l->line.images));
	uint64_t rebuild_ns = l->config->rebuild_ns ? l->config->rebuild_ns : REBUILD_NS;
	if (grown && now - l->rebuilt_ns > rebuild_ns && !l->old.strings)
		err = rotate_rebuild(l);
	else
		rotate(l);
	tell_status(l);
	return err;
}

static void reopen(struct loop *l)
{
	struct timespec now;
	clock_gettime(CLOCK_MONOTONIC, &now);
	*l->config->reopen = 0;
	_cleanup_free_ char *text = mem_asprintf("RELOADING=1\nMONOTONIC_USEC=%llu",
	                                         (unsigned long long)now.tv_sec * 1000000 +
	                                                 (unsigned long long)now.tv_nsec / 1000);
	notify_send(l->config->notify_socket, text);
	courier_reopen(l->courier);
}

/* How long to wait, ms: not beyond what is due. */
static int wait_ms(const struct loop *l, uint64_t now, uint64_t last_ns)
{
	uint64_t next = l->end_ns < last_ns ? l->end_ns : last_ns;
	if (next <= now)
		return l->named ? COURIER_MS : 0;
	uint64_t ms = (next - now) / 1000000 + 1;
	return ms < POLL_MS ? (int)ms : POLL_MS;
}

/* One turn; false: nobody is left. */
static bool turn(struct loop *l, int timeout_ms)
{
	if (!l->line.engine) {
		poll(NULL, 0, timeout_ms);
		return true;
	}
	uint64_t now = now_ns();
	if (l->looked_ns && now - l->looked_ns > l->away_max_ns)
		l->away_max_ns = now - l->looked_ns;
	bool alive = engine_poll(l->line.engine, timeout_ms);
	l->looked_ns = now_ns();
	l->named = rotate_prepare(l);
	return alive || l->ops->find;
}

/* What is still to be done before an interval can end in one go is done between looks at the
 * queues. The interval gets longer instead; nothing of it is lost. */
static bool may_end(struct loop *l, uint64_t now)
{
	uint64_t late = l->config->interval_ns / 4;
	if (now < l->end_ns)
		return false;
	if (!l->line.engine)
		return true;
	if (late > LATE_NS)
		late = LATE_NS;
	if (!l->named && now - l->end_ns < late)
		return false;
	if (courier_has_room(l->courier))
		return true;
	if (!l->slow_told)
		log_warn("profiles cannot be written as fast as intervals end: intervals get "
		         "longer");
	l->slow_told = true;
	return false;
}

static struct err *run(struct loop *l)
{
	const struct loop_config *c = l->config;
	uint64_t start = now_ns(), followed = 0, watched = 0;
	uint64_t last = c->duration_ns ? start + c->duration_ns : UINT64_MAX;
	struct err *err = NULL;
	rotate_begin(l, true);
	while (!err && !*c->stop) {
		uint64_t now = now_ns();
		if (now >= last)
			break;
		bool had_line = l->line.engine;
		if (now - followed >= FOLLOW_NS || !followed) {
			followed = now;
			err = follow(l);
			if (!err && l->line.engine)
				keep_budget(l);
		}
		if (!had_line && l->line.engine) {
			rotate_begin(l, true);
			l->rebuilt_ns = now_ns();
		}
		if (!err && !turn(l, wait_ms(l, now_ns(), last)))
			break;
		if (!err)
			clerk_attend(l);
		if (!err && may_end(l, now_ns()))
			err = end_interval(l);
		rotate_tidy(l);
		if (*c->reopen)
			reopen(l);
		if (l->ops->between)
			l->ops->between(l->arg, l->line.engine, l->beside.engine);
		if (c->watchdog_ns && now - watched >= c->watchdog_ns) {
			watched = now;
			notify_send(c->notify_socket, "WATCHDOG=1");
		}
	}
	return err;
}

static void summarize(struct loop *l, struct loop_summary *ret)
{
	struct stats stats;
	loop_stats(l, &stats);
	*ret = (struct loop_summary){
	        .profiles = l->sequence,
	        .samples = l->samples,
	        .lost = stats_lost(&stats),
	        .target_cpu_ns = stats.target_cpu_ns,
	        .profile_cpu_ns = l->profile_cpu_ns,
	        .rebuilds = l->rebuilds,
	        .rate_changes = l->rate_changes,
	        .rate_hz = l->budget.rate_hz,
	        .stats = stats,
	};
	ret->stats.samples = l->samples;
	ret->stats.profile_cpu_ns = l->profile_cpu_ns;
	for (size_t i = 0; i < l->deliverer.n; i++)
		ret->outlet_errors += l->deliverer.errors[i];
}

struct err *loop_run(const struct loop_config *config, const struct loop_ops *ops, void *arg,
                     struct loop_summary *ret)
{
	struct loop l = {
	        .config = config,
	        .ops = ops,
	        .arg = arg,
	        .memory.max_growth_bytes =
	                config->max_growth_bytes ? config->max_growth_bytes : GROWTH,
	};
	budget_init(&l.budget, config->max_overhead, config->rate_hz);
	deliverer_init(&l.deliverer, config->outlets, config->n_outlets);
	l.courier = courier_start(&l.deliverer, config->notify_socket);
	notify_send(config->notify_socket, "READY=1\nSTATUS=sampling");
	struct err *err = run(&l);
	notify_send(config->notify_socket, "STOPPING=1");
	clerk_finish(&l);
	rotate_finish(&l);
	courier_finish(l.courier);
	summarize(&l, ret);
	deliverer_deinit(&l.deliverer);
	map64_free(&l.refused);
	return err;
}
