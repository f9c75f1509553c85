/* SPDX-License-Identifier: Apache-2.0 */
/* Where what pthread_self() points to has the thread's id: up to 3.10 a thread state names its
 * thread by that address alone. */
#include <stdlib.h>
#include <string.h>

#include <csample/mem.h>

#include "gather.h"
#include "objects.h"

#define PTHREAD_BYTES 1024 /* of a struct pthread, in which the thread's id lies */

/* i32 at this offset of what pthread_self() points to. x86_64: glibc 2.31 to 2.43; musl 1.2.3. */
static const uint32_t known_tid_at[] = {720, 48};

static uint32_t word_at(const uint8_t *bytes, uint32_t at)
{
	uint32_t v;
	memcpy(&v, bytes + at, sizeof(v));
	return v;
}

/* How many of the blocks have the id of a thread at this offset, each another. */
static size_t count_tids(const struct map64 *tids, uint8_t (*blocks)[PTHREAD_BYTES], size_t n,
                         uint32_t at)
{
	size_t fits = 0;
	for (size_t i = 0; i < n; i++) {
		uint32_t tid = word_at(blocks[i], at);
		bool fresh = tid && map64_get(tids, tid);
		/* States of several interpreters may be of one thread. */
		for (size_t k = 0; k < i && fresh; k++)
			fresh = word_at(blocks[k], at) != tid ||
			        !memcmp(blocks[k], blocks[i], PTHREAD_BYTES);
		fits += fresh;
	}
	return fits;
}

/* Up to 3.10 a state has pthread_self() alone: the offset at which what that points to has the
 * thread's id. One that is known, if it does for any; else one that does for all. 0: none. */
uint32_t py_tid_offset(struct rmem *rm, const uint64_t *idents, size_t n, const struct map64 *tids)
{
	size_t n_read = 0, best = 0;
	uint8_t(*blocks)[PTHREAD_BYTES] = mem_zalloc((n + 1) * PTHREAD_BYTES);
	uint32_t found = 0;
	for (size_t i = 0; i < n; i++)
		n_read += py_read(rm, idents[i], blocks[n_read], PTHREAD_BYTES);
	for (size_t i = 0; i < ARRAY_SIZE(known_tid_at); i++) {
		size_t fits = count_tids(tids, blocks, n_read, known_tid_at[i]);
		if (fits > best) {
			best = fits;
			found = known_tid_at[i];
		}
	}
	for (uint32_t at = 0; at < PTHREAD_BYTES && n_read && !found; at += 4)
		if (count_tids(tids, blocks, n_read, at) == n_read)
			found = at;
	free(blocks);
	return found;
}
