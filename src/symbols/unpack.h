/* SPDX-License-Identifier: Apache-2.0 */
/* Compressed debug sections (zlib, zstd, and GNU's older .zdebug_*), unpacked outside our memory.
 */
#ifndef SYMBOLS_UNPACK_H
#define SYMBOLS_UNPACK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "elffile.h"

bool elf_file_is_packed(const struct elf_file *f);

/* An ELF file with f's DWARF sections, unpacked, in a file without a name (in TMPDIR, /var/tmp or
 * /tmp), so that its pages come and go as those of any debug file. NULL: damaged, too large for the
 * limits in unpack.c or for the disk. */
struct elf_file *elf_file_unpack(const struct elf_file *f);

enum packing { PACKED_NOT, PACKED_ZLIB, PACKED_ZSTD };
/* Unpacks a stream piece by piece. False: damaged, longer than size, or put() said no. */
bool inflate_bytes(struct bytes in, enum packing packing, uint64_t size,
                   bool (*put)(void *arg, const void *p, size_t len), void *arg);

#endif
