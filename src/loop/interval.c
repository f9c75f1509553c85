/* SPDX-License-Identifier: Apache-2.0 */
#include "internal.h"

/* A first interval shorter than this share is not worth a profile: it becomes part of the next. */
#define SHORTEST 10

int64_t interval_end(int64_t now_unix_ns, uint64_t interval_ns, bool first)
{
	int64_t interval = (int64_t)interval_ns;
	int64_t from = first ? now_unix_ns + interval / SHORTEST : now_unix_ns + interval / 2;
	return (from / interval + 1) * interval;
}
