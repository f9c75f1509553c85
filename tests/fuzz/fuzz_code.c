/* SPDX-License-Identifier: Apache-2.0 */
/* Code of any content, decoded and followed from its start to each place in it. */
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "../../src/unwind/depth.h"
#include "../../src/unwind/insn.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct insn i;
	struct depth d;
	union rule_buf buf;
	if (!size || size > 512)
		return 0;
	uint8_t *copy = malloc(size); /* of its own, so that a read behind it is seen */
	memcpy(copy, data, size);
	struct image img = {.data = copy, .size = size, .n_segments = 1};
	img.segments[0] = (struct image_segment){0x1000, 0, size, size, 1};
	for (size_t at = 0; at < size; at++)
		if (insn_decode(copy + at, size - at, &i) && (!i.len || i.len > size - at))
			abort();
	for (size_t at = 0; at <= size; at += 7)
		for (int after_call = 0; after_call < 2; after_call++)
			if (depth_at(&img, 0x1000, 0x1000 + at, after_call, &d))
				depth_rule(&d, &buf.rule);
	free(copy);
	return 0;
}
