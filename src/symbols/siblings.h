/* SPDX-License-Identifier: Apache-2.0 */
/* Long lists of sibling DIEs, with marks on the way, so that the next walk begins near its end. */
#ifndef SYMBOLS_SIBLINGS_H
#define SYMBOLS_SIBLINGS_H

#include <elfutils/libdw.h>
#include <stddef.h>

#include <csample/hash.h>
#include <csample/vec.h>

#include "dwarfindex.h"

struct siblings {           /* zeroed: empty */
	struct map64 lists; /* address of the first DIE: index + 1 into marks */
	VEC(struct sibling_marks { VEC(Dwarf_Off) offsets; }) marks;
	size_t n; /* of all offsets */
};
void siblings_deinit(struct siblings *s);
/* Moves *die, the first of a list, to the last one that begins at or before addr (in the mapped
 * file). False when the list is damaged. */
bool siblings_seek(struct siblings *s, struct dwarf_index *x, Dwarf_Die *die, const void *addr);

#endif
