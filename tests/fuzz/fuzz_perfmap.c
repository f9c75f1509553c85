/* SPDX-License-Identifier: Apache-2.0 */
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include "../../src/symbols/jitranges.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* Read in two pieces, as a growing file is; what comes out must be sorted and without overlaps. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	jit_ranges sorted = {0}, newer = {0};
	const char *text = (const char *)data;
	size_t used = perf_map_parse(text, size / 2, 0, &newer);
	jit_ranges_add(&sorted, &newer);
	if (used > size / 2)
		abort();
	perf_map_parse(text + used, size - used, (uint32_t)used, &newer);
	jit_ranges_add(&sorted, &newer);
	for (size_t i = 0; i < sorted.n; i++) {
		const struct jit_range *r = &sorted.items[i];
		if (!r->size || r->at >= size ||
		    (i && sorted.items[i - 1].start + sorted.items[i - 1].size > r->start))
			abort();
		if (jit_ranges_find(&sorted, r->start) != r ||
		    jit_ranges_find(&sorted, r->start + r->size - 1) != r)
			abort();
	}
	vec_free(&sorted);
	vec_free(&newer);
	return 0;
}
