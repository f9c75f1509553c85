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

/* Of regions that cannot be read to their end: the pause must end whatever was predicted. */
#define MAX_REREADS 4

static int read_by_file(struct capture *c, struct region *regions, unsigned n, uint8_t *bytes)
{
	for (unsigned i = 0; i < n; i++) {
		ssize_t one = pread(c->mem_fd, bytes + regions[i].at, regions[i].len,
		                    (off_t)regions[i].addr);
		regions[i].len = one > 0 ? (uint32_t)one : 0;
	}
	return CAPTURED;
}

/* One call. The number of regions that are done with: all, or up to the first that could not be
 * read to its end, which is cut there (memory is copied page by page). Negative: a loss. */
static int read_once(struct capture *c, struct snapshot *snap, struct region *regions, unsigned n)
{
	struct iovec local[SNAPSHOT_MAX_REGIONS], remote[SNAPSHOT_MAX_REGIONS];
	unsigned n_local = 0;
	if (!n)
		return 0;
	for (unsigned i = 0; i < n; i++) {
		uint8_t *to = snap->bytes + regions[i].at;
		remote[i] = (struct iovec){(void *)(uintptr_t)regions[i].addr, regions[i].len};
		if (n_local &&
		    (uint8_t *)local[n_local - 1].iov_base + local[n_local - 1].iov_len == to)
			local[n_local - 1].iov_len += regions[i].len;
		else
			local[n_local++] = (struct iovec){to, regions[i].len};
	}
	snap->reads++;
	ssize_t got = process_vm_readv(c->pid, local, n_local, remote, n, 0);
	if (got < 0 && errno == ESRCH)
		return -1 - LOSS_GONE;
	if (got < 0 && errno == EPERM)
		return -1 - LOSS_REFUSED;
	size_t left = got > 0 ? (size_t)got : 0;
	for (unsigned i = 0; i < n; i++) {
		if (regions[i].len > left) {
			regions[i].len = (uint32_t)left;
			return (int)i + 1;
		}
		left -= regions[i].len;
	}
	return (int)n;
}

/* Reads regions [first, first + n) into the snapshot's bytes, in one call if all can be read. What
 * cannot is cut, and what comes after it is read by another call. CAPTURED, or a loss that concerns
 * the process as a whole. */
static int read_regions(struct capture *c, struct snapshot *snap, unsigned first, unsigned n)
{
	struct region *regions = &snap->regions[first];
	if (c->mem_fd >= 0) {
		snap->reads++;
		return read_by_file(c, regions, n, snap->bytes);
	}
	for (unsigned calls = 0, at = 0; at < n; calls++) {
		if (calls > MAX_REREADS) {
			for (; at < n; at++)
				regions[at].len = 0;
			break;
		}
		int done = read_once(c, snap, regions + at, n - at);
		if (done < 0)
			return -1 - done;
		at += (unsigned)done;
	}
	return CAPTURED;
}

static void add_region(struct snapshot *snap, uint64_t addr, uint32_t len)
{
	snap->regions[snap->n_regions++] = (struct region){addr, len, snap->n_bytes};
	snap->n_bytes += len;
}

/* Adds what the runtimes want next; the number of regions added. */
static unsigned ask(struct capture *c, struct snapshot *snap, unsigned round, uint32_t capacity)
{
	struct region more[SNAPSHOT_MAX_REGIONS];
	unsigned before = snap->n_regions;
	if (!c->gather.gather)
		return 0;
	size_t n = c->gather.gather(c->gather.arg, round, snap, more, SNAPSHOT_MAX_REGIONS);
	for (size_t i = 0; i < n && snap->n_regions < SNAPSHOT_MAX_REGIONS; i++)
		if (more[i].len && more[i].len <= capacity - snap->n_bytes)
			add_region(snap, more[i].addr, more[i].len);
	return snap->n_regions - before;
}

static int gather_more(struct capture *c, struct snapshot *snap, unsigned round, uint32_t capacity)
{
	for (; round < GATHER_ROUNDS; round++) {
		unsigned n = ask(c, snap, round, capacity);
		if (!n)
			return CAPTURED;
		int result = read_regions(c, snap, snap->n_regions - n, n);
		if (result != CAPTURED)
			return result;
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
static void add_other_stack(struct thread *th, struct snapshot *snap, uint32_t capacity)
{
	uint64_t sp = snap->regs.r[REG_SP];
	uint64_t root = atomic_load_explicit(&th->stack_root, memory_order_relaxed);
	uint32_t len = atomic_load_explicit(&th->copy_bytes, memory_order_relaxed);
	if (!root || (root > sp && root - sp < STACK_MAX_COPY - STACK_SLACK))
		return;
	if (len > STACK_OTHER_COPY)
		len = STACK_OTHER_COPY;
	if (len <= capacity - snap->n_bytes && len <= root)
		add_region(snap, root - len + STACK_SLACK, len);
}

/* Of a thread not seen before we do not know how deep it is: a full copy may be a cut one. The
 * stack alone first, then the rest. */
static int copy_unknown(struct capture *c, struct thread *th, struct snapshot *snap,
                        uint32_t capacity)
{
	uint32_t want = snap->regions[0].len;
	int result = read_regions(c, snap, 0, 1);
	if (result == CAPTURED && snap->regions[0].len == want)
		widen_stack(c, snap, capacity < STACK_WIDE_COPY ? capacity : STACK_WIDE_COPY);
	snap->n_bytes = snap->regions[0].len; /* less where the stack's mapping ends */
	if (result != CAPTURED || !snap->n_bytes)
		return result;
	if (th)
		add_other_stack(th, snap, capacity);
	ask(c, snap, 0, capacity);
	return snap->n_regions > 1 ? read_regions(c, snap, 1, snap->n_regions - 1u) : CAPTURED;
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
	int result;
	if (!th || !atomic_load_explicit(&th->learned, memory_order_relaxed)) {
		result = copy_unknown(c, th, snap, capacity);
	} else {
		add_other_stack(th, snap, capacity);
		ask(c, snap, 0, capacity);
		result = read_regions(c, snap, 0, snap->n_regions);
	}
	if (result == CAPTURED && !snap->regions[0].len)
		result = LOSS_MEMORY;
	if (result == CAPTURED && c->gather.gather)
		result = gather_more(c, snap, 1, capacity);
	return result;
}
