/* SPDX-License-Identifier: Apache-2.0 */
/* Opening files whose names a target chose. */
#ifndef SYMBOLS_SAFEOPEN_H
#define SYMBOLS_SAFEOPEN_H

#include <stdbool.h>

/* Opens a regular file for reading as a process with this root directory would see it: no symbolic
 * link, "..", or magic link leads out of it. Nothing but a regular file is ever opened (a FIFO
 * would block, a device may act). no_symlink: the last component may not be a link. root_fd < 0:
 * path as csample sees it. Returns a descriptor, or -1. */
int open_regular(int root_fd, const char *path, bool no_symlink);

#endif
