/* SPDX-License-Identifier: Apache-2.0 */
/* The outlet as its two threads share it: the one that puts (push.c) and the one that sends
 * (sender.c). */
#ifndef PUSH_OUTLET_H
#define PUSH_OUTLET_H

#include <pthread.h>

#include "push.h"

#define RECENT 64

struct pusher {
	struct outlet base; /* first */
	const struct backend *backend;
	struct http *http;
	struct spool *spool;
	char *version; /* of csample */
	pthread_t thread;
	pthread_mutex_t lock;
	pthread_cond_t wake; /* of the sender */
	/* Guarded by lock: */
	bool news, closing, reopen;
	uint64_t deadline_ns;
	struct outlet_stats stats; /* what the spool does not count */
	/* put() alone: */
	struct {
		uint64_t series;
		int64_t ms;
	} recent[RECENT]; /* a ring */
	size_t n_recent;
	bool in_memory; /* said that the disk takes none */
	uint64_t dropped_said;
};

/* The thread; arg is the pusher. */
void *sender_run(void *arg);

#endif
