/* SPDX-License-Identifier: Apache-2.0 */
/* Procedure linkage stubs have no symbols: they are named by where they jump to. */
#ifndef SYMBOLS_PLT_H
#define SYMBOLS_PLT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "elffile.h"

struct plt;
/* f must live longer. Reads relocations; never NULL. */
struct plt *plt_create(const struct elf_file *f);
void plt_destroy(struct plt *p); /* NULL is allowed */

struct plt_target {
	const char *name; /* imported symbol, not NUL-terminated; NULL: the function at addr */
	size_t len;
	uint64_t addr; /* resolver of an indirect function, when name is NULL */
};
/* What the stub that holds vaddr jumps to, by decoding it and looking its slot up among the
 * relocations: linkers differ in the order of stubs, and two kinds of stubs share slots. */
bool plt_find(const struct plt *p, uint64_t vaddr, struct plt_target *ret);

#endif
