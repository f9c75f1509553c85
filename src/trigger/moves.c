/* SPDX-License-Identifier: Apache-2.0 */
/* Which threads the scheduler has moved. When a thread that was moved begins to run on its new CPU,
 * the kernel counts PERF_COUNT_SW_CPU_MIGRATIONS there, before the thread executes an instruction
 * (kernel/sched/core.c: finish_task_switch; Linux 4.3 and later). With a record for each, in rings
 * that are written backwards and never full, "has it run elsewhere since?" is a look into memory:
 * no system call, whatever is going on. A move costs the machine one record; there are few. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <csample/mem.h>
#include <csample/trigger.h>

#include "perf.h"

#define RING_ORDER 0  /* a page: 170 records */
#define MAX_CPUS   32 /* looking at more takes as long as asking /proc */
#define MAX_LOOK   16 /* records newer than the time asked for; with more, nobody knows */
/* A record of a move that followed the tick can seem older only by what the kernel's fast monotonic
 * clock is wrong between two of its updates (ktime_get_mono_fast_ns): 500 ppm of 4 ms, so 2 us.
 * What is added makes innocent threads that were moved a moment before the tick look guilty. */
#define SKEW_NS 20000

/* Layout: perf_event_open(2). */
struct move {
	struct perf_event_header header;
	uint32_t pid, tid;
	uint64_t time_ns;
};

struct moves {
	size_t n;
	int *cpus, *fds;
	struct mmap_ring *rings;
	bool expired; /* atomic */
};

struct err *moves_open(const int *cpus, size_t n_cpus, struct moves **ret)
{
	if (n_cpus > MAX_CPUS)
		return err_new(ERR_UNSUPPORTED, "more than %d CPUs", MAX_CPUS);
	struct moves *m = mem_zalloc(sizeof(*m));
	m->cpus = mem_zalloc(n_cpus * sizeof(*m->cpus));
	m->fds = mem_zalloc(n_cpus * sizeof(*m->fds));
	m->rings = mem_zalloc(n_cpus * sizeof(*m->rings));
	for (size_t i = 0; i < n_cpus; i++) {
		struct perf_event_attr attr = {
		        .type = PERF_TYPE_SOFTWARE,
		        .config = PERF_COUNT_SW_CPU_MIGRATIONS,
		        .sample_period = 1,
		        .sample_type = PERF_SAMPLE_TID | PERF_SAMPLE_TIME,
		        .use_clockid = 1,
		        .clockid = 1, /* CLOCK_MONOTONIC */
		        .write_backward = 1,
		        .watermark = 1, /* wakes nobody */
		        .wakeup_watermark = UINT32_MAX,
		};
		int fd = perf_open(&attr, -1, cpus[i], -1);
		struct err *err =
		        fd < 0 ? err_errno(errno, "open a perf event on CPU %d", cpus[i]) : NULL;
		if (!err) {
			m->cpus[m->n] = cpus[i];
			m->fds[m->n] = fd;
			err = mmap_ring_open_newest(&m->rings[m->n++], fd, RING_ORDER);
		}
		if (err) {
			moves_close(m);
			return err;
		}
	}
	*ret = m;
	return NULL;
}

void moves_close(struct moves *m)
{
	if (!m)
		return;
	for (size_t i = 0; i < m->n; i++) {
		mmap_ring_close(&m->rings[i]);
		close(m->fds[i]);
	}
	free(m->cpus);
	free(m->fds);
	free(m->rings);
	free(m);
}

bool moves_cover(const struct moves *m, const int *cpus, size_t n_cpus)
{
	return n_cpus == m->n && !memcmp(cpus, m->cpus, n_cpus * sizeof(*cpus));
}

void moves_expire(struct moves *m)
{
	if (m)
		__atomic_store_n(&m->expired, true, __ATOMIC_RELEASE);
}

bool moves_valid(const struct moves *m)
{
	return m && !__atomic_load_n(&m->expired, __ATOMIC_ACQUIRE);
}

/* The newest record lies at the head, which has come down from 0. */
static bool came_here(const struct mmap_ring *ring, pid_t tid, uint64_t since_ns)
{
	uint64_t at = mmap_ring_head(ring);
	for (unsigned i = 0; i < MAX_LOOK && at; i++) {
		/* All sizes are multiples of 8, so no word wraps, but a record may. */
		const uint64_t *words = (const uint64_t *)ring->data;
		uint64_t mask = ring->size / 8 - 1, word = at / 8;
		const struct perf_event_header *h = (const void *)&words[word & mask];
		if (h->type != PERF_RECORD_SAMPLE || h->size != sizeof(struct move))
			return true; /* throttled: what came then was not written */
		if (words[(word + 2) & mask] + SKEW_NS < since_ns)
			return false;
		if (words[(word + 1) & mask] >> 32 == (uint32_t)tid)
			return true;
		at += h->size;
	}
	return at;
}

bool moves_ran_elsewhere(const struct moves *m, int cpu, pid_t tid, uint64_t since_ns)
{
	for (size_t i = 0; i < m->n; i++)
		if (m->cpus[i] != cpu && came_here(&m->rings[i], tid, since_ns))
			return true;
	return false;
}
