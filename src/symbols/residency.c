/* SPDX-License-Identifier: Apache-2.0 */
#include "residency.h"

#include <fcntl.h>
#include <stdlib.h>
#include <unistd.h>

#define CALLS_BETWEEN 8
#define MAX_GROWTH    ((size_t)6 << 20)

/* The third number of /proc/self/statm: resident pages that are backed by files. */
static size_t file_pages(const struct residency *r)
{
	char text[128];
	ssize_t n = pread(r->statm_fd, text, sizeof(text) - 1, 0);
	if (n <= 0)
		return 0;
	text[n] = '\0';
	char *p = text;
	strtoul(p, &p, 10); /* size */
	strtoul(p, &p, 10); /* resident */
	return strtoul(p, &p, 10);
}

void residency_check(struct residency *r, void (*drop)(void *arg), void *arg)
{
	if (r->calls++ % CALLS_BETWEEN)
		return;
	if (!r->statm_fd) {
		r->statm_fd = open("/proc/self/statm", O_RDONLY | O_CLOEXEC);
		r->low_pages = r->statm_fd > 0 ? file_pages(r) : 0;
	}
	if (r->statm_fd < 0)
		return;
	size_t now = file_pages(r);
	if (now < r->low_pages)
		r->low_pages = now;
	if (now - r->low_pages < MAX_GROWTH / (size_t)sysconf(_SC_PAGESIZE))
		return;
	drop(arg);
	r->low_pages = file_pages(r);
}

void residency_deinit(struct residency *r)
{
	if (r->statm_fd > 0)
		close(r->statm_fd);
}
