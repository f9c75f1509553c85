/* SPDX-License-Identifier: Apache-2.0 */
/* Whether the worker lets the side-band wake it. */
#ifndef ENGINE_EAR_H
#define ENGINE_EAR_H

#include <stdint.h>

struct ear {
	unsigned deaf;         /* turns until it listens again; 0: it does */
	uint64_t own_ns;       /* when there last was something of ours; 0: never */
	unsigned own, foreign; /* records since the last turn */
};

/* After a turn of the worker, which has read the side-band. */
void ear_turn(struct ear *ear, uint64_t now_ns);
/* How long the worker may leave the side-band unread, ms; 0: it is to be woken by it. */
int ear_deaf_ms(const struct ear *ear, uint64_t now_ns);

#endif
