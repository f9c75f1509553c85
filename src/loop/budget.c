/* SPDX-License-Identifier: Apache-2.0 */
/* The rate that keeps within what sampling may cost. What it costs is measured over some seconds
 * and then compared: above the budget the rate goes down at once to where it fits, up again only
 * after a while with room to spare, and by steps, so that it does not swing. What our own time does
 * not lose when the rate goes down is no reason to lower it further. */
#include <math.h>

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
#define LEAST_LEFT  0.2         /* of the budget, for samples, whatever else we use */
#define IDLE        0.02        /* of the samples of one busy CPU */
#define TELLING     0.2         /* samples must differ by this share to tell what they cost */

void budget_init(struct budget *b, double share, double asked_hz)
{
	*b = (struct budget){.share = share, .asked_hz = asked_hz, .rate_hz = asked_hz};
	b->min_hz = asked_hz * LEAST_SHARE < 1 ? 1 : asked_hz * LEAST_SHARE;
	if (b->min_hz > asked_hz)
		b->min_hz = asked_hz;
}

static void forget(struct budget *b)
{
	b->held_ns = b->target_cpu_ns = b->own_ns = b->wall_ns = b->samples = 0;
	b->windows = b->calm = 0;
}

static double held_share(const struct budget *b)
{
	return b->target_cpu_ns >= MIN_CPU_NS ? b->held_ns / b->target_cpu_ns : 0;
}

static double a_second(const struct budget *b, double sum)
{
	return b->wall_ns > 0 ? sum / b->wall_ns : 0;
}

double budget_used(const struct budget *b)
{
	double held = held_share(b), own = a_second(b, b->own_ns);
	return held > own ? held : own;
}

/* What was used while there was next to nothing to sample, or a line through what was used at two
 * rates. */
static void find_base(struct budget *b)
{
	double own = a_second(b, b->own_ns), n = a_second(b, b->samples * 1e9);
	if (n < IDLE * b->rate_hz) {
		b->base = own;
		return;
	}
	double more = b->before_samples > n ? b->before_samples : n;
	if (!b->before_samples || fabs(b->before_samples - n) < TELLING * more)
		return;
	double each = (b->before_own - own) / (b->before_samples - n);
	b->base = own - (each > 0 ? each : 0) * n;
	if (b->base < 0)
		b->base = 0;
	b->before_samples = 0;
}

/* How much of the budget is used by what depends on the rate; 1: all. */
static double judge(const struct budget *b)
{
	double held = held_share(b) / b->share, own = a_second(b, b->own_ns) - b->base;
	double left = b->share - b->base;
	if (left < LEAST_LEFT * b->share)
		left = LEAST_LEFT * b->share;
	own /= left;
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
	b->samples = b->samples * OLDER + (double)(r->samples - b->last.samples);
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
	if (b->windows >= SETTLE)
		find_base(b);
	double used = judge(b), rate = b->rate_hz;
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
	b->before_own = a_second(b, b->own_ns);
	b->before_samples = a_second(b, b->samples * 1e9);
	forget(b);
	return true;
}
