/* SPDX-License-Identifier: Apache-2.0 */
/* A set of addresses that needs no lock: a fixed table with open addressing, and few steps. What
 * finds no room is not in it, which costs a sampler a look at the code's guard. */
#include <stdatomic.h>
#include <stdlib.h>

#include <csample/hash.h>
#include <csample/mem.h>

#include "guard.h"

#define SLOTS  (1u << 15)
#define PROBES 8
#define FREE   0 /* was never used: nothing lies behind it */
#define EMPTY  1

struct py_settled {
	_Atomic uint64_t slots[SLOTS];
};

struct py_settled *py_settled_create(void)
{
	return mem_zalloc(sizeof(struct py_settled));
}

void py_settled_destroy(struct py_settled *t)
{
	free(t);
}

static _Atomic uint64_t *slot_of(struct py_settled *t, uint64_t addr, unsigned probe)
{
	return &t->slots[(hash_u64(addr) + probe) % SLOTS];
}

bool py_settled_has(struct py_settled *t, uint64_t addr)
{
	if (addr <= EMPTY)
		return false;
	for (unsigned i = 0; i < PROBES; i++) {
		uint64_t held = atomic_load_explicit(slot_of(t, addr, i), memory_order_relaxed);
		if (held == addr)
			return true;
		if (held == FREE)
			return false;
	}
	return false;
}

bool py_settled_add(struct py_settled *t, uint64_t addr)
{
	for (unsigned i = 0; i < PROBES; i++) {
		_Atomic uint64_t *slot = slot_of(t, addr, i);
		if (atomic_load_explicit(slot, memory_order_relaxed) <= EMPTY) {
			atomic_store_explicit(slot, addr, memory_order_relaxed);
			return true;
		}
	}
	return false;
}

void py_settled_remove(struct py_settled *t, uint64_t addr)
{
	for (unsigned i = 0; i < PROBES; i++) {
		_Atomic uint64_t *slot = slot_of(t, addr, i);
		if (atomic_load_explicit(slot, memory_order_relaxed) == addr)
			atomic_store_explicit(slot, EMPTY, memory_order_relaxed);
	}
}
