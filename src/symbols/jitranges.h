/* SPDX-License-Identifier: Apache-2.0 */
/* Address ranges that are written one after the other and overlap, since code is thrown away and
 * its place used again: at each address, the newest counts. */
#ifndef SYMBOLS_JITRANGES_H
#define SYMBOLS_JITRANGES_H

#include <stddef.h>
#include <stdint.h>

#include <csample/vec.h>

struct jit_range {
	uint64_t start;
	uint32_t size;
	uint32_t at; /* what it is: the offset of its line in the file */
};
typedef VEC(struct jit_range) jit_ranges;

/* Lays newer (in the order they were written, emptied by this) over sorted, which has no overlaps
 * and has none afterwards. */
void jit_ranges_add(jit_ranges *sorted, jit_ranges *newer);
/* NULL: none. */
const struct jit_range *jit_ranges_find(const jit_ranges *sorted, uint64_t addr);

/* Parses lines "START SIZE NAME" (hexadecimal) of text, which stands at offset base of its file, up
 * to the last newline; returns the bytes used. Lines that are not of that form are skipped: names
 * may hold newlines. */
size_t perf_map_parse(const char *text, size_t len, uint32_t base, jit_ranges *ret);
/* The same for one line: where its name begins; 0: not such a line. */
size_t perf_map_parse_line(const char *line, size_t len, uint64_t *start_ret, uint32_t *size_ret);

#endif
