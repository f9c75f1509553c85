/* SPDX-License-Identifier: Apache-2.0 */
/* Keeps csample's memory small beside large debug files. Pages of a mapped file count as ours once
 * touched, and the kernel maps 16 around each touch. */
#ifndef SYMBOLS_RESIDENCY_H
#define SYMBOLS_RESIDENCY_H

#include <stddef.h>

struct residency {
	int statm_fd; /* 0: not open yet */
	unsigned calls;
	size_t low_pages; /* file pages resident after the last drop */
};

/* Calls drop(arg) when the pages of files that this process holds have grown by some MiB since the
 * last drop. Cheap: looks only now and then. */
void residency_check(struct residency *r, void (*drop)(void *arg), void *arg);
void residency_deinit(struct residency *r);

#endif
