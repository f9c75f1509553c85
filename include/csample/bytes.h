/* SPDX-License-Identifier: Apache-2.0 */
/* A bounded cursor over foreign bytes. Past the end it yields zeros and remembers that it failed:
 * check b->bad once after a group of reads. Little-endian, as both machines we support. */
#ifndef CSAMPLE_BYTES_H
#define CSAMPLE_BYTES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct bytes {
	const uint8_t *p, *end;
	bool bad;
};

static inline struct bytes bytes_over(const void *p, size_t len)
{
	return (struct bytes){.p = p, .end = (const uint8_t *)p + len};
}
static inline size_t bytes_left(const struct bytes *b)
{
	return (size_t)(b->end - b->p);
}
uint8_t bytes_u8(struct bytes *b);
uint16_t bytes_u16(struct bytes *b);
uint32_t bytes_u32(struct bytes *b);
uint64_t bytes_u64(struct bytes *b);
uint64_t bytes_uleb(struct bytes *b); /* bits past 64 are dropped, at most 10 bytes are read */
int64_t bytes_sleb(struct bytes *b);
const uint8_t *bytes_take(struct bytes *b, size_t len); /* NULL past the end */
const char *bytes_cstr(struct bytes *b);                /* NULL without a NUL before the end */

#endif
