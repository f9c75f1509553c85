/* SPDX-License-Identifier: Apache-2.0 */
/* Is the code object at an address still the one that was read there? The guard is a hash of all
 * fields from the head of a code object to its line table: CPython changes none of them after
 * creation, except that importlib may correct co_filename. From 3.11 on co_version, unique in the
 * process, is among them. Before, a code object that died may be followed by another of the same
 * shape, with name, file name and table at the same addresses: there the heads of their contents
 * are compared as well. */
#ifndef CPYTHON_GUARD_H
#define CPYTHON_GUARD_H

#include "objects.h"

/* Code objects carry a number of their own: from 3.11 on. */
bool py_code_has_version(const struct py *py);
/* Bytes of a code object from its address on that the guard looks at. */
size_t py_guard_bytes(const struct py_layout *l);
uint64_t py_guard_of(const struct py_layout *l, const uint8_t *bytes);
/* As it is now; false: not readable. */
bool py_guard_now(struct py *py, uint64_t addr, uint64_t *ret);

/* Hashes of what py_code_contents() asks for, given the copied guard words: as in the snapshot, or
 * as they are now when snap is NULL. 0 for each that was not copied or is not readable. */
void py_heads_of(struct py *py, const struct snapshot *snap, const uint8_t *guard,
                 uint64_t ret[PY_CODE_CONTENTS]);
/* As they are now; false: the guard is no longer this one. */
bool py_heads_now(struct py *py, uint64_t addr, uint64_t guard, uint64_t ret[PY_CODE_CONTENTS]);
enum comparison { SAME, DIFFERENT, NOTHING_TO_COMPARE };
enum comparison py_heads_compare(const uint64_t a[PY_CODE_CONTENTS],
                                 const uint64_t b[PY_CODE_CONTENTS]);

/* Freed memory looks like the object it was, but for its first word. bytes: 8 or more. */
bool py_is_freed(const struct py_layout *l, const uint8_t *bytes);

/* ---- settled.c: addresses of settled code; the worker adds and removes, samplers look ---- */
struct py_settled;
struct py_settled *py_settled_create(void);
void py_settled_destroy(struct py_settled *t);
bool py_settled_has(struct py_settled *t, uint64_t addr);
bool py_settled_add(struct py_settled *t, uint64_t addr); /* false: no room near its place */
void py_settled_remove(struct py_settled *t, uint64_t addr);

#endif
