/* SPDX-License-Identifier: Apache-2.0 */
/* csample/recording.h describes it. */
#ifndef CAPTURE_RECORDING_FORMAT_H
#define CAPTURE_RECORDING_FORMAT_H

#include <stdint.h>

#define RECORDING_MAGIC "CSREC 1\n"
#define TAG(a, b, c, d) \
	((uint32_t)(a) | (uint32_t)(b) << 8 | (uint32_t)(c) << 16 | (uint32_t)(d) << 24)
#define TAG_PROC      TAG('P', 'R', 'O', 'C')
#define TAG_TIDS      TAG('T', 'I', 'D', 'S')
#define TAG_IMAG      TAG('I', 'M', 'A', 'G')
#define TAG_MAPS      TAG('M', 'A', 'P', 'S')
#define TAG_NAME      TAG('N', 'A', 'M', 'E')
#define TAG_MEMO      TAG('M', 'E', 'M', 'O')
#define TAG_SNAP      TAG('S', 'N', 'A', 'P')
#define TAG_STAK      TAG('S', 'T', 'A', 'K')
#define NO_IMAGE      UINT32_MAX
#define RIGHT_READ    1u
#define RIGHT_WRITE   2u
#define RIGHT_EXECUTE 4u

#endif
