/* SPDX-License-Identifier: Apache-2.0 */
/* Another rate while sampling goes on. Setting the period of inherited events works for some of
 * the threads that have them and not for others (measured on 6.18), and the kernel itself steers
 * those that count cycles: there ticks come as often as before, and only some are acted upon. What
 * costs the target is being held, not the tick. */
#include "internal.h"

void engine_set_rate(struct engine *e, double rate_hz)
{
	struct sampling *sh = &e->shared;
	uint64_t period_ns = (uint64_t)(1e9 / rate_hz);
	e->config.rate_hz = rate_hz;
	bool by_period = !e->has_perf || sh->jitter;
	if (!by_period) {
		double share = (double)e->perf_config.period_ns / (double)period_ns;
		atomic_store(&sh->wanted_ticks,
		             share < 1 ? (uint32_t)(share * UINT32_MAX) : UINT32_MAX);
	}
	atomic_store(&sh->period_ns, period_ns);
	if (!e->has_perf || !by_period)
		return;
	e->perf_config.period_ns = period_ns; /* of CPUs that come later */
	for (size_t i = 0; i < e->n_samplers; i++)
		if (e->samplers[i] && e->samplers[i]->ring)
			perf_ring_set_period(e->samplers[i]->ring, period_ns);
}
