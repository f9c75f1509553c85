/* SPDX-License-Identifier: Apache-2.0 */
#include <stddef.h>
#include <stdint.h>

#include "../../src/symbols/dwarfline.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct bytes all = bytes_over(data, size);
	struct line_sections sections = {all, all, all};
	struct line_table *t = line_table_create(&sections, 0, 1);
	struct strbuf path = {0};
	for (uint64_t addr = 0x1000; t && addr < 0x1100; addr += 5) {
		struct line_row row;
		if (line_table_find(t, addr, &row))
			line_table_file(t, row.file, "/dir", &path);
	}
	for (uint32_t file = 0; t && file < 4; file++)
		line_table_file(t, file, NULL, &path);
	strbuf_free(&path);
	line_table_destroy(t);
	return 0;
}
