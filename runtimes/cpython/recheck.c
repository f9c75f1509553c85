/* SPDX-License-Identifier: Apache-2.0 */
/* Whether code objects are still what they were, many in one read. What is settled is not looked at
 * in the pause: at 100 Hz a service runs through some hundred code objects in each 50 ms, and a
 * read of its own for each of them cost more than unwinding and naming together. */
#include <stdlib.h>

#include <csample/clock.h>
#include <csample/mem.h>

#include "places.h"

#define MANY             64
#define PART_BYTES       1024u /* for each place: its guard, and a gap before it */
#define MAX_HOT          1024
#define HOT_NS           250000000ull  /* used within this */
#define PAUSE_NS         10000000ull   /* between two looks at the hot ones */
#define SETTLE_NS        1000000000ull /* the least age of what the pause does not look at */
#define SETTLE_CHECKS    4
#define CHECKS_A_REFRESH 256
#define SETTLED_CHECKS   32 /* of them: who uses those, looks at them */

static int by_address(const void *a, const void *b)
{
	const struct place *x = *(struct place *const *)a, *y = *(struct place *const *)b;
	return (x->addr > y->addr) - (x->addr < y->addr);
}

/* What is near is read together: finding a page costs more than copying it. Between two places less
 * than a page apart all can be read, if they can. Returns the number of parts, which fill buf one
 * after the other; part_of says which one has a place. */
static size_t make_parts(const struct py *py, struct place *const *places, size_t n,
                         uint8_t buf[MANY * PART_BYTES], struct rmem_part parts[MANY],
                         uint8_t part_of[MANY])
{
	size_t size = py_guard_bytes(&py->layout), n_parts = 0;
	for (size_t i = 0; i < n; i++) {
		struct rmem_part *last = n_parts ? &parts[n_parts - 1] : NULL;
		uint64_t addr = places[i]->addr, grown = last ? addr + size - last->addr : 0;
		if (last && grown - last->len <= PART_BYTES) {
			last->len = grown;
		} else {
			uint8_t *to = last ? (uint8_t *)last->buf + last->len : buf;
			parts[n_parts++] = (struct rmem_part){addr, to, size};
		}
		part_of[i] = (uint8_t)(n_parts - 1);
	}
	return n_parts;
}

static bool is_same(struct py *py, const struct place *p, const uint8_t *bytes)
{
	uint64_t heads[PY_CODE_CONTENTS];
	if (py_guard_of(&py->layout, bytes) != p->guard)
		return false;
	if (py_code_has_version(py))
		return true;
	if (py_is_freed(&py->layout, bytes))
		return false;
	py_heads_of(py, NULL, bytes, heads);
	return py_heads_compare(heads, p->heads) == SAME;
}

/* Those that are no longer the same, or of which that is not sure, stay as they were: who uses them
 * looks closer. */
static void check(struct py *py, struct place **places, size_t n)
{
	struct rmem_part parts[MANY];
	uint8_t part_of[MANY];
	bool is_read[MANY];
	if (!n)
		return;
	_cleanup_free_ uint8_t *buf = mem_alloc(n * PART_BYTES);
	qsort(places, n, sizeof(struct place *), by_address);
	size_t n_parts = make_parts(py, places, n, buf, parts, part_of);
	uint64_t now = now_ns();
	for (size_t done = 0; done < n_parts; done++) {
		size_t got = rmem_read_many(py->base.target->rm, parts + done, n_parts - done);
		for (size_t i = 0; i < got; i++)
			is_read[done + i] = true;
		done += got;
		if (done < n_parts)
			is_read[done] = false;
	}
	for (size_t i = 0; i < n; i++) {
		const struct rmem_part *part = &parts[part_of[i]];
		const uint8_t *bytes = (uint8_t *)part->buf + (places[i]->addr - part->addr);
		if (is_read[part_of[i]] && is_same(py, places[i], bytes))
			places[i]->checked_ns = places[i]->content_checked_ns = now;
	}
}

void py_recheck_note(struct py_codes *c, struct place *p)
{
	if (p->hot || c->hot.n >= MAX_HOT)
		return;
	p->hot = true;
	*vec_add(&c->hot) = p->addr;
}

void py_recheck_hot(struct py *py)
{
	struct py_codes *c = py->codes;
	struct place *places[MANY];
	uint64_t now = now_ns();
	size_t kept = 0, n = 0;
	if (now - c->recheck_ns < PAUSE_NS)
		return;
	c->recheck_ns = now;
	c->n_rechecks++;
	for (size_t i = 0; i < c->hot.n; i++) {
		struct place *p = py_place_find(c, c->hot.items[i]);
		/* Its place may have been given to another code, and be listed twice. */
		if (!p || p->recheck == c->n_rechecks)
			continue;
		p->recheck = c->n_rechecks;
		p->hot = p->settled && c->now_ns - p->used_ns < HOT_NS;
		if (!p->hot)
			continue;
		c->hot.items[kept++] = p->addr;
		places[n++] = p;
		if (n == MANY) {
			check(py, places, n);
			n = 0;
		}
	}
	c->hot.n = kept;
	check(py, places, n);
}

/* Looked at closely, each by itself, where it has no number of its own. */
static void judge(struct py *py, struct place *p, uint64_t before_ns)
{
	struct py_codes *c = py->codes;
	bool same = py_code_has_version(py) && p->checked_ns >= before_ns;
	if (!same && !py_place_still_there(py, p))
		py_place_forget(c, p);
	else if (++p->checks >= SETTLE_CHECKS && c->now_ns - p->since_ns >= SETTLE_NS &&
	         !p->settled)
		p->settled = py_settled_add(c->settled, p->addr);
}

void py_recheck_some(struct py *py)
{
	struct py_codes *c = py->codes;
	struct place *places[MANY];
	size_t left = c->places.n < CHECKS_A_REFRESH ? c->places.n : CHECKS_A_REFRESH, settled = 0;
	while (left) {
		size_t n = 0;
		uint64_t now = now_ns();
		for (; left && n < MANY; left--) {
			struct place *p = &c->places.items[c->next_check++ % c->places.n];
			if (p->code && (!p->settled || settled++ < SETTLED_CHECKS))
				places[n++] = p;
		}
		if (py_code_has_version(py))
			check(py, places, n);
		for (size_t i = 0; i < n; i++)
			judge(py, places[i], now);
	}
}
