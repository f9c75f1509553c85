/* SPDX-License-Identifier: Apache-2.0 */
#include <stdlib.h>
#include <string.h>
#include <zlib.h>

#include <csample/mem.h>

#include "push.h"

#define GZIP    (15 + 16)
#define CHUNK   ((size_t)64 << 10)
#define MAX_LEN ((size_t)1 << 30)

struct err *gzip_pack(const void *bytes, size_t len, void **packed_ret, size_t *packed_len_ret)
{
	z_stream z = {0};
	if (len > MAX_LEN)
		return err_new(ERR_UNSUPPORTED, "%zu bytes are too many to be sent", len);
	/* On its way only: half the time of the default level for a tenth more bytes. */
	if (deflateInit2(&z, Z_BEST_SPEED, Z_DEFLATED, GZIP, 8, Z_DEFAULT_STRATEGY))
		return &err_nomem;
	size_t bound = deflateBound(&z, len);
	uint8_t *out = mem_alloc(bound);
	z.next_in = (Bytef *)bytes;
	z.avail_in = (uInt)len;
	z.next_out = out;
	z.avail_out = (uInt)bound;
	int status = deflate(&z, Z_FINISH);
	*packed_len_ret = bound - z.avail_out;
	deflateEnd(&z);
	if (status != Z_STREAM_END) {
		free(out);
		return err_new(ERR_SYS, "compression failed: %d", status);
	}
	*packed_ret = out;
	return NULL;
}

struct err *gzip_unpack(const void *bytes, size_t len, size_t max, void **ret, size_t *len_ret)
{
	z_stream z = {.next_in = (Bytef *)bytes, .avail_in = (uInt)len};
	if (len > MAX_LEN)
		return err_new(ERR_FORMAT, "too large");
	if (inflateInit2(&z, GZIP))
		return &err_nomem;
	uint8_t *out = NULL;
	size_t n = 0, cap = 0;
	int status = Z_OK;
	while (status == Z_OK && n < max) {
		if (n == cap) {
			cap = cap ? cap * 2 : CHUNK;
			out = mem_realloc_array(out, cap, 1);
		}
		z.next_out = out + n;
		z.avail_out = (uInt)(cap - n);
		status = inflate(&z, Z_NO_FLUSH);
		n = cap - z.avail_out;
	}
	inflateEnd(&z);
	if (status != Z_STREAM_END || n > max) {
		free(out);
		return err_new(ERR_FORMAT,
		               n >= max ? "more than %zu bytes when unpacked"
		                        : "its gzip is damaged (%zu bytes at most)",
		               max);
	}
	*ret = out;
	*len_ret = n;
	return NULL;
}

void base64_add(struct strbuf *b, const void *bytes, size_t len)
{
	static const char digits[] =
	        "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
	for (const uint8_t *p = bytes; len; p += 3) {
		size_t n = len < 3 ? len : 3;
		uint32_t bits = (uint32_t)p[0] << 16 | (uint32_t)(n > 1 ? p[1] : 0) << 8 |
		                (uint32_t)(n > 2 ? p[2] : 0);
		char four[4] = {digits[bits >> 18], digits[bits >> 12 & 63],
		                n > 1 ? digits[bits >> 6 & 63] : '=',
		                n > 2 ? digits[bits & 63] : '='};
		strbuf_addn(b, four, sizeof(four));
		len -= n;
	}
}
