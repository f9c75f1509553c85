/* SPDX-License-Identifier: Apache-2.0 */
/* A field of a foreign struct, and the copy of that struct it indexes. */
#ifndef CSAMPLE_FIELD_H
#define CSAMPLE_FIELD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

/* width 0: not in this release. */
struct field {
	uint32_t at;
	uint8_t width;
};
/* clang-format off */
#define FIELD(offset, bytes) { (offset), (bytes) }
#define PTR(offset) FIELD(offset, 8)
#define I64(offset) FIELD(offset, 8)
#define I32(offset) FIELD(offset, 4)
#define I16(offset) FIELD(offset, 2)
#define I8(offset)  FIELD(offset, 1)
/* clang-format on */

static inline bool field_known(struct field f)
{
	return f.width != 0;
}

/* A copy of an object: len bytes of it. */
struct obj {
	const uint8_t *bytes;
	size_t len;
};

/* The field, zero-extended. False when it is not in this release or not within the copy: *ret is
 * untouched. */
static inline bool obj_get(struct obj o, struct field f, uint64_t *ret)
{
	uint64_t v = 0;
	const uint8_t *p = o.bytes + f.at;
	if (f.at > o.len || o.len - f.at < f.width)
		return false;
	/* Little-endian, as both machines we support. Constant widths: no call of memcpy(). */
	switch (f.width) {
	case 8:
		memcpy(&v, p, 8);
		break;
	case 4:
		memcpy(&v, p, 4);
		break;
	case 2:
		memcpy(&v, p, 2);
		break;
	case 1:
		v = *p;
		break;
	default:
		if (!f.width || f.width > 8)
			return false;
		memcpy(&v, p, f.width);
	}
	*ret = v;
	return true;
}

#endif
