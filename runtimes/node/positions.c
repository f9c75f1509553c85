/* SPDX-License-Identifier: Apache-2.0 */
/* V8's tables of variable-length quantities, decoded over bytes: seven bits each, low group first,
 * 0x80 says that more follow. V8 src/codegen/source-position-table.cc and
 * src/baseline/bytecode-offset-iterator.h; checked against what each Node prints itself. */
#include <csample/bytes.h>
#include <csample/mem.h>

#include "node.h"

static int64_t zigzag(uint64_t v)
{
	return (int64_t)(v >> 1) ^ -(int64_t)(v & 1);
}

size_t v8_positions_expand(enum v8_positions how, const uint8_t *table, size_t len,
                           struct v8_position *ret, size_t max)
{
	struct bytes b = bytes_over(table, len);
	int64_t at = -1;
	uint64_t value = 0;
	size_t n = 0;
	while (n < max && bytes_left(&b)) {
		uint64_t v = bytes_uleb(&b);
		int64_t delta;
		if (how == V8_POSITIONS_FLAGS) {
			delta = (int64_t)(v >> 2);
		} else {
			delta = zigzag(v);
			delta = delta < 0 ? -(delta + 1) : delta;
		}
		value += (uint64_t)zigzag(bytes_uleb(&b));
		if (b.bad || delta > INT32_MAX - 1 - at)
			break;
		at += delta;
		ret[n++] = (struct v8_position){(int32_t)at, value};
	}
	return n;
}

const struct v8_position *v8_position_at(const struct v8_position *p, size_t n, int64_t offset)
{
	size_t low = 0, high = n; /* the first entry behind offset */
	while (low < high) {
		size_t mid = low + (high - low) / 2;
		if (p[mid].at <= offset)
			low = mid + 1;
		else
			high = mid;
	}
	return low ? &p[low - 1] : NULL;
}

/* SourcePosition, V8 src/codegen/source-position.h: bit 0 external, 1-30 position + 1, 31-46
 * inlining + 1. */
int32_t v8_position_script(uint64_t value)
{
	return value & 1 ? -1 : (int32_t)(value >> 1 & 0x3fffffff) - 1;
}

int32_t v8_position_inlining(uint64_t value)
{
	return (int32_t)(value >> 31 & 0xffff) - 1;
}

/* Bytes of the bytecode at p, prefix included; 0: not within len. */
static size_t bytecode_size(const struct v8_layout *l, const uint8_t *p, size_t len)
{
	unsigned scale = 0;
	size_t prefix = 0;
	if (len && p[0] <= 3) { /* Wide, ExtraWide, DebugBreakWide, DebugBreakExtraWide */
		scale = p[0] & 1 ? 2 : 1;
		prefix = 1;
	}
	if (prefix >= len || p[prefix] >= l->n_bytecodes)
		return 0;
	size_t size = prefix + l->bytecodes[scale * l->n_bytecodes + p[prefix]];
	return size <= len && size > prefix ? size : 0;
}

size_t v8_pcs_expand(const struct v8_layout *l, const uint8_t *table, size_t len,
                     const uint8_t *bytecodes, size_t n_bytecodes, struct v8_pc *ret, size_t max)
{
	struct bytes b = bytes_over(table, len);
	uint64_t pc = 0;
	size_t at = 0, n = 0;
	int32_t offset = -1; /* the prologue comes first */
	while (n < max && bytes_left(&b)) {
		uint64_t size = bytes_uleb(&b);
		if (b.bad || size > UINT32_MAX - pc)
			break;
		ret[n++] = (struct v8_pc){(uint32_t)pc, offset};
		pc += size;
		if (offset >= 0) {
			size_t step = bytecode_size(l, bytecodes + at, n_bytecodes - at);
			if (!step)
				break;
			at += step;
		}
		if (at >= n_bytecodes)
			break;
		offset = (int32_t)at;
	}
	return n;
}

int32_t v8_pc_offset(const struct v8_pc *pcs, size_t n, uint64_t pc)
{
	size_t low = 0, high = n;
	while (low < high) {
		size_t mid = low + (high - low) / 2;
		if (pcs[mid].pc <= pc)
			low = mid + 1;
		else
			high = mid;
	}
	return low ? pcs[low - 1].offset : -1;
}

static void add_end(struct v8_ends *ends, uint32_t at)
{
	if (ends->n == ends->cap) {
		ends->cap = ends->cap ? ends->cap * 2 : 256;
		ends->items = mem_realloc_array(ends->items, ends->cap, sizeof(*ends->items));
	}
	ends->items[ends->n++] = at;
}

/* Line terminators of ECMA-262, 12.3: LF, CR, CR LF, U+2028, U+2029. */
void v8_find_line_ends(const uint8_t *bytes, size_t n_units, unsigned unit, uint32_t at, bool *cr,
                       struct v8_ends *ends)
{
	for (size_t i = 0; i < n_units; i++, at++) {
		unsigned c = bytes[i * unit];
		if (unit == 2)
			c |= (unsigned)bytes[i * 2 + 1] << 8;
		if (c == '\n' && *cr)
			ends->items[ends->n - 1] = at;
		else if (c == '\n' || c == '\r' || c == 0x2028 || c == 0x2029)
			add_end(ends, at);
		*cr = c == '\r';
	}
}
