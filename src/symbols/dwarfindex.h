/* SPDX-License-Identifier: Apache-2.0 */
/* From an address to the unit and the function DIE that hold it. */
#ifndef SYMBOLS_DWARFINDEX_H
#define SYMBOLS_DWARFINDEX_H

#include <elfutils/libdw.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <csample/vec.h>

#include "dwarfline.h"
#include "elffile.h"

struct code_range {
	uint64_t start;
	uint32_t size;
	uint32_t what; /* a unit's number; or a DIE's offset from the start of its unit */
};
typedef VEC(struct code_range) code_ranges;

struct unit_data {      /* of a unit that was asked for */
	uint64_t start; /* offset of the unit in .debug_info */
	code_ranges functions;
	struct line_table *lines; /* NULL: none */
	char *comp_dir;           /* NULL: not known */
	size_t bytes;
	bool deep; /* functions inside functions and types were indexed as well */
};

struct unit {
	uint64_t start, die;    /* offsets in .debug_info: of its header, of its DIE */
	struct unit_data *data; /* NULL: not read yet, or dropped */
};

struct dwarf_index {
	/* To be set before dwarf_index_init(): */
	const struct elf_file *file, *alt_file; /* alt: NULL for none */
	uint64_t code_start, code_end;
	/* Private: */
	Dwarf *dw, *alt;
	struct bytes info; /* .debug_info */
	struct line_sections sections;
	VEC(struct unit) units;
	code_ranges ranges;
	size_t bytes;        /* of all unit_data */
	size_t units_loaded; /* since libdw began; it frees nothing before it ends */
	uintptr_t dropped_at;
};

/* Walks the units once (not their contents). False: no usable DWARF. */
bool dwarf_index_init(struct dwarf_index *x);
void dwarf_index_deinit(struct dwarf_index *x);

/* The unit whose code holds addr, valid until the next call; NULL: none. */
const struct unit_data *dwarf_index_unit(struct dwarf_index *x, uint64_t addr);
/* The function of that unit that holds addr. */
bool dwarf_index_function(struct dwarf_index *x, const struct unit_data *unit, uint64_t addr,
                          Dwarf_Die *ret);

/* To be told of each DIE on a long walk: gives back the pages that were passed. */
void dwarf_index_passed(struct dwarf_index *x, const Dwarf_Die *die);

#endif
