/* SPDX-License-Identifier: Apache-2.0 */
/* Caches have bounds, but names and files that were met are kept as long as a line lives: a target
 * that makes up new ones all the time must not make us grow with it. */
#include <stdio.h>
#include <unistd.h>

#include "internal.h"

#define SETTLED    3    /* rotations after which the base is taken */
#define MAX_IMAGES 2048 /* each has two descriptors */

uint64_t memory_own_bytes(void)
{
	unsigned long size, resident, shared;
	FILE *f = fopen("/proc/self/statm", "re");
	int n = f ? fscanf(f, "%lu %lu %lu", &size, &resident, &shared) : 0;
	if (f)
		fclose(f);
	return n == 3 && resident > shared
	               ? (uint64_t)(resident - shared) * (uint64_t)sysconf(_SC_PAGESIZE)
	               : 0;
}

bool memory_is_too_much(struct memory *m, uint64_t own_bytes, size_t images)
{
	if (++m->rotations == SETTLED || own_bytes < m->base_bytes)
		m->base_bytes = own_bytes;
	if (m->rotations <= SETTLED)
		return false;
	uint64_t page = (uint64_t)sysconf(_SC_PAGESIZE); /* a growth of less is not seen */
	return own_bytes - m->base_bytes + page > m->max_growth_bytes || images > MAX_IMAGES;
}
