/* SPDX-License-Identifier: Apache-2.0 */
#include <stdio.h>

#include "options.h"

const char csample_version[] = "0.1.0";

struct err *cmd_version(const struct options *opt, int *status)
{
	(void)opt;
	(void)status;
#if defined(__x86_64__)
	printf("csample %s (x86_64)\n", csample_version);
#else
	printf("csample %s (aarch64)\n", csample_version);
#endif
	return NULL;
}
