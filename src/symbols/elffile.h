/* SPDX-License-Identifier: Apache-2.0 */
/* An ELF file of any origin (an image, a debug file, bytes unpacked by us) as bytes with sections.
 */
#ifndef SYMBOLS_ELFFILE_H
#define SYMBOLS_ELFFILE_H

#include <elf.h>
#include <libelf.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include <csample/bytes.h>
#include <csample/image.h>

struct elf_file {
	const uint8_t *data;
	size_t size;
	Elf *elf;
	char *path; /* for people and for names relative to it; NULL: none */
	uint8_t build_id[BUILD_ID_MAX];
	size_t build_id_len;
	bool from_file; /* data is a file's mapping, whose pages may be dropped at any time */
	bool mapped;    /* by us: to be unmapped */
	bool on_heap;   /* to be freed */
	dev_t dev;
	ino_t ino;
};

/* Takes fd over. NULL when it is not a 64-bit little-endian ELF file. path is copied. */
struct elf_file *elf_file_open(int fd, const char *path);
/* Takes data, of malloc(), over. */
struct elf_file *elf_file_of_heap(uint8_t *data, size_t size);
/* A view of an image, which must live longer. */
struct elf_file *elf_file_of_image(struct image *img);
void elf_file_close(struct elf_file *f); /* NULL is allowed */

/* Finds a section by name; false: not there, or it does not lie within the file. NOBITS sections
 * are "not there". The bytes are as they are in the file: look at sh->sh_flags for SHF_COMPRESSED.
 */
bool elf_file_section(const struct elf_file *f, const char *name, Elf64_Shdr *sh,
                      struct bytes *ret);
bool elf_file_has_section(const struct elf_file *f, const char *name);
/* Any of .debug_info, .zdebug_info with content. */
bool elf_file_has_dwarf(const struct elf_file *f);
bool elf_file_has_symtab(const struct elf_file *f);

/* Gives pages of the file back; they are read again when touched. */
void elf_file_drop_pages(const struct elf_file *f);

#endif
