/* SPDX-License-Identifier: Apache-2.0 */
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include "../../src/symbols/gopclntab.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* The first two bytes say how much of the rest is inline trees; the other part is the table. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct bytes b = bytes_over(data, size);
	uint16_t tree_size = bytes_u16(&b);
	const uint8_t *tree = bytes_take(&b, tree_size);
	if (b.bad)
		return 0;
	struct go_module module = {.text = 0x1000, .gofunc = bytes_over(tree, tree_size)};
	struct gopclntab *g = gopclntab_create(b, module);
	if (!g)
		return 0;
	struct strings *strings = strings_create();
	struct code_frame out[8];
	for (uint64_t addr = 0xff0; addr < 0x1100; addr += 3) {
		size_t n = gopclntab_find(g, strings, addr, out, 8);
		if (n > 8)
			abort();
	}
	strings_destroy(strings);
	gopclntab_destroy(g);
	return 0;
}
