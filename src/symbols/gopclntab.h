/* SPDX-License-Identifier: Apache-2.0 */
/* Go's own table of functions, files and lines, which every Go program carries, stripped or not
 * (golang.org/s/go12symtab; as it is now: Go's src/runtime/symtab.go and src/internal/abi). */
#ifndef SYMBOLS_GOPCLNTAB_H
#define SYMBOLS_GOPCLNTAB_H

#include <stddef.h>
#include <stdint.h>

#include <csample/bytes.h>
#include <csample/intern.h>

#include "codeframe.h"
#include "elffile.h"

struct gopclntab;

/* What the table refers to and does not hold itself. */
struct go_module {
	uint64_t text;       /* address that functions are counted from */
	struct bytes gofunc; /* of go:func.*, where inline trees are; empty: not found */
};
/* table: from its header on. NULL: not a table, or a release older than Go 1.16. The bytes must
 * live longer. */
struct gopclntab *gopclntab_create(struct bytes table, struct go_module module);
void gopclntab_destroy(struct gopclntab *g); /* NULL is allowed */

/* Finds the table of an ELF file and what belongs to it; NULL: not a Go program. */
struct gopclntab *gopclntab_of_file(const struct elf_file *f);

/* Frames at addr, innermost first, as dwarf_info_find(); 0: not Go code. */
size_t gopclntab_find(const struct gopclntab *g, struct strings *strings, uint64_t addr,
                      struct code_frame *out, size_t max);

#endif
