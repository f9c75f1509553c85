/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <stdlib.h>
#include <sys/mman.h>

#include <csample/capture.h>
#include <csample/mem.h>

/* An entry: this, and the bytes of its snapshot. */
struct entry {
	uint64_t size; /* of both, a multiple of ALIGN */
	struct snapshot snap;
};

/* head and tail count bytes from the beginning and never wrap. What is reserved near the end of the
 * ring goes on behind it, and the bytes at the start that it would have wrapped to are left alone:
 * so an entry may begin anywhere, and a thread that is not known yet, which reserves more than half
 * of a ring, gets it whenever that much is free. Two entries never meet behind the end, because
 * both would have to reach over it and so lie a ring apart. */
struct queue {
	uint8_t *bytes;
	uint64_t size;
	_Atomic uint64_t head;              /* written by the sampler */
	uint64_t reserved_at;               /* the sampler's own */
	_Alignas(64) _Atomic uint64_t tail; /* written by the worker */
	_Atomic bool woken;                 /* the worker was told that we fill up */
};

#define ALIGN         64
#define SMALLEST_PAGE 4096
#define HUGE_PAGE     ((size_t)2 << 20)

/* In huge pages where they are to be had: the target drives small ones out of the TLB, and copying
 * 50 KB takes a fifth longer then. MAP_FAILED and errno: no memory. */
static uint8_t *map_ring(size_t bytes)
{
	uint8_t *p = mmap(NULL, bytes + HUGE_PAGE, PROT_READ | PROT_WRITE,
	                  MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (p == MAP_FAILED)
		return p;
	size_t before = -(uintptr_t)p & (HUGE_PAGE - 1);
	if (before)
		munmap(p, before);
	munmap(p + before + bytes, HUGE_PAGE - before);
	p += before;
	madvise(p, bytes, MADV_HUGEPAGE); /* where it fails, slower */
	/* So that no page is faulted in during a pause. */
	for (size_t i = 0; i < bytes; i += SMALLEST_PAGE)
		((volatile uint8_t *)p)[i] = 0;
	return p;
}

struct err *queue_create(size_t bytes, struct queue **ret)
{
	uint8_t *p = map_ring(2 * bytes);
	if (p == MAP_FAILED)
		return err_errno(errno, "allocate a queue of %zu bytes", bytes);
	struct queue *q = aligned_alloc(64, (sizeof(*q) + 63) & ~(size_t)63);
	if (!q) {
		munmap(p, 2 * bytes);
		return &err_nomem;
	}
	*q = (struct queue){.bytes = p, .size = bytes};
	*ret = q;
	return NULL;
}

void queue_destroy(struct queue *q)
{
	if (!q)
		return;
	munmap(q->bytes, 2 * q->size);
	free(q);
}

static uint64_t entry_size(uint32_t bytes)
{
	return (sizeof(struct entry) + bytes + ALIGN - 1) & ~(uint64_t)(ALIGN - 1);
}

static struct entry *entry_at(struct queue *q, uint64_t position)
{
	return (struct entry *)(q->bytes + (position & (q->size - 1)));
}

uint32_t queue_most(const struct queue *q)
{
	return (uint32_t)(q->size / 4 * 3 - sizeof(struct entry) - ALIGN);
}

struct snapshot *queue_reserve(struct queue *q, uint32_t capacity)
{
	uint64_t head = atomic_load_explicit(&q->head, memory_order_relaxed);
	uint64_t tail = atomic_load_explicit(&q->tail, memory_order_acquire);
	if (entry_size(capacity) > q->size - (head - tail))
		return NULL;
	struct entry *entry = entry_at(q, head);
	entry->snap.bytes = (uint8_t *)(entry + 1);
	q->reserved_at = head;
	return &entry->snap;
}

bool queue_push(struct queue *q, struct snapshot *snap)
{
	struct entry *entry = entry_at(q, q->reserved_at);
	entry->size = entry_size(snap->n_bytes);
	uint64_t head = q->reserved_at + entry->size;
	atomic_store_explicit(&q->head, head, memory_order_release);
	uint64_t filled = head - atomic_load_explicit(&q->tail, memory_order_relaxed);
	return filled > q->size / 4 && !atomic_exchange(&q->woken, true);
}

const struct snapshot *queue_peek(struct queue *q)
{
	uint64_t tail = atomic_load_explicit(&q->tail, memory_order_relaxed);
	uint64_t head = atomic_load_explicit(&q->head, memory_order_acquire);
	if (tail == head) {
		atomic_store(&q->woken, false);
		return NULL;
	}
	return &entry_at(q, tail)->snap;
}

void queue_pop(struct queue *q)
{
	uint64_t tail = atomic_load_explicit(&q->tail, memory_order_relaxed);
	atomic_store_explicit(&q->tail, tail + entry_at(q, tail)->size, memory_order_release);
}
