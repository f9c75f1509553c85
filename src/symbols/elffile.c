/* SPDX-License-Identifier: Apache-2.0 */
#include "elffile.h"

#include <gelf.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <csample/mem.h>

#define MAX_SECTIONS   65536
#define MAX_NOTE_BYTES 65536

static bool section_bytes(const struct elf_file *f, const Elf64_Shdr *sh, struct bytes *ret)
{
	if (sh->sh_type == SHT_NOBITS || sh->sh_offset > f->size ||
	    sh->sh_size > f->size - sh->sh_offset)
		return false;
	*ret = bytes_over(f->data + sh->sh_offset, sh->sh_size);
	return true;
}

static bool read_build_id(struct elf_file *f, struct bytes b)
{
	if (bytes_left(&b) > MAX_NOTE_BYTES)
		b.end = b.p + MAX_NOTE_BYTES;
	while (!b.bad && bytes_left(&b) >= sizeof(Elf64_Nhdr)) {
		uint32_t name_size = bytes_u32(&b), desc_size = bytes_u32(&b), type = bytes_u32(&b);
		const uint8_t *name = bytes_take(&b, ((size_t)name_size + 3) & ~(size_t)3);
		const uint8_t *desc = bytes_take(&b, ((size_t)desc_size + 3) & ~(size_t)3);
		if (!name || !desc || type != NT_GNU_BUILD_ID ||
		    name_size != sizeof(ELF_NOTE_GNU) ||
		    memcmp(name, ELF_NOTE_GNU, sizeof(ELF_NOTE_GNU)) != 0 || !desc_size ||
		    desc_size > BUILD_ID_MAX)
			continue;
		memcpy(f->build_id, desc, desc_size);
		f->build_id_len = desc_size;
		return true;
	}
	return false;
}

static void find_build_id(struct elf_file *f)
{
	size_t n = 0;
	for (Elf_Scn *scn = NULL; (scn = elf_nextscn(f->elf, scn)) && n < MAX_SECTIONS; n++) {
		GElf_Shdr sh;
		struct bytes b;
		if (gelf_getshdr(scn, &sh) && sh.sh_type == SHT_NOTE && section_bytes(f, &sh, &b) &&
		    read_build_id(f, b))
			return;
	}
}

/* Fills f->elf; false if these bytes are not an ELF file of the only kind csample reads. */
static bool begin(struct elf_file *f)
{
	elf_version(EV_CURRENT);
	if (f->size < sizeof(Elf64_Ehdr) || memcmp(f->data, ELFMAG, SELFMAG) != 0 ||
	    f->data[EI_CLASS] != ELFCLASS64 || f->data[EI_DATA] != ELFDATA2LSB)
		return false;
	f->elf = elf_memory((char *)f->data, f->size);
	if (!f->elf || elf_kind(f->elf) != ELF_K_ELF)
		return false;
	find_build_id(f);
	return true;
}

struct elf_file *elf_file_open(int fd, const char *path)
{
	struct elf_file *f = mem_zalloc(sizeof(*f));
	struct stat st;
	if (!fstat(fd, &st) && S_ISREG(st.st_mode) && st.st_size > 0) {
		f->size = (size_t)st.st_size;
		f->dev = st.st_dev;
		f->ino = st.st_ino;
		f->data = image_map_file(fd, f->size);
		f->mapped = f->from_file = f->data != NULL;
	}
	close(fd);
	if (!f->data || !begin(f)) {
		elf_file_close(f);
		return NULL;
	}
	/* What is read of debug information is scattered: readahead would be memory for nothing. */
	madvise((void *)f->data, f->size, MADV_RANDOM);
	f->path = path ? mem_strdup(path) : NULL;
	return f;
}

struct elf_file *elf_file_of_heap(uint8_t *data, size_t size)
{
	struct elf_file *f = mem_zalloc(sizeof(*f));
	f->data = data;
	f->size = size;
	f->on_heap = true;
	if (!begin(f)) {
		elf_file_close(f);
		return NULL;
	}
	return f;
}

struct elf_file *elf_file_of_image(struct image *img)
{
	struct elf_file *f = mem_zalloc(sizeof(*f));
	f->data = img->data;
	f->size = img->size;
	f->from_file = img->fd >= 0;
	f->path = mem_strdup(img->path);
	struct stat st;
	if (img->fd >= 0 && !fstat(img->fd, &st)) {
		f->dev = st.st_dev;
		f->ino = st.st_ino;
	}
	memcpy(f->build_id, img->build_id, img->build_id_len);
	f->build_id_len = img->build_id_len;
	/* A handle of our own: libdw keeps state in it. */
	f->elf = elf_memory((char *)img->data, img->size);
	return f;
}

void elf_file_close(struct elf_file *f)
{
	if (!f)
		return;
	elf_end(f->elf);
	if (f->mapped)
		image_unmap_file((void *)f->data, f->size);
	if (f->on_heap)
		free((void *)f->data);
	free(f->path);
	free(f);
}

static bool find_section(const struct elf_file *f, const char *wanted, Elf64_Shdr *ret)
{
	size_t strndx, n = 0;
	if (!f->elf || elf_getshdrstrndx(f->elf, &strndx))
		return false;
	for (Elf_Scn *scn = NULL; (scn = elf_nextscn(f->elf, scn)) && n < MAX_SECTIONS; n++) {
		GElf_Shdr sh;
		const char *name =
		        gelf_getshdr(scn, &sh) ? elf_strptr(f->elf, strndx, sh.sh_name) : NULL;
		if (name && !strcmp(name, wanted) && sh.sh_type != SHT_NOBITS) {
			*ret = sh;
			return true;
		}
	}
	return false;
}

bool elf_file_section(const struct elf_file *f, const char *name, Elf64_Shdr *sh, struct bytes *ret)
{
	Elf64_Shdr mem;
	sh = sh ? sh : &mem;
	return find_section(f, name, sh) && section_bytes(f, sh, ret);
}

bool elf_file_has_section(const struct elf_file *f, const char *name)
{
	struct bytes b;
	return elf_file_section(f, name, NULL, &b) && bytes_left(&b);
}

bool elf_file_has_dwarf(const struct elf_file *f)
{
	return elf_file_has_section(f, ".debug_info") || elf_file_has_section(f, ".zdebug_info");
}

bool elf_file_has_symtab(const struct elf_file *f)
{
	return elf_file_has_section(f, ".symtab");
}

void elf_file_drop_pages(const struct elf_file *f)
{
	if (f->from_file)
		madvise((void *)f->data, f->size, MADV_DONTNEED);
}
