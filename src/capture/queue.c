/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <stdlib.h>
#include <sys/mman.h>

#include <csample/capture.h>
#include <csample/mem.h>

/* An entry: this, and the bytes of its snapshot. */
struct entry {
	uint64_t size; /* of all three, a multiple of ALIGN */
	bool skip;     /* nothing more before the end of the ring */
	struct snapshot snap;
};

/* head and tail count bytes from the beginning and never wrap; an entry never wraps either: one
 * that would is put at the start, and the rest before it is skipped. */
struct queue {
	uint8_t *bytes;
	uint64_t size;
	_Atomic uint64_t head;              /* written by the sampler */
	uint64_t reserved_at;               /* the sampler's own */
	_Alignas(64) _Atomic uint64_t tail; /* written by the worker */
	_Atomic bool woken;                 /* the worker was told that we fill up */
};

#define ALIGN 64 /* room for the head of an entry wherever one may start */

struct err *queue_create(size_t bytes, struct queue **ret)
{
	/* Populated, so that no page is faulted in during a pause. */
	void *p = mmap(NULL, bytes, PROT_READ | PROT_WRITE,
	               MAP_PRIVATE | MAP_ANONYMOUS | MAP_POPULATE, -1, 0);
	if (p == MAP_FAILED)
		return err_errno(errno, "allocate a queue of %zu bytes", bytes);
	struct queue *q = aligned_alloc(64, (sizeof(*q) + 63) & ~(size_t)63);
	if (!q) {
		munmap(p, bytes);
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
	munmap(q->bytes, q->size);
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

struct snapshot *queue_reserve(struct queue *q, uint32_t capacity)
{
	uint64_t head = atomic_load_explicit(&q->head, memory_order_relaxed);
	uint64_t tail = atomic_load_explicit(&q->tail, memory_order_acquire);
	uint64_t size = entry_size(capacity);
	uint64_t to_end = q->size - (head & (q->size - 1));
	/* The rest is given up at once, even if the start is not free yet: or an entry of more than
	 * half the ring might find no place in an empty one. */
	if (size > to_end && to_end <= q->size - (head - tail)) {
		struct entry *rest = entry_at(q, head);
		rest->size = to_end;
		rest->skip = true;
		head += to_end;
		to_end = q->size;
		atomic_store_explicit(&q->head, head, memory_order_release);
	}
	if (size > to_end || size > q->size - (head - tail))
		return NULL;
	struct entry *entry = entry_at(q, head);
	entry->skip = false;
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
	struct entry *entry = entry_at(q, tail);
	if (entry->skip) {
		tail += entry->size;
		atomic_store_explicit(&q->tail, tail, memory_order_release);
		return queue_peek(q);
	}
	return &entry->snap;
}

void queue_pop(struct queue *q)
{
	uint64_t tail = atomic_load_explicit(&q->tail, memory_order_relaxed);
	atomic_store_explicit(&q->tail, tail + entry_at(q, tail)->size, memory_order_release);
}
