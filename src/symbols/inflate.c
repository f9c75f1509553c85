/* SPDX-License-Identifier: Apache-2.0 */
#include <dlfcn.h>
#include <string.h>
#include <zlib.h>

#include <csample/mem.h>

#include "unpack.h"

#define STEP ((size_t)128 * 1024)

typedef bool putter(void *arg, const void *p, size_t len);

static bool copy(struct bytes in, putter *put, void *arg)
{
	return put(arg, in.p, bytes_left(&in));
}

static bool inflate_zlib(struct bytes in, uint64_t size, putter *put, void *arg)
{
	_cleanup_free_ uint8_t *out = mem_alloc(STEP);
	z_stream z = {0};
	if (inflateInit(&z) != Z_OK)
		return false;
	uint64_t total = 0;
	int r = Z_OK;
	bool ok = true;
	while (ok && r == Z_OK) {
		if (!z.avail_in) {
			size_t n = bytes_left(&in) < STEP ? bytes_left(&in) : STEP;
			z.next_in = (Bytef *)bytes_take(&in, n);
			z.avail_in = (uInt)n;
		}
		z.next_out = out;
		z.avail_out = (uInt)STEP;
		r = inflate(&z, Z_NO_FLUSH);
		size_t n = STEP - z.avail_out;
		total += n;
		ok = (r == Z_OK || r == Z_STREAM_END) && total <= size && put(arg, out, n);
	}
	inflateEnd(&z);
	return ok && r == Z_STREAM_END && total == size;
}

/* libzstd's stable interface, loaded when a file needs it: few do. */
struct zstd_buffer { /* ZSTD_inBuffer and, but for const, ZSTD_outBuffer */
	const void *p;
	size_t size, pos;
};
static struct {
	bool tried;
	void *(*create)(void);
	size_t (*destroy)(void *);
	size_t (*decompress)(void *, struct zstd_buffer *, struct zstd_buffer *);
	unsigned (*is_error)(size_t);
} zstd;

static bool load_zstd(void)
{
	if (zstd.tried)
		return zstd.is_error;
	zstd.tried = true;
	void *so = dlopen("libzstd.so.1", RTLD_NOW | RTLD_LOCAL);
	const struct {
		const char *name;
		void *at;
	} functions[] = {
	        {"ZSTD_createDStream", &zstd.create},
	        {"ZSTD_freeDStream", &zstd.destroy},
	        {"ZSTD_decompressStream", &zstd.decompress},
	        {"ZSTD_isError", &zstd.is_error},
	};
	for (size_t i = 0; so && i < ARRAY_SIZE(functions); i++) {
		void *p = dlsym(so, functions[i].name);
		if (!p)
			return false;
		memcpy(functions[i].at, &p, sizeof(p));
	}
	return zstd.is_error;
}

static bool inflate_zstd(struct bytes packed, uint64_t size, putter *put, void *arg)
{
	void *stream = load_zstd() ? zstd.create() : NULL;
	if (!stream)
		return false;
	_cleanup_free_ uint8_t *buf = mem_alloc(STEP);
	struct zstd_buffer in = {packed.p, bytes_left(&packed), 0};
	uint64_t total = 0;
	bool ok = true;
	while (ok && total < size) {
		struct zstd_buffer out = {buf, STEP, 0};
		size_t before = in.pos;
		size_t r = zstd.decompress(stream, &out, &in);
		total += out.pos;
		ok = !zstd.is_error(r) && (out.pos || in.pos != before) && total <= size &&
		     put(arg, buf, out.pos);
	}
	zstd.destroy(stream);
	return ok && total == size;
}

bool inflate_bytes(struct bytes in, enum packing packing, uint64_t size, putter *put, void *arg)
{
	switch (packing) {
	case PACKED_NOT:
		return copy(in, put, arg);
	case PACKED_ZLIB:
		return inflate_zlib(in, size, put, arg);
	case PACKED_ZSTD:
		return inflate_zstd(in, size, put, arg);
	}
	return false;
}
