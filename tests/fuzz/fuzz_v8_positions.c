/* SPDX-License-Identifier: Apache-2.0 */
/* V8's position and pc tables of any content. */
#include <stdlib.h>
#include <string.h>

#include "../../runtimes/node/node.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	if (size < 4 || size > 65536)
		return 0;
	const struct v8_layout *l = &v8_layouts[data[0] % v8_n_layouts];
	size_t n_bytecodes = data[1] % (size - 2);
	/* Copies of their own, so that a read behind them is seen. */
	size_t len = size - 2 - n_bytecodes, max = data[1] & 1 ? len : len / 2;
	uint8_t *bytecodes = malloc(n_bytecodes ? n_bytecodes : 1), *table = malloc(len);
	memcpy(bytecodes, data + 2, n_bytecodes);
	memcpy(table, data + 2 + n_bytecodes, len);
	struct v8_position *p = malloc((max + 1) * sizeof(*p));
	struct v8_pc *pcs = malloc((max + 1) * sizeof(*pcs));
	size_t n = v8_positions_expand(l->positions, table, len, p, max);
	if (n > max)
		abort();
	for (size_t i = 1; i < n; i++)
		if (p[i].at < p[i - 1].at)
			abort();
	(void)v8_position_at(p, n, data[2]);
	n = v8_pcs_expand(l, table, len, bytecodes, n_bytecodes, pcs, max);
	for (size_t i = 0; i < n; i++)
		if (pcs[i].offset >= (int32_t)n_bytecodes)
			abort();
	(void)v8_pc_offset(pcs, n, data[3]);
	struct v8_ends ends = {0};
	bool cr = false;
	for (size_t at = 0; at + 2 <= len; at += 64)
		v8_find_line_ends(table + at, (len - at < 64 ? len - at : 64) / 2, 2,
		                  (uint32_t)at / 2, &cr, &ends);
	free(ends.items);
	free(bytecodes);
	free(table);
	free(p);
	free(pcs);
	return 0;
}
