/* SPDX-License-Identifier: Apache-2.0 */
#include "unpack.h"

#include <errno.h>
#include <fcntl.h>
#include <gelf.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include <csample/log.h>
#include <csample/mem.h>
#include <csample/strbuf.h>
#include <csample/vec.h>

#define MAX_UNPACKED ((uint64_t)8 << 30)
#define MAX_RATIO    1032 /* the most that deflate can do, says zlib's technical page */
#define MAX_SECTIONS 64

/* What names and lines need; the rest (locations of variables, macros) stays packed. */
static const char *const wanted[] = {
        ".debug_info",     ".debug_abbrev",      ".debug_line",       ".debug_line_str",
        ".debug_str",      ".debug_str_offsets", ".debug_addr",       ".debug_ranges",
        ".debug_rnglists", ".debug_types",       ".gnu_debugaltlink",
};

/* A section to be unpacked. */
struct part {
	const char *name; /* of wanted[] */
	struct bytes bytes;
	enum packing packing;
	uint64_t size; /* unpacked */
	uint64_t flags;
};
typedef VEC(struct part) parts;

static const char *wanted_name(const char *name)
{
	bool z = !strncmp(name, ".zdebug_", 8);
	for (size_t i = 0; i < ARRAY_SIZE(wanted); i++)
		if (!strcmp(name, wanted[i]) || (z && !strcmp(name + 2, wanted[i] + 1)))
			return wanted[i];
	return NULL;
}

/* Takes the header of the packed bytes off; false: damaged or of a kind not known. */
static bool read_packing(struct part *p, const char *name, const GElf_Shdr *sh)
{
	p->size = bytes_left(&p->bytes);
	if (sh->sh_flags & SHF_COMPRESSED) {
		uint32_t type = bytes_u32(&p->bytes);
		bytes_u32(&p->bytes);
		p->size = bytes_u64(&p->bytes);
		bytes_u64(&p->bytes);
		p->packing = type == ELFCOMPRESS_ZLIB ? PACKED_ZLIB
		             : type == 2              ? PACKED_ZSTD
		                                      : PACKED_NOT;
		return !p->bytes.bad && p->packing != PACKED_NOT;
	}
	if (name[1] != 'z')
		return true;
	const uint8_t *magic = bytes_take(&p->bytes, 4);
	if (!magic || memcmp(magic, "ZLIB", 4) != 0)
		return false;
	p->size = __builtin_bswap64(bytes_u64(&p->bytes));
	p->packing = PACKED_ZLIB;
	return !p->bytes.bad;
}

static void find_parts(const struct elf_file *f, parts *ret)
{
	size_t strndx, seen = 0;
	if (elf_getshdrstrndx(f->elf, &strndx))
		return;
	for (Elf_Scn *scn = NULL; (scn = elf_nextscn(f->elf, scn)) && seen < 65536; seen++) {
		GElf_Shdr sh;
		const char *name =
		        gelf_getshdr(scn, &sh) ? elf_strptr(f->elf, strndx, sh.sh_name) : NULL;
		struct part p = {.name = name ? wanted_name(name) : NULL};
		if (!p.name || sh.sh_type == SHT_NOBITS || sh.sh_offset > f->size ||
		    sh.sh_size > f->size - sh.sh_offset || ret->n >= MAX_SECTIONS)
			continue;
		p.flags = sh.sh_flags & ~(uint64_t)(SHF_COMPRESSED | SHF_ALLOC);
		p.bytes = bytes_over(f->data + sh.sh_offset, sh.sh_size);
		if (read_packing(&p, name, &sh))
			*vec_add(ret) = p;
	}
}

/* Any section at all: libdw unpacks all it knows, by writing into the file's headers. */
bool elf_file_is_packed(const struct elf_file *f)
{
	size_t strndx;
	if (elf_getshdrstrndx(f->elf, &strndx))
		return false;
	for (Elf_Scn *scn = NULL; (scn = elf_nextscn(f->elf, scn));) {
		GElf_Shdr sh;
		if (!gelf_getshdr(scn, &sh))
			continue;
		const char *name = elf_strptr(f->elf, strndx, sh.sh_name);
		if ((sh.sh_flags & SHF_COMPRESSED) || (name && !strncmp(name, ".z", 2)))
			return true;
	}
	return false;
}

/* A file without a name; -1: nowhere. */
static int open_temporary(uint64_t bytes)
{
	const char *const dirs[] = {secure_getenv("TMPDIR"), "/var/tmp", "/tmp"};
	for (size_t i = 0; i < ARRAY_SIZE(dirs); i++) {
		struct statvfs fs;
		if (!dirs[i] || statvfs(dirs[i], &fs) ||
		    bytes / 2 > (uint64_t)fs.f_bavail * fs.f_frsize / 4)
			continue; /* never more than half of what is free */
		int fd = open(dirs[i], O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);
		if (fd >= 0)
			return fd;
		_cleanup_free_ char *name = mem_asprintf("%s/csample-XXXXXX", dirs[i]);
		fd = mkostemp(name, O_CLOEXEC);
		if (fd >= 0) {
			unlink(name);
			return fd;
		}
	}
	return -1;
}

struct writer {
	int fd;
	uint64_t at;
};

static bool put(void *arg, const void *p, size_t len)
{
	struct writer *w = arg;
	for (const char *from = p; len;) {
		ssize_t n = pwrite(w->fd, from, len, (off_t)w->at);
		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return false;
		from += n;
		len -= (size_t)n;
		w->at += (uint64_t)n;
	}
	return true;
}

static bool put_section(struct writer *w, const struct part *p, Elf64_Shdr *sh)
{
	w->at = (w->at + 15) & ~(uint64_t)15;
	*sh = (Elf64_Shdr){.sh_type = SHT_PROGBITS, .sh_flags = p->flags, .sh_addralign = 1};
	sh->sh_offset = w->at;
	if (!inflate_bytes(p->bytes, p->packing, p->size, put, w))
		return false;
	sh->sh_size = w->at - sh->sh_offset;
	return true;
}

static bool put_headers(struct writer *w, const struct elf_file *f, Elf64_Shdr *headers, size_t n,
                        const struct strbuf *names)
{
	w->at = (w->at + 15) & ~(uint64_t)15;
	headers[n] = (Elf64_Shdr){.sh_type = SHT_STRTAB, .sh_offset = w->at, .sh_addralign = 1};
	headers[n].sh_name = 1;
	headers[n++].sh_size = names->len;
	if (!put(w, names->s, names->len))
		return false;
	w->at = (w->at + 15) & ~(uint64_t)15;
	Elf64_Ehdr eh;
	memcpy(&eh, f->data, sizeof(eh));
	eh.e_phoff = eh.e_phnum = 0;
	eh.e_shoff = w->at;
	eh.e_shentsize = sizeof(*headers);
	eh.e_shnum = (Elf64_Half)n;
	eh.e_shstrndx = (Elf64_Half)(n - 1);
	if (!put(w, headers, n * sizeof(*headers)))
		return false;
	w->at = 0;
	return put(w, &eh, sizeof(eh));
}

static bool write_file(const struct elf_file *f, const parts *all, int fd)
{
	Elf64_Shdr headers[MAX_SECTIONS + 2] = {{0}};
	struct strbuf names = {0};
	struct writer w = {fd, sizeof(Elf64_Ehdr)};
	size_t n = 1;
	strbuf_addn(&names, "\0.shstrtab", sizeof("\0.shstrtab"));
	for (size_t i = 0; i < all->n; i++) {
		const struct part *p = &all->items[i];
		if (!put_section(&w, p, &headers[n])) {
			log_debug(LOG_SYMBOLS, "%s: cannot unpack %s", f->path ? f->path : "?",
			          p->name);
			continue;
		}
		headers[n++].sh_name = (Elf64_Word)names.len;
		strbuf_addn(&names, p->name, strlen(p->name) + 1);
	}
	bool ok = put_headers(&w, f, headers, n, &names);
	strbuf_free(&names);
	return ok;
}

struct elf_file *elf_file_unpack(const struct elf_file *f)
{
	parts all = {0};
	uint64_t total = 0;
	find_parts(f, &all);
	for (size_t i = 0; i < all.n; i++) {
		struct part *p = &all.items[i];
		/* A size that cannot be: skip the section, not the file. */
		if (p->packing == PACKED_ZLIB && p->size / MAX_RATIO > bytes_left(&p->bytes))
			p->size = 0;
		total = p->size < MAX_UNPACKED ? total + p->size : MAX_UNPACKED;
	}
	int fd = total < MAX_UNPACKED ? open_temporary(total) : -1;
	if (fd < 0)
		log_debug(LOG_SYMBOLS, "%s: no room to unpack %llu MiB of debug information",
		          f->path ? f->path : "?", (unsigned long long)total >> 20);
	if (fd >= 0 && !write_file(f, &all, fd)) {
		close(fd);
		fd = -1;
	}
	vec_free(&all);
	return fd < 0 ? NULL : elf_file_open(fd, f->path);
}
