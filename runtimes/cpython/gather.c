/* SPDX-License-Identifier: Apache-2.0 */
/* In the pause. Round 0 asks for what the last capture of the thread used:
 *
 *   thread state(s)   lock and finalizing words   data-stack chunks, as far as they were used
 *   pages of the frames that lay elsewhere lately: frame objects, generators
 *   guard words of code objects that are not settled, and what they point to (young.c)
 *
 * Later rounds follow the chain (chain.c) through the copy and ask for what it lacks: the data
 * stack up to its top, the chunk before, the page of a frame; at the end, guards of code not seen
 * before, and what they point to. Nothing here allocates, locks or
 * calls the kernel; every array has a bound, and a chain that does not fit is left as it is, for
 * walk.c to tell. */
#include "gather.h"

#include <string.h>

#include <csample/mem.h>

#include "chain.h"

#define PAGE             4096u
#define MAX_CHUNKS       24
#define MAX_PAGES        256
#define MAX_PAGE_REGIONS 128
#define MAX_STEPS        65536      /* of one capture: what fits into a copy, and more */
#define MAX_C_STACK      (1u << 20) /* above the stack pointer: not a frame object */
#define MAX_REGION       32768u     /* what does not fit is left out region by region */
#define CHUNK_BYTES      16384u     /* Include/cpython/pystate.h: DATA_STACK_CHUNK_SIZE */
#define CHUNK_SLACK      1024u      /* the newest chunk may be used further than lately */
#define PERIOD           16 /* captures: what was used of a page in the last two is asked for */
#define MAX_SETTLED      128
#define SETTLED_AGE      64 /* captures after which it is asked again whether code is settled */

/* The used part of a page: in this period, and in the one before. */
struct page {
	uint64_t addr;
	uint16_t lo, hi, lo_before, hi_before;
	/* How likely it is used again, of 256. A page in vain costs a region, a page missed a read
	 * of its own, which takes some five times as long. */
	uint16_t heat;
	bool used; /* in the last capture */
};
#define HEAT_NEW 72
#define HEAT_ASK 40

struct chunk {
	uint64_t addr;
	uint32_t len, size; /* used of it; all of it */
	bool newest;        /* of its thread state: how far it is used changes all the time */
};

struct py_prediction {
	struct page pages[MAX_PAGES]; /* sorted */
	unsigned n_pages;
	struct chunk chunks[MAX_CHUNKS], chunks_now[MAX_CHUNKS];
	unsigned n_chunks, n_chunks_now;
	struct py_young young;
	/* Code that was settled, in the order of the last chain: looking it up costs cache misses.
	 */
	struct settled {
		uint64_t codes[MAX_SETTLED];
		unsigned n;
	} settled[2];
	unsigned settled_now, at_settled; /* settled[settled_now] is being made */
	unsigned captures;
	bool no_join; /* what lies between two pages of ours cannot be read */

	/* The capture under way. */
	const struct snapshot *snap;
	struct py_chain chain;
	unsigned state; /* the one that chain belongs to */
	bool begun, done, guarded;
	unsigned steps;
	uint32_t bytes;     /* asked for so far */
	uint64_t asked;     /* where the chain did not go on last time */
	uint64_t last_code; /* the same again needs no look */
	unsigned last_page; /* index of the page noted last */
};

struct py_prediction *py_prediction_create(void)
{
	return mem_zalloc(sizeof(struct py_prediction));
}

void py_ask(struct asking *a, uint64_t addr, uint64_t len, uint32_t limit)
{
	if (!addr || !len || len > limit || a->bytes > limit - len || a->n == a->max)
		return;
	a->more[a->n++] = (struct region){.addr = addr, .len = (uint32_t)len};
	a->bytes += (uint32_t)len;
}

bool py_lock_words(const struct py *py, const struct py_thread *th, unsigned i, uint64_t *locked,
                   uint64_t *holder)
{
	const struct py_layout *l = &py->layout;
	struct field f_locked = l->lock.locked, f_holder = l->lock.holder;
	if (!th->locks[i] || field_known(l->thread.holds_lock))
		return false;
	if (l->lock_at == LOCK_RUNTIME) {
		f_locked = l->runtime.lock_locked;
		f_holder = l->runtime.lock_holder;
	}
	if (l->lock_at == LOCK_CURRENT) {
		*locked = *holder = th->locks[i];
		return true;
	}
	*locked = th->locks[i] + f_locked.at;
	*holder = th->locks[i] + f_holder.at;
	return field_known(f_locked) && field_known(f_holder);
}

uint64_t py_finalizing_word(const struct py *py)
{
	struct field f = py->layout.runtime.finalizing;
	return py->roots.runtime && field_known(f) ? py->roots.runtime + f.at : 0;
}

/* ---- pages of frames that lie outside the data stack ---- */

static unsigned page_index(const struct py_prediction *p, uint64_t addr)
{
	unsigned lo = 0, hi = p->n_pages;
	while (lo < hi) {
		unsigned mid = (lo + hi) / 2;
		if (p->pages[mid].addr < addr)
			lo = mid + 1;
		else
			hi = mid;
	}
	return lo;
}

static void forget_coldest(struct py_prediction *p)
{
	unsigned coldest = 0;
	for (unsigned i = 1; i < p->n_pages; i++)
		if (p->pages[i].heat < p->pages[coldest].heat)
			coldest = i;
	memmove(p->pages + coldest, p->pages + coldest + 1,
	        (p->n_pages - coldest - 1) * sizeof(*p->pages));
	p->n_pages--;
}

static void note_page(struct py_prediction *p, uint64_t addr, uint16_t lo, uint16_t hi)
{
	unsigned i = p->last_page;
	if (i >= p->n_pages || p->pages[i].addr != addr)
		i = p->last_page = page_index(p, addr);
	if (i < p->n_pages && p->pages[i].addr == addr) {
		struct page *page = &p->pages[i];
		page->lo = lo < page->lo ? lo : page->lo;
		page->hi = hi > page->hi ? hi : page->hi;
		page->used = true;
		return;
	}
	if (p->n_pages == MAX_PAGES) {
		forget_coldest(p);
		i = p->last_page = page_index(p, addr);
	}
	memmove(p->pages + i + 1, p->pages + i, (p->n_pages - i) * sizeof(*p->pages));
	p->pages[i] = (struct page){addr, lo, hi, PAGE, 0, HEAT_NEW, false};
	p->n_pages++;
}

/* Where a frame lay; len is less than a page. */
static void note_frame(struct py_prediction *p, uint64_t addr, uint32_t len)
{
	uint64_t page = addr & ~(uint64_t)(PAGE - 1);
	uint32_t lo = (uint32_t)(addr - page), hi = lo + len;
	note_page(p, page, (uint16_t)lo, (uint16_t)(hi < PAGE ? hi : PAGE));
	if (hi > PAGE)
		note_page(p, page + PAGE, 0, (uint16_t)(hi - PAGE));
}

/* False: forgotten. */
static bool age_page(struct page *page, bool new_period)
{
	page->heat = page->used ? page->heat + (256 - page->heat) / 4
	                        : page->heat - (page->heat + 7) / 8;
	page->used = false;
	if (new_period) {
		page->lo_before = page->lo;
		page->hi_before = page->hi;
		page->lo = PAGE;
		page->hi = 0;
	}
	return page->hi > page->lo || page->hi_before > page->lo_before;
}

static void ask_pages(struct py_prediction *p, struct asking *a)
{
	uint64_t start = 0, end = 0;
	unsigned kept = 0, regions = 0;
	bool new_period = ++p->captures % PERIOD == 0;
	for (unsigned i = 0; i < p->n_pages; i++) {
		struct page page = p->pages[i];
		if (!age_page(&page, new_period))
			continue;
		p->pages[kept++] = page;
		if (page.heat < HEAT_ASK)
			continue;
		uint64_t lo = page.addr + (page.lo < page.lo_before ? page.lo : page.lo_before);
		uint64_t hi = page.addr + (page.hi > page.hi_before ? page.hi : page.hi_before);
		/* A frame may lie across: pages that touch are one region, or overlap. */
		bool touches = end && lo == end;
		bool joins = touches || (end && !p->no_join && lo - end <= JOIN_GAP);
		if (joins && hi - start <= MAX_REGION) {
			end = hi;
			continue;
		}
		if (regions++ < MAX_PAGE_REGIONS)
			py_ask(a, start, end - start, PREDICT_BYTES);
		start = touches ? lo - PY_MAX_FRAME_BYTES : lo;
		end = hi;
	}
	p->n_pages = kept;
	if (regions <= MAX_PAGE_REGIONS)
		py_ask(a, start, end - start, PREDICT_BYTES);
}

/* ---- round 0 ---- */

/* The finalizing word only where it costs nothing: walk.c reads it live otherwise. */
static void ask_lock(const struct py *py, const struct py_thread *th, struct asking *a)
{
	uint64_t locked, holder, finalizing = py_finalizing_word(py);
	for (unsigned i = 0; i < th->n_states; i++) {
		if ((i && th->locks[i] == th->locks[i - 1]) ||
		    !py_lock_words(py, th, i, &locked, &holder))
			continue;
		uint64_t lo = locked < holder ? locked : holder;
		uint64_t hi = (locked > holder ? locked : holder) + 8;
		if (finalizing && finalizing < lo && lo - finalizing <= JOIN_GAP) {
			lo = finalizing;
			finalizing = 0;
		}
		if (hi - lo <= PAGE)
			py_ask(a, lo, hi - lo, PREDICT_BYTES);
	}
}

static void ask_chunks(struct py_prediction *p, struct asking *a)
{
	for (unsigned i = 0; i < p->n_chunks_now; i++) {
		struct chunk *now = &p->chunks_now[i];
		/* Room for the deepest of late. */
		for (unsigned k = 0; k < p->n_chunks && now->newest; k++) {
			uint32_t before = p->chunks[k].len - p->chunks[k].len / 16;
			if (p->chunks[k].addr == now->addr && before > now->len &&
			    before <= now->size)
				now->len = before;
		}
		uint32_t slack = now->newest ? CHUNK_SLACK : 0;
		if (slack > now->size - now->len)
			slack = now->size - now->len;
		py_ask(a, now->addr, now->len + slack, PREDICT_BYTES);
	}
	memcpy(p->chunks, p->chunks_now, p->n_chunks_now * sizeof(*p->chunks));
	p->n_chunks = p->n_chunks_now;
	p->n_chunks_now = 0;
}

static void predict(struct py *py, const struct py_thread *th, const struct snapshot *snap,
                    struct asking *a)
{
	struct py_prediction *p = th->predicted;
	p->snap = snap;
	p->begun = p->done = p->guarded = false;
	p->state = p->steps = 0;
	p->asked = p->last_code = 0;
	if (p->captures % SETTLED_AGE == 0)
		p->settled[p->settled_now].n = 0;
	p->settled_now ^= 1;
	p->settled[p->settled_now].n = p->at_settled = 0;
	for (unsigned i = 0; i < th->n_states; i++)
		py_ask(a, th->states[i], py_state_span(&py->layout), PREDICT_BYTES);
	ask_lock(py, th, a);
	ask_chunks(p, a);
	py_young_predict(&p->young, a);
	ask_pages(p, a);
}

/* ---- later rounds ---- */

/* Something that was predicted could not be read to its end: it is not asked for again. */
static void forget_unreadable(struct py_prediction *p, struct py_view *view)
{
	unsigned kept = 0;
	for (unsigned i = 0; i < p->n_pages; i++) {
		struct page page = p->pages[i];
		uint16_t lo = page.lo < page.lo_before ? page.lo : page.lo_before;
		uint16_t hi = page.hi > page.hi_before ? page.hi : page.hi_before;
		if (page.heat < HEAT_ASK || py_view_at(view, page.addr + lo, hi - lo))
			p->pages[kept++] = page;
	}
	p->no_join |= kept < p->n_pages;
	p->n_pages = kept;
}

/* The chunks of the data stack that chain belongs to, as far as they are known. */
static void note_chunks(struct py_prediction *p, const struct py_layout *l, struct py_view *view)
{
	uint64_t addr = p->chain.chunk;
	struct obj header;
	for (bool newest = true; addr && p->n_chunks_now < MAX_CHUNKS; newest = false) {
		uint64_t size = 0, top = 0, previous = 0, len;
		if (!l->chunk.data || !py_view_obj(view, addr, l->chunk.data, &header))
			return;
		obj_get(header, l->chunk.size, &size);
		obj_get(header, l->chunk.top, &top);
		obj_get(header, l->chunk.previous, &previous);
		if (size < l->chunk.data || size > GATHER_MAX_COPY)
			return;
		len = newest ? p->chain.top - addr : l->chunk.data + (top < size ? top * 8 : size);
		if (len > size)
			len = size;
		p->chunks_now[p->n_chunks_now++] =
		        (struct chunk){addr, (uint32_t)len, (uint32_t)size, newest};
		addr = previous == addr ? 0 : previous;
	}
}

/* Where the chain goes on: in the data stack, all of it up to there; else the page, since the
 * neighbours of a frame object are frame objects. */
static void ask_missing(struct py_prediction *p, const struct py_layout *l, struct py_view *view,
                        struct asking *a)
{
	uint64_t addr = p->chain.missing.addr, end = addr + p->chain.missing.len;
	uint64_t chunk = p->chain.chunk, page = addr & ~(uint64_t)(PAGE - 1);
	for (unsigned i = 0; chunk && l->chunk.data && i < MAX_CHUNKS; i++) {
		struct obj header;
		uint64_t size = CHUNK_BYTES, previous = 0;
		bool copied = py_view_obj(view, chunk, l->chunk.data, &header);
		if (copied) {
			obj_get(header, l->chunk.size, &size);
			obj_get(header, l->chunk.previous, &previous);
		}
		bool here = addr >= chunk && addr - chunk < size;
		if (!i && p->chain.top > chunk && (here || !copied))
			py_ask(a, chunk, p->chain.top - chunk, GATHER_MAX_COPY);
		else if (here)
			py_ask(a, chunk, end - chunk, GATHER_MAX_COPY);
		if (here)
			return;
		chunk = previous;
	}
	py_ask(a, page, (end > page + PAGE ? end : page + PAGE) - page, GATHER_MAX_COPY);
	uint64_t sp = p->snap->regs.r[REG_SP];
	if (addr - sp >= MAX_C_STACK && p->chain.missing.len < PAGE)
		note_frame(p, addr, p->chain.missing.len);
}

/* py_code_is_settled(), for the most part by what it said lately. */
static bool is_settled(struct py *py, struct py_prediction *p, uint64_t code)
{
	const struct settled *before = &p->settled[!p->settled_now];
	struct settled *now = &p->settled[p->settled_now];
	unsigned i = p->at_settled;
	if (i >= before->n || before->codes[i] != code)
		for (i = 0; i < before->n && before->codes[i] != code; i++)
			;
	bool known = i < before->n;
	if (known)
		p->at_settled = i + 1;
	if (!known && !py_code_is_settled(py->codes, code))
		return false;
	if (now->n < MAX_SETTLED)
		now->codes[now->n++] = code;
	return true;
}

static void note_link(struct py *py, struct py_prediction *p, const struct py_link *link)
{
	const struct py_layout *l = &py->layout;
	if (link->in_generator || l->groups == GROUPS_EACH)
		note_frame(p, link->addr, py_frame_span(l));
	if (link->code == p->last_code)
		return;
	p->last_code = link->code;
	if (!is_settled(py, p, link->code))
		py_young_note(&p->young, link->code);
}

/* Begins with the state that is next, if it is there and is still what it was. */
static bool begin_state(struct py *py, const struct py_thread *th, struct py_view *view)
{
	struct py_prediction *p = th->predicted;
	struct obj state;
	uint64_t interp = 0, addr = th->states[p->state];
	if (!py_view_obj(view, addr, py->layout.thread.size, &state) ||
	    !obj_get(state, py->layout.thread.interp, &interp) || interp != th->interps[p->state] ||
	    !py_state_usable(&py->layout, state) ||
	    (p->state >= th->n_own &&
	     py_place_of(&py->layout, view, th, addr, state) != PLACE_HERE))
		return false;
	py_chain_start(&p->chain, &py->layout, addr, state);
	p->asked = 0;
	return true;
}

/* Follows one state's chain. True: it is done with; false: something is missing and asked for. */
static bool follow(struct py *py, struct py_prediction *p, struct py_view *view, struct asking *a)
{
	struct py_link link;
	while (p->steps++ < MAX_STEPS) {
		switch (py_chain_next(&p->chain, view, &link)) {
		case STEP_FRAME:
			note_link(py, p, &link);
			break;
		case STEP_BOUNDARY:
		case STEP_RESTART:
			break;
		case STEP_END:
		case STEP_BAD:
			return true;
		case STEP_MISSING:
			if (p->chain.missing.addr != p->asked) {
				p->asked = p->chain.missing.addr;
				ask_missing(p, &py->layout, view, a);
				if (a->n)
					return false;
			}
			/* It cannot be read, or there is no room. */
			if (p->chain.frames || !py_chain_restart(&p->chain, view))
				return true;
			break;
		}
	}
	return true;
}

static void go_on(struct py *py, const struct py_thread *th, unsigned round, struct py_view *view,
                  struct asking *a)
{
	struct py_prediction *p = th->predicted;
	if (round == 1 && p->snap->reads > 1)
		forget_unreadable(p, view);
	while (p->state < th->n_states) {
		if (!p->begun && !begin_state(py, th, view)) {
			p->state++;
			continue;
		}
		p->begun = true;
		if (!follow(py, p, view, a))
			return;
		note_chunks(p, &py->layout, view);
		p->begun = false;
		p->state++;
	}
	if (!p->guarded) {
		p->guarded = true;
		py_young_ask_guards(py, &p->young, view, a);
		if (a->n)
			return;
	}
	p->done = true;
	py_young_ask_contents(py, &p->young, view, a);
}

size_t py_gather(struct runtime *rt, unsigned round, const struct snapshot *snap,
                 struct region *more, size_t max)
{
	struct py *py = py_of(rt);
	struct asking a = {.more = more, .max = max};
	py_threads_enter(py->threads);
	const struct py_thread *th = py_threads_find(py->threads, snap->tid);
	if (th && !round) {
		predict(py, th, snap, &a);
	} else if (th && th->predicted->snap == snap && !th->predicted->done) {
		struct py_view view = {.snap = snap};
		a.bytes = th->predicted->bytes;
		go_on(py, th, round, &view, &a);
	}
	if (th)
		th->predicted->bytes = a.bytes;
	py_threads_leave(py->threads);
	return a.n;
}
