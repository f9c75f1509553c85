/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include <csample/mem.h>
#include <csample/trigger.h>
#include <csample/vec.h>

#include "perf.h"

#define RING_ORDER 4 /* 16 pages of some 60 bytes a record */

struct sideband {
	size_t n;
	int *fds;
	struct mmap_ring *rings;
	VEC(struct sideband_event) events; /* of one drain */
	uint8_t buf[RECORD_MAX];
};

struct err *sideband_open(const int *cpus, size_t n_cpus, struct sideband **ret)
{
	struct sideband *s = mem_zalloc(sizeof(*s));
	s->fds = mem_zalloc(n_cpus * sizeof(*s->fds));
	s->rings = mem_zalloc(n_cpus * sizeof(*s->rings));
	for (size_t i = 0; i < n_cpus; i++) {
		struct perf_event_attr attr = {
		        .type = PERF_TYPE_SOFTWARE,
		        .config = PERF_COUNT_SW_DUMMY,
		        .sample_type = PERF_SAMPLE_TID | PERF_SAMPLE_TIME,
		        .sample_id_all = 1,
		        .use_clockid = 1,
		        .clockid = 1, /* CLOCK_MONOTONIC */
		        .watermark = 1,
		        .wakeup_watermark =
		                1, /* each record: new threads want their files opened */
		        .task = 1,
		        .comm = 1,
		        .comm_exec = 1,
		        .mmap = 1,
		        .exclude_kernel = 1,
		        .exclude_hv = 1,
		};
		int fd = perf_open(&attr, -1, cpus[i], -1);
		if (fd < 0) {
			struct err *err = err_errno(errno, "open a perf event on CPU %d", cpus[i]);
			sideband_close(s);
			return err;
		}
		s->fds[s->n++] = fd;
		struct err *err = mmap_ring_open(&s->rings[i], fd, RING_ORDER);
		if (err) {
			sideband_close(s);
			return err;
		}
	}
	*ret = s;
	return NULL;
}

void sideband_close(struct sideband *s)
{
	if (!s)
		return;
	for (size_t i = 0; i < s->n; i++) {
		mmap_ring_close(&s->rings[i]);
		close(s->fds[i]);
	}
	free(s->fds);
	free(s->rings);
	vec_free(&s->events);
	free(s);
}

const int *sideband_fds(const struct sideband *s, size_t *n_ret)
{
	*n_ret = s->n;
	return s->fds;
}

/* Layouts: perf_event_open(2). sample_id_all puts {pid, tid, time} at the end of each record. */
static bool parse(const struct perf_event_header *h, struct sideband_event *ret)
{
	const uint32_t *w = (const uint32_t *)(h + 1);
	const uint8_t *end = (const uint8_t *)h + h->size;
	if (h->size < sizeof(*h) + 24)
		return false;
	*ret = (struct sideband_event){.pid = (pid_t)w[0], .tid = (pid_t)w[1]};
	memcpy(&ret->time_ns, end - 8, 8);
	switch (h->type) {
	case PERF_RECORD_FORK:
	case PERF_RECORD_EXIT: /* pid, ppid, tid, ptid, time */
		ret->kind = h->type == PERF_RECORD_FORK ? SIDEBAND_FORK : SIDEBAND_EXIT;
		ret->parent_pid = (pid_t)w[1];
		ret->tid = (pid_t)w[2];
		return true;
	case PERF_RECORD_COMM:
		ret->kind = h->misc & PERF_RECORD_MISC_COMM_EXEC ? SIDEBAND_EXEC : SIDEBAND_COMM;
		return true;
	case PERF_RECORD_MMAP:
		ret->kind = SIDEBAND_MMAP;
		return true;
	case PERF_RECORD_LOST:
		ret->kind = SIDEBAND_LOST;
		return true;
	default:
		return false;
	}
}

static int by_time(const void *a, const void *b)
{
	const struct sideband_event *x = a, *y = b;
	return (x->time_ns > y->time_ns) - (x->time_ns < y->time_ns);
}

void sideband_drain(struct sideband *s,
                    void (*on_event)(void *arg, const struct sideband_event *event), void *arg)
{
	size_t n_rings = 0;
	s->events.n = 0;
	for (size_t i = 0; i < s->n; i++) {
		struct mmap_ring *ring = &s->rings[i];
		uint64_t head = mmap_ring_head(ring), at = ring->page->data_tail;
		const struct perf_event_header *h;
		n_rings += head != at;
		while ((h = mmap_ring_next(ring, &at, head, s->buf))) {
			struct sideband_event event;
			if (parse(h, &event))
				*vec_add(&s->events) = event;
		}
		mmap_ring_done(ring, at);
	}
	if (n_rings > 1)
		qsort(s->events.items, s->events.n, sizeof(*s->events.items), by_time);
	for (size_t i = 0; i < s->events.n; i++)
		on_event(arg, &s->events.items[i]);
}
