/* SPDX-License-Identifier: Apache-2.0 */
/* /tmp/perf-PID.map: what a JIT compiler says of the code it makes (the format of perf's
 * tools/perf/Documentation/jit-interface.txt). */
#ifndef SYMBOLS_PERFMAP_H
#define SYMBOLS_PERFMAP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct perf_map;

/* Looks for /tmp/perf-NS_PID.map beneath root_fd (duplicated), then for /tmp/perf-PID.map here, now
 * and again when names are asked for. It must be a regular file, not a link, of uid or of root. */
struct perf_map *perf_map_create(int root_fd, int32_t ns_pid, int32_t pid, uint32_t uid);
void perf_map_destroy(struct perf_map *m); /* NULL is allowed */

/* The name of the newest code at addr, without NUL and valid until the next call. What was written
 * since the last call is read first, but not more often than every few hundredths of a second. */
bool perf_map_find(struct perf_map *m, uint64_t addr, const char **name_ret, size_t *len_ret);

#endif
