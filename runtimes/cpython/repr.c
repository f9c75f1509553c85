/* SPDX-License-Identifier: Apache-2.0 */
/* repr() without running any code of the target: builtin types as Python prints them, everything
 * else as <Type at 0x...>. Depth, items, text and reads are bounded, so a hostile heap ends in
 * three dots. */
#include <math.h>
#include <stdlib.h>

#include <csample/mem.h>

#include "objects.h"

#define MAX_DEPTH 4
#define MAX_ITEMS 32
#define MAX_CHARS 256  /* of one str or bytes */
#define MAX_TEXT  2048 /* of the whole */
#define MAX_READS 1024
#define MAX_NAME  256

struct repr {
	struct py *py;
	struct rmem *rm;
	struct strbuf *b;
	size_t start; /* of our text in b */
	unsigned depth;
	uint64_t path[MAX_DEPTH]; /* containers we are in */
	size_t n_items;           /* written of the innermost */
};

static void add_object(struct repr *r, uint64_t addr);

static bool is_full(const struct repr *r)
{
	return r->b->len - r->start >= MAX_TEXT;
}

static void add_plain(struct repr *r, const char *type, uint64_t addr)
{
	strbuf_addc(r->b, '<');
	strbuf_add_utf8(r->b, type);
	strbuf_addf(r->b, " at 0x%llx>", (unsigned long long)addr);
}

/* ---- scalars ---- */

static bool add_str(struct repr *r, uint64_t addr)
{
	_cleanup_free_ uint8_t *buf = NULL;
	struct py_str_shape shape;
	const uint8_t *data = py_fetch_str(r->py, r->rm, addr, MAX_CHARS, &buf, &shape);
	if (!data)
		return false;
	py_add_quoted(r->b, data, shape.kind,
	              shape.length < MAX_CHARS ? (size_t)shape.length : MAX_CHARS, false);
	if (shape.length > MAX_CHARS)
		strbuf_add(r->b, "...");
	return true;
}

static bool add_bytes(struct repr *r, uint64_t addr)
{
	uint8_t buf[MAX_CHARS];
	uint64_t size;
	if (!py_read_field(r->rm, addr, r->py->layout.bytes.size, &size))
		return false;
	size_t n = size < MAX_CHARS ? (size_t)size : MAX_CHARS;
	if (n && !py_read(r->rm, addr + r->py->layout.bytes.data, buf, n))
		return false;
	py_add_quoted(r->b, buf, 1, n, true);
	if (size > MAX_CHARS)
		strbuf_add(r->b, "...");
	return true;
}

static bool add_int(struct repr *r, uint64_t addr)
{
	uint32_t digits[128];
	uint64_t n;
	bool negative;
	if (!py_int_digits(r->py, r->rm, addr, &n, &negative) || n > 1u << 28)
		return false;
	if (n && n <= ARRAY_SIZE(digits) &&
	    !py_read(r->rm, addr + r->py->layout.integer.digits, digits, (size_t)n * 4))
		return false;
	py_add_int(r->b, digits, (size_t)n, negative);
	return true;
}

static bool add_bool(struct repr *r, uint64_t addr)
{
	int64_t value;
	if (!py_read_int(r->py, r->rm, addr, &value))
		return false;
	strbuf_add(r->b, value ? "True" : "False");
	return true;
}

static bool add_float(struct repr *r, uint64_t addr)
{
	double value;
	if (!py_read(r->rm, addr + r->py->layout.float_value.at, &value, sizeof(value)))
		return false;
	py_add_float(r->b, value);
	return true;
}

/* A part of a complex number: whole ones have no ".0". */
static void add_part(struct repr *r, double part)
{
	size_t start = r->b->len;
	py_add_float(r->b, part);
	if (r->b->len - start > 2 && !strcmp(r->b->s + r->b->len - 2, ".0"))
		r->b->len -= 2;
}

/* As complex_repr(): the real part is left out when it is a positive zero. */
static bool add_complex(struct repr *r, uint64_t addr)
{
	double parts[2];
	if (!py_read(r->rm, addr + r->py->layout.float_value.at, parts, sizeof(parts)))
		return false;
	bool both = parts[0] != 0 || signbit(parts[0]);
	if (both) {
		strbuf_addc(r->b, '(');
		add_part(r, parts[0]);
		if (!signbit(parts[1]) || isnan(parts[1]))
			strbuf_addc(r->b, '+');
	}
	add_part(r, parts[1]);
	strbuf_add(r->b, both ? "j)" : "j");
	return true;
}

static bool add_function(struct repr *r, uint64_t addr)
{
	uint64_t name;
	size_t start = r->b->len;
	strbuf_add(r->b, "<function ");
	if (!py_read_field(r->rm, addr, r->py->layout.function.qualname, &name) ||
	    !py_is_str(r->py, r->rm, name) || !py_read_str(r->py, r->rm, name, MAX_NAME, r->b)) {
		r->b->len = start;
		return false;
	}
	strbuf_addf(r->b, " at 0x%llx>", (unsigned long long)addr);
	return true;
}

static bool add_module(struct repr *r, uint64_t addr)
{
	uint64_t dict, name;
	size_t start = r->b->len;
	if (!py_read_field(r->rm, addr, r->py->layout.module_dict, &dict) ||
	    !py_dict_find(r->py, r->rm, dict, "__name__", NULL, &name) ||
	    !py_is_str(r->py, r->rm, name))
		return false;
	strbuf_add(r->b, "<module '");
	if (!py_read_str(r->py, r->rm, name, MAX_NAME, r->b)) {
		r->b->len = start;
		return false;
	}
	strbuf_add(r->b, "'>");
	return true;
}

/* ---- containers ---- */

/* Before each item; false: enough. */
static bool next_item(struct repr *r)
{
	if (r->n_items)
		strbuf_add(r->b, ", ");
	if (r->n_items >= MAX_ITEMS || is_full(r)) {
		strbuf_add(r->b, "...");
		return false;
	}
	r->n_items++;
	return true;
}

static bool add_pair(void *arg, uint64_t key, uint64_t value)
{
	struct repr *r = arg;
	if (!next_item(r))
		return false;
	size_t n_items = r->n_items;
	add_object(r, key);
	strbuf_add(r->b, ": ");
	add_object(r, value);
	r->n_items = n_items;
	return true;
}

typedef bool read_items_fn(struct py *py, struct rmem *rm, uint64_t addr, uint64_t *items,
                           size_t max, size_t *n_ret, uint64_t *claimed_ret);

static bool add_items(struct repr *r, uint64_t addr, read_items_fn *read, uint64_t *claimed)
{
	uint64_t items[MAX_ITEMS];
	size_t n;
	if (!read(r->py, r->rm, addr, items, MAX_ITEMS, &n, claimed))
		return false;
	for (size_t i = 0; i < n && next_item(r); i++) {
		size_t n_items = r->n_items;
		add_object(r, items[i]);
		r->n_items = n_items;
	}
	if (n == MAX_ITEMS && *claimed > n)
		next_item(r);
	return true;
}

static bool is_inside(const struct repr *r, uint64_t addr)
{
	for (unsigned i = 0; i < r->depth; i++)
		if (r->path[i] == addr)
			return true;
	return false;
}

/* Text between open and close; read NULL: a dict. False: unreadable, and nothing was written. */
static bool add_container(struct repr *r, uint64_t addr, const char *open, const char *close,
                          read_items_fn *read, uint64_t *claimed)
{
	size_t start = r->b->len;
	strbuf_add(r->b, open);
	if (r->depth == MAX_DEPTH || is_inside(r, addr)) {
		*claimed = 0;
		strbuf_add(r->b, "...");
		strbuf_add(r->b, close);
		return true;
	}
	r->path[r->depth++] = addr;
	r->n_items = 0;
	bool ok = read ? add_items(r, addr, read, claimed)
	               : py_dict_each(r->py, r->rm, addr, MAX_ITEMS * (size_t)64, add_pair, r);
	r->depth--;
	if (!ok && r->n_items) {
		strbuf_add(r->b, "...");
		ok = true;
	}
	if (!ok) {
		r->b->len = start;
		return false;
	}
	strbuf_add(r->b, close);
	return true;
}

static bool add_tuple(struct repr *r, uint64_t addr)
{
	uint64_t claimed;
	if (!add_container(r, addr, "(", ")", py_read_tuple, &claimed))
		return false;
	if (claimed == 1) {
		r->b->len--;
		strbuf_add(r->b, ",)");
	}
	return true;
}

static bool add_list(struct repr *r, uint64_t addr)
{
	uint64_t claimed;
	return add_container(r, addr, "[", "]", py_read_list, &claimed);
}

static bool add_dict(struct repr *r, uint64_t addr)
{
	uint64_t claimed;
	return add_container(r, addr, "{", "}", NULL, &claimed);
}

static bool add_a_set(struct repr *r, uint64_t addr, const char *name)
{
	uint64_t used;
	bool frozen = !strcmp(name, "frozenset");
	if (!py_read_field(r->rm, addr, r->py->layout.set.used, &used))
		return false;
	if (!used) {
		strbuf_addf(r->b, "%s()", name);
		return true;
	}
	return add_container(r, addr, frozen ? "frozenset({" : "{", frozen ? "})" : "}",
	                     py_read_set, &used);
}

static bool add_set(struct repr *r, uint64_t addr)
{
	return add_a_set(r, addr, "set");
}

static bool add_frozenset(struct repr *r, uint64_t addr)
{
	return add_a_set(r, addr, "frozenset");
}

/* ---- what is it? ---- */

static bool add_none(struct repr *r, uint64_t addr)
{
	(void)addr;
	strbuf_add(r->b, "None");
	return true;
}

static bool add_ellipsis(struct repr *r, uint64_t addr)
{
	(void)addr;
	strbuf_add(r->b, "Ellipsis");
	return true;
}

static bool add_not_implemented(struct repr *r, uint64_t addr)
{
	(void)addr;
	strbuf_add(r->b, "NotImplemented");
	return true;
}

typedef bool add_fn(struct repr *r, uint64_t addr);

/* Types that C code made, by their names. */
static const struct {
	const char *name;
	add_fn *add;
} builtins[] = {
        {"NoneType", add_none},     {"bool", add_bool},
        {"float", add_float},       {"complex", add_complex},
        {"set", add_set},           {"frozenset", add_frozenset},
        {"function", add_function}, {"module", add_module},
        {"ellipsis", add_ellipsis}, {"NotImplementedType", add_not_implemented},
};

/* Types that keep their contents as these do, subclasses included. */
static const struct {
	uint64_t flag;
	const char *name;
	add_fn *add;
} families[] = {
        {TYPE_LONG, "int", add_int},      {TYPE_STR, "str", add_str},
        {TYPE_BYTES, "bytes", add_bytes}, {TYPE_TUPLE, "tuple", add_tuple},
        {TYPE_LIST, "list", add_list},    {TYPE_DICT, "dict", add_dict},
};

/* False: nothing was written. */
static bool add_known(struct repr *r, uint64_t addr, const struct py_type *t)
{
	if (t->flags & TYPE_TYPE) {
		struct py_type itself;
		if (!py_read_type(r->py, r->rm, addr, &itself))
			return false;
		strbuf_add(r->b, "<class '");
		strbuf_add_utf8(r->b, itself.name);
		strbuf_add(r->b, "'>");
		return true;
	}
	for (size_t i = 0; i < ARRAY_SIZE(builtins); i++)
		if (py_is_builtin(t, builtins[i].name))
			return builtins[i].add(r, addr);
	for (size_t i = 0; i < ARRAY_SIZE(families); i++) {
		if (!(t->flags & families[i].flag))
			continue;
		if (py_is_builtin(t, families[i].name))
			return families[i].add(r, addr);
		size_t start = r->b->len;
		const char *dot = strrchr(t->name, '.');
		strbuf_add_utf8(r->b, dot ? dot + 1 : t->name);
		if (families[i].flag != TYPE_TUPLE)
			strbuf_addc(r->b, '(');
		if (!families[i].add(r, addr)) {
			r->b->len = start;
			return false;
		}
		if (families[i].flag != TYPE_TUPLE)
			strbuf_addc(r->b, ')');
		return true;
	}
	return false;
}

static void add_object(struct repr *r, uint64_t addr)
{
	struct py_type t;
	if (!addr)
		strbuf_add(r->b, "<NULL>");
	else if (is_full(r))
		strbuf_add(r->b, "...");
	else if (!py_type_of(r->py, r->rm, addr, &t))
		strbuf_addf(r->b, "<unreadable at 0x%llx>", (unsigned long long)addr);
	else if (!add_known(r, addr, &t))
		add_plain(r, t.name, addr);
}

void py_repr(struct py *py, struct rmem *rm, uint64_t addr, struct strbuf *b)
{
	struct rmem_budget budget;
	rmem_budget_init(&budget, rm, NULL, MAX_READS);
	struct repr r = {.py = py, .rm = &budget.rm, .b = b, .start = b->len};
	add_object(&r, addr);
	if (b->s)
		b->s[b->len] = '\0';
}
