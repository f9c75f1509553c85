/* SPDX-License-Identifier: Apache-2.0 */
/* A perf ring buffer: how records are taken out of it, whatever they are. */
#ifndef TRIGGER_PERF_H
#define TRIGGER_PERF_H

#include <linux/perf_event.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include <csample/err.h>

#define RECORD_MAX 65536

struct mmap_ring {
	int fd;
	struct perf_event_mmap_page *page;
	uint8_t *data;
	uint64_t size; /* of data, a power of two */
};

int perf_open(struct perf_event_attr *attr, pid_t pid, int cpu, int group_fd);
/* Maps the ring of fd, of 2^order pages or the most that the mlock limit leaves. */
struct err *mmap_ring_open(struct mmap_ring *r, int fd, unsigned order);
/* The same to be read only, from its newest record on: attr.write_backward. It is never full. */
struct err *mmap_ring_open_newest(struct mmap_ring *r, int fd, unsigned order);
void mmap_ring_close(struct mmap_ring *r);
/* The next record, in place or copied to buf when it wraps round; NULL: none. *at is where reading
 * goes on: start with r->page->data_tail, hand it to mmap_ring_done() at the end. */
const struct perf_event_header *mmap_ring_next(const struct mmap_ring *r, uint64_t *at,
                                               uint64_t head, uint8_t buf[RECORD_MAX]);
static inline uint64_t mmap_ring_head(const struct mmap_ring *r)
{
	return __atomic_load_n(&r->page->data_head, __ATOMIC_ACQUIRE);
}
static inline void mmap_ring_done(struct mmap_ring *r, uint64_t at)
{
	__atomic_store_n(&r->page->data_tail, at, __ATOMIC_RELEASE);
}

#endif
