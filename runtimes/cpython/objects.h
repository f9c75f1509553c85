/* SPDX-License-Identifier: Apache-2.0 */
/* Objects of the target's heap, for the files of this folder that look inside them. What is read of
 * one is a copy taken without stopping anybody: it may be torn, stale or a lie, so each value is
 * bounded where it is used. */
#ifndef CPYTHON_OBJECTS_H
#define CPYTHON_OBJECTS_H

#include <csample/strbuf.h>

#include "cpython.h"

/* ---- objects.c: reading ---- */
/* How many bytes at addr were read: len, or those up to the end of its page, or 0. */
size_t py_read_upto(struct rmem *rm, uint64_t addr, void *buf, size_t len);
/* All of them or false. */
bool py_read(struct rmem *rm, uint64_t addr, void *buf, size_t len);
/* False: not readable, or the field is not in this release. */
bool py_read_field(struct rmem *rm, uint64_t addr, struct field f, uint64_t *ret);

/* An address space that can be read so often and no more: whatever chases pointers of the target
 * ends. What a snapshot holds comes from there and is free. */
struct rmem_budget {
	struct rmem rm;
	struct rmem *of;
	const struct snapshot *snap; /* NULL: none */
	unsigned reads_left;
};
void rmem_budget_init(struct rmem_budget *m, struct rmem *of, const struct snapshot *snap,
                      unsigned reads);

/* Py_TPFLAGS_*: the same since 3.6, Include/object.h. */
enum {
	TYPE_INLINE_VALUES = 1u << 2, /* 3.13 on */
	TYPE_MANAGED_DICT = 1u << 4,  /* 3.11 on */
	TYPE_HEAP = 1u << 9,
	TYPE_LONG = 1u << 24,
	TYPE_LIST = 1u << 25,
	TYPE_TUPLE = 1u << 26,
	TYPE_BYTES = 1u << 27,
	TYPE_STR = 1u << 28,
	TYPE_DICT = 1u << 29,
	TYPE_TYPE = 1u << 31,
};
struct py_type {
	uint64_t addr, flags, basicsize, dictoffset;
	char name[128]; /* tp_name, cut; "": not readable */
};
bool py_read_type(struct py *py, struct rmem *rm, uint64_t addr, struct py_type *ret);
bool py_type_of(struct py *py, struct rmem *rm, uint64_t object, struct py_type *ret);
/* A type that C code made, called this: what its objects look like is known. */
bool py_is_builtin(const struct py_type *t, const char *name);

/* Calls visit for each pair of the dict object at addr, in order of insertion where that is kept,
 * until it says false; at most max slots are looked at. False: it is no readable dict. */
typedef bool py_visit_pair(void *arg, uint64_t key, uint64_t value);
bool py_dict_each(struct py *py, struct rmem *rm, uint64_t addr, size_t max, py_visit_pair *visit,
                  void *arg);
/* The value under an ASCII key. *key_cache (may be NULL) is the address of the key where it was
 * found last, which saves reading all others. */
bool py_dict_find(struct py *py, struct rmem *rm, uint64_t addr, const char *key,
                  uint64_t *key_cache, uint64_t *ret);
/* The value under the key that is this very object; interned names mostly are. */
bool py_dict_find_key(struct py *py, struct rmem *rm, uint64_t addr, uint64_t key, uint64_t *ret);
bool py_is_str(struct py *py, struct rmem *rm, uint64_t object);
/* An attribute in the instance's own dict or values. */
bool py_attribute(struct py *py, struct rmem *rm, uint64_t object, const char *name,
                  uint64_t *key_cache, uint64_t *ret);
/* A module of the interpreter by its full name; its dict. */
bool py_find_module(struct py *py, struct rmem *rm, uint64_t interp, const char *name,
                    uint64_t *key_cache, uint64_t *dict_ret);
/* Elements of a tuple or list at addr, at most max; returns how many were read, *n_ret is how many
 * it claims. False: not readable. */
bool py_read_tuple(struct py *py, struct rmem *rm, uint64_t addr, uint64_t *items, size_t max,
                   size_t *n_ret, uint64_t *claimed_ret);
bool py_read_list(struct py *py, struct rmem *rm, uint64_t addr, uint64_t *items, size_t max,
                  size_t *n_ret, uint64_t *claimed_ret);
/* Elements of a set or frozenset, as above. */
bool py_read_set(struct py *py, struct rmem *rm, uint64_t addr, uint64_t *items, size_t max,
                 size_t *n_ret, uint64_t *claimed_ret);
/* How many digits of 30 bits an int has. */
bool py_int_digits(struct py *py, struct rmem *rm, uint64_t addr, uint64_t *n_ret,
                   bool *negative_ret);
/* An int below 2^62. */
bool py_read_int(struct py *py, struct rmem *rm, uint64_t addr, int64_t *ret);

/* ---- names.c ---- */
struct py_str_shape {
	uint64_t length; /* characters, as the object claims */
	uint8_t kind;    /* bytes a character: 1, 2, 4 */
	bool apart;      /* at data is a pointer to them: only in subclasses of str */
	uint32_t data;   /* where they begin in the object */
};
/* From the first bytes of a str; false: it is none. */
bool py_str_shape(const struct py_layout *l, struct obj head, struct py_str_shape *ret);
uint32_t py_char_at(const uint8_t *data, unsigned kind, size_t i);
/* At most max characters; returns their data inside *buf_ret, which the caller frees, or NULL. */
const uint8_t *py_fetch_str(struct py *py, struct rmem *rm, uint64_t addr, size_t max,
                            uint8_t **buf_ret, struct py_str_shape *shape_ret);
/* As UTF-8; what cannot be encoded as \udcxx or U+FFFD. */
void py_add_codepoint(struct strbuf *b, uint32_t c);
/* Is the str at addr this ASCII text? */
bool py_str_is(struct py *py, struct rmem *rm, uint64_t addr, const char *text);

/* ---- locals.c ---- */
/* Variables of the frame at this address that runs this code. snap may be NULL. */
void py_frame_locals(struct py *py, const struct snapshot *snap, uint64_t frame, uint64_t code,
                     runtime_visit_local *visit, void *arg);

/* ---- qualnames.c ---- */
/* What the function calls itself whose frame is at this address, if it is a method. *hopeless_ret:
 * no other frame of this code will tell either. */
bool py_find_qualname(struct py *py, const struct snapshot *snap, uint64_t frame,
                      struct strbuf *ret, bool *hopeless_ret);

/* ---- awaits.c ---- */
/* The frames of a coroutine and of what it awaits, outermost first; how many. */
size_t py_await_chain(struct py *py, struct rmem *rm, uint64_t coroutine, struct frame *ret,
                      size_t max);

/* ---- literals.c: pure ---- */
/* As Python's repr writes them. */
void py_add_float(struct strbuf *b, double value);
/* Little-endian digits of 30 bits. */
void py_add_int(struct strbuf *b, const uint32_t *digits, size_t n, bool negative);
/* n characters of a str, or bytes (kind 1) with their prefix b. */
void py_add_quoted(struct strbuf *b, const uint8_t *data, unsigned kind, size_t n, bool is_bytes);

#endif
