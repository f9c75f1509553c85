/* SPDX-License-Identifier: Apache-2.0 */
#include "dump_print.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <csample/mem.h>

#include "syscalls.h"

#define MAX_RUNTIMES 16

static const char *state_word(char state)
{
	switch (state) {
	case 'R':
		return "running";
	case 'S':
		return "sleeping";
	case 'D':
		return "disk sleep";
	case 'T':
		return "stopped";
	case 't':
		return "traced";
	case 'I':
		return "idle";
	case 'Z':
	case 'X':
		return "ended";
	default:
		return "unknown";
	}
}

/* Unwinding ends here, and why, in a frame of its own. */
static const char *end_mark(enum stack_end end)
{
	if (end == STACK_ROOT)
		return NULL;
	return end == STACK_SHORT || end == STACK_TOO_DEEP ? "[truncated]" : "[unwound no further]";
}

/* The run-time address of a raw frame; 0 when it has none. */
static uint64_t address_of(const struct dump *d, const struct raw_frame *raw)
{
	if (raw->kind != RAW_NATIVE)
		return raw->kind == RAW_ANON || raw->kind == RAW_KERNEL ? raw->addr : 0;
	for (size_t i = 0; i < d->target->maps.n; i++) {
		const struct mapping *m = &d->target->maps.items[i];
		if (m->executable && m->image && m->image->id == raw->owner)
			return raw->addr + m->bias;
	}
	return 0;
}

static void text_frame(struct dump *d, const struct frame *f)
{
	bool full = d->opt->full_filenames;
	strbuf_add(&d->text, "    ");
	strbuf_add_terminal(&d->text, f->function);
	if (f->file) {
		strbuf_add(&d->text, " (");
		strbuf_add_terminal(&d->text, full ? f->file : frame_short_path(f->file));
		if (f->line)
			strbuf_addf(&d->text, ":%u", f->line);
		if (f->line && f->column && f->kind == FRAME_JAVASCRIPT)
			strbuf_addf(&d->text, ":%u", f->column);
		strbuf_addc(&d->text, ')');
	}
	if (f->kind == FRAME_INLINED)
		strbuf_add(&d->text, " (inlined)");
	if (f->module) {
		/* "[vdso]" and the like have their brackets. */
		bool bare = *f->module != '[';
		strbuf_add(&d->text, bare ? " [" : " ");
		strbuf_add_terminal(&d->text, full ? f->module : frame_short_path(f->module));
		strbuf_add(&d->text, bare ? "]" : "");
	}
	strbuf_addc(&d->text, '\n');
}

static void json_string(struct strbuf *b, const char *key, const char *value)
{
	if (!value || !*value)
		return; /* absent facts are absent keys */
	strbuf_addf(b, ", \"%s\": ", key);
	strbuf_add_json(b, value);
}

/* Leaves the frame's object open: locals may follow. */
static void json_frame(struct dump *d, const struct frame *f, uint64_t address, bool first)
{
	static const char *const kinds[FRAME_KINDS] = {
	        [FRAME_NATIVE] = "native",         [FRAME_INLINED] = "native",
	        [FRAME_KERNEL] = "kernel",         [FRAME_PYTHON] = "python",
	        [FRAME_JAVASCRIPT] = "javascript", [FRAME_MARK] = "mark",
	};
	struct strbuf *b = &d->text;
	strbuf_addf(b, "%s\n    {\"kind\": \"%s\"", first ? "" : ",", kinds[f->kind]);
	json_string(b, "function", f->function);
	json_string(b, "file", f->file);
	if (f->line)
		strbuf_addf(b, ", \"line\": %u", f->line);
	if (f->column)
		strbuf_addf(b, ", \"column\": %u", f->column);
	json_string(b, "module", f->module);
	if (address)
		strbuf_addf(b, ", \"address\": \"0x%llx\"", (unsigned long long)address);
	if (f->kind == FRAME_INLINED)
		strbuf_add(b, ", \"inlined\": true");
}

static void add_locals(struct dump *d, const struct snapshot *snap, size_t i)
{
	if (d->locals)
		locals_print(d->locals, snap, i, d->opt->json, &d->text);
}

void dump_collect_locals(void *arg, const struct snapshot *snap, const struct decoded *decoded)
{
	struct dump *d = arg;
	locals_collect(d->locals, snap, decoded, !d->core);
}

static void add_frames(struct dump *d, const struct snapshot *snap, const struct stack *stack,
                       struct runtime *rt)
{
	struct frame named[SYMBOLS_MAX_INLINED];
	bool first = true;
	size_t n_own = 0;
	for (size_t i = 0; i < stack->n; i++) {
		uint64_t address = address_of(d, &stack->frames[i]);
		size_t n = 1;
		if (stack->frames[i].kind == RAW_RUNTIME)
			decoder_name(d->decoder, stack->frames[i], named);
		else
			n = decoder_hide_inlined(d->decoder, stack->frames[i], named,
			                         symbols_name(d->symbols, stack->frames[i], named,
			                                      SYMBOLS_MAX_INLINED));
		for (size_t k = 0; k < n; k++) {
			if (d->opt->json)
				json_frame(d, &named[k], address, first);
			else
				text_frame(d, &named[k]);
			first = false;
			if (rt && stack->frames[i].kind == RAW_RUNTIME &&
			    stack->frames[i].owner == rt->index)
				add_locals(d, snap, n_own++);
			if (d->opt->json)
				strbuf_addc(&d->text, '}');
		}
	}
	const char *mark = end_mark(stack->end);
	if (!mark)
		return;
	const struct frame f = {.kind = FRAME_MARK, .function = mark};
	if (d->opt->json) {
		json_frame(d, &f, 0, first);
		strbuf_addc(&d->text, '}');
	} else {
		text_frame(d, &f);
	}
}

/* What a thread waits in, as people know it; NULL: it does not wait in a system call. */
static const char *wait_name(const struct dump *d, const struct snapshot *snap, char *buf,
                             size_t len)
{
	if ((snap->by != BY_ASLEEP && !d->core) || snap->syscall < 0)
		return NULL;
	const char *name = syscall_name(snap->syscall);
	if (name)
		return name;
	snprintf(buf, len, "system call %d", snap->syscall);
	return buf;
}

/* What the thread's runtime calls it, else what the kernel does. */
static void thread_name(struct dump *d, pid_t tid, const struct decoded *decoded, char *buf,
                        size_t len)
{
	struct runtime *rt = decoded ? decoded->runtime : NULL;
	if (!rt || !rt->ops->thread_name || !rt->ops->thread_name(rt, tid, buf, len))
		target_thread_name(d->target, tid, buf, len);
}

static void json_thread(struct dump *d, const struct snapshot *snap, const struct stack *stack,
                        const struct decoded *decoded, const char *why)
{
	struct strbuf *b = &d->text;
	struct runtime *rt = stack ? decoded->runtime : NULL;
	if (why)
		json_string(b, "error", why);
	if (!d->core)
		strbuf_addf(b, ", \"active\": %s", snap->state == 'R' ? "true" : "false");
	if (rt && rt->ops->has_lock && rt->ops->has_lock(rt))
		strbuf_addf(b, ", \"gil\": %s", decoded->holds_lock ? "true" : "false");
	strbuf_addf(b, ", \"rooted\": %s, \"frames\": [",
	            stack && stack->end == STACK_ROOT ? "true" : "false");
	if (stack)
		add_frames(d, snap, stack, rt);
	strbuf_add(b, "]}");
}

/* Thread 12 (sleeping, read): "name"; facts that are NULL or empty are not known. */
static void text_thread(struct strbuf *b, pid_t tid, const char *name, const char *const *facts,
                        size_t n)
{
	const char *before = " (";
	strbuf_addf(b, "\nThread %d", (int)tid);
	for (size_t i = 0; i < n; i++) {
		if (!facts[i] || !*facts[i])
			continue;
		strbuf_addf(b, "%s%s", before, facts[i]);
		before = ", ";
	}
	strbuf_add(b, *before == ',' ? ")" : "");
	if (*name) {
		strbuf_add(b, ": \"");
		strbuf_add_terminal(b, name);
		strbuf_addc(b, '"');
	}
	strbuf_addc(b, '\n');
}

void dump_print_thread(void *arg, pid_t tid, const struct snapshot *snap, const struct stack *stack,
                       const struct decoded *decoded, const char *why)
{
	struct dump *d = arg;
	struct strbuf *b = &d->text;
	char name[256] = "", number[32];
	thread_name(d, tid, stack ? decoded : NULL, name, sizeof(name));
	const char *wait = stack ? wait_name(d, snap, number, sizeof(number)) : NULL;
	const char *state = d->core ? NULL : state_word(snap->state);
	const char *killed = d->core ? core_signal_name(d->core, tid) : NULL;
	struct runtime *rt = stack ? decoded->runtime : NULL;
	if (d->core && d->locals)
		dump_collect_locals(d, snap, decoded);
	if (d->opt->json) {
		strbuf_addf(b, "%s\n  {\"tid\": %d", d->n_threads ? "," : "", (int)tid);
		json_string(b, "name", name);
		json_string(b, "state", state);
		json_string(b, "wait", wait);
		json_string(b, "signal", killed);
		json_thread(d, snap, stack, decoded, why);
	} else {
		char active[16] = "";
		if (rt && !d->core)
			snprintf(active, sizeof(active), "%s%s",
			         snap->state == 'R' ? "active" : "idle",
			         decoded->holds_lock ? "+gil" : "");
		else if (rt && decoded->holds_lock)
			snprintf(active, sizeof(active), "gil");
		const char *facts[] = {active, state, wait, killed};
		text_thread(b, tid, name, facts, ARRAY_SIZE(facts));
		if (stack)
			add_frames(d, snap, stack, rt);
		else
			strbuf_addf(b, "    [not captured: %s]\n", why);
	}
	d->n_threads++;
	d->n_failed += !stack;
}

static void text_task(struct dump *d, const struct runtime_task *task)
{
	struct strbuf *b = &d->text;
	strbuf_add(b, "\nTask \"");
	strbuf_add_terminal(b, task->name ? task->name : "?");
	strbuf_addf(b, "\" (%s", task->running ? "running" : "suspended");
	if (task->tid)
		strbuf_addf(b, ", thread %d", (int)task->tid);
	strbuf_addc(b, ')');
	for (size_t i = 0; i < task->n_awaited_by; i++) {
		strbuf_add(b, i ? ", \"" : ", awaited by \"");
		strbuf_add_terminal(b, task->awaited_by[i]);
		strbuf_addc(b, '"');
	}
	strbuf_add(b, ":\n");
	for (size_t i = 0; i < task->n_frames; i++)
		text_frame(d, &task->frames[i]);
}

static void json_task(struct dump *d, const struct runtime_task *task)
{
	struct strbuf *b = &d->text;
	strbuf_addf(b, "%s\n  {\"running\": %s", d->n_tasks ? "," : "],\n \"tasks\": [",
	            task->running ? "true" : "false");
	json_string(b, "name", task->name);
	if (task->tid)
		strbuf_addf(b, ", \"tid\": %d", (int)task->tid);
	for (size_t i = 0; i < task->n_awaited_by; i++) {
		strbuf_add(b, i ? ", " : ", \"awaited_by\": [");
		strbuf_add_json(b, task->awaited_by[i]);
	}
	strbuf_add(b, task->n_awaited_by ? "], \"frames\": [" : ", \"frames\": [");
	for (size_t i = 0; i < task->n_frames; i++) {
		json_frame(d, &task->frames[i], 0, i == 0);
		strbuf_addc(b, '}');
	}
	strbuf_add(b, "]}");
}

static void visit_task(void *arg, const struct runtime_task *task)
{
	struct dump *d = arg;
	if (d->opt->json)
		json_task(d, task);
	else
		text_task(d, task);
	d->n_tasks++;
}

void dump_print_tasks(struct dump *d)
{
	struct runtime *rt[MAX_RUNTIMES];
	size_t n = decoding_runtimes(d->decoding, rt, MAX_RUNTIMES);
	for (size_t i = 0; i < n; i++)
		if (rt[i]->ops->tasks)
			rt[i]->ops->tasks(rt[i], visit_task, d);
}

void dump_print_head(struct dump *d)
{
	struct strbuf *b = &d->text;
	struct runtime *rt[MAX_RUNTIMES];
	size_t n_rt = decoding_runtimes(d->decoding, rt, MAX_RUNTIMES);
	const char *killed = d->core ? core_signal_name(d->core, d->core->signal_tid) : NULL;
	if (!d->opt->json) {
		strbuf_addf(b, "%s %d%s%s: ", d->core ? "Core of process" : "Process",
		            (int)d->target->pid, killed ? ", ended by " : "", killed ? killed : "");
		strbuf_add_terminal(b, d->target->command);
		strbuf_addc(b, '\n');
		for (size_t i = 0; i < n_rt; i++) {
			strbuf_addf(b, "%s %s (", rt[i]->ops->title, rt[i]->version);
			strbuf_add_terminal(b, rt[i]->image->path);
			strbuf_add(b, ")\n");
		}
		return;
	}
	strbuf_addf(b, "{\"pid\": %d", (int)d->target->pid);
	json_string(b, "core", d->opt->core);
	json_string(b, "signal", killed);
	strbuf_add(b, ", \"command\": [");
	for (size_t i = 0; i < d->target->argc; i++) {
		strbuf_add(b, i ? ", " : "");
		strbuf_add_json(b, d->target->argv[i]);
	}
	strbuf_add(b, "], \"runtimes\": [");
	for (size_t i = 0; i < n_rt; i++) {
		strbuf_addf(b, "%s{\"name\": \"%s\"", i ? ", " : "", rt[i]->ops->name);
		json_string(b, "version", rt[i]->version);
		strbuf_addc(b, '}');
	}
	strbuf_add(b, "], \"threads\": [");
}
