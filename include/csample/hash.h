/* SPDX-License-Identifier: Apache-2.0 */
/* A hash table from 64-bit keys to 64-bit values, open addressing; and the hash itself. */
#ifndef CSAMPLE_HASH_H
#define CSAMPLE_HASH_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

static inline uint64_t hash_u64(uint64_t x)
{
	x ^= x >> 32;
	x *= 0xd6e8feb86659fd93ULL; /* mix of Degski/Mulvey; see nullprogram.com's survey of hashes
	                             */
	x ^= x >> 32;
	x *= 0xd6e8feb86659fd93ULL;
	x ^= x >> 32;
	return x;
}
static inline uint64_t hash_mix(uint64_t h, uint64_t x)
{
	return hash_u64(h * 0x9e3779b97f4a7c15ULL + x);
}
uint64_t hash_bytes(const void *p, size_t len);

struct map64 {
	struct map64_slot {
		uint64_t key, value;
		bool used;
	} * slots;
	size_t n, cap;
};

/* A zeroed struct is an empty map. The address of key's value, or NULL. */
uint64_t *map64_get(const struct map64 *m, uint64_t key);
/* The address of key's value, 0 if new. Valid until the next map64_put(). */
uint64_t *map64_put(struct map64 *m, uint64_t key);
void map64_clear(struct map64 *m); /* keeps the memory */
/* Forgets the keys whose value is 0, and gives back memory that this leaves unused. */
void map64_compact(struct map64 *m);
void map64_free(struct map64 *m);

#endif
