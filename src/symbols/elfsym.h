/* SPDX-License-Identifier: Apache-2.0 */
/* Symbol tables of ELF files as one index sorted by address: 16 bytes a function. */
#ifndef SYMBOLS_ELFSYM_H
#define SYMBOLS_ELFSYM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "elffile.h"

struct elfsym;

/* Indexes the functions of up to 4 tables: for each file, the section named beside it. Files must
 * live longer than the index. */
struct elfsym_source {
	const struct elf_file *file;
	const char *section; /* ".symtab", ".dynsym" */
};
struct elfsym *elfsym_create(const struct elfsym_source *sources, size_t n);
void elfsym_destroy(struct elfsym *index); /* NULL is allowed */
size_t elfsym_count(const struct elfsym *index);

struct elfsym_name {
	const char *name; /* in the file, not necessarily NUL-terminated; version cut off */
	size_t len;
	uint64_t start; /* as linked */
};
/* The function that holds vaddr. */
bool elfsym_find(const struct elfsym *index, uint64_t vaddr, struct elfsym_name *ret);

#endif
