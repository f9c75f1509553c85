/* SPDX-License-Identifier: Apache-2.0 */
#include <string.h>

#include <csample/bytes.h>

const uint8_t *bytes_take(struct bytes *b, size_t len)
{
	if (b->bad || len > bytes_left(b)) {
		b->bad = true;
		return NULL;
	}
	const uint8_t *p = b->p;
	if (len) /* of nothing, p may be NULL, which C does not let one add to */
		b->p += len;
	return p;
}

uint8_t bytes_u8(struct bytes *b)
{
	const uint8_t *p = bytes_take(b, 1);
	return p ? *p : 0;
}

uint16_t bytes_u16(struct bytes *b)
{
	uint16_t v = 0;
	const uint8_t *p = bytes_take(b, sizeof(v));
	if (p)
		memcpy(&v, p, sizeof(v));
	return v;
}

uint32_t bytes_u32(struct bytes *b)
{
	uint32_t v = 0;
	const uint8_t *p = bytes_take(b, sizeof(v));
	if (p)
		memcpy(&v, p, sizeof(v));
	return v;
}

uint64_t bytes_u64(struct bytes *b)
{
	uint64_t v = 0;
	const uint8_t *p = bytes_take(b, sizeof(v));
	if (p)
		memcpy(&v, p, sizeof(v));
	return v;
}

uint64_t bytes_uleb(struct bytes *b)
{
	uint64_t v = 0;
	for (unsigned shift = 0; shift < 70; shift += 7) {
		uint8_t byte = bytes_u8(b);
		if (shift < 64)
			v |= (uint64_t)(byte & 0x7f) << shift;
		if (!(byte & 0x80))
			return v;
	}
	b->bad = true;
	return v;
}

int64_t bytes_sleb(struct bytes *b)
{
	uint64_t v = 0;
	for (unsigned shift = 0; shift < 70; shift += 7) {
		uint8_t byte = bytes_u8(b);
		if (shift < 64)
			v |= (uint64_t)(byte & 0x7f) << shift;
		if (!(byte & 0x80)) {
			if ((byte & 0x40) && shift + 7 < 64)
				v |= ~(uint64_t)0 << (shift + 7);
			return (int64_t)v;
		}
	}
	b->bad = true;
	return (int64_t)v;
}

const char *bytes_cstr(struct bytes *b)
{
	const uint8_t *end = b->bad ? NULL : memchr(b->p, 0, bytes_left(b));
	if (!end) {
		b->bad = true;
		return NULL;
	}
	const char *s = (const char *)b->p;
	b->p = end + 1;
	return s;
}
