/* SPDX-License-Identifier: Apache-2.0 */
#include "debugfile.h"

#include <stdlib.h>
#include <string.h>
#include <zlib.h>

#include <csample/log.h>
#include <csample/mem.h>
#include <csample/strbuf.h>

#include "safeopen.h"

#define DEBUG_DIR "/usr/lib/debug"
#define MAX_NAME  4096
#define CRC_STEP  ((size_t)1 << 20)

static bool same_build_id(const struct elf_file *f, const uint8_t *id, size_t len)
{
	return f->build_id_len == len && len && !memcmp(f->build_id, id, len);
}

static struct elf_file *open_one(int root_fd, const char *path)
{
	int fd = open_regular(root_fd, path, false);
	return fd < 0 ? NULL : elf_file_open(fd, path);
}

/* Here means what the target sees there, then what we see there. */
static const int NOWHERE = -2;
static int nth_root(const struct image *img, int i)
{
	if (i == 0)
		return img->root_fd >= 0 ? img->root_fd : NOWHERE;
	return -1;
}

static struct elf_file *find_by_build_id(const struct image *img, const uint8_t *id, size_t len)
{
	if (len < 2)
		return NULL;
	struct strbuf text = {0};
	strbuf_addf(&text, DEBUG_DIR "/.build-id/%02x/", id[0]);
	for (size_t i = 1; i < len; i++)
		strbuf_addf(&text, "%02x", id[i]);
	strbuf_add(&text, ".debug");
	_cleanup_free_ char *path = text.s;
	for (int i = 0; i < 2; i++) {
		int root_fd = nth_root(img, i);
		struct elf_file *f = root_fd == NOWHERE ? NULL : open_one(root_fd, path);
		if (f && same_build_id(f, id, len))
			return f;
		if (f)
			log_debug(LOG_SYMBOLS, "%s: has another build id than its name says", path);
		elf_file_close(f);
	}
	return NULL;
}

static char *directory_of(const char *path)
{
	const char *slash = strrchr(path, '/');
	return mem_strndup(path, slash ? (size_t)(slash - path) : 0);
}

/* Does f belong to the image whose .gnu_debuglink led to it? */
static bool accept(const struct elf_file *f, const struct elf_file *self, bool *needs_crc_ret)
{
	if (f->dev == self->dev && f->ino == self->ino)
		return false; /* the link names the image itself */
	*needs_crc_ret = false;
	if (self->build_id_len && f->build_id_len)
		return same_build_id(f, self->build_id, self->build_id_len);
	*needs_crc_ret = true;
	return true;
}

/* A copy of the string there: the file may be rewritten while we read it. NULL: none. Free it. */
static char *take_name(struct bytes *b)
{
	const uint8_t *start = b->p;
	if (!bytes_cstr(b) || b->p - start > MAX_NAME)
		return NULL;
	return mem_strndup((const char *)start, (size_t)(b->p - start));
}

static struct elf_file *find_by_debuglink(const struct image *img, const struct elf_file *self,
                                          bool *needs_crc_ret, uint32_t *crc_ret)
{
	struct bytes b;
	if (!elf_file_section(self, ".gnu_debuglink", NULL, &b))
		return NULL;
	const uint8_t *start = b.p;
	_cleanup_free_ char *name = take_name(&b);
	bytes_take(&b, -(size_t)(b.p - start) & 3);
	uint32_t crc = bytes_u32(&b);
	/* A file name, not a path: what a '/' would lead to was not meant. */
	if (b.bad || !name || !*name || strlen(name) > 255 || strchr(name, '/'))
		return NULL;
	_cleanup_free_ char *dir = directory_of(img->path);
	static const char *const places[] = {"%s/%s", "%s/.debug/%s", DEBUG_DIR "%s/%s"};
	for (int i = 0; i < 2; i++) {
		int root_fd = nth_root(img, i);
		for (size_t k = 0; root_fd != NOWHERE && k < ARRAY_SIZE(places); k++) {
			_cleanup_free_ char *path = mem_asprintf(places[k], dir, name);
			struct elf_file *f = open_one(root_fd, path);
			if (f && accept(f, self, needs_crc_ret)) {
				*crc_ret = crc;
				return f;
			}
			elf_file_close(f);
		}
	}
	return NULL;
}

struct elf_file *debug_file_find(const struct image *img, const struct elf_file *self,
                                 bool *needs_crc_ret, uint32_t *crc_ret)
{
	*needs_crc_ret = false;
	struct elf_file *f = find_by_build_id(img, self->build_id, self->build_id_len);
	return f ? f : find_by_debuglink(img, self, needs_crc_ret, crc_ret);
}

bool debug_file_check_crc(const struct elf_file *f, uint32_t crc)
{
	uLong sum = crc32(0, NULL, 0);
	for (size_t at = 0; at < f->size; at += CRC_STEP) {
		size_t n = f->size - at < CRC_STEP ? f->size - at : CRC_STEP;
		sum = crc32(sum, f->data + at, (uInt)n);
		elf_file_drop_pages(f);
	}
	return sum == crc;
}

/* Free *name_ret. */
static bool read_altlink(const struct elf_file *f, char **name_ret, struct bytes *id_ret)
{
	if (!elf_file_section(f, ".gnu_debugaltlink", NULL, id_ret))
		return false;
	*name_ret = take_name(id_ret);
	return *name_ret && bytes_left(id_ret) && bytes_left(id_ret) <= BUILD_ID_MAX;
}

bool debug_file_alt_build_id(const struct elf_file *f, const uint8_t **id_ret, size_t *len_ret)
{
	_cleanup_free_ char *name = NULL;
	struct bytes id;
	if (!read_altlink(f, &name, &id))
		return false;
	*id_ret = id.p;
	*len_ret = bytes_left(&id);
	return true;
}

struct elf_file *debug_file_find_alt(const struct image *img, const struct elf_file *f,
                                     bool *wanted_ret)
{
	_cleanup_free_ char *name = NULL;
	struct bytes id;
	*wanted_ret = elf_file_has_section(f, ".gnu_debugaltlink");
	if (!*wanted_ret || !read_altlink(f, &name, &id))
		return NULL;
	struct elf_file *alt = find_by_build_id(img, id.p, bytes_left(&id));
	if (alt)
		return alt;
	_cleanup_free_ char *dir = directory_of(f->path ? f->path : img->path);
	_cleanup_free_ char *path =
	        name[0] == '/' ? mem_strdup(name) : mem_asprintf("%s/%s", dir, name);
	for (int i = 0; i < 2; i++) {
		int root_fd = nth_root(img, i);
		alt = root_fd == NOWHERE ? NULL : open_one(root_fd, path);
		if (alt && same_build_id(alt, id.p, bytes_left(&id)))
			return alt;
		elf_file_close(alt);
	}
	return NULL;
}
