/* SPDX-License-Identifier: Apache-2.0 */
#include <stdio.h>

#include <csample/outlet.h>
#include <csample/runtime.h>

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
	for (const struct runtime_ops *const *ops = all_runtimes; *ops; ops++) {
		char releases[64];
		if (!(*ops)->releases)
			continue;
		(*ops)->releases(releases, sizeof(releases));
		printf("%s %s\n", (*ops)->title, releases);
	}
	printf("push %s\n", push_features());
	return NULL;
}
