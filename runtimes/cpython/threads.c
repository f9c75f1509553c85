/* SPDX-License-Identifier: Apache-2.0 */
/* interpreters.head -> PyInterpreterState -> threads.head -> PyThreadState -> next -> ... -> NULL
 *
 * The lists are read while the process runs: each step is checked by what points back (interp,
 * prev), and a walk that does not fit is repeated. What is found is published as a table that never
 * changes; the next one replaces it, and what samplers may still see is freed when none is inside
 * py_gather(). */
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include <csample/clock.h>
#include <csample/hash.h>
#include <csample/vec.h>

#include "cpython.h"
#include "gather.h"

#define REFRESH_NS      1000000000ULL /* even when no list has a new head */
#define MISSING_MIN_NS  10000000ULL
#define MISSING_MAX_NS  1000000000ULL
#define WALK_TRIES      3
#define MAX_STATE_BYTES 4096

struct table {
	size_t mask;
	struct py_thread *slots[];
};

struct state {
	uint64_t addr, interp, ident, lock;
	pid_t native; /* in the target's pid namespace; 0: not known */
	pid_t tid;    /* 0: of no thread of the process */
	bool wanders; /* any thread may run it: the one it names has others as well */
};

struct walk {
	struct py *py;
	VEC(struct state) states;
	struct map64 tids;  /* of the process: tid in its pid namespace -> tid */
	VEC(pid_t) threads; /* the same */
};

struct py_threads {
	_Atomic(struct table *) table;
	_Atomic unsigned inside; /* samplers that look at table */
	VEC(struct py_thread *) all;
	VEC(void *) garbage;  /* was in sight of samplers */
	struct map64 ns_tids; /* tid -> tid in the target's pid namespace */
	uint64_t heads;       /* hash of the lists' heads when last walked */
	uint64_t walked_ns, missing_ns, missing_wait_ns;
	uint32_t tid_at; /* in struct pthread */
	bool had_interpreters;
};

static struct table *table_create(struct py_thread **all, size_t n)
{
	size_t cap = 64;
	while (cap < n * 2)
		cap *= 2;
	struct table *t = mem_zalloc(sizeof(*t) + cap * sizeof(t->slots[0]));
	t->mask = cap - 1;
	for (size_t i = 0; i < n; i++) {
		size_t at = hash_u64((uint64_t)all[i]->tid) & t->mask;
		while (t->slots[at])
			at = (at + 1) & t->mask;
		t->slots[at] = all[i];
	}
	return t;
}

struct py_threads *py_threads_create(void)
{
	struct py_threads *t = mem_zalloc(sizeof(*t));
	atomic_store(&t->table, table_create(NULL, 0));
	return t;
}

/* Nobody is inside: who comes later sees the table of now. */
static void collect(struct py_threads *t)
{
	if (atomic_load(&t->inside))
		return;
	for (size_t i = 0; i < t->garbage.n; i++)
		free(t->garbage.items[i]);
	t->garbage.n = 0;
}

void py_threads_destroy(struct py_threads *t)
{
	if (!t)
		return;
	for (size_t i = 0; i < t->garbage.n; i++)
		free(t->garbage.items[i]);
	for (size_t i = 0; i < t->all.n; i++) {
		free(t->all.items[i]->predicted);
		free(t->all.items[i]);
	}
	vec_free(&t->all);
	vec_free(&t->garbage);
	map64_free(&t->ns_tids);
	free(atomic_load(&t->table));
	free(t);
}

void py_threads_enter(struct py_threads *t)
{
	atomic_fetch_add(&t->inside, 1);
}

void py_threads_leave(struct py_threads *t)
{
	atomic_fetch_sub(&t->inside, 1);
}

struct py_thread *py_threads_find(struct py_threads *t, pid_t tid)
{
	struct table *table = atomic_load(&t->table);
	for (size_t at = hash_u64((uint64_t)tid);; at++) {
		struct py_thread *th = table->slots[at & table->mask];
		if (!th || th->tid == tid)
			return th;
	}
}

struct py_thread *py_threads_at(struct py_threads *t, size_t i)
{
	return i < t->all.n ? t->all.items[i] : NULL;
}

/* ---- the interpreters' lists ---- */

static bool read_bytes(struct py *py, uint64_t addr, void *buf, size_t len)
{
	struct err *err = rmem_read(py->base.target->rm, addr, buf, len);
	bool ok = !err;
	err_free(err);
	return ok;
}

static bool read_field(struct py *py, uint64_t addr, struct field f, uint64_t *ret)
{
	uint8_t bytes[8];
	if (!f.width || f.width > sizeof(bytes) || !read_bytes(py, addr + f.at, bytes, f.width))
		return false;
	return obj_get((struct obj){bytes, f.width}, (struct field){0, f.width}, ret);
}

bool py_state_usable(const struct py_layout *l, struct obj state)
{
	uint64_t status = 0, initialized = 1, ident = 0;
	obj_get(state, l->thread.status, &status);
	obj_get(state, l->thread.initialized, &initialized);
	obj_get(state, l->thread.thread_id, &ident);
	return !(status & l->status_unusable) && initialized && ident;
}

/* False: not a thread state of this interpreter behind prev, or no longer. */
static bool walk_state(struct walk *w, uint64_t addr, uint64_t interp, uint64_t prev, uint64_t lock,
                       uint64_t *next)
{
	const struct py_layout *l = &w->py->layout;
	uint8_t bytes[MAX_STATE_BYTES];
	struct obj o = {bytes, l->thread.size};
	uint64_t owner = 0, before = prev, native = 0, ident = 0;
	if (l->thread.size > sizeof(bytes) || !read_bytes(w->py, addr, bytes, l->thread.size))
		return false;
	obj_get(o, l->thread.prev, &before);
	if (before != prev || !obj_get(o, l->thread.interp, &owner) || owner != interp ||
	    !obj_get(o, l->thread.next, next))
		return false;
	obj_get(o, l->thread.thread_id, &ident);
	obj_get(o, l->thread.native_thread_id, &native);
	if (py_state_usable(l, o))
		*vec_add(&w->states) = (struct state){.addr = addr,
		                                      .interp = interp,
		                                      .ident = ident,
		                                      .lock = lock,
		                                      .native = (pid_t)native};
	return true;
}

static uint64_t lock_of(struct py *py, uint64_t interp)
{
	uint64_t lock = 0;
	switch (py->layout.lock_at) {
	case LOCK_RUNTIME:
		return py->roots.runtime;
	case LOCK_INTERP:
		read_field(py, interp, py->layout.interp.lock, &lock);
		return lock;
	case LOCK_CURRENT:
		return py->roots.current;
	}
	return 0;
}

/* False: torn. */
static bool walk_interpreters(struct walk *w)
{
	struct py *py = w->py;
	const struct py_layout *l = &py->layout;
	uint64_t interp = 0;
	w->states.n = 0;
	if (!read_field(py, py->roots.head, (struct field){0, 8}, &interp))
		return false;
	for (unsigned i = 0; interp && i < PY_MAX_INTERPRETERS; i++) {
		uint64_t state = 0, prev = 0, next_interp = 0, next = 0;
		if (!read_field(py, interp, l->interp.next, &next_interp) ||
		    !read_field(py, interp, l->interp.threads_head, &state))
			return false;
		uint64_t lock = lock_of(py, interp);
		while (state && w->states.n < PY_MAX_THREADS) {
			if (!walk_state(w, state, interp, prev, lock, &next) || next == state)
				return false;
			prev = state;
			state = next;
		}
		interp = next_interp == interp ? 0 : next_interp;
	}
	return true;
}

/* Changes whenever an interpreter or thread state is added. 0: no interpreters. */
static uint64_t hash_heads(struct py *py, bool *readable)
{
	uint64_t interp = 0, hash = 0, state = 0;
	*readable = read_field(py, py->roots.head, (struct field){0, 8}, &interp);
	for (unsigned i = 0; *readable && interp && i < PY_MAX_INTERPRETERS; i++) {
		hash = hash_mix(hash, interp) | 1;
		if (!read_field(py, interp, py->layout.interp.threads_head, &state))
			break;
		hash = hash_mix(hash, state) | 1;
		if (!read_field(py, interp, py->layout.interp.next, &interp))
			break;
	}
	return hash;
}

/* ---- which thread of the kernel's a thread state is ---- */

static void list_tids(struct walk *w)
{
	struct py_threads *t = w->py->threads;
	struct target *target = w->py->base.target;
	pid_t *tids = NULL;
	size_t n = 0;
	err_free(target_threads(target, &tids, &n));
	struct map64 ns_tids = {0}; /* of threads that are still there */
	for (size_t i = 0; i < n; i++) {
		const uint64_t *known = map64_get(&t->ns_tids, (uint64_t)tids[i]);
		uint64_t ns_tid = known ? *known : (uint64_t)target_thread_ns_id(target, tids[i]);
		*map64_put(&ns_tids, (uint64_t)tids[i]) = ns_tid;
		*map64_put(&w->tids, ns_tid) = (uint64_t)tids[i];
		*vec_add(&w->threads) = tids[i];
	}
	map64_free(&t->ns_tids);
	t->ns_tids = ns_tids;
	free(tids);
}

static pid_t tid_of_native(const struct walk *w, uint64_t native)
{
	const uint64_t *tid = native ? map64_get(&w->tids, native) : NULL;
	return tid ? (pid_t)*tid : 0;
}

static uint32_t find_tid_offset(struct walk *w)
{
	uint64_t idents[PY_IDENTS];
	size_t n = w->states.n < PY_IDENTS ? w->states.n : PY_IDENTS;
	for (size_t i = 0; i < n; i++)
		idents[i] = w->states.items[i].ident;
	return py_tid_offset(w->py->base.target->rm, idents, n, &w->tids);
}

static void find_tids(struct walk *w)
{
	struct py_threads *t = w->py->threads;
	bool native = field_known(w->py->layout.thread.native_thread_id);
	for (int again = 0; again < 2; again++) {
		size_t found = 0;
		if (!native && (!t->tid_at || again))
			t->tid_at = find_tid_offset(w);
		for (size_t i = 0; i < w->states.n; i++) {
			struct state *s = &w->states.items[i];
			uint64_t tid = 0;
			if (!native && t->tid_at &&
			    read_field(w->py, s->ident, (struct field){t->tid_at, 4}, &tid))
				s->native = (pid_t)tid;
			s->tid = s->native > 0 ? tid_of_native(w, (uint64_t)s->native) : 0;
			found += s->tid != 0;
		}
		if (native || found || !w->states.n)
			break;
	}
}

/* ---- what is published ---- */

static bool same(const struct py_thread *a, const struct py_thread *b)
{
	size_t n = a->n_states * sizeof(a->states[0]);
	return a->ns_tid == b->ns_tid && a->n_own == b->n_own && a->n_states == b->n_states &&
	       !memcmp(a->natives, b->natives, a->n_states * sizeof(a->natives[0])) &&
	       !memcmp(a->states, b->states, n) && !memcmp(a->interps, b->interps, n) &&
	       !memcmp(a->locks, b->locks, n) && !memcmp(a->idents, b->idents, n);
}

static void add_state(struct py_thread *th, const struct state *s)
{
	/* Of too many the last is the oldest, in the interpreter that there was first. */
	unsigned at = th->n_states < PY_MAX_STATES ? th->n_states++ : PY_MAX_STATES - 1;
	th->states[at] = s->addr;
	th->interps[at] = s->interp;
	th->locks[at] = s->lock;
	th->idents[at] = s->ident;
	th->natives[at] = s->native;
}

struct made {
	VEC(struct py_thread *) all;
	struct map64 by_tid; /* -> index in all + 1 */
};

static struct py_thread *made_for(struct made *m, pid_t tid, pid_t ns_tid)
{
	uint64_t *at = map64_put(&m->by_tid, (uint64_t)tid);
	if (!*at) {
		struct py_thread *fresh = mem_zalloc(sizeof(*fresh));
		fresh->tid = tid;
		fresh->ns_tid = ns_tid;
		*vec_add(&m->all) = fresh;
		*at = m->all.n;
	}
	return m->all.items[*at - 1];
}

/* What any thread may run: of all others, too, and of those without a state of their own. */
static void add_wanderers(const struct walk *w, struct made *m)
{
	for (size_t i = 0; i < w->threads.n; i++) {
		pid_t tid = w->threads.items[i];
		made_for(m, tid, (pid_t)*map64_get(&w->py->threads->ns_tids, (uint64_t)tid));
	}
	for (size_t k = 0; k < m->all.n; k++) {
		struct py_thread *th = m->all.items[k];
		for (size_t i = 0; i < w->states.n && th->n_states < PY_MAX_STATES; i++)
			if (w->states.items[i].wanders && w->states.items[i].tid != th->tid)
				add_state(th, &w->states.items[i]);
	}
}

/* A thread for each tid, its states in the order of the lists: newest interpreter first, which is
 * the innermost for the most part. */
static size_t make_threads(struct walk *w, struct py_thread ***ret)
{
	struct made m = {0};
	bool any = false;
	for (size_t i = 0; i < w->states.n; i++)
		if (w->states.items[i].tid)
			add_state(made_for(&m, w->states.items[i].tid, w->states.items[i].native),
			          &w->states.items[i]);
	for (size_t i = 0; i < m.all.n; i++)
		m.all.items[i]->n_own = m.all.items[i]->n_states;
	for (size_t i = 0; i < w->states.n && py_states_wander(&w->py->layout); i++) {
		struct state *s = &w->states.items[i];
		s->wanders = s->tid && made_for(&m, s->tid, s->native)->n_own > 1;
		any |= s->wanders;
	}
	if (any)
		add_wanderers(w, &m);
	map64_free(&m.by_tid);
	*ret = m.all.items;
	return m.all.n;
}

/* True if anything is new. Threads that go on keep what was learned of them. */
static bool publish(struct py_threads *t, struct walk *w)
{
	struct py_thread **fresh = NULL;
	size_t n = make_threads(w, &fresh);
	bool changed = n != t->all.n;
	for (size_t i = 0; i < n; i++) {
		struct py_thread *old = py_threads_find(t, fresh[i]->tid);
		if (old && same(old, fresh[i])) {
			free(fresh[i]);
			fresh[i] = old;
			continue;
		}
		fresh[i]->predicted = old ? old->predicted : py_prediction_create();
		changed = true;
	}
	if (!changed) {
		free(fresh);
		return false;
	}
	struct table *before = atomic_load(&t->table);
	atomic_store(&t->table, table_create(fresh, n));
	*vec_add(&t->garbage) = before;
	for (size_t i = 0; i < t->all.n; i++) {
		struct py_thread *old = t->all.items[i], *now = py_threads_find(t, old->tid);
		if (!now)
			*vec_add(&t->garbage) = old->predicted;
		if (now != old)
			*vec_add(&t->garbage) = old;
	}
	vec_free(&t->all);
	t->all.items = fresh;
	t->all.n = t->all.cap = n;
	return true;
}

static bool walk_all(struct py *py, bool *whole)
{
	struct py_threads *t = py->threads;
	struct walk w = {.py = py};
	bool changed = false;
	*whole = false;
	for (int i = 0; i < WALK_TRIES && !*whole; i++)
		*whole = walk_interpreters(&w);
	if (*whole) {
		list_tids(&w);
		find_tids(&w);
		changed = publish(t, &w);
	}
	vec_free(&w.states);
	vec_free(&w.threads);
	map64_free(&w.tids);
	return changed;
}

struct err *py_threads_refresh(struct py *py)
{
	struct py_threads *t = py->threads;
	bool readable;
	uint64_t heads = hash_heads(py, &readable), now = now_ns();
	collect(t);
	if (!readable || (!heads && t->had_interpreters))
		return &err_gone;
	t->had_interpreters = heads;
	if (heads == t->heads && now - t->walked_ns < REFRESH_NS)
		return NULL;
	bool whole;
	walk_all(py, &whole);
	t->heads = whole ? heads : 0;
	t->walked_ns = now;
	return NULL;
}

void py_threads_missing(struct py *py, pid_t tid)
{
	struct py_threads *t = py->threads;
	uint64_t now = now_ns();
	bool whole;
	if (now - t->missing_ns < t->missing_wait_ns)
		return;
	(void)tid;
	bool changed = walk_all(py, &whole);
	t->missing_ns = now;
	if (changed || t->missing_wait_ns < MISSING_MIN_NS)
		t->missing_wait_ns = MISSING_MIN_NS;
	else if (t->missing_wait_ns < MISSING_MAX_NS)
		t->missing_wait_ns *= 2;
}
