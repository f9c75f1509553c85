/* SPDX-License-Identifier: Apache-2.0 */
/* DWARF 2 to 5 through libdw: function, file and line of an address, and what was inlined there.
 * Memory stays small beside files of any size: an index of units made once, of functions for each
 * unit that was asked for, both dropped when they grow. */
#ifndef SYMBOLS_DWARFINFO_H
#define SYMBOLS_DWARFINFO_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <csample/intern.h>

#include "codeframe.h"
#include "elffile.h"

struct dwarf_info;

/* code_start, code_end: the image's executable addresses as linked; what claims to be elsewhere was
 * dropped by the linker. alt: the supplementary file, NULL: none. Both are not packed and live
 * longer. NULL: there is no DWARF, or it cannot be read. */
struct dwarf_info *dwarf_info_create(const struct elf_file *f, const struct elf_file *alt,
                                     uint64_t code_start, uint64_t code_end);
void dwarf_info_destroy(struct dwarf_info *d); /* NULL is allowed */

/* Innermost first; the last one is the function itself (its name may be NULL). 0: no unit has this
 * address. If there are more than max, those between the innermost and the last are left out. */
size_t dwarf_info_find(struct dwarf_info *d, struct strings *strings, uint64_t addr,
                       struct code_frame *out, size_t max);

#endif
