/* SPDX-License-Identifier: Apache-2.0 */
#include "push.h"

#define FIRST_NS ((uint64_t)1000000000)
#define MAX_NS   ((uint64_t)60 * 1000000000)
#define MAX_RETRY_AFTER_S \
	((uint64_t)3600) /* a server that says more may be wrong about its clock */

enum verdict retry_judge(long status)
{
	if (status >= 200 && status < 300)
		return PUSH_DELIVERED;
	switch (status) {
	case 0: /* no answer */
	case 408:
	case 425:
	case 429:
	case 502:
	case 503:
	case 504:
		return PUSH_RETRY;
	case 413:
		return PUSH_SMALLER;
	default:
		return status >= 500 ? PUSH_RETRY_FEW : PUSH_REJECTED;
	}
}

uint64_t retry_delay_ns(unsigned failures, uint64_t retry_after_s, uint64_t random)
{
	uint64_t delay = FIRST_NS;
	for (unsigned i = 1; i < failures && delay < MAX_NS; i++)
		delay *= 2;
	if (delay > MAX_NS)
		delay = MAX_NS;
	if (retry_after_s) {
		if (retry_after_s > MAX_RETRY_AFTER_S)
			retry_after_s = MAX_RETRY_AFTER_S;
		delay = retry_after_s * 1000000000;
		/* Not before, and not all who were told so at once. */
		return delay + random % (delay / 10 + 1);
	}
	/* A fifth less to a fifth more. */
	return delay - delay / 5 + random % (delay * 2 / 5 + 1);
}
