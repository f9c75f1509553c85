/* SPDX-License-Identifier: Apache-2.0 */
/* Release numbers as CPython writes them. PY_VERSION_HEX: major, minor, micro a byte each, then the
 * level (10 alpha, 11 beta, 12 candidate, 15 final) and its serial, four bits each. */
#ifndef CPYTHON_VERSION_H
#define CPYTHON_VERSION_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define PY_LEVEL_FINAL 15

static inline uint16_t py_release_of(uint32_t hexversion) /* PYVER */
{
	return (uint16_t)(hexversion >> 16);
}

/* Is it a release number at all: a major of 2 or 3, a known level? */
bool py_version_plausible(uint64_t hexversion);
/* "3.14.0rc1"; without the micro version when only the minor is known (level 0). */
void py_version_text(uint32_t hexversion, bool free_threaded, char *buf, size_t len);
/* Looks in bytes for the text of Py_GetVersion(): "3.9.2 (default, …) [GCC …]". */
bool py_version_search(const uint8_t *bytes, size_t len, uint32_t *hexversion_ret);
/* How far such a text reaches at most: an overlap for those who search piece by piece. */
#define PY_VERSION_TEXT_MAX 256
/* From a file name, "libpython3.9.so.1.0" or "python3.9"; level 0, no micro version. */
bool py_version_of_path(const char *path, uint32_t *hexversion_ret);

#endif
