/* SPDX-License-Identifier: Apache-2.0 */
/* Arguments and locals of one frame. Two shapes (facts: Include/internal/pycore_code.h and
 * Objects/frameobject.c of CPython):
 *
 *   up to 3.10   slots: co_varnames, then the cells of co_cellvars, then those of co_freevars
 *   from 3.11    slots: co_localsplusnames; co_localspluskinds says which are cells
 *
 * Code that is no function (a module, the body of a class) has a dict instead. */
#include <stdlib.h>

#include <csample/mem.h>

#include "objects.h"

#define MAX_VARIABLES 256
#define MAX_NAME      256
#define MAX_READS     8192 /* for all variables of a frame */
#define MAX_NAMESPACE 64   /* variables shown of a module or class */

enum { OPTIMIZED = 1, VARARGS = 4, VARKEYWORDS = 8 }; /* co_flags */
enum { KIND_CELL = 0x40, KIND_FREE = 0x80 };          /* CO_FAST_CELL, CO_FAST_FREE */

struct locals {
	struct py *py;
	struct rmem *rm; /* the snapshot, then the process; bounded */
	runtime_visit_local *visit;
	void *arg;
	struct strbuf name, repr;
	unsigned shown;
};

/* What the code says of its variables. */
struct variables {
	uint64_t names[MAX_VARIABLES]; /* str objects */
	uint8_t kinds[MAX_VARIABLES];
	size_t n, n_args; /* arguments come first */
	bool is_function;
};

static bool read_code_field(struct locals *o, uint64_t code, struct field f, uint64_t *ret)
{
	return py_read_field(o->rm, code, f, ret);
}

static size_t append_names(struct locals *o, uint64_t code, struct field f, struct variables *v,
                           uint8_t kind)
{
	uint64_t tuple, claimed;
	size_t n = 0;
	if (!read_code_field(o, code, f, &tuple) ||
	    !py_read_tuple(o->py, o->rm, tuple, v->names + v->n, MAX_VARIABLES - v->n, &n,
	                   &claimed))
		return 0;
	memset(v->kinds + v->n, kind, n);
	v->n += n;
	return n;
}

static void read_kinds(struct locals *o, uint64_t code, struct variables *v)
{
	const struct py_layout *l = &o->py->layout;
	uint64_t kinds, size;
	if (read_code_field(o, code, l->code.localspluskinds, &kinds) &&
	    py_read_field(o->rm, kinds, l->bytes.size, &size) && size >= v->n)
		py_read(o->rm, kinds + l->bytes.data, v->kinds, v->n);
}

static bool read_variables(struct locals *o, uint64_t code, struct variables *v)
{
	const struct py_layout *l = &o->py->layout;
	uint64_t flags, positional, keyword_only = 0;
	*v = (struct variables){0};
	if (!read_code_field(o, code, l->code.flags, &flags) ||
	    !read_code_field(o, code, l->code.argcount, &positional))
		return false;
	read_code_field(o, code, l->code.kwonlyargcount, &keyword_only);
	v->is_function = flags & OPTIMIZED;
	if (field_known(l->code.localsplusnames)) {
		append_names(o, code, l->code.localsplusnames, v, 0);
		read_kinds(o, code, v);
	} else {
		append_names(o, code, l->code.varnames, v, 0);
		append_names(o, code, l->code.cellvars, v, KIND_CELL);
		append_names(o, code, l->code.freevars, v, KIND_FREE);
	}
	uint64_t n_args = (positional & 0xffff) + (keyword_only & 0xffff) + !!(flags & VARARGS) +
	                  !!(flags & VARKEYWORDS);
	v->n_args = n_args < v->n ? (size_t)n_args : v->n;
	return true;
}

static void show(struct locals *o, uint64_t name, uint64_t value, bool is_argument)
{
	strbuf_clear(&o->name);
	strbuf_clear(&o->repr);
	if (!py_read_str(o->py, o->rm, name, MAX_NAME, &o->name) || !o->name.len ||
	    o->name.s[0] == '.') /* ".0": what a comprehension iterates over */
		return;
	py_repr(o->py, o->rm, value, &o->repr);
	o->visit(o->arg, o->name.s, o->repr.s ? o->repr.s : "", is_argument);
}

/* What the slot holds, through its cell if there is one already; 0: not set. Stack references of
 * 3.14 on carry tags: 3 is a small integer, 1 alone is NULL. */
static uint64_t value_of(struct locals *o, uint64_t slot, uint8_t kind)
{
	struct py_type t;
	uint64_t value = slot & ~(uint64_t)o->py->layout.tag_mask, inside;
	if (!value || !(kind & (KIND_CELL | KIND_FREE)))
		return value;
	if (!py_type_of(o->py, o->rm, value, &t) || !py_is_builtin(&t, "cell"))
		return value;
	return py_read_field(o->rm, value, o->py->layout.cell_ref, &inside) ? inside : 0;
}

/* Up to 3.10 an argument that is a cell has an empty slot, and its name again among the cells. */
static bool names_an_argument(const struct variables *v, size_t i)
{
	for (size_t j = 0; j < v->n_args; j++)
		if (v->names[j] == v->names[i])
			return true;
	return false;
}

static void show_slots(struct locals *o, uint64_t frame, const struct variables *v)
{
	uint64_t slots[MAX_VARIABLES];
	uint64_t at = frame + o->py->layout.frame.localsplus.at;
	if (!v->n || !py_read(o->rm, at, slots, v->n * 8))
		return;
	for (int arguments = 1; arguments >= 0; arguments--)
		for (size_t i = 0; i < v->n; i++) {
			bool is_argument = names_an_argument(v, i);
			uint64_t value =
			        is_argument == arguments ? value_of(o, slots[i], v->kinds[i]) : 0;
			if (value)
				show(o, v->names[i], value, is_argument);
		}
}

/* Names of a module or class that say something: no __dunder__, no function, class or module. */
static bool show_name(void *arg, uint64_t key, uint64_t value)
{
	struct locals *o = arg;
	struct py_type t;
	strbuf_clear(&o->name);
	if (!py_read_str(o->py, o->rm, key, MAX_NAME, &o->name) || !o->name.len ||
	    !strncmp(o->name.s, "__", 2) || !py_type_of(o->py, o->rm, value, &t) ||
	    (t.flags & TYPE_TYPE) || py_is_builtin(&t, "module") || py_is_builtin(&t, "function") ||
	    py_is_builtin(&t, "builtin_function_or_method"))
		return true;
	show(o, key, value, false);
	return ++o->shown < MAX_NAMESPACE;
}

static void show_namespace(struct locals *o, uint64_t frame)
{
	const struct py_layout *l = &o->py->layout;
	uint64_t dict;
	struct py_type t;
	if (!py_read_field(o->rm, frame, l->frame.locals, &dict))
		return;
	dict &= ~(uint64_t)l->tag_mask;
	if (dict && py_type_of(o->py, o->rm, dict, &t) && (t.flags & TYPE_DICT))
		py_dict_each(o->py, o->rm, dict, 4096, show_name, o);
}

struct wanted {
	size_t left;
	bool found;
	struct py_frame_at at;
};

static bool take_frame(void *arg, const struct py_frame_at *f)
{
	struct wanted *w = arg;
	if (w->left--)
		return true;
	w->at = *f;
	w->found = true;
	return false;
}

static bool ignore_group(void *arg, uint64_t marker)
{
	(void)arg, (void)marker;
	return true;
}

void py_frame_locals(struct py *py, const struct snapshot *snap, uint64_t frame, uint64_t code,
                     runtime_visit_local *visit, void *arg)
{
	struct rmem_budget budget;
	struct variables v;
	rmem_budget_init(&budget, py->base.target->rm, snap, MAX_READS);
	struct locals o = {.py = py, .rm = &budget.rm, .visit = visit, .arg = arg};
	if (read_variables(&o, code, &v)) {
		show_slots(&o, frame, &v);
		if (!v.is_function)
			show_namespace(&o, frame);
	}
	strbuf_free(&o.name);
	strbuf_free(&o.repr);
}

void py_locals(struct runtime *rt, const struct snapshot *snap, size_t frame,
               runtime_visit_local *visit, void *arg)
{
	struct py *py = py_of(rt);
	struct wanted w = {.left = frame};
	bool holds_lock;
	if (!rt->target)
		return;
	py_walk_frames(py, snap, take_frame, ignore_group, &w, &holds_lock);
	if (w.found)
		py_frame_locals(py, snap, w.at.addr, w.at.code, visit, arg);
}
