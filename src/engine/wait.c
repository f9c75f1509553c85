/* SPDX-License-Identifier: Apache-2.0 */
/* The worker's sleep. */
#include <errno.h>
#include <poll.h>
#include <string.h>
#include <unistd.h>

#include <csample/log.h>

#include "internal.h"

#define MAX_FDS 64 /* on large machines the rings are looked at now and then only */

/* Where children are followed, or a program has just begun, each record may be the one. */
static bool is_all_ears(const struct engine *e)
{
	return e->orphans || e->young.n;
}

bool engine_wait(struct engine *e, int timeout_ms)
{
	size_t n_side = 0, n = 0;
	const int *side = e->sideband ? sideband_fds(e->sideband, &n_side) : NULL;
	int deaf_ms = is_all_ears(e) ? 0 : ear_deaf_ms(&e->ear, now_ns());
	struct pollfd fds[2 + MAX_FDS];
	fds[n++] = (struct pollfd){.fd = e->shared.wake_fd, .events = POLLIN};
	fds[n++] = (struct pollfd){.fd = e->ended_fd, .events = POLLIN};
	for (size_t i = 0; i < n_side && n_side <= MAX_FDS && !deaf_ms; i++)
		fds[n++] = (struct pollfd){.fd = side[i], .events = POLLIN};
	if (e->sleep_ms && timeout_ms > e->sleep_ms)
		timeout_ms = e->sleep_ms;
	if (deaf_ms && timeout_ms > deaf_ms)
		timeout_ms = deaf_ms;
	int n_woken = poll(fds, n, timeout_ms);
	uint64_t count;
	if (fds[0].revents && read(e->shared.wake_fd, &count, sizeof(count)) < 0)
		log_debug(LOG_CAPTURE, "wake-up: %s", strerror(errno));
	return n_woken > 0 && n > 2 && !fds[0].revents && !fds[1].revents;
}
