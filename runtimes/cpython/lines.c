/* SPDX-License-Identifier: Apache-2.0 */
/* The three formats of line tables, from bytes to ranges. Sources: Objects/lnotab_notes.txt (up to
 * 3.10), Objects/locations.md and Include/internal/pycore_code.h (from 3.11) of CPython. */
#include <csample/bytes.h>

#include "cpython.h"

struct ranges {
	struct py_line_range *items;
	size_t n, max;
	bool full;
};

/* From start on, line; whatever is no line number is no line. */
static void range_from(struct ranges *r, uint64_t start, int64_t line)
{
	int32_t number = line > 0 && line <= INT32_MAX ? (int32_t)line : 0;
	if (start > UINT32_MAX) {
		r->full = true;
		return;
	}
	if (r->n && r->items[r->n - 1].start == start)
		r->n--;
	if (r->n && r->items[r->n - 1].line == number)
		return;
	if (r->n == r->max) {
		r->full = true;
		return;
	}
	r->items[r->n++] = (struct py_line_range){(uint32_t)start, number};
}

/* Pairs (address increment, signed line increment); a line holds from its address on. */
static void expand_lnotab(struct bytes *b, int64_t line, struct ranges *r)
{
	uint64_t addr = 0;
	range_from(r, 0, line);
	while (bytes_left(b) >= 2 && !r->full) {
		addr += bytes_u8(b);
		line += (int8_t)bytes_u8(b);
		range_from(r, addr, line);
	}
}

/* Pairs (length, signed line increment); the increment of -128 says that the range has no line. */
static void expand_pairs(struct bytes *b, int64_t line, struct ranges *r)
{
	uint64_t addr = 0;
	while (bytes_left(b) >= 2 && !r->full) {
		uint8_t length = bytes_u8(b);
		int8_t delta = (int8_t)bytes_u8(b);
		if (delta != INT8_MIN)
			line += delta;
		if (length)
			range_from(r, addr, delta == INT8_MIN ? 0 : line);
		addr += length;
	}
	range_from(r, addr, 0);
}

/* Six bits a byte, least significant first; bit 6: more follow. False for what no compiler writes:
 * bit 7 belongs to the first byte of an entry. */
static bool read_varint(struct bytes *b, uint32_t *ret)
{
	uint32_t value = 0;
	for (unsigned shift = 0; shift <= 30; shift += 6) {
		uint8_t byte = bytes_u8(b);
		if (b->bad || byte & 0x80)
			return false;
		value |= (uint32_t)(byte & 0x3f) << shift;
		if (!(byte & 0x40)) {
			*ret = value;
			return true;
		}
	}
	return false;
}

enum { ONE_LINE = 10, NO_COLUMNS = 13, LONG_FORM = 14, NO_LOCATION = 15 };

/* What follows the first byte of an entry with this code; adds to *line. */
static bool read_entry(struct bytes *b, unsigned code, int64_t *line)
{
	uint32_t value;
	if (code == NO_LOCATION)
		return true;
	if (code < ONE_LINE) /* columns only */
		return bytes_take(b, 1) != NULL;
	if (code < NO_COLUMNS) {
		*line += code - ONE_LINE;
		return bytes_take(b, 2) != NULL;
	}
	if (!read_varint(b, &value))
		return false;
	*line += value & 1 ? -(int64_t)(value >> 1) : (int64_t)(value >> 1);
	for (int i = 0; code == LONG_FORM && i < 3; i++) /* end line, columns */
		if (!read_varint(b, &value))
			return false;
	return true;
}

static void expand_locations(struct bytes *b, int64_t line, struct ranges *r)
{
	uint64_t addr = 0;
	while (bytes_left(b) && !r->full) {
		uint8_t first = bytes_u8(b);
		unsigned code = first >> 3 & 15;
		if (!(first & 0x80) || !read_entry(b, code, &line))
			break;
		range_from(r, addr, code == NO_LOCATION ? 0 : line);
		addr += 2ull * ((first & 7u) + 1);
	}
	range_from(r, addr, 0);
}

size_t py_lines_expand(enum py_lines kind, const uint8_t *table, size_t len, int32_t firstlineno,
                       struct py_line_range *ret, size_t max)
{
	struct bytes b = bytes_over(table, len);
	struct ranges r = {.items = ret, .max = max};
	switch (kind) {
	case LINES_LNOTAB:
		expand_lnotab(&b, firstlineno, &r);
		break;
	case LINES_PAIRS:
		expand_pairs(&b, firstlineno, &r);
		break;
	case LINES_LOCATIONS:
		expand_locations(&b, firstlineno, &r);
		break;
	}
	return r.n;
}

int32_t py_line_of(const struct py_line_range *ranges, size_t n, int64_t lasti, int32_t firstlineno)
{
	if (lasti < 0)
		return firstlineno > 0 ? firstlineno : 0;
	size_t lo = 0, hi = n; /* the first range that starts behind lasti is at hi */
	while (lo < hi) {
		size_t mid = lo + (hi - lo) / 2;
		if (ranges[mid].start > (uint64_t)lasti)
			hi = mid;
		else
			lo = mid + 1;
	}
	return hi ? ranges[hi - 1].line : 0;
}
