/* SPDX-License-Identifier: Apache-2.0 */
/* The rate that keeps within what sampling may cost. What it costs is measured over some seconds
 * and then compared: above the budget the rate goes down at once to where it fits, up again only
 * after a while with room to spare, and by steps, so that it does not swing. */
#include "internal.h"

#define WINDOW_NS   1000000000ULL
#define START_NS    5000000000ULL /* symbols of all that runs are read first */
#define SETTLE      5             /* windows before a new rate is judged */
#define OLDER       0.9           /* weight of what was before this window */
#define AIM         0.85          /* of the budget */
#define ROOM        0.6           /* below this share of the budget it may go up, */
#define CALM        10            /* after so many windows */
#define STEP        1.5
#define MIN_CPU_NS  100000000.0 /* of the target's, to judge what was held of it */
#define LEAST_SHARE 0.01        /* of the rate asked for */

void budget_init(struct budget *b, double share, double asked_hz)
{
	*b = (struct budget){.share = share, .asked_hz = asked_hz, .rate_hz = asked_hz};
	b->min_hz = asked_hz * LEAST_SHARE < 1 ? 1 : asked_hz * LEAST_SHARE;
	if (b->min_hz > asked_hz)
		b->min_hz = asked_hz;
}

static void forget(struct budget *b)
{
	b->held_ns = b->target_cpu_ns = b->own_ns = b->wall_ns = 0;
	b->windows = b->calm = 0;
}

void budget_rebase(struct budget *b, const struct budget_reading *reading)
{
	b->last = *reading;
	b->started = false;
	forget(b);
}

double budget_used(const struct budget *b)
{
	double held = b->target_cpu_ns >= MIN_CPU_NS ? b->held_ns / b->target_cpu_ns : 0;
	double own = b->wall_ns > 0 ? b->own_ns / b->wall_ns : 0;
	return held > own ? held : own;
}

static void add_window(struct budget *b, const struct budget_reading *r)
{
	b->held_ns = b->held_ns * OLDER + (double)(r->held_ns - b->last.held_ns);
	/* A sum over processes may fall when one of them ends. */
	if (r->target_cpu_ns > b->last.target_cpu_ns)
		b->target_cpu_ns = b->target_cpu_ns * OLDER +
		                   (double)(r->target_cpu_ns - b->last.target_cpu_ns);
	b->own_ns = b->own_ns * OLDER + (double)(r->own_cpu_ns - b->last.own_cpu_ns);
	b->wall_ns = b->wall_ns * OLDER + (double)(r->now_ns - b->last.now_ns);
	b->last = *r;
	b->windows++;
}

bool budget_update(struct budget *b, const struct budget_reading *r)
{
	if (!b->share)
		return false;
	if (!b->started) {
		b->started = b->last.now_ns && r->now_ns - b->last.now_ns >= START_NS;
		if (b->started || !b->last.now_ns)
			b->last = *r;
		return false;
	}
	if (r->now_ns - b->last.now_ns < WINDOW_NS)
		return false;
	add_window(b, r);
	double used = budget_used(b) / b->share, rate = b->rate_hz;
	b->calm = used < ROOM ? b->calm + 1 : 0;
	if (b->windows < SETTLE)
		return false;
	if (used > 1)
		rate *= AIM / used;
	else if (b->calm >= CALM)
		rate *= used * STEP < AIM ? STEP : AIM / used;
	if (rate < b->min_hz)
		rate = b->min_hz;
	if (rate > b->asked_hz)
		rate = b->asked_hz;
	if (rate == b->rate_hz)
		return false;
	b->rate_hz = rate;
	forget(b);
	return true;
}
