/* SPDX-License-Identifier: Apache-2.0 */
#include "copy.h"

#define STACK_SLACK 256u /* the red zone, and the words at the root itself */

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/uio.h>
#include <unistd.h>

bool read_kept(int fd, char *buf, size_t size)
{
	ssize_t n = pread(fd, buf, size - 1, 0);
	if (n <= 0)
		return false;
	buf[n] = '\0';
	return true;
}

uint64_t stat_number(const char *text, int field)
{
	const char *p = strrchr(text, ')');
	for (int at = 2; p && at < field; at++) {
		p = strchr(p, ' ');
		p = p ? p + 1 : NULL;
	}
	uint64_t v = 0;
	if (!p || *p < '0' || *p > '9')
		return UINT64_MAX;
	while (*p >= '0' && *p <= '9')
		v = v * 10 + (uint64_t)(*p++ - '0');
	return v;
}

uint64_t schedstat_cpu_ns(const char *text)
{
	uint64_t v = 0;
	while (*text >= '0' && *text <= '9')
		v = v * 10 + (uint64_t)(*text++ - '0');
	return v;
}

uint64_t schedstat_times_run(const char *text)
{
	const char *third = strrchr(text, ' ');
	return third ? strtoull(third, NULL, 10) : 0;
}

/* Reads regions [first, first + n) into the snapshot's bytes, in one call. What cannot be read to
 * its end is cut: memory is copied page by page, so a short read ends at a mapping's end. */
static int read_regions(struct capture *c, struct snapshot *snap, unsigned first, unsigned n)
{
	struct iovec local = {snap->bytes + snap->regions[first].at, 0};
	struct iovec remote[SNAPSHOT_MAX_REGIONS];
	remote[0].iov_len = 0; /* gcc does not see that n > 0 */
	for (unsigned i = 0; i < n; i++) {
		struct region *region = &snap->regions[first + i];
		remote[i] = (struct iovec){(void *)(uintptr_t)region->addr, region->len};
		local.iov_len += region->len;
	}
	snap->reads++;
	ssize_t got;
	if (c->mem_fd >= 0) {
		/* No vectors here: one region each, and the first alone decides. */
		got = 0;
		for (unsigned i = 0; i < n; i++) {
			struct region *region = &snap->regions[first + i];
			ssize_t one = pread(c->mem_fd, snap->bytes + region->at, region->len,
			                    (off_t)region->addr);
			region->len = one > 0 ? (uint32_t)one : 0;
			got += one > 0 ? one : 0;
		}
		return got ? CAPTURED : LOSS_MEMORY;
	}
	got = process_vm_readv(c->pid, &local, 1, remote, n, 0);
	if (got < 0)
		return errno == ESRCH ? LOSS_GONE : errno == EPERM ? LOSS_REFUSED : LOSS_MEMORY;
	size_t left = (size_t)got;
	for (unsigned i = 0; i < n; i++) {
		struct region *region = &snap->regions[first + i];
		if (region->len > left)
			region->len = (uint32_t)left;
		left -= region->len;
	}
	return CAPTURED;
}

static void add_region(struct snapshot *snap, uint64_t addr, uint32_t len)
{
	snap->regions[snap->n_regions++] = (struct region){addr, len, snap->n_bytes};
	snap->n_bytes += len;
}

static int gather_more(struct capture *c, struct snapshot *snap, uint32_t capacity)
{
	for (unsigned round = 0; round < GATHER_ROUNDS; round++) {
		struct region more[SNAPSHOT_MAX_REGIONS];
		size_t n = c->gather.gather(c->gather.arg, round, snap, more, SNAPSHOT_MAX_REGIONS);
		unsigned first = snap->n_regions;
		for (size_t i = 0; i < n && snap->n_regions < SNAPSHOT_MAX_REGIONS; i++)
			if (more[i].len <= capacity - snap->n_bytes)
				add_region(snap, more[i].addr, more[i].len);
		if (snap->n_regions == first)
			return CAPTURED;
		if (read_regions(c, snap, first, snap->n_regions - first) == LOSS_GONE)
			return LOSS_GONE;
	}
	return CAPTURED;
}

/* Reads on behind the first region, up to len bytes in all. */
static void widen_stack(struct capture *c, struct snapshot *snap, uint32_t len)
{
	struct region *stack = &snap->regions[0];
	if (stack->len >= len || snap->n_regions != 1)
		return;
	snap->regions[1] = (struct region){stack->addr + stack->len, len - stack->len, stack->len};
	if (read_regions(c, snap, 1, 1) == CAPTURED)
		stack->len += snap->regions[1].len;
}

uint32_t capture_stack_bytes(struct thread *th, uint64_t sp)
{
	if (!th || !atomic_load_explicit(&th->learned, memory_order_relaxed))
		return STACK_FIRST_COPY;
	uint64_t root = atomic_load_explicit(&th->stack_root, memory_order_relaxed);
	if (sp && root > sp && root - sp < STACK_MAX_COPY - STACK_SLACK)
		return (uint32_t)(root - sp) + STACK_SLACK;
	return atomic_load_explicit(&th->copy_bytes, memory_order_relaxed);
}

/* A signal handler on a stack of its own: the stack it interrupted is where the thread's was
 * before. */
static void copy_other_stack(struct capture *c, struct thread *th, struct snapshot *snap,
                             uint32_t capacity)
{
	uint64_t sp = snap->regs.r[REG_SP];
	uint64_t root = atomic_load_explicit(&th->stack_root, memory_order_relaxed);
	uint32_t len = atomic_load_explicit(&th->copy_bytes, memory_order_relaxed);
	if (!root || (root > sp && root - sp < STACK_MAX_COPY - STACK_SLACK))
		return;
	if (len > STACK_OTHER_COPY)
		len = STACK_OTHER_COPY;
	if (len > capacity - snap->n_bytes || len > root)
		return;
	add_region(snap, root - len + STACK_SLACK, len);
	if (read_regions(c, snap, 1, 1) != CAPTURED)
		snap->n_bytes = snap->regions[--snap->n_regions].at;
}

int copy_memory(struct capture *c, struct thread *th, struct snapshot *snap, uint32_t capacity)
{
	uint64_t sp = snap->regs.r[REG_SP];
	uint32_t want = capture_stack_bytes(th, sp);
	if (want > capacity)
		want = capacity;
	snap->n_regions = 0;
	snap->n_bytes = 0;
	snap->reads = 0;
	add_region(snap, sp - STACK_RED_ZONE, want);
	int result = read_regions(c, snap, 0, 1);
	/* Of a thread not seen before we do not know how deep it is: a full copy may be a cut one.
	 */
	bool learned = th && atomic_load_explicit(&th->learned, memory_order_relaxed);
	if (result == CAPTURED && !learned && snap->regions[0].len == want)
		widen_stack(c, snap, capacity < STACK_WIDE_COPY ? capacity : STACK_WIDE_COPY);
	snap->n_bytes = snap->regions[0].len; /* less where the stack's mapping ends */
	snap->n_regions = 1;
	if (result == CAPTURED && th)
		copy_other_stack(c, th, snap, capacity);
	if (result == CAPTURED && c->gather.gather)
		result = gather_more(c, snap, capacity);
	return result;
}
