/* SPDX-License-Identifier: Apache-2.0 */
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <csample/log.h>
#include <csample/once.h>
#include <csample/strbuf.h>

#include "options.h"
#include "syscalls.h"

struct dump {
	const struct options *opt;
	struct strings *strings;
	struct images *images;
	struct symbols *symbols;
	struct decoder *decoder;
	struct decoding *decoding;
	struct target *target;
	struct strbuf text;
	size_t n_threads, n_failed;
};

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

static const char *last_part(const char *path)
{
	const char *slash = strrchr(path, '/');
	return slash && slash[1] ? slash + 1 : path;
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
		strbuf_add_terminal(&d->text, full ? f->file : last_part(f->file));
		if (f->line)
			strbuf_addf(&d->text, ":%u", f->line);
		strbuf_addc(&d->text, ')');
	}
	if (f->kind == FRAME_INLINED)
		strbuf_add(&d->text, " (inlined)");
	if (f->module) {
		/* "[vdso]" and the like have their brackets. */
		bool bare = *f->module != '[';
		strbuf_add(&d->text, bare ? " [" : " ");
		strbuf_add_terminal(&d->text, full ? f->module : last_part(f->module));
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
	strbuf_addc(b, '}');
}

static void add_frames(struct dump *d, const struct stack *stack)
{
	struct frame named[SYMBOLS_MAX_INLINED];
	bool first = true;
	for (size_t i = 0; i < stack->n; i++) {
		uint64_t address = address_of(d, &stack->frames[i]);
		size_t n = 1;
		if (stack->frames[i].kind == RAW_RUNTIME)
			decoder_name(d->decoder, stack->frames[i], named);
		else
			n = symbols_name(d->symbols, stack->frames[i], named, SYMBOLS_MAX_INLINED);
		for (size_t k = 0; k < n; k++) {
			if (d->opt->json)
				json_frame(d, &named[k], address, first);
			else
				text_frame(d, &named[k]);
			first = false;
		}
	}
	const char *mark = end_mark(stack->end);
	if (!mark)
		return;
	const struct frame f = {.kind = FRAME_MARK, .function = mark};
	if (d->opt->json)
		json_frame(d, &f, 0, first);
	else
		text_frame(d, &f);
}

/* What a thread waits in, as people know it; NULL: it does not wait in a system call. */
static const char *wait_name(const struct snapshot *snap, char *buf, size_t len)
{
	if (snap->by != BY_ASLEEP || snap->syscall < 0)
		return NULL;
	const char *name = syscall_name(snap->syscall);
	if (name)
		return name;
	snprintf(buf, len, "system call %d", snap->syscall);
	return buf;
}

static void visit(void *arg, pid_t tid, const struct snapshot *snap, const struct stack *stack,
                  const struct decoded *decoded, const char *why)
{
	(void)decoded;
	struct dump *d = arg;
	struct strbuf *b = &d->text;
	char name[64] = "", number[32];
	target_thread_name(d->target, tid, name, sizeof(name));
	const char *wait = stack ? wait_name(snap, number, sizeof(number)) : NULL;
	const char *state = state_word(snap->state);
	if (d->opt->json) {
		strbuf_addf(b, "%s\n  {\"tid\": %d", d->n_threads ? "," : "", (int)tid);
		json_string(b, "name", name);
		json_string(b, "state", state);
		json_string(b, "wait", wait);
		json_string(b, "error", why);
		strbuf_addf(b, ", \"active\": %s, \"rooted\": %s, \"frames\": [",
		            snap->state == 'R' ? "true" : "false",
		            stack && stack->end == STACK_ROOT ? "true" : "false");
		if (stack)
			add_frames(d, stack);
		strbuf_add(b, "]}");
	} else {
		strbuf_addf(b, "\nThread %d (%s%s%s): \"", (int)tid, state, wait ? ", " : "",
		            wait ? wait : "");
		strbuf_add_terminal(b, name);
		strbuf_add(b, "\"\n");
		if (stack)
			add_frames(d, stack);
		else
			strbuf_addf(b, "    [not captured: %s]\n", why);
	}
	d->n_threads++;
	d->n_failed += !stack;
}

static void add_head(struct dump *d)
{
	struct strbuf *b = &d->text;
	if (!d->opt->json) {
		strbuf_addf(b, "Process %d: ", (int)d->target->pid);
		strbuf_add_terminal(b, d->target->command);
		strbuf_addc(b, '\n');
		return;
	}
	strbuf_addf(b, "{\"pid\": %d, \"command\": [", (int)d->target->pid);
	for (size_t i = 0; i < d->target->argc; i++) {
		strbuf_add(b, i ? ", " : "");
		strbuf_add_json(b, d->target->argv[i]);
	}
	strbuf_add(b, "], \"runtimes\": [], \"threads\": [");
}

static bool lookup_name(void *arg, struct image *img, uint64_t vaddr, const char **name_ret,
                        uint64_t *start_ret)
{
	return symbols_lookup_name(arg, img, vaddr, name_ret, start_ret);
}

static struct err *dump(struct dump *d)
{
	struct symbols_config symbols_config = {0};
	d->strings = strings_create();
	d->images = images_create(d->strings);
	d->symbols = symbols_create(d->images, d->strings, &symbols_config);
	struct err *err = target_open(d->opt->pid, d->images, d->strings, &d->target);
	if (err)
		return err;
	symbols_add_process(d->symbols, (uint32_t)d->target->pid, d->target->root_fd,
	                    d->target->ns_pid, d->target->uid);
	d->decoder = decoder_create(d->strings, NATIVE_OWN, lookup_name, d->symbols);
	d->decoding = decoding_open(d->decoder, d->target);
	decoding_refresh(d->decoding);
	struct once_config config = {.nonblocking = d->opt->nonblocking, .decoding = d->decoding};
	add_head(d);
	err = once_all_threads(d->target, d->symbols, &config, visit, d);
	if (err)
		return err;
	if (d->opt->json)
		strbuf_add(&d->text, "\n]}\n");
	if (d->n_threads == d->n_failed)
		err = err_new(ERR_PERM,
		              "no thread of process %d could be captured; see csample doctor",
		              (int)d->target->pid);
	fputs(d->text.s, stdout);
	return err;
}

struct err *cmd_dump(const struct options *opt, int *status)
{
	(void)status;
	struct dump d = {.opt = opt};
	struct err *err = dump(&d);
	strbuf_free(&d.text);
	decoding_close(d.decoding);
	target_close(d.target);
	decoder_destroy(d.decoder);
	symbols_destroy(d.symbols);
	images_destroy(d.images);
	strings_destroy(d.strings);
	return err;
}
