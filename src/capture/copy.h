/* SPDX-License-Identifier: Apache-2.0 */
/* What all ways of capturing share: the copying, and the small files that prove it. */
#ifndef CAPTURE_COPY_H
#define CAPTURE_COPY_H

#include <csample/capture.h>

/* Copies the stack from sp up, and what the runtime's decoder asks for. CAPTURED or a loss. */
int copy_memory(struct capture *c, struct thread *th, struct snapshot *snap, uint32_t capacity);

/* One pread of a kept-open file, NUL-terminated; false when the thread has ended. */
bool read_kept(int fd, char *buf, size_t size);
/* A field (from 1, as proc(5) counts) of a stat line that is a number; UINT64_MAX: not there. The
 * name in field 2 may hold anything. */
uint64_t stat_number(const char *text, int field);
/* The first number of a schedstat line: CPU time in ns, exact for a thread that is off its CPU. */
uint64_t schedstat_cpu_ns(const char *text);
/* The third: how often it was switched in. Counted at once. */
uint64_t schedstat_times_run(const char *text);

#endif
