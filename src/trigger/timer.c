/* SPDX-License-Identifier: Apache-2.0 */
#include <poll.h>
#include <time.h>

#include <csample/trigger.h>

uint64_t jittered(uint64_t period_ns, uint64_t *state)
{
	*state ^= *state << 13; /* xorshift64: Marsaglia 2003 */
	*state ^= *state >> 7;
	*state ^= *state << 17;
	return period_ns - period_ns / 8 + (*state >> 11) % (period_ns / 4 + 1);
}

uint64_t detuned(uint64_t period_ns, uint64_t *state)
{
	uint64_t off = jittered(period_ns, state) / 2 - period_ns * 3 / 8;
	return *state & 1 << 5 ? period_ns + off : period_ns - off;
}

uint64_t detuned_for_good(uint64_t period_ns, uint64_t *state)
{
	uint64_t p = detuned(period_ns, state);
	return p > period_ns ? period_ns + (p - period_ns) / 4 : period_ns - (period_ns - p) / 4;
}

void timer_start(struct timer *t, uint64_t period_ns, bool jitter)
{
	uint64_t now = now_ns();
	*t = (struct timer){period_ns, now + period_ns, now | 1, jitter};
}

bool timer_wait(struct timer *t, int stop_fd, unsigned *missed_ret)
{
	struct pollfd stop = {.fd = stop_fd, .events = POLLIN};
	uint64_t now;
	while ((now = now_ns()) < t->next_ns) {
		uint64_t left = t->next_ns - now;
		struct timespec ts = {(time_t)(left / 1000000000ULL), (long)(left % 1000000000ULL)};
		if (ppoll(&stop, 1, &ts, NULL) > 0)
			return false;
	}
	t->next_ns += t->jitter ? jittered(t->period_ns, &t->random) : t->period_ns;
	*missed_ret = 0;
	if (t->next_ns <= now) {
		*missed_ret = (unsigned)((now - t->next_ns) / t->period_ns) + 1;
		t->next_ns += *missed_ret * t->period_ns;
	}
	return true;
}
