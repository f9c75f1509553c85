/* SPDX-License-Identifier: Apache-2.0 */
/* Which files of a pattern are there, oldest first, and which of them have to go. */
#ifndef OUTLET_RETENTION_H
#define OUTLET_RETENTION_H

#include <csample/outlet.h>

#include "pattern.h"

struct keeper;
/* Looks for files of the pattern, which is borrowed. Errors: the directory cannot be read. */
struct err *keeper_create(const struct pattern *pattern, const struct retention *keep,
                          struct keeper **ret);
void keeper_destroy(struct keeper *k); /* NULL is allowed */
/* Looks again. */
struct err *keeper_scan(struct keeper *k);
/* A file was written, and is the newest. Deletes what is too much by now: regular files only, and
 * never this one. Errors: the first that could not be deleted; the others were. */
struct err *keeper_wrote(struct keeper *k, const char *name, int64_t now_unix_ns);

#endif
