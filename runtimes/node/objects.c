/* SPDX-License-Identifier: Apache-2.0 */
/* Tagged words, instance types and strings. */
#include <stdlib.h>
#include <string.h>

#include <csample/mem.h>

#include "node.h"

#define MAX_TYPES   65536
#define MAX_DEPTH   16 /* of cons, sliced and thin strings */
#define MAX_PIECES  65536
#define PIECE_BYTES 65536

/* String::instance_type's bits, the same in all releases. */
enum { SHAPE_SEQ = 0, SHAPE_CONS = 1, SHAPE_EXTERNAL = 2, SHAPE_SLICED = 3, SHAPE_THIN = 5 };
#define SHAPE_MASK 7
#define ONE_BYTE   8

bool v8_read(struct v8 *v8, uint64_t addr, void *buf, size_t len)
{
	const uint8_t *p = v8->snap ? snapshot_at(v8->snap, addr, len) : NULL;
	if (p) {
		memcpy(buf, p, len);
		return true;
	}
	if (!v8->base.target || addr >= V8_ADDR_MAX)
		return false;
	struct err *err = rmem_read(v8->base.target->rm, addr, buf, len);
	err_free(err);
	return !err;
}

/* The instance type that a map gives its objects. */
static bool type_of_map(struct v8 *v8, uint64_t map, uint32_t *ret)
{
	uint64_t words[2];
	if (!v8_is_pointer(map))
		return false;
	uint64_t *known = map64_get(&v8->types, map);
	if (!known) {
		if (!v8_read(v8, map - 1, words, sizeof(words)) || !v8_is_pointer(words[0]))
			return false;
		if (v8->types.n >= MAX_TYPES)
			map64_clear(&v8->types);
		known = map64_put(&v8->types, map);
		*known =
		        words[1] >> 32 & 0xffff; /* Map.instance_type, u16 at 12, in all releases */
	}
	*ret = (uint32_t)*known;
	return true;
}

bool v8_copy(struct v8 *v8, uint64_t *tagged, uint32_t *type_ret, void *buf, size_t len)
{
	uint64_t map, at = *tagged;
	/* While the collector runs, the map of an object it has moved is its new address. */
	for (int moved = 0; moved < 2; moved++) {
		if (!v8_is_pointer(at) || !v8_read(v8, at - 1, buf, len))
			return false;
		memcpy(&map, buf, sizeof(map));
		if (map & 1)
			break;
		at = map | 1;
	}
	if (!type_of_map(v8, map, type_ret))
		return false;
	*tagged = at;
	return true;
}

bool v8_type_of(struct v8 *v8, uint64_t tagged, uint32_t *ret)
{
	uint64_t map;
	return v8_copy(v8, &tagged, ret, &map, sizeof(map));
}

bool v8_object(struct v8 *v8, uint64_t *tagged, uint32_t first, uint32_t last, void *buf,
               size_t len)
{
	uint32_t type;
	uint64_t at = *tagged;
	if (!first || !v8_copy(v8, &at, &type, buf, len) || type < first || type > last)
		return false;
	*tagged = at;
	return true;
}

struct pieces {
	struct v8 *v8;
	v8_visit_piece *visit;
	void *arg;
	size_t left; /* bytes */
	unsigned n;
};

static bool visit_flat(struct pieces *p, uint64_t addr, uint64_t units, unsigned unit)
{
	uint8_t buf[PIECE_BYTES];
	bool whole = units * unit <= p->left;
	uint64_t bytes = whole ? units * unit : p->left / unit * unit;
	p->left -= bytes;
	while (bytes) {
		size_t n = bytes < sizeof(buf) ? bytes : sizeof(buf);
		if (!v8_read(p->v8, addr, buf, n))
			return false;
		p->visit(p->arg, buf, n / unit, unit);
		addr += n;
		bytes -= n;
	}
	return whole;
}

struct string_head {
	uint64_t map;
	uint32_t hash, length;
};

static bool string_head(struct v8 *v8, uint64_t *tagged, uint32_t *type_ret,
                        struct string_head *ret)
{
	return v8_copy(v8, tagged, type_ret, ret, sizeof(*ret)) &&
	       *type_ret < v8->layout.type.nonstring;
}

static bool visit_string(struct pieces *p, uint64_t tagged, uint64_t from, uint64_t count,
                         unsigned depth);

static bool visit_cons(struct pieces *p, uint64_t first, uint64_t second, uint64_t from,
                       uint64_t count, unsigned depth)
{
	struct string_head head;
	uint32_t type;
	if (!string_head(p->v8, &first, &type, &head))
		return false;
	uint64_t in_first = from < head.length ? head.length - from : 0;
	if (in_first > count)
		in_first = count;
	if (in_first && !visit_string(p, first, from, in_first, depth + 1))
		return false;
	uint64_t skip = from > head.length ? from - head.length : 0;
	return in_first == count || visit_string(p, second, skip, count - in_first, depth + 1);
}

/* Units [from, from + count) of a string. */
static bool visit_string(struct pieces *p, uint64_t tagged, uint64_t from, uint64_t count,
                         unsigned depth)
{
	struct string_head head;
	uint64_t words[2] = {0, 0};
	uint32_t type;
	int32_t offset;
	if (depth > MAX_DEPTH || ++p->n > MAX_PIECES || !string_head(p->v8, &tagged, &type, &head))
		return false;
	if (count > head.length || from > head.length - count)
		return false;
	unsigned unit = type & ONE_BYTE ? 1 : 2, shape = type & SHAPE_MASK;
	uint64_t body = tagged - 1 + sizeof(head);
	if (shape == SHAPE_SEQ)
		return visit_flat(p, body + from * unit, count, unit);
	if (!v8_read(p->v8, body, words, shape == SHAPE_THIN ? 8 : 16))
		return false;
	switch (shape) {
	case SHAPE_EXTERNAL: /* the resource, and where its characters are */
		return visit_flat(p, words[1] + from * unit, count, unit);
	case SHAPE_SLICED:
		return v8_smi(words[1], &offset) && offset >= 0 &&
		       visit_string(p, words[0], from + (uint64_t)offset, count, depth + 1);
	case SHAPE_THIN:
		return visit_string(p, words[0], from, count, depth + 1);
	case SHAPE_CONS:
		return visit_cons(p, words[0], words[1], from, count, depth);
	default:
		return false;
	}
}

bool v8_string_pieces(struct v8 *v8, uint64_t tagged, size_t max_bytes, v8_visit_piece *visit,
                      void *arg)
{
	struct pieces p = {v8, visit, arg, max_bytes, 0};
	struct string_head head;
	uint32_t type;
	return string_head(v8, &tagged, &type, &head) &&
	       visit_string(&p, tagged, 0, head.length, 0);
}

bool v8_string_length(struct v8 *v8, uint64_t tagged, uint32_t *ret)
{
	struct string_head head;
	uint32_t type;
	if (!string_head(v8, &tagged, &type, &head))
		return false;
	*ret = head.length;
	return true;
}

struct utf8 {
	struct strbuf text;
	unsigned n;
	uint32_t high; /* surrogate that waits for its other half */
};

static void put_utf8(struct utf8 *u, uint32_t c)
{
	char b[4];
	size_t n;
	if (c < 0x80) {
		b[0] = (char)c;
		n = 1;
	} else if (c < 0x800) {
		b[0] = (char)(0xc0 | c >> 6);
		b[1] = (char)(0x80 | (c & 0x3f));
		n = 2;
	} else if (c < 0x10000) {
		b[0] = (char)(0xe0 | c >> 12);
		b[1] = (char)(0x80 | (c >> 6 & 0x3f));
		b[2] = (char)(0x80 | (c & 0x3f));
		n = 3;
	} else {
		b[0] = (char)(0xf0 | c >> 18);
		b[1] = (char)(0x80 | (c >> 12 & 0x3f));
		b[2] = (char)(0x80 | (c >> 6 & 0x3f));
		b[3] = (char)(0x80 | (c & 0x3f));
		n = 4;
	}
	strbuf_addn(&u->text, b, n);
}

static void add_units(void *arg, const uint8_t *bytes, size_t n_units, unsigned unit)
{
	struct utf8 *u = arg;
	for (size_t i = 0; i < n_units && u->n < V8_MAX_NAME; i++, u->n++) {
		uint32_t c = bytes[i * unit];
		if (unit == 2)
			c |= (uint32_t)bytes[i * 2 + 1] << 8;
		if (u->high && (c & 0xfc00) == 0xdc00) {
			put_utf8(u, 0x10000 + ((u->high & 0x3ff) << 10) + (c & 0x3ff));
			u->high = 0;
			continue;
		}
		if (u->high)
			put_utf8(u, 0xfffd);
		u->high = (c & 0xfc00) == 0xd800 ? c : 0;
		if (!u->high)
			put_utf8(u, (c & 0xfc00) == 0xdc00 || !c ? 0xfffd : c);
	}
}

const char *v8_string(struct v8 *v8, uint64_t tagged)
{
	struct utf8 u = {.n = 0};
	struct string_head head;
	uint32_t type;
	if (!string_head(v8, &tagged, &type, &head))
		return NULL;
	bool whole = v8_string_pieces(v8, tagged, (size_t)V8_MAX_NAME * 2, add_units, &u);
	const char *s = whole || u.n >= V8_MAX_NAME
	                        ? intern_n(v8->strings, u.text.s ? u.text.s : "", u.text.len)
	                        : NULL;
	strbuf_free(&u.text);
	return s;
}

static bool is_array_of(const struct v8_layout *l, size_t width, uint32_t type)
{
	if (!type)
		return false;
	if (width == 1)
		return type == l->type.byte_array || type == l->type.trusted_byte_array;
	return type == l->type.fixed_array || type == l->type.protected_fixed_array ||
	       type == l->type.trusted_fixed_array || type == l->type.weak_fixed_array ||
	       type == l->type.protected_weak_fixed_array ||
	       type == l->type.trusted_weak_fixed_array;
}

/* Arrays of all kinds: a Smi length behind the map, then the data. */
static uint8_t *array_data(struct v8 *v8, uint64_t tagged, size_t width, size_t max, size_t *n_ret)
{
	uint64_t head[2];
	uint32_t type;
	int32_t n;
	if (!v8_copy(v8, &tagged, &type, head, sizeof(head)) ||
	    !is_array_of(&v8->layout, width, type) || !v8_smi(head[1], &n) || n <= 0 ||
	    (size_t)n > max)
		return NULL;
	uint8_t *data = mem_alloc((size_t)n * width);
	if (!v8_read(v8, tagged - 1 + 16, data, (size_t)n * width)) {
		free(data);
		return NULL;
	}
	*n_ret = (size_t)n;
	return data;
}

uint8_t *v8_array_bytes(struct v8 *v8, uint64_t tagged, size_t max, size_t *len_ret)
{
	return array_data(v8, tagged, 1, max, len_ret);
}

uint8_t *v8_array_words(struct v8 *v8, uint64_t tagged, size_t max, size_t *n_ret)
{
	return array_data(v8, tagged, 8, max, n_ret);
}
