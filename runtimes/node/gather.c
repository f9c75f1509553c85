/* SPDX-License-Identifier: Apache-2.0 */
/* In the pause: the words of each JSFunction on the stack that lead to what does not move as often.
 * Functions are young objects; the next scavenge takes them elsewhere.
 *
 * Which words of the stack they are, the frame pointers tell: all code of V8 keeps them. C++ on top
 * may not; where their chain breaks, the next frame that looks like JavaScript's is searched. What
 * is asked for in vain costs a few bytes; what was missed is read after the pause. */
#include <string.h>

#include "node.h"

#define MAX_FUNCTIONS 128
#define MAX_FRAMES    1024
#define MERGE_BYTES   256 /* functions so near to each other come as one region */

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

/* Distinct, in ascending order. */
struct functions {
	uint64_t items[MAX_FUNCTIONS];
	unsigned n;
};

static void add(struct functions *f, uint64_t tagged)
{
	unsigned i = f->n;
	while (i && f->items[i - 1] > tagged)
		i--;
	if ((i && f->items[i - 1] == tagged) || f->n == MAX_FUNCTIONS)
		return;
	memmove(f->items + i + 1, f->items + i, (f->n - i) * sizeof(f->items[0]));
	f->items[i] = tagged;
	f->n++;
}

static void find_functions(const struct words *w, uint64_t fp, uint64_t sp, struct functions *f)
{
	unsigned budget = MAX_FRAMES;
	uint64_t scan = (sp + 7) & ~7ULL;
	if (scan < w->addr + 40)
		scan = w->addr + 40;
	while (budget) {
		for (; inside(w, fp) && fp >= scan && budget; budget--) {
			if (looks_like_js(w, fp))
				add(f, at(w, fp - 16));
			scan = fp + 8;
			fp = at(w, fp);
		}
		/* The chain is broken: look for a frame whose caller's is further up. */
		for (fp = 0; inside(w, scan); scan += 8) {
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

size_t v8_gather(struct runtime *rt, unsigned round, const struct snapshot *snap,
                 struct region *more, size_t max)
{
	const struct v8 *v8 = v8_of(rt);
	if (round > 1 || !snap->n_regions || snap->regions[0].len < 64)
		return 0;
	/* Asked before and after the stack was read: once is enough. */
	if (round == 1 && snap->n_regions > 1)
		return 0;
	const struct region *stack = &snap->regions[0];
	uint64_t skip = -stack->addr % 8;
	struct words w = {snap->bytes + stack->at + skip, stack->addr + skip, 0};
	w.end = w.addr + (stack->len - skip) / 8 * 8;
	struct functions f = {.n = 0};
	find_functions(&w, regs_known(&snap->regs, REG_FP) ? snap->regs.r[REG_FP] : 0,
	               snap->regs.r[REG_SP], &f);
	uint32_t size = v8->layout.function_shared.at + 8;
	size_t n = 0;
	for (unsigned i = 0; i < f.n; i++) {
		uint64_t addr = f.items[i] - 1;
		if (n && addr - more[n - 1].addr < MERGE_BYTES + size) {
			more[n - 1].len = (uint32_t)(addr + size - more[n - 1].addr);
			continue;
		}
		if (n == max)
			break;
		more[n++] = (struct region){addr, size, 0};
	}
	return n;
}
