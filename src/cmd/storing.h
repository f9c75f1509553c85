/* SPDX-License-Identifier: Apache-2.0 */
/* What the commands on the store share. */
#ifndef CMD_STORING_H
#define CMD_STORING_H

#include <csample/store.h>

#include "options.h"

/* --store, or the default. */
struct err *open_store(const struct options *opt, enum store_mode mode, struct store **ret);

struct time_range {
	int64_t from_ns, to_ns;
};
/* --from and --to; what was not given: the last hour, or all. */
struct time_range range_of(const struct options *opt, bool last_hour);
/* Local time, to the second; in text, which it returns. */
const char *local_time(int64_t ns, char text[static 32]);

#endif
