/* SPDX-License-Identifier: Apache-2.0 */
/* asyncio's tasks, what they await and who awaits them.
 *
 *   from 3.14   lists of each thread and interpreter, described by the section .AsyncioDebug
 *   before      a WeakSet in asyncio.tasks; of a Task, an object of C code, nothing describes the
 *               fields, but among them only one pair is a coroutine followed by a name */
#include <stdlib.h>

#include <csample/hash.h>
#include <csample/mem.h>
#include <csample/vec.h>

#include "objects.h"

#define MAX_TASKS    4096
#define MAX_AWAITS   64 /* frames of a task */
#define MAX_AWAITERS 32 /* of a task */
#define MAX_NAME     256
#define MAX_EDGES    16384
#define MAX_READS    400000
#define TASK_WORDS   64 /* of a Task's fields looked at */

struct task {
	uint64_t addr, coroutine;
	uint64_t waiter; /* before 3.14: the future it waits for */
	char *name;
	pid_t tid;
	bool running;
};

struct tasks {
	struct py *py;
	struct rmem *rm;
	VEC(struct task) all;
	struct map64 by_addr; /* -> index + 1 */
	VEC(uint64_t) edges;  /* pairs: a task, one that awaits it */
	pid_t tid;            /* of the list that is read */
	uint64_t id_key;      /* where the name was found last */
};

static char *task_name(struct tasks *ts, uint64_t name)
{
	struct strbuf b = {0};
	struct py_type t;
	int64_t number;
	if (!name || !py_type_of(ts->py, ts->rm, name, &t))
		return mem_strdup("?");
	if (t.flags & TYPE_LONG && py_read_int(ts->py, ts->rm, name, &number))
		return mem_asprintf("Task-%lld", (long long)number);
	if (!(t.flags & TYPE_STR) || !py_read_str(ts->py, ts->rm, name, MAX_NAME, &b) || !b.len) {
		strbuf_free(&b);
		return mem_strdup("?");
	}
	return b.s;
}

/* Tasks of 3.7 have no name. */
static char *coroutine_name(struct tasks *ts, uint64_t coroutine)
{
	struct frame outermost;
	bool found = py_await_chain(ts->py, ts->rm, coroutine, &outermost, 1);
	return found ? mem_asprintf("%s()", outermost.function) : mem_strdup("?");
}

static bool add_task(struct tasks *ts, struct task t)
{
	if (ts->all.n >= MAX_TASKS || *map64_put(&ts->by_addr, t.addr)) {
		free(t.name);
		return false;
	}
	*vec_add(&ts->all) = t;
	*map64_put(&ts->by_addr, t.addr) = ts->all.n;
	return true;
}

static struct task *find_task(struct tasks *ts, uint64_t addr)
{
	uint64_t *at = map64_get(&ts->by_addr, addr);
	return at && *at ? &ts->all.items[*at - 1] : NULL;
}

static void add_edge(struct tasks *ts, uint64_t task, uint64_t awaited_by)
{
	if (ts->edges.n >= 2 * (size_t)MAX_EDGES)
		return;
	*vec_add(&ts->edges) = task;
	*vec_add(&ts->edges) = awaited_by;
}

/* ---- from 3.14 on ---- */

static void read_awaiters(struct tasks *ts, uint64_t task)
{
	const struct py_layout *l = &ts->py->layout;
	uint64_t awaited_by, is_set, claimed, items[MAX_AWAITERS];
	size_t n = 1;
	if (!py_read_field(ts->rm, task, l->asyncio.awaited_by, &awaited_by) || !awaited_by ||
	    !py_read_field(ts->rm, task, l->asyncio.awaited_by_is_set, &is_set))
		return;
	items[0] = awaited_by;
	if (is_set && !py_read_set(ts->py, ts->rm, awaited_by, items, MAX_AWAITERS, &n, &claimed))
		return;
	for (size_t i = 0; i < n; i++)
		add_edge(ts, task, items[i]);
}

/* A circular list whose nodes are inside the tasks. */
static void read_list(struct tasks *ts, uint64_t head, uint64_t running)
{
	const struct py_layout *l = &ts->py->layout;
	uint64_t node = head, coroutine, name;
	for (size_t i = 0; i < MAX_TASKS; i++) {
		if (!py_read(ts->rm, node, &node, sizeof(node)) || !node || node == head)
			return;
		uint64_t task = node - l->asyncio.node;
		if (!py_read_field(ts->rm, task, l->asyncio.coro, &coroutine) ||
		    !py_read_field(ts->rm, task, l->asyncio.name, &name))
			return;
		if (!add_task(ts, (struct task){.addr = task,
		                                .coroutine = coroutine & ~(uint64_t)l->tag_mask,
		                                .name = task_name(ts, name),
		                                .tid = ts->tid,
		                                .running = task == running}))
			return;
		read_awaiters(ts, task);
	}
}

static void read_lists(struct tasks *ts)
{
	struct py *py = ts->py;
	const struct py_layout *l = &py->layout;
	const struct py_thread *th;
	VEC(uint64_t) interps = {0};
	for (size_t i = 0; i < PY_MAX_THREADS && (th = py_threads_at(py->threads, i)); i++) {
		ts->tid = th->tid;
		for (unsigned s = 0; s < th->n_own; s++) {
			uint64_t running = 0;
			size_t k = 0;
			py_read_field(ts->rm, th->states[s], l->asyncio.thread_running_task,
			              &running);
			read_list(ts, th->states[s] + l->asyncio.thread_tasks_head.at, running);
			while (k < interps.n && interps.items[k] != th->interps[s])
				k++;
			if (k == interps.n)
				*vec_add(&interps) = th->interps[s];
		}
	}
	ts->tid = 0; /* tasks of threads that have ended */
	for (size_t k = 0; k < interps.n; k++)
		read_list(ts, interps.items[k] + l->asyncio.interp_tasks_head.at, 0);
	vec_free(&interps);
}

/* ---- before 3.14 ---- */

static pid_t thread_of_loop(struct tasks *ts, uint64_t loop)
{
	uint64_t value;
	int64_t ident;
	const struct py_thread *th;
	if (!py_attribute(ts->py, ts->rm, loop, "_thread_id", &ts->id_key, &value) ||
	    !py_read_int(ts->py, ts->rm, value, &ident))
		return 0;
	for (size_t i = 0; i < PY_MAX_THREADS && (th = py_threads_at(ts->py->threads, i)); i++)
		for (unsigned s = 0; s < th->n_own; s++)
			if (th->idents[s] == (uint64_t)ident)
				return th->tid;
	return 0;
}

static bool is_a(struct tasks *ts, uint64_t word, const char *const *names, size_t n)
{
	struct py_type t;
	if (word < 4096 || word % 8 || word >> 47 || !py_type_of(ts->py, ts->rm, word, &t))
		return false;
	for (size_t i = 0; i < n; i++)
		if (py_is_builtin(&t, names[i]))
			return true;
	return false;
}

/* From the last field back: context, name (from 3.8), coroutine, what it waits for. */
static bool read_task(struct tasks *ts, uint64_t addr)
{
	static const char *const coroutines[] = {"coroutine", "generator"};
	static const char *const names[] = {"str", "int"};
	const struct py_layout *l = &ts->py->layout;
	uint64_t words[TASK_WORDS];
	struct py_type t;
	size_t first = l->object.size / 8;
	if (!py_type_of(ts->py, ts->rm, addr, &t) || t.basicsize > sizeof(words) ||
	    t.basicsize / 8 <= first + 2 || !py_read(ts->rm, addr, words, t.basicsize / 8 * 8))
		return false;
	for (size_t i = t.basicsize / 8 - 1; i > first; i--) {
		if (!is_a(ts, words[i], coroutines, ARRAY_SIZE(coroutines)))
			continue;
		bool named =
		        i + 1 < t.basicsize / 8 && is_a(ts, words[i + 1], names, ARRAY_SIZE(names));
		char *name = named ? task_name(ts, words[i + 1]) : coroutine_name(ts, words[i]);
		return add_task(ts, (struct task){.addr = addr,
		                                  .coroutine = words[i],
		                                  .waiter = words[i - 1],
		                                  .name = name,
		                                  .tid = thread_of_loop(ts, words[first])});
	}
	return false;
}

/* WeakSet.data is a set of weak references. */
static void read_weak_set(struct tasks *ts, uint64_t module, const char *name)
{
	uint64_t set, data, claimed, task;
	size_t n = 0;
	_cleanup_free_ uint64_t *refs = mem_realloc_array(NULL, MAX_TASKS, sizeof(*refs));
	if (!py_dict_find(ts->py, ts->rm, module, name, NULL, &set) ||
	    !py_attribute(ts->py, ts->rm, set, "data", NULL, &data) ||
	    !py_read_set(ts->py, ts->rm, data, refs, MAX_TASKS, &n, &claimed))
		return;
	for (size_t i = 0; i < n; i++)
		if (py_read_field(ts->rm, refs[i], ts->py->layout.weakref_object, &task) && task)
			read_task(ts, task);
}

static bool mark_running(void *arg, uint64_t loop, uint64_t task)
{
	struct task *t = find_task(arg, task);
	(void)loop;
	if (t)
		t->running = true;
	return true;
}

/* Who waits for whom: for a task itself, or for the future of gather(), which lists its children.
 */
static void read_waiters(struct tasks *ts)
{
	uint64_t children, items[MAX_AWAITERS], claimed;
	for (size_t i = 0; i < ts->all.n; i++) {
		const struct task *t = &ts->all.items[i];
		size_t n = 0;
		if (find_task(ts, t->waiter)) {
			add_edge(ts, t->waiter, t->addr);
			continue;
		}
		if (t->waiter < 4096 || t->waiter % 8 ||
		    !py_attribute(ts->py, ts->rm, t->waiter, "_children", NULL, &children) ||
		    !py_read_list(ts->py, ts->rm, children, items, MAX_AWAITERS, &n, &claimed))
			continue;
		for (size_t k = 0; k < n; k++)
			add_edge(ts, items[k], t->addr);
	}
}

static void read_weak_sets(struct tasks *ts)
{
	const struct py_thread *th;
	uint64_t module, current, last = 0;
	for (size_t i = 0; i < PY_MAX_THREADS && (th = py_threads_at(ts->py->threads, i)); i++) {
		for (unsigned s = 0; s < th->n_own; s++) {
			if (th->interps[s] == last)
				continue;
			last = th->interps[s];
			if (!py_find_module(ts->py, ts->rm, last, "asyncio.tasks", NULL, &module))
				continue;
			read_weak_set(ts, module, "_scheduled_tasks");
			read_weak_set(ts, module, "_all_tasks");
			if (py_dict_find(ts->py, ts->rm, module, "_current_tasks", NULL, &current))
				py_dict_each(ts->py, ts->rm, current, MAX_TASKS, mark_running, ts);
		}
	}
	read_waiters(ts);
}

/* ---- both ---- */

static void show_task(struct tasks *ts, const struct task *t, runtime_visit_task *visit, void *arg)
{
	struct frame frames[MAX_AWAITS];
	const char *awaiters[MAX_AWAITERS];
	struct runtime_task shown = {.name = t->name,
	                             .running = t->running,
	                             .frames = frames,
	                             .awaited_by = awaiters,
	                             .tid = t->tid};
	size_t n = py_await_chain(ts->py, ts->rm, t->coroutine, frames, MAX_AWAITS);
	if (!n && !t->running)
		return; /* done, but still referred to */
	for (size_t i = 0; i < n / 2; i++) {
		struct frame f = frames[i];
		frames[i] = frames[n - 1 - i];
		frames[n - 1 - i] = f;
	}
	shown.n_frames = n;
	for (size_t i = 0; i < ts->edges.n; i += 2) {
		const struct task *by = find_task(ts, ts->edges.items[i + 1]);
		if (ts->edges.items[i] == t->addr && by && shown.n_awaited_by < MAX_AWAITERS)
			awaiters[shown.n_awaited_by++] = by->name;
	}
	visit(arg, &shown);
}

void py_tasks(struct runtime *rt, runtime_visit_task *visit, void *arg)
{
	struct py *py = py_of(rt);
	struct rmem_budget budget;
	if (!rt->target)
		return;
	rmem_budget_init(&budget, rt->target->rm, NULL, MAX_READS);
	struct tasks ts = {.py = py, .rm = &budget.rm};
	if (py->layout.yield_from_slots) {
		if (!field_known(py->layout.asyncio.coro) && !py_find_asyncio(py))
			return;
		read_lists(&ts);
	} else {
		read_weak_sets(&ts);
	}
	for (size_t i = 0; i < ts.all.n; i++)
		show_task(&ts, &ts.all.items[i], visit, arg);
	for (size_t i = 0; i < ts.all.n; i++)
		free(ts.all.items[i].name);
	vec_free(&ts.all);
	vec_free(&ts.edges);
	map64_free(&ts.by_addr);
}
