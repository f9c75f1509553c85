/* SPDX-License-Identifier: Apache-2.0 */
/* All that names the code of one image: its symbol tables, its debug files, its DWARF. Lives in
 * img->symbols_data and ends with the image. */
#ifndef SYMBOLS_IMAGESYMS_H
#define SYMBOLS_IMAGESYMS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <csample/image.h>
#include <csample/intern.h>

#include "dwarfinfo.h"
#include "elfsym.h"

struct image_symbols;

/* Opens debug files, parses nothing; the second call returns what the first made. */
struct image_symbols *image_symbols_get(struct image *img);

/* From symbol tables alone; makes the index when first called. */
bool image_symbols_lookup(struct image_symbols *is, uint64_t vaddr, struct elfsym_name *ret);

/* A function's frames, innermost first, names as the linker knows them (NULL: not known), at most
 * max >= 1; 0: nothing is known about this address. use_network: debuginfod may be asked. */
size_t image_symbols_find(struct image_symbols *is, struct strings *strings, uint64_t vaddr,
                          bool use_network, struct code_frame *out, size_t max);

struct image_origin {
	bool has_functions, has_lines, has_inlines;
	char text[512];
};
void image_symbols_origin(struct image_symbols *is, struct image_origin *ret);

/* Gives back the pages of files that were touched. */
void image_symbols_drop_pages(struct image_symbols *is);

#endif
