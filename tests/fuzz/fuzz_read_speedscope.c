/* SPDX-License-Identifier: Apache-2.0 */
#include "reading.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	return read_any(&format_speedscope, data, size);
}
