/* SPDX-License-Identifier: Apache-2.0 */
#ifndef SYMBOLS_MINIDEBUG_H
#define SYMBOLS_MINIDEBUG_H

#include "elffile.h"

/* MiniDebugInfo: the ELF file that an image carries xz-compressed in .gnu_debugdata, with the
 * symbols of its static functions. NULL: none, damaged, or larger than we are willing to hold. */
struct elf_file *minidebug_unpack(const struct elf_file *f);

#endif
