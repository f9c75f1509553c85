/* SPDX-License-Identifier: Apache-2.0 */
/* Separate debug files: where they may be, and proof that they belong to their image. */
#ifndef SYMBOLS_DEBUGFILE_H
#define SYMBOLS_DEBUGFILE_H

#include <stdbool.h>

#include <csample/image.h>

#include "elffile.h"

/* Looks beneath the target's root, then in ours: /usr/lib/debug/.build-id/xx/yyyy.debug, then the
 * file that .gnu_debuglink names, beside the image, in .debug/ and under /usr/lib/debug. NULL:
 * none. A file found by build id has that build id. One found by .gnu_debuglink whose proof would
 * be its checksum is returned unproven, with *crc_ret set: debug_file_check_crc() reads all of it.
 */
struct elf_file *debug_file_find(const struct image *img, const struct elf_file *self,
                                 bool *needs_crc_ret, uint32_t *crc_ret);
/* The checksum of .gnu_debuglink over the whole file. */
bool debug_file_check_crc(const struct elf_file *f, uint32_t crc);

/* The supplementary file that f's .gnu_debugaltlink names (dwz's), with the build id stated there.
 * *wanted_ret: f has such a section, so that without the file its DWARF is incomplete. */
struct elf_file *debug_file_find_alt(const struct image *img, const struct elf_file *f,
                                     bool *wanted_ret);
/* The build id of that file; false: f wants none. */
bool debug_file_alt_build_id(const struct elf_file *f, const uint8_t **id_ret, size_t *len_ret);

/* Asks the servers of DEBUGINFOD_URLS for the debug file with that build id. Slow: seconds, at most
 * the limits in debuginfod.c. NULL: no server, no such file, no time left. */
struct elf_file *debuginfod_find(const uint8_t *build_id, size_t len, const char *what);
/* Is it worth asking? */
bool debuginfod_configured(void);

#endif
