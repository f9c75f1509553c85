/* SPDX-License-Identifier: Apache-2.0 */
/* Profiles from files: whole into memory, out of gzip if need be, to the format that knows it. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <zlib.h>

#include <csample/mem.h>

#include "emit.h"

#define MAX_FILE_BYTES ((size_t)512 << 20) /* packed or not */
#define STEP           ((size_t)256 << 10)

/* In the order in which they are asked; the last takes any text. */
static const struct format *const readable[] = {&format_json, &format_speedscope, &format_pprof,
                                                &format_perf_script, &format_collapsed};

struct content {
	char *bytes; /* NUL-terminated */
	size_t len, cap;
};

/* Room for STEP more and a NUL; false when that is too much. */
static bool make_room(struct content *c)
{
	if (c->len > MAX_FILE_BYTES)
		return false;
	if (c->cap - c->len <= STEP) {
		c->cap = c->cap * 2 + STEP + 1;
		c->bytes = mem_realloc_array(c->bytes, c->cap, 1);
	}
	return true;
}

static struct err *too_long(void)
{
	return err_new(ERR_FORMAT, "more than %zu MiB", MAX_FILE_BYTES >> 20);
}

static struct err *load(FILE *in, struct content *ret)
{
	size_t n;
	do {
		if (!make_room(ret))
			return too_long();
		n = fread(ret->bytes + ret->len, 1, STEP, in);
		ret->len += n;
	} while (n);
	ret->bytes[ret->len] = '\0';
	return ferror(in) ? err_errno(errno, "read") : NULL;
}

/* gzip, all members of it. */
static struct err *unpack(const struct content *packed, struct content *ret)
{
	z_stream z = {.next_in = (Bytef *)packed->bytes, .avail_in = (uInt)packed->len};
	if (inflateInit2(&z, 15 + 16) != Z_OK)
		return err_new(ERR_NOMEM, "out of memory for gzip");
	struct err *err = NULL;
	int r = Z_OK;
	while (!err && r == Z_OK) {
		if (!make_room(ret)) {
			err = too_long();
			break;
		}
		z.next_out = (Bytef *)ret->bytes + ret->len;
		z.avail_out = STEP;
		r = inflate(&z, Z_NO_FLUSH);
		ret->len += STEP - z.avail_out;
		if (r == Z_STREAM_END && z.avail_in > 1 && z.next_in[0] == 0x1f)
			r = inflateReset(&z);
	}
	inflateEnd(&z);
	if (!err && r != Z_STREAM_END)
		err = err_new(ERR_FORMAT, "damaged or cut gzip data");
	if (ret->bytes)
		ret->bytes[ret->len] = '\0';
	return err;
}

static struct err *parse(const struct content *c, struct profile *p)
{
	if (!c->len)
		return err_new(ERR_FORMAT, "the file is empty");
	for (size_t i = 0; i < ARRAY_SIZE(readable); i++)
		if (readable[i]->is_it(c->bytes, c->len))
			return readable[i]->read(c->bytes, c->len, p);
	char known[128];
	format_list_readable(known, sizeof(known));
	if (c->bytes[0] == '<' || c->bytes[0] == '{')
		return err_new(ERR_FORMAT,
		               "cannot be read back: svg, html, chrometrace and "
		               "firefox are for those who show them; record with -o FILE.json, "
		               "which converts to all of them (readable: %s)",
		               known);
	return err_new(ERR_FORMAT, "not a profile that csample can read (%s)", known);
}

struct err *profile_read(const char *path, struct profile *p)
{
	bool is_stdin = !strcmp(path, "-");
	_cleanup_fclose_ FILE *opened = is_stdin ? NULL : fopen(path, "re");
	FILE *in = is_stdin ? stdin : opened;
	if (!in)
		return err_errno(errno, "cannot read '%s'", path);
	struct content c = {0}, plain = {0};
	struct err *err = load(in, &c);
	bool packed = c.len > 2 && !memcmp(c.bytes, "\x1f\x8b", 2);
	if (!err && packed)
		err = unpack(&c, &plain);
	if (!err)
		err = parse(packed ? &plain : &c, p);
	free(c.bytes);
	free(plain.bytes);
	return err ? err_wrap(err, "'%s'", path) : NULL;
}

void format_list_readable(char *buf, size_t len)
{
	size_t at = 0;
	for (size_t i = 0; i < ARRAY_SIZE(readable); i++) {
		int n = snprintf(buf + at, len - at, "%s%s", at ? ", " : "", readable[i]->name);
		if (n < 0 || (size_t)n >= len - at)
			return;
		at += (size_t)n;
	}
}
