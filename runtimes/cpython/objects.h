/* SPDX-License-Identifier: Apache-2.0 */
/* Objects of the target's heap, for the files of this folder that look inside them. What is read of
 * one is a copy taken without stopping anybody: it may be torn, stale or a lie, so each value is
 * bounded where it is used. */
#ifndef CPYTHON_OBJECTS_H
#define CPYTHON_OBJECTS_H

#include <csample/strbuf.h>

#include "cpython.h"

/* How many bytes at addr were read: len, or those up to the end of its page, or 0. */
size_t py_read_upto(struct rmem *rm, uint64_t addr, void *buf, size_t len);
/* All of them or false. */
bool py_read(struct rmem *rm, uint64_t addr, void *buf, size_t len);
/* A pointer of the target's, untagged; false: not readable, or the field is not in this release. */
bool py_read_field(struct py *py, struct rmem *rm, uint64_t addr, struct field f, uint64_t *ret);

/* ---- names.c ---- */
struct py_str_shape {
	uint64_t length; /* characters, as the object claims */
	uint8_t kind;    /* bytes a character: 1, 2, 4 */
	uint32_t data;   /* where they begin in the object */
};
/* From the first bytes of a str; false: not compact, so no name, or no str at all. */
bool py_str_shape(const struct py_layout *l, struct obj head, struct py_str_shape *ret);
uint32_t py_char_at(const uint8_t *data, unsigned kind, size_t i);
/* At most max characters; returns their data inside *buf_ret, which the caller frees, or NULL. */
const uint8_t *py_fetch_str(struct py *py, struct rmem *rm, uint64_t addr, size_t max,
                            uint8_t **buf_ret, struct py_str_shape *shape_ret);
/* As UTF-8; what cannot be encoded as \udcxx or U+FFFD. */
void py_add_codepoint(struct strbuf *b, uint32_t c);
/* Is the str at addr this ASCII text? */
bool py_str_is(struct py *py, struct rmem *rm, uint64_t addr, const char *text);

#endif
