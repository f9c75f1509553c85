/* SPDX-License-Identifier: Apache-2.0 */
/* Qualified names for releases whose code objects have none: only functions know theirs. The one
 * that a frame runs is not kept in it, but a method is found where Python found it: in the classes
 * of its first argument, under its name, maybe inside a descriptor or a decorator's wrapper.
 *
 *   frame -> first argument -> type -> mro -> class.__dict__[co_name] -> function, if its code is
 * ours
 */
#include <stdio.h>

#include "objects.h"

#define MAX_CLASSES 64
#define MAX_READS   2048
#define MAX_WRAPS   8

struct search {
	struct py *py;
	struct rmem *rm;
	uint64_t code, name; /* code object and its co_name */
	char text[128];      /* of the name; "": long, or not ASCII */
};

/* The function at addr, or one it wraps, if it runs our code. */
static uint64_t unwrap(struct search *s, uint64_t addr)
{
	const struct py_layout *l = &s->py->layout;
	struct py_type t;
	uint64_t code;
	for (int i = 0; i < MAX_WRAPS; i++) {
		if (!py_type_of(s->py, s->rm, addr, &t) || !py_is_builtin(&t, "function") ||
		    !py_read_field(s->rm, addr, l->function.code, &code))
			return 0;
		if (code == s->code)
			return addr;
		if (!py_attribute(s->py, s->rm, addr, "__wrapped__", NULL, &addr))
			return 0;
	}
	return 0;
}

/* classmethod and staticmethod have one function right behind their head, property has three. */
static uint64_t function_in(struct search *s, uint64_t value)
{
	struct py_type t;
	uint64_t inside[3], function = 0;
	size_t n = 0;
	if (!py_type_of(s->py, s->rm, value, &t))
		return 0;
	if (py_is_builtin(&t, "function"))
		return unwrap(s, value);
	if (py_is_builtin(&t, "classmethod") || py_is_builtin(&t, "staticmethod"))
		n = 1;
	else if (py_is_builtin(&t, "property"))
		n = 3;
	if (!n || !py_read(s->rm, value + s->py->layout.object.size, inside, n * 8))
		return 0;
	for (size_t i = 0; i < n && !function; i++)
		function = inside[i] ? unwrap(s, inside[i]) : 0;
	return function;
}

static uint64_t function_in_class(struct search *s, uint64_t class)
{
	uint64_t dict, value, key = s->name;
	char mangled[256];
	struct py_type t;
	if (!py_read_field(s->rm, class, s->py->layout.type.dict, &dict) || !dict)
		return 0;
	if (py_dict_find_key(s->py, s->rm, dict, key, &value))
		return function_in(s, value);
	size_t len = strlen(s->text);
	if (len < 3 || strncmp(s->text, "__", 2) != 0 || !strcmp(s->text + len - 2, "__") ||
	    !py_read_type(s->py, s->rm, class, &t))
		return 0;
	const char *bare = t.name + strspn(t.name, "_");
	snprintf(mangled, sizeof(mangled), "_%s%s", bare, s->text);
	return py_dict_find(s->py, s->rm, dict, mangled, NULL, &value) ? function_in(s, value) : 0;
}

static uint64_t function_in_classes(struct search *s, uint64_t type)
{
	uint64_t mro, classes[MAX_CLASSES], claimed, function = 0;
	size_t n = 0;
	if (!py_read_field(s->rm, type, s->py->layout.type.mro, &mro) || !mro ||
	    !py_read_tuple(s->py, s->rm, mro, classes, MAX_CLASSES, &n, &claimed))
		return 0;
	for (size_t i = 0; i < n && !function; i++)
		function = function_in_class(s, classes[i]);
	return function;
}

/* The first argument; an argument that inner functions use has moved from its slot to a cell. */
static uint64_t first_argument(struct search *s, uint64_t frame)
{
	const struct py_layout *l = &s->py->layout;
	uint64_t at = frame + l->frame.localsplus.at, value, varnames, cellvars, nlocals;
	uint64_t first, names[32], claimed;
	size_t n;
	if (!py_read(s->rm, at, &value, sizeof(value)))
		return 0;
	if (value)
		return value;
	if (!py_read_field(s->rm, s->code, l->code.varnames, &varnames) ||
	    !py_read_field(s->rm, s->code, l->code.cellvars, &cellvars) ||
	    !py_read_field(s->rm, s->code, l->code.nlocals, &nlocals) || nlocals > 65536 ||
	    !py_read_tuple(s->py, s->rm, varnames, &first, 1, &n, &claimed) || !n ||
	    !py_read_tuple(s->py, s->rm, cellvars, names, 32, &n, &claimed))
		return 0;
	for (size_t i = 0; i < n; i++)
		if (names[i] == first && py_read(s->rm, at + 8 * (nlocals + i), &value, 8) &&
		    value && py_read_field(s->rm, value, l->cell_ref, &value))
			return value;
	return 0;
}

bool py_find_qualname(struct py *py, const struct snapshot *snap, uint64_t frame,
                      struct strbuf *ret, bool *hopeless_ret)
{
	const struct py_layout *l = &py->layout;
	struct rmem_budget budget;
	struct py_type t;
	uint64_t count, type, qualname, function;
	struct strbuf text = {0};
	rmem_budget_init(&budget, py->base.target->rm, snap, MAX_READS);
	struct search s = {.py = py, .rm = &budget.rm};
	*hopeless_ret = false;
	if (!py_read_field(s.rm, frame, l->frame.code, &s.code) ||
	    !py_read_field(s.rm, s.code, l->code.argcount, &count) ||
	    !py_read_field(s.rm, s.code, l->code.name, &s.name))
		return false;
	*hopeless_ret = !count;
	uint64_t self = count ? first_argument(&s, frame) : 0;
	if (!self || !py_read_field(s.rm, self, l->object.type, &type) ||
	    !py_read_type(py, s.rm, type, &t))
		return false;
	if (py_read_str(py, s.rm, s.name, sizeof(s.text) - 1, &text) && text.len &&
	    text.len < sizeof(s.text))
		memcpy(s.text, text.s, text.len);
	strbuf_free(&text);
	function = t.flags & TYPE_TYPE ? function_in_classes(&s, self) : 0;
	if (!function)
		function = function_in_classes(&s, type);
	return function && py_read_field(s.rm, function, l->function.qualname, &qualname) &&
	       py_read_str(py, s.rm, qualname, PY_MAX_STRING, ret) && ret->len;
}
