/* SPDX-License-Identifier: Apache-2.0 */
/* Which FDE describes an address of an image: by the binary search table linkers leave in
 * .eh_frame_hdr, or by an index of our own where there is none. */
#ifndef UNWIND_TABLES_H
#define UNWIND_TABLES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <csample/image.h>

#include "cfi.h"

struct tables;

/* The tables of img, made when first asked for, kept in img->unwind_data and freed with it. Their
 * memory is added to *bytes when they are made. */
struct tables *tables_of(struct image *img, size_t *bytes);
/* The FDE that covers vaddr: of .eh_frame if there is one, else of .debug_frame. */
bool tables_find(const struct tables *t, uint64_t vaddr, struct cfi_fde *ret);
/* Go's function table; NULL: not a Go program. */
struct go_functions;
const struct go_functions *tables_go(const struct tables *t);

#endif
