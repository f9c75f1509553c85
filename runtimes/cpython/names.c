/* SPDX-License-Identifier: Apache-2.0 */
/* str objects: one, two or four bytes a character, right behind the head of the object, except in
 * subclasses, which point to them. Source: Include/cpython/unicodeobject.h of CPython, PEP 393. */
#include <stdlib.h>

#include <csample/mem.h>
#include <csample/strbuf.h>

#include "cpython.h"
#include "objects.h"

void py_add_codepoint(struct strbuf *b, uint32_t c)
{
	char s[4];
	size_t n;
	if (c == 0 || c > 0x10ffff) { /* a NUL would end the name, and whoever prints it */
		strbuf_add(b, "\xef\xbf\xbd");
		return;
	}
	if (c >= 0xd800 && c < 0xe000) {
		strbuf_addf(b, "\\u%04x", (unsigned)c);
		return;
	}
	if (c < 0x80) {
		s[0] = (char)c;
		n = 1;
	} else if (c < 0x800) {
		s[0] = (char)(0xc0 | c >> 6);
		n = 2;
	} else if (c < 0x10000) {
		s[0] = (char)(0xe0 | c >> 12);
		n = 3;
	} else {
		s[0] = (char)(0xf0 | c >> 18);
		n = 4;
	}
	for (size_t i = 1; i < n; i++)
		s[i] = (char)(0x80 | (c >> 6 * (n - 1 - i) & 0x3f));
	strbuf_addn(b, s, n);
}

bool py_str_shape(const struct py_layout *l, struct obj head, struct py_str_shape *ret)
{
	uint64_t length, state;
	if (!obj_get(head, l->str.length, &length) || !obj_get(head, l->str.state, &state))
		return false;
	unsigned kind = state >> l->str.kind_shift & 7;
	bool ascii = state >> l->str.ascii_bit & 1;
	bool compact = state >> l->str.compact_bit & 1;
	if ((kind != 1 && kind != 2 && kind != 4) || (ascii && kind != 1) || length > INT64_MAX)
		return false;
	*ret = (struct py_str_shape){length, (uint8_t)kind, !compact,
	                             compact && ascii ? l->str.ascii_data : l->str.compact_data};
	return true;
}

uint32_t py_char_at(const uint8_t *data, unsigned kind, size_t i)
{
	uint32_t c = 0;
	memcpy(&c, data + i * kind, kind); /* little-endian, as both machines we support */
	return c;
}

/* Most names are short: one read gets them whole. */
#define FIRST_READ 160

const uint8_t *py_fetch_str(struct py *py, struct rmem *rm, uint64_t addr, size_t max,
                            uint8_t **buf_ret, struct py_str_shape *shape_ret)
{
	uint8_t *buf = mem_alloc(FIRST_READ);
	size_t have = py_read_upto(rm, addr, buf, FIRST_READ);
	if (!py_str_shape(&py->layout, (struct obj){buf, have}, shape_ret)) {
		free(buf);
		return NULL;
	}
	size_t n = shape_ret->length < max ? (size_t)shape_ret->length : max;
	size_t at = shape_ret->data, need = at + n * shape_ret->kind;
	if (shape_ret->apart) {
		if (!obj_get((struct obj){buf, have}, (struct field)PTR(shape_ret->data), &addr)) {
			free(buf);
			return NULL;
		}
		at = have = 0;
		need = n * shape_ret->kind;
	}
	if (need > have) {
		buf = mem_realloc_array(buf, need, 1);
		if (!py_read(rm, addr, buf, need)) {
			free(buf);
			return NULL;
		}
	}
	*buf_ret = buf;
	return buf + at;
}

bool py_read_str(struct py *py, struct rmem *rm, uint64_t addr, size_t max, struct strbuf *b)
{
	_cleanup_free_ uint8_t *buf = NULL;
	struct py_str_shape shape;
	if (max > PY_MAX_STRING)
		max = PY_MAX_STRING;
	const uint8_t *data = py_fetch_str(py, rm, addr, max, &buf, &shape);
	if (!data)
		return false;
	size_t n = shape.length < max ? (size_t)shape.length : max;
	for (size_t i = 0; i < n; i++)
		py_add_codepoint(b, py_char_at(data, shape.kind, i));
	if (shape.length > max)
		strbuf_add(b, "...");
	return true;
}

bool py_str_is(struct py *py, struct rmem *rm, uint64_t addr, const char *text)
{
	uint8_t buf[128];
	struct py_str_shape shape;
	size_t len = strlen(text), have = py_read_upto(rm, addr, buf, sizeof(buf));
	if (!py_str_shape(&py->layout, (struct obj){buf, have}, &shape) || shape.kind != 1 ||
	    shape.apart || shape.length != len || shape.data > have || have - shape.data < len)
		return false;
	return !memcmp(buf + shape.data, text, len);
}
