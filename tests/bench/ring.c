/* SPDX-License-Identifier: Apache-2.0 */
#include "ring.h"

#include <errno.h>
#include <linux/perf_event.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#define DATA_PAGES 64

#if defined(__x86_64__)
/* Bits of asm/perf_regs.h: ax bx cx dx si di bp sp ip, then r8 to r15 from bit 16. */
#define REGS_MASK 0xff01ffULL
/* Where DWARF's register i stands among the bits set, lowest bit first. */
static const uint8_t place[RING_REGS] = {0, 3, 2, 1, 4, 5, 6, 7, 9, 10, 11, 12, 13, 14, 15, 16, 8};
#else
#define REGS_MASK ((1ULL << RING_REGS) - 1)
static const uint8_t place[RING_REGS] = {0,  1,  2,  3,  4,  5,  6,  7,  8,  9,  10,
                                         11, 12, 13, 14, 15, 16, 17, 18, 19, 20, 21,
                                         22, 23, 24, 25, 26, 27, 28, 29, 30, 31, 32};
#endif

/* What a sample holds, in the order of the sample_type below. */
struct record {
	uint32_t pid, tid;
	uint64_t time_ns;
	uint32_t cpu, reserved;
	uint64_t period;
	uint64_t abi;
	uint64_t regs[RING_REGS];
};

bool ring_open(struct ring *ring, int cpu, uint64_t period_ns)
{
	struct perf_event_attr attr = {
	        .type = PERF_TYPE_SOFTWARE,
	        .size = sizeof(attr),
	        .config = PERF_COUNT_SW_CPU_CLOCK,
	        .sample_period = period_ns,
	        .sample_type = PERF_SAMPLE_TID | PERF_SAMPLE_TIME | PERF_SAMPLE_CPU |
	                       PERF_SAMPLE_PERIOD | PERF_SAMPLE_REGS_USER,
	        .sample_regs_user = REGS_MASK,
	        .disabled = 1,
	        .exclude_idle = 1,
	        .use_clockid = 1,
	        .clockid = CLOCK_MONOTONIC,
	        .wakeup_events = 1,
	};
	size_t page = (size_t)sysconf(_SC_PAGESIZE);

	ring->fd = (int)syscall(SYS_perf_event_open, &attr, -1, cpu, -1, PERF_FLAG_FD_CLOEXEC);
	if (ring->fd < 0)
		return false;
	ring->data_bytes = DATA_PAGES * page;
	ring->page = mmap(NULL, page + ring->data_bytes, PROT_READ | PROT_WRITE, MAP_SHARED,
	                  ring->fd, 0);
	if (ring->page == MAP_FAILED || ioctl(ring->fd, PERF_EVENT_IOC_ENABLE, 0)) {
		int saved = errno;
		close(ring->fd);
		errno = saved;
		return false;
	}
	return true;
}

void ring_close(struct ring *ring)
{
	munmap(ring->page, (size_t)sysconf(_SC_PAGESIZE) + ring->data_bytes);
	close(ring->fd);
}

static void copy_out(const struct ring *ring, uint64_t at, void *buf, size_t len)
{
	const struct perf_event_mmap_page *page = ring->page;
	const char *data = (const char *)ring->page + page->data_offset;
	uint64_t from = at % ring->data_bytes;
	size_t first = len < ring->data_bytes - from ? len : ring->data_bytes - from;

	memcpy(buf, data + from, first);
	memcpy((char *)buf + first, data, len - first);
}

bool ring_next(struct ring *ring, struct ring_sample *ret)
{
	struct perf_event_mmap_page *page = ring->page;
	uint64_t head = __atomic_load_n(&page->data_head, __ATOMIC_ACQUIRE);

	while (page->data_tail != head) {
		uint64_t tail = page->data_tail;
		struct perf_event_header header;
		struct record record;
		bool whole;

		copy_out(ring, tail, &header, sizeof(header));
		/* A sample of a kernel thread has no registers and is shorter. */
		whole = header.type == PERF_RECORD_SAMPLE &&
		        header.size >= sizeof(header) + sizeof(record);
		if (whole)
			copy_out(ring, tail + sizeof(header), &record, sizeof(record));
		__atomic_store_n(&page->data_tail, tail + header.size, __ATOMIC_RELEASE);
		if (!whole || record.abi != PERF_SAMPLE_REGS_ABI_64)
			continue;
		ret->pid = (pid_t)record.pid;
		ret->tid = (pid_t)record.tid;
		ret->time_ns = record.time_ns;
		for (int i = 0; i < RING_REGS; i++)
			ret->regs[i] = record.regs[place[i]];
		return true;
	}
	return false;
}
