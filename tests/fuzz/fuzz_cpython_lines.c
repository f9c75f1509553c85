/* SPDX-License-Identifier: Apache-2.0 */
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include "../../runtimes/cpython/cpython.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* The first byte says which format and how much room, the next four the first line. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	int32_t first;
	if (size < 5)
		return 0;
	memcpy(&first, data + 1, sizeof(first));
	size_t max = data[0] & 0x80 ? size : (size_t)(data[0] >> 2);
	struct py_line_range *ranges = malloc(max * sizeof(*ranges) + 1);
	if (!ranges)
		return 0;
	size_t n = py_lines_expand((enum py_lines)((data[0] & 3) % 3), data + 5, size - 5, first,
	                           ranges, max);
	if (n > max)
		abort();
	for (size_t i = 1; i < n; i++)
		if (ranges[i].start <= ranges[i - 1].start)
			abort();
	for (int64_t at = -2; at < 600; at += 2)
		if (py_line_of(ranges, n, at, first) < 0)
			abort();
	free(ranges);
	return 0;
}
