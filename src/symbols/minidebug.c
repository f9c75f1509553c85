/* SPDX-License-Identifier: Apache-2.0 */
#include "minidebug.h"

#include <lzma.h>
#include <stdlib.h>

#include <csample/mem.h>

#define MAX_UNPACKED   ((size_t)32 << 20)
#define MAX_LZMA_BYTES ((uint64_t)80 << 20) /* a dictionary of xz -9 is 64 MiB */
#define FIRST_STEP     ((size_t)64 * 1024)

struct elf_file *minidebug_unpack(const struct elf_file *f)
{
	struct bytes packed;
	if (!elf_file_section(f, ".gnu_debugdata", NULL, &packed))
		return NULL;
	lzma_stream lzma = LZMA_STREAM_INIT;
	if (lzma_stream_decoder(&lzma, MAX_LZMA_BYTES, 0) != LZMA_OK)
		return NULL;
	uint8_t *out = NULL;
	size_t cap = 0;
	lzma_ret r = LZMA_OK;
	lzma.next_in = packed.p;
	lzma.avail_in = bytes_left(&packed);
	while (r == LZMA_OK && cap < MAX_UNPACKED) {
		cap = cap ? cap * 2 : FIRST_STEP;
		out = mem_realloc_array(out, cap, 1);
		lzma.next_out = out + lzma.total_out;
		lzma.avail_out = cap - lzma.total_out;
		do
			r = lzma_code(&lzma, LZMA_FINISH);
		while (r == LZMA_OK && lzma.avail_out);
	}
	size_t size = lzma.total_out;
	lzma_end(&lzma);
	if (r != LZMA_STREAM_END || !size) {
		free(out);
		return NULL;
	}
	return elf_file_of_heap(mem_realloc_array(out, size, 1), size);
}
