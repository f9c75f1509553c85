/* SPDX-License-Identifier: Apache-2.0 */
/* Where the function begins that holds an address, of files without symbols for it: their unwind
 * information still knows. */
#ifndef SYMBOLS_FDESTART_H
#define SYMBOLS_FDESTART_H

#include <stdbool.h>
#include <stdint.h>

#include <csample/image.h>

/* vaddr and *start_ret as linked; false: no function is known to hold vaddr. Reads the table of
 * .eh_frame_hdr (Linux Standard Base, 10.6.2) in the form that all linkers write. */
bool fde_start(const struct image *img, uint64_t vaddr, uint64_t *start_ret);

#endif
