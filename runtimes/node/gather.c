/* SPDX-License-Identifier: Apache-2.0 */
/* In the pause: the JSFunctions on the stack and their SharedFunctionInfos, which the collector may
 * move the moment the thread runs on. What they refer to is read later, and compared then.
 *
 *   round 0   what the thread's last sample needed, read together with its stack
 *   then      functions of the stack not among that, and what these point to if it is what those
 *             with the same code pointed to; then that if it was not; usually nothing
 *
 * Which words of the stack are functions, the frame pointers tell: all code of V8 keeps them. C++
 * on top may not; where their chain breaks, the next frame that looks like JavaScript's is
 * searched. What is asked for in vain costs a few bytes; what was missed is read after the pause.
 */
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include <csample/mem.h>

#include "node.h"

#define MAX_OBJECTS   192
#define MAX_FRAMES    1024
#define MAX_ROUND     4
#define MERGE_BYTES   2048 /* objects so near to each other come as one region */
#define MAX_PREDICTED 128
#define SLOTS         256
#define PROBES        8
#define HINTS         1024 /* a power of two */

struct prediction {
	_Atomic pid_t tid; /* 0: free */
	uint32_t n;
	struct {
		uint64_t addr;
		uint32_t len;
	} regions[MAX_PREDICTED];
	struct {
		uint64_t key, shared; /* bytecode or return address -> SharedFunctionInfo */
	} hints[HINTS];
};

/* A slot is written by whoever captures its thread, one at a time. */
struct v8_predictions {
	struct prediction slots[SLOTS];
};

struct v8_predictions *v8_predictions_create(void)
{
	struct v8_predictions *p = mem_zalloc(sizeof(*p));
	return p;
}

void v8_predictions_destroy(struct v8_predictions *p)
{
	free(p);
}

/* NULL: there are too many threads, this one does without. */
static struct prediction *prediction_of(struct v8_predictions *all, pid_t tid)
{
	for (unsigned i = 0; i < PROBES; i++) {
		struct prediction *p = &all->slots[(hash_u64((uint64_t)tid) + i) % SLOTS];
		pid_t owner = atomic_load_explicit(&p->tid, memory_order_relaxed);
		if (!owner && atomic_compare_exchange_strong(&p->tid, &owner, tid))
			owner = tid;
		if (owner == tid)
			return p;
	}
	return NULL;
}

struct words {
	const uint8_t *bytes;
	uint64_t addr, end; /* multiples of 8 */
};

static uint64_t at(const struct words *w, uint64_t addr)
{
	uint64_t v;
	memcpy(&v, w->bytes + (addr - w->addr), 8);
	return v;
}

/* Is there room for a whole frame around fp? */
static bool inside(const struct words *w, uint64_t fp)
{
	return fp % 8 == 0 && fp >= w->addr + 40 && fp < w->end && w->end - fp >= 16;
}

static bool looks_like_js(const struct words *w, uint64_t fp)
{
	return (at(w, fp - 8) & 3) == 1 && v8_is_pointer(at(w, fp - 16));
}

/* Addresses of objects, untagged, distinct and in ascending order. */
struct objects {
	uint64_t items[MAX_OBJECTS];
	unsigned n;
};

static void add(struct objects *o, uint64_t addr)
{
	unsigned low = 0, high = o->n;
	while (low < high) {
		unsigned mid = (low + high) / 2;
		if (o->items[mid] < addr)
			low = mid + 1;
		else
			high = mid;
	}
	if ((low < o->n && o->items[low] == addr) || o->n == MAX_OBJECTS)
		return;
	memmove(o->items + low + 1, o->items + low, (o->n - low) * sizeof(o->items[0]));
	o->items[low] = addr;
	o->n++;
}

/* Frames with the words that tell what code runs in them. */
struct frames {
	struct {
		uint64_t function, keys[2];
	} items[MAX_OBJECTS];
	unsigned n;
};

static void add_frame(struct frames *f, const struct words *w, uint64_t fp, uint64_t pc)
{
	if (f->n == MAX_OBJECTS)
		return;
	f->items[f->n].function = at(w, fp - 16) - 1;
	f->items[f->n].keys[0] = at(w, fp - 32);
	f->items[f->n++].keys[1] = pc;
}

/* pc: of the frame at fp. */
static void find_functions(const struct words *w, uint64_t fp, uint64_t pc, uint64_t sp,
                           struct frames *frames)
{
	unsigned budget = MAX_FRAMES;
	uint64_t scan = (sp + 7) & ~7ULL;
	if (scan < w->addr + 40)
		scan = w->addr + 40;
	while (budget) {
		for (; inside(w, fp) && fp >= scan && budget; budget--) {
			if (looks_like_js(w, fp))
				add_frame(frames, w, fp, pc);
			scan = fp + 8;
			pc = at(w, scan);
			fp = at(w, fp);
		}
		/* The chain is broken: look for a frame whose caller's is further up. */
		for (fp = pc = 0; inside(w, scan); scan += 8) {
			uint64_t next = at(w, scan);
			if (next > scan && inside(w, next) && looks_like_js(w, scan)) {
				fp = scan;
				break;
			}
		}
		if (!fp)
			return;
	}
}

/* The copy of an object, or NULL. Asked in ascending order, so it begins where it found the last.
 */
static const uint8_t *copy_of(const struct snapshot *snap, uint64_t addr, uint32_t len,
                              unsigned *hint)
{
	for (unsigned i = 0; i < snap->n_regions; i++) {
		unsigned k = (*hint + i) % snap->n_regions;
		const struct region *r = &snap->regions[k];
		uint64_t offset = addr - r->addr;
		if (offset >= r->len || len > r->len - offset)
			continue;
		*hint = k;
		return snap->bytes + r->at + offset;
	}
	return NULL;
}

struct asking {
	const struct snapshot *snap;
	struct region *more;
	size_t n, max;
};

static void ask(struct asking *a, uint64_t addr, uint32_t len)
{
	struct region *last = a->n ? &a->more[a->n - 1] : NULL;
	if (last && addr >= last->addr && addr + len - last->addr < MERGE_BYTES + len) {
		if (addr + len > last->addr + last->len)
			last->len = (uint32_t)(addr + len - last->addr);
	} else if (a->n < a->max) {
		a->more[a->n++] = (struct region){addr, len, 0};
	}
}

/* Asks for those without a copy. Of those with one: the word at offset, as an address; or, if the
 * collector has moved the object, where it is now. */
static void follow(struct asking *a, const struct objects *from, uint32_t len, uint32_t offset,
                   struct objects *moved, struct objects *to)
{
	unsigned hint = 0;
	uint64_t map, word;
	for (unsigned i = 0; i < from->n; i++) {
		const uint8_t *p = copy_of(a->snap, from->items[i], len, &hint);
		if (!p) {
			ask(a, from->items[i], len);
			continue;
		}
		memcpy(&map, p, 8);
		memcpy(&word, p + offset, 8);
		if (!(map & 1) && map % 8 == 0 && map && map < V8_ADDR_MAX)
			add(moved, map);
		else if (to && v8_is_pointer(word))
			add(to, word - 1);
	}
}

static unsigned hint_slot(uint64_t key)
{
	return (unsigned)hash_u64(key) & (HINTS - 1);
}

/* Of frames whose functions have to be read: what these will most likely point to. */
static void expect(const struct prediction *p, const struct snapshot *snap,
                   const struct frames *frames, uint32_t len, struct objects *to)
{
	unsigned hint = 0;
	for (unsigned i = 0; i < frames->n; i++) {
		if (copy_of(snap, frames->items[i].function, len, &hint))
			continue;
		for (unsigned k = 0; k < 2; k++) {
			uint64_t key = frames->items[i].keys[k];
			unsigned slot = hint_slot(key);
			if (key && p->hints[slot].key == key)
				add(to, p->hints[slot].shared);
		}
	}
}

static void learn(struct prediction *p, const struct snapshot *snap, const struct frames *frames,
                  uint32_t at_shared)
{
	unsigned hint = 0;
	uint64_t shared;
	for (unsigned i = 0; i < frames->n; i++) {
		const uint8_t *copy =
		        copy_of(snap, frames->items[i].function, at_shared + 8, &hint);
		if (!copy)
			continue;
		memcpy(&shared, copy + at_shared, 8);
		for (unsigned k = 0; k < 2 && v8_is_pointer(shared); k++) {
			uint64_t key = frames->items[i].keys[k];
			unsigned slot = hint_slot(key);
			p->hints[slot].key = key;
			p->hints[slot].shared = shared - 1;
		}
	}
}

static void remember(struct prediction *p, const struct objects *o, uint32_t len)
{
	for (unsigned i = 0; i < o->n; i++) {
		uint64_t addr = o->items[i];
		if (p->n && addr >= p->regions[p->n - 1].addr &&
		    addr - p->regions[p->n - 1].addr < MERGE_BYTES) {
			uint64_t end = addr + len - p->regions[p->n - 1].addr;
			if (end > p->regions[p->n - 1].len)
				p->regions[p->n - 1].len = (uint32_t)end;
		} else if (p->n < MAX_PREDICTED) {
			p->regions[p->n].addr = addr;
			p->regions[p->n++].len = len;
		}
	}
}

size_t v8_gather(struct runtime *rt, unsigned round, const struct snapshot *snap,
                 struct region *more, size_t max)
{
	const struct v8 *v8 = v8_of(rt);
	struct prediction *p = prediction_of(v8->predictions, snap->tid);
	struct asking a = {snap, more, 0, max};
	if (!round) {
		for (uint32_t i = 0; p && i < p->n && i < max; i++)
			more[a.n++] = (struct region){p->regions[i].addr, p->regions[i].len, 0};
		return a.n;
	}
	if (round > MAX_ROUND || !snap->n_regions || snap->regions[0].len < 64)
		return 0;
	const struct region *stack = &snap->regions[0];
	uint64_t skip = -stack->addr % 8;
	struct words w = {snap->bytes + stack->at + skip, stack->addr + skip, 0};
	w.end = w.addr + (stack->len - skip) / 8 * 8;
	struct frames frames;
	frames.n = 0;
	struct objects functions, moved, shared, shared_moved;
	functions.n = moved.n = shared.n = shared_moved.n = 0;
	find_functions(&w, regs_known(&snap->regs, REG_FP) ? snap->regs.r[REG_FP] : 0,
	               regs_known(&snap->regs, REG_PC) ? snap->regs.r[REG_PC] : 0,
	               snap->regs.r[REG_SP], &frames);
	for (unsigned i = 0; i < frames.n; i++)
		add(&functions, frames.items[i].function);
	uint32_t at_shared = v8->layout.function_shared.at, len = at_shared + 8;
	follow(&a, &functions, len, at_shared, &moved, &shared);
	follow(&a, &moved, len, at_shared, &moved, &shared);
	if (a.n && p)
		expect(p, snap, &frames, len, &shared);
	follow(&a, &shared, V8_SHARED_BYTES, 0, &shared_moved, NULL);
	follow(&a, &shared_moved, V8_SHARED_BYTES, 0, &shared_moved, NULL);
	if (!a.n && p) {
		p->n = 0;
		remember(p, &functions, len);
		remember(p, &shared, V8_SHARED_BYTES);
		learn(p, snap, &frames, at_shared);
	}
	return a.n;
}
