/* SPDX-License-Identifier: Apache-2.0 */
/* What Python calls its threads: threading._active maps the identity of each (PyThreadState's
 * thread_id) to a Thread, whose _name it is.
 *
 *   interp.modules["threading"].__dict__["_active"][ident].__dict__["_name"]
 *
 * All names of an interpreter are read at once, when a thread is asked for that has none, and again
 * when they are old. Each try that finds nothing new makes the next one later. */
#include <stdlib.h>

#include <csample/clock.h>
#include <csample/mem.h>
#include <csample/vec.h>

#include "objects.h"

#define MAX_NAMES   PY_MAX_THREADS
#define MAX_NAME    255    /* characters */
#define MAX_READS   131072 /* for the names of one interpreter */
#define OLD_NS      5000000000ull
#define FIRST_RETRY 50000000ull

struct name {
	uint64_t interp, ident;
	pid_t tid; /* 0: not asked for yet; identities are used again by later threads */
	char *text;
};

struct py_thread_names {
	VEC(struct name) names;
	uint64_t read_ns, retry_ns; /* when last; how long to wait from then */
	uint64_t module_key, active_key, name_key;
};

struct py_thread_names *py_thread_names_create(void)
{
	struct py_thread_names *n = mem_zalloc(sizeof(*n));
	n->retry_ns = FIRST_RETRY;
	return n;
}

static void forget_names(struct py_thread_names *n, uint64_t interp)
{
	size_t kept = 0;
	for (size_t i = 0; i < n->names.n; i++) {
		if (interp && n->names.items[i].interp != interp)
			n->names.items[kept++] = n->names.items[i];
		else
			free(n->names.items[i].text);
	}
	n->names.n = kept;
}

void py_thread_names_destroy(struct py_thread_names *n)
{
	if (!n)
		return;
	forget_names(n, 0);
	vec_free(&n->names);
	free(n);
}

struct reading {
	struct py *py;
	struct rmem *rm;
	struct py_thread_names *names;
	uint64_t interp;
};

static bool read_name(void *arg, uint64_t key, uint64_t value)
{
	struct reading *r = arg;
	uint64_t name;
	int64_t ident;
	struct strbuf text = {0};
	if (py_read_int(r->py, r->rm, key, &ident) && ident > 0 &&
	    py_attribute(r->py, r->rm, value, "_name", &r->names->name_key, &name) &&
	    py_is_str(r->py, r->rm, name) && py_read_str(r->py, r->rm, name, MAX_NAME, &text) &&
	    text.len) {
		*vec_add(&r->names->names) = (struct name){r->interp, (uint64_t)ident, 0, text.s};
		return r->names->names.n < MAX_NAMES;
	}
	strbuf_free(&text);
	return true;
}

static void read_names(struct py *py, uint64_t interp)
{
	struct py_thread_names *n = py->thread_names;
	struct rmem_budget budget;
	uint64_t module, active;
	rmem_budget_init(&budget, py->base.target->rm, NULL, MAX_READS);
	struct reading r = {py, &budget.rm, n, interp};
	forget_names(n, interp);
	if (py_find_module(py, &budget.rm, interp, "threading", &n->module_key, &module) &&
	    py_dict_find(py, &budget.rm, module, "_active", &n->active_key, &active))
		py_dict_each(py, &budget.rm, active, 2 * (size_t)MAX_NAMES, read_name, &r);
}

static const char *find_name(struct py_thread_names *n, const struct py_thread *th)
{
	for (unsigned s = 0; s < th->n_own; s++)
		for (size_t i = 0; i < n->names.n; i++) {
			struct name *name = &n->names.items[i];
			if (name->ident != th->idents[s] || name->interp != th->interps[s] ||
			    (name->tid && name->tid != th->tid))
				continue;
			name->tid = th->tid;
			return name->text;
		}
	return NULL;
}

bool py_thread_name(struct runtime *rt, pid_t tid, char *buf, size_t len)
{
	struct py *py = py_of(rt);
	struct py_thread_names *n = py->thread_names;
	const struct py_thread *th = py_threads_find(py->threads, tid);
	if (!th || !len)
		return false;
	const char *name = find_name(n, th);
	uint64_t now = now_ns();
	uint64_t age = now - n->read_ns;
	if (rt->target && age >= (name ? OLD_NS : n->retry_ns)) {
		for (unsigned s = 0; s < th->n_own; s++)
			read_names(py, th->interps[s]);
		name = find_name(n, th);
		n->read_ns = now;
		n->retry_ns = name ? FIRST_RETRY : n->retry_ns * 2;
		if (n->retry_ns > OLD_NS)
			n->retry_ns = OLD_NS;
	}
	if (!name)
		return false;
	size_t used = strlen(name);
	if (used >= len) /* not in the middle of a character */
		for (used = len - 1; used && ((unsigned char)name[used] & 0xc0) == 0x80; used--)
			;
	memcpy(buf, name, used);
	buf[used] = '\0';
	return true;
}
