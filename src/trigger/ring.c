/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "perf.h"

int perf_open(struct perf_event_attr *attr, pid_t pid, int cpu, int group_fd)
{
	attr->size = sizeof(*attr);
	return (int)syscall(SYS_perf_event_open, attr, pid, cpu, group_fd, PERF_FLAG_FD_CLOEXEC);
}

static struct err *map_ring(struct mmap_ring *r, int fd, unsigned order, int prot)
{
	size_t page_size = (size_t)sysconf(_SC_PAGESIZE);
	int errnum = 0;
	for (int o = (int)order; o >= 0; o--) {
		size_t size = page_size << o;
		void *p = mmap(NULL, page_size + size, prot, MAP_SHARED, fd, 0);
		if (p != MAP_FAILED) {
			*r = (struct mmap_ring){fd, p, (uint8_t *)p + page_size, size};
			return NULL;
		}
		errnum = errno;
		if (errnum != EPERM && errnum != ENOMEM)
			break;
	}
	if (errnum == EPERM)
		return err_new(ERR_PERM,
		               "the perf ring does not fit into the locked-memory limit: raise "
		               "ulimit -l, or: sudo sysctl kernel.perf_event_mlock_kb=2048");
	return err_errno(errnum, "map the perf ring");
}

struct err *mmap_ring_open(struct mmap_ring *r, int fd, unsigned order)
{
	return map_ring(r, fd, order, PROT_READ | PROT_WRITE);
}

struct err *mmap_ring_open_newest(struct mmap_ring *r, int fd, unsigned order)
{
	return map_ring(r, fd, order, PROT_READ);
}

void mmap_ring_close(struct mmap_ring *r)
{
	if (r->page)
		munmap(r->page, (size_t)sysconf(_SC_PAGESIZE) + r->size);
	r->page = NULL;
}

const struct perf_event_header *mmap_ring_next(const struct mmap_ring *r, uint64_t *at,
                                               uint64_t head, uint8_t buf[RECORD_MAX])
{
	if (*at >= head)
		return NULL;
	uint64_t offset = *at & (r->size - 1);
	/* Records are multiples of 8 long, so a header never wraps. */
	const struct perf_event_header *h = (const void *)(r->data + offset);
	uint16_t size = h->size;
	if (size < sizeof(*h) || size > head - *at) {
		*at = head;
		return NULL;
	}
	*at += size;
	if (offset + size <= r->size)
		return h;
	size_t first = r->size - offset;
	memcpy(buf, r->data + offset, first);
	memcpy(buf + first, r->data, size - first);
	return (const void *)buf;
}
