/* SPDX-License-Identifier: Apache-2.0 */
/* Clock events as sampling triggers. Why these attributes: each was measured; the proofs in
 * capture/preempt.c rest on the wake-up coming on the CPU that ticked. */
#include "perf.h"

#include <asm/perf_regs.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include <csample/hash.h>
#include <csample/trigger.h>
#include <csample/vec.h>

#define RING_ORDER 6 /* 64 pages: ample at 10 kHz */

/* Perf's register numbers in the order of their bits, with their DWARF numbers. */
static const struct {
	uint8_t perf, dwarf;
} perf_regs[] = {
#if defined(__x86_64__)
        {PERF_REG_X86_AX, 0},   {PERF_REG_X86_BX, 3},   {PERF_REG_X86_CX, 2},
        {PERF_REG_X86_DX, 1},   {PERF_REG_X86_SI, 4},   {PERF_REG_X86_DI, 5},
        {PERF_REG_X86_BP, 6},   {PERF_REG_X86_SP, 7},   {PERF_REG_X86_IP, 16},
        {PERF_REG_X86_R8, 8},   {PERF_REG_X86_R9, 9},   {PERF_REG_X86_R10, 10},
        {PERF_REG_X86_R11, 11}, {PERF_REG_X86_R12, 12}, {PERF_REG_X86_R13, 13},
        {PERF_REG_X86_R14, 14}, {PERF_REG_X86_R15, 15},
#else /* aarch64: x0-x30, sp, pc have the same numbers in both */
        {0, 0},   {1, 1},   {2, 2},   {3, 3},   {4, 4},   {5, 5},   {6, 6},   {7, 7},   {8, 8},
        {9, 9},   {10, 10}, {11, 11}, {12, 12}, {13, 13}, {14, 14}, {15, 15}, {16, 16}, {17, 17},
        {18, 18}, {19, 19}, {20, 20}, {21, 21}, {22, 22}, {23, 23}, {24, 24}, {25, 25}, {26, 26},
        {27, 27}, {28, 28}, {29, 29}, {30, 30}, {31, 31}, {32, 32},
#endif
};

struct perf_ring {
	struct perf_config config;
	struct perf_access access;
	int cpu;
	uint64_t seed;
	bool enabled;
	struct mmap_ring ring; /* of the first event; the others write into it */
	VEC(int) fds;
	uint8_t buf[RECORD_MAX];
};

static uint64_t regs_mask(void)
{
	uint64_t mask = 0;
	for (size_t i = 0; i < ARRAY_SIZE(perf_regs); i++)
		mask |= 1ULL << perf_regs[i].perf;
	return mask;
}

static void fill_attr(const struct perf_config *config, const struct perf_access *access,
                      struct perf_event_attr *attr)
{
	*attr = (struct perf_event_attr){
	        .type = config->cycles ? PERF_TYPE_HARDWARE : PERF_TYPE_SOFTWARE,
	        .config = config->cycles ? PERF_COUNT_HW_CPU_CYCLES : PERF_COUNT_SW_CPU_CLOCK,
	        .sample_type = PERF_SAMPLE_TID | PERF_SAMPLE_TIME | PERF_SAMPLE_REGS_USER,
	        .sample_regs_user = regs_mask(),
	        .wakeup_events = 1,
	        .disabled = 1,
	        .use_clockid = 1,
	        .clockid = 1, /* CLOCK_MONOTONIC */
	        .exclude_hv = 1,
	        .exclude_kernel = access->exclude_kernel,
	        .exclude_callchain_user = 1,
	};
	if (config->cycles) {
		attr->freq = 1;
		attr->sample_freq = 1000000000ULL / config->period_ns;
	} else {
		attr->sample_period = config->period_ns;
	}
	if (config->kernel_chain)
		attr->sample_type |= PERF_SAMPLE_CALLCHAIN;
	if (access->scope == PERF_CPU_WIDE) {
		attr->exclude_idle = 1;
	} else {
		attr->inherit = 1;
		attr->inherit_thread = !config->children;
	}
}

static int try_open(const struct perf_config *config, const struct perf_access *access, pid_t tid,
                    int cpu)
{
	struct perf_event_attr attr;
	fill_attr(config, access, &attr);
	int fd = perf_open(&attr, access->scope == PERF_CPU_WIDE ? -1 : tid, cpu, -1);
	if (fd < 0 && errno == EINVAL && attr.inherit_thread) { /* before Linux 5.13 */
		attr.inherit_thread = 0;
		fd = perf_open(&attr, tid, cpu, -1);
	}
	return fd;
}

struct err *perf_probe(const struct perf_config *config, struct perf_access *ret)
{
	static const struct perf_access order[] = {
	        {PERF_CPU_WIDE, false}, {PERF_PER_THREAD, false}, {PERF_PER_THREAD, true}};
	int errnum = 0;
	for (size_t i = 0; i < ARRAY_SIZE(order); i++) {
		/* CPU-wide events want a CPU; any CPU will do, and 0 is nearly always there. */
		int fd = try_open(config, &order[i], config->pid, i ? -1 : 0);
		if (fd >= 0) {
			close(fd);
			*ret = order[i];
			return NULL;
		}
		errnum = errno;
	}
	if (config->cycles && (errnum == ENOENT || errnum == EOPNOTSUPP || errnum == ENODEV))
		return err_new(ERR_UNSUPPORTED, "this machine counts no hardware cycles (common in "
		                                "virtual machines): use -e cpu");
	return err_errno(errnum, "perf_event_open");
}

struct err *perf_ring_open(const struct perf_config *config, const struct perf_access *access,
                           int cpu, struct perf_ring **ret)
{
	struct perf_ring *r = mem_zalloc(sizeof(*r));
	r->config = *config;
	r->access = *access;
	r->cpu = cpu;
	r->seed = now_ns();
	if (access->scope == PERF_CPU_WIDE) {
		int fd = try_open(config, access, -1, cpu);
		struct err *err = fd < 0 ? err_errno(errno, "open a perf event on CPU %d", cpu)
		                         : mmap_ring_open(&r->ring, fd, RING_ORDER);
		if (fd >= 0)
			*vec_add(&r->fds) = fd;
		if (err) {
			perf_ring_close(r);
			return err;
		}
	}
	*ret = r;
	return NULL;
}

void perf_ring_close(struct perf_ring *r)
{
	if (!r)
		return;
	mmap_ring_close(&r->ring);
	for (size_t i = 0; i < r->fds.n; i++)
		close(r->fds.items[i]);
	vec_free(&r->fds);
	free(r);
}

/* The period of an inherited event stays what it was opened with: each CPU and thread gets another
 * one, so that none is that of whatever is periodic, and their mean is what was asked for. */
static uint64_t dithered(const struct perf_ring *r, pid_t tid)
{
	uint64_t random = hash_u64((uint64_t)tid << 32 ^ (uint64_t)r->cpu ^ r->seed) | 1;
	return detuned_for_good(r->config.period_ns, &random);
}

struct err *perf_ring_add_thread(struct perf_ring *r, pid_t tid)
{
	struct perf_config config = r->config;
	config.period_ns = dithered(r, tid);
	int fd = try_open(&config, &r->access, tid, r->cpu);
	if (fd < 0)
		return errno == ESRCH ? &err_gone
		                      : err_errno(errno, "open a perf event on thread %d, CPU %d",
		                                  (int)tid, r->cpu);
	struct err *err = NULL;
	if (!r->fds.n)
		err = mmap_ring_open(&r->ring, fd, RING_ORDER);
	else if (ioctl(fd, PERF_EVENT_IOC_SET_OUTPUT, r->fds.items[0]))
		err = err_errno(errno, "direct the perf event of thread %d", (int)tid);
	if (err) {
		close(fd);
		return err;
	}
	*vec_add(&r->fds) = fd;
	if (r->enabled && ioctl(fd, PERF_EVENT_IOC_ENABLE, 0))
		return err_errno(errno, "enable the perf event of thread %d", (int)tid);
	return NULL;
}

struct err *perf_ring_enable(struct perf_ring *r)
{
	r->enabled = true;
	for (size_t i = 0; i < r->fds.n; i++)
		if (ioctl(r->fds.items[i], PERF_EVENT_IOC_ENABLE, 0))
			return err_errno(errno, "enable a perf event on CPU %d", r->cpu);
	return NULL;
}

void perf_ring_disable(struct perf_ring *r)
{
	r->enabled = false;
	for (size_t i = 0; i < r->fds.n; i++)
		ioctl(r->fds.items[i], PERF_EVENT_IOC_DISABLE, 0);
}

int perf_ring_fd(const struct perf_ring *r)
{
	return r->fds.n ? r->fds.items[0] : -1;
}

uint64_t perf_ring_clock_ns(const struct perf_ring *r)
{
	uint64_t count;
	if (r->access.scope != PERF_CPU_WIDE || r->config.cycles ||
	    read(perf_ring_fd(r), &count, sizeof(count)) != sizeof(count))
		return 0;
	return count;
}

/* The fields in the order of perf_event_open(2): TID, TIME, CALLCHAIN, REGS_USER. The kernel wrote
 * them, but a bound costs nothing. */
static void parse_sample(const struct perf_ring *r, const struct perf_event_header *h,
                         struct tick *tick)
{
	const uint64_t *p = (const uint64_t *)(h + 1);
	const uint64_t *end = (const uint64_t *)((const uint8_t *)h + h->size);
	const uint32_t *ids = (const uint32_t *)p;
	tick->pid = (pid_t)ids[0];
	tick->tid = (pid_t)ids[1];
	tick->time_ns = p[1];
	tick->in_user = (h->misc & PERF_RECORD_MISC_CPUMODE_MASK) == PERF_RECORD_MISC_USER;
	tick->regs.valid = 0;
	tick->n_kernel = 0;
	p += 2;
	if (r->config.kernel_chain && p < end) {
		uint64_t n = *p++;
		if (n > (uint64_t)(end - p))
			return;
		for (uint64_t i = 0; i < n && tick->n_kernel < SNAPSHOT_MAX_KERNEL; i++)
			if (p[i] < PERF_CONTEXT_MAX) /* above are markers, not addresses */
				tick->kernel[tick->n_kernel++] = p[i];
		p += n;
	}
	if (p >= end || *p++ == PERF_SAMPLE_REGS_ABI_NONE ||
	    (size_t)(end - p) < ARRAY_SIZE(perf_regs))
		return;
	/* The registers come in the order of their bits; the table is in that order too. */
	for (size_t i = 0; i < ARRAY_SIZE(perf_regs); i++)
		regs_set(&tick->regs, perf_regs[i].dwarf, p[i]);
}

void perf_ring_drain(struct perf_ring *r, perf_filter *filter, void *arg, struct tick *tick,
                     struct perf_drained *ret)
{
	uint64_t head = mmap_ring_head(&r->ring), at = r->ring.page->data_tail, last = 0;
	const struct perf_event_header *h;
	*ret = (struct perf_drained){0};
	for (uint64_t start = at; (h = mmap_ring_next(&r->ring, &at, head, r->buf)); start = at) {
		if (h->type == PERF_RECORD_SAMPLE && h->size >= sizeof(*h) + 16) {
			if (!filter(arg, *(const pid_t *)(h + 1)))
				continue;
			ret->ticks++;
			last = start;
		} else if (h->type == PERF_RECORD_LOST) {
			ret->lost += (unsigned)((const uint64_t *)(h + 1))[1];
		}
	}
	if (ret->ticks) {
		h = mmap_ring_next(&r->ring, &last, head, r->buf);
		if (h)
			parse_sample(r, h, tick);
	}
	mmap_ring_done(&r->ring, at);
}

void perf_ring_set_period(struct perf_ring *r, uint64_t period_ns)
{
	if (r->fds.n && !r->config.cycles)
		ioctl(r->fds.items[0], PERF_EVENT_IOC_PERIOD, &period_ns);
}
