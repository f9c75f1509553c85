/* SPDX-License-Identifier: Apache-2.0 */
/* The Trace Event Format that Chrome, Perfetto and speedscope read: a complete event ("X") for each
 * function for as long as consecutive samples of its thread have it in the same place, callers
 * before what they call. Times are microseconds since the recording began, whole ones: readers add
 * them up in floating point, and fractions would let an event end after the next one begins. */
#include <inttypes.h>
#include <stdlib.h>

#include <csample/hash.h>
#include <csample/mem.h>

#include "emit.h"

#define MAX_EVENTS ((size_t)64 * 1024) /* of a thread that are kept until they end */

struct event {
	uint64_t begin_ns, end_ns;
	const char *text;
};

struct writer {
	const struct profile *p;
	const struct emit_options *opt;
	FILE *out;
	struct strings *texts;
	uint32_t *first;          /* per location, into frames */
	VEC(const char *) frames; /* their texts, outermost first; equal ones are one pointer */
	VEC(uint32_t) path;       /* locations of a stack, leaf first */
	VEC(const char *) stack;  /* frames of a stack, root first */
	VEC(struct event) events; /* of a thread, in the order of their beginnings */
	VEC(size_t) open;         /* those that have not ended, root first */
};

static const char *const kinds[FRAME_KINDS] = {
        [FRAME_NATIVE] = "native", [FRAME_INLINED] = "native",        [FRAME_KERNEL] = "kernel",
        [FRAME_PYTHON] = "python", [FRAME_JAVASCRIPT] = "javascript", [FRAME_MARK] = "other",
};

static const char *frame_text(struct writer *w, const struct frame *f)
{
	struct strbuf b = {0}, label = {0};
	frame_label(f, w->opt, &label);
	strbuf_addf(&b, "\"cat\":\"%s\",\"name\":", kinds[f->kind]);
	strbuf_add_json(&b, label.s);
	const char *text = intern(w->texts, b.s);
	strbuf_free(&b);
	strbuf_free(&label);
	return text;
}

/* Threads and processes are tracks, not frames. */
static void number_frames(struct writer *w)
{
	const struct profile *p = w->p;
	w->first = mem_alloc((p->n_locations + 1) * sizeof(*w->first));
	for (size_t i = 0; i < p->n_locations; i++) {
		const struct location *loc = &p->locations[i];
		bool is_track = loc->raw.kind == RAW_THREAD || loc->raw.kind == RAW_PROCESS;
		w->first[i] = (uint32_t)w->frames.n;
		for (uint32_t f = is_track ? 0 : loc->n_frames; f-- > 0;)
			*vec_add(&w->frames) = frame_text(w, &loc->frames[f]);
	}
	w->first[p->n_locations] = (uint32_t)w->frames.n;
}

static void find_stack(struct writer *w, uint32_t leaf)
{
	const struct profile *p = w->p;
	w->path.n = w->stack.n = 0;
	for (uint32_t i = leaf; i; i = p->nodes[i].parent)
		*vec_add(&w->path) = p->nodes[i].location;
	for (size_t i = w->path.n; i-- > 0;) {
		uint32_t location = w->path.items[i];
		for (uint32_t k = w->first[location]; k < w->first[location + 1]; k++)
			*vec_add(&w->stack) = w->frames.items[k];
	}
}

static void put_events(struct writer *w, const struct profile_thread *th)
{
	for (size_t i = 0; i < w->events.n; i++) {
		const struct event *e = &w->events.items[i];
		uint64_t begin_us = e->begin_ns / 1000, us = e->end_ns / 1000 - begin_us;
		if (us)
			fprintf(w->out,
			        ",\n{\"ph\":\"X\",\"pid\":%" PRId32 ",\"tid\":%" PRId32
			        ",\"ts\":%" PRIu64 ",\"dur\":%" PRIu64 ",%s}",
			        th->pid, th->tid, begin_us, us, e->text);
	}
	w->events.n = 0;
}

/* What is open above a depth ends there. */
static void close_above(struct writer *w, size_t depth, uint64_t end_ns)
{
	while (w->open.n > depth)
		w->events.items[w->open.items[--w->open.n]].end_ns = end_ns;
}

static void put_thread(struct writer *w, const struct profile_thread *th, const struct span *spans,
                       size_t n)
{
	for (size_t i = 0; i < n; i++) {
		const struct span *span = &spans[i];
		size_t common = 0;
		find_stack(w, span->node);
		if (i && span->begin_ns == spans[i - 1].end_ns)
			while (common < w->open.n && common < w->stack.n &&
			       w->events.items[w->open.items[common]].text ==
			               w->stack.items[common])
				common++;
		close_above(w, common, i ? spans[i - 1].end_ns : 0);
		for (size_t depth = common; depth < w->stack.n; depth++) {
			*vec_add(&w->open) = w->events.n;
			*vec_add(&w->events) = (struct event){.begin_ns = span->begin_ns,
			                                      .text = w->stack.items[depth]};
		}
		if (i + 1 < n && w->events.n < MAX_EVENTS)
			continue;
		close_above(w, 0, span->end_ns); /* a long thread's are cut here */
		put_events(w, th);
	}
}

static void put_name(struct writer *w, const char *what, const struct profile_thread *th,
                     const char *name, const char *comma)
{
	struct strbuf quoted = {0};
	strbuf_add_json(&quoted, name ? name : "?");
	fprintf(w->out,
	        "%s\n{\"ph\":\"M\",\"pid\":%" PRId32 ",\"tid\":%" PRId32
	        ",\"name\":\"%s\",\"args\":{\"name\":%s}}",
	        comma, th->pid, th->tid, what, quoted.s);
	strbuf_free(&quoted);
}

static void put_head(struct writer *w)
{
	const struct profile_meta *meta = &w->p->meta;
	struct strbuf title = {0};
	strbuf_add_json(&title, meta->title ? meta->title : "csample");
	fprintf(w->out,
	        "{\"displayTimeUnit\":\"ms\",\"otherData\":{\"producer\":\"csample\",\"title\":%s,"
	        "\"start_unix_ns\":\"%" PRId64 "\",\"samples\":%zu,\"samples_lost\":%" PRIu64
	        "},\n\"traceEvents\":[",
	        title.s, meta->start_unix_ns, w->p->n_samples, w->p->n_samples_lost);
	strbuf_free(&title);
}

static struct err *chrometrace_write(const struct profile *p, const struct emit_options *opt,
                                     FILE *out)
{
	struct timeline t;
	struct err *err = timeline_init(&t, p);
	if (err)
		return err;
	struct writer w = {.p = p, .opt = opt, .out = out, .texts = strings_create()};
	number_frames(&w);
	put_head(&w);
	for (size_t i = 0; i < p->n_threads; i++) {
		const struct profile_thread *th = &p->threads[i];
		put_name(&w, "process_name", th, th->process ? th->process : p->meta.title,
		         i ? "," : "");
		put_name(&w, "thread_name", th, th->name, ",");
		put_thread(&w, th, &t.spans[t.first[i]], t.first[i + 1] - t.first[i]);
	}
	fputs("]}\n", out);
	timeline_deinit(&t);
	strings_destroy(w.texts);
	free(w.first);
	vec_free(&w.frames);
	vec_free(&w.path);
	vec_free(&w.stack);
	vec_free(&w.events);
	vec_free(&w.open);
	return NULL;
}

const struct format format_chrometrace = {
        .name = "chrometrace",
        .aliases = (const char *const[]){"chrome", "perfetto", NULL},
        .suffixes = (const char *const[]){".trace.json", ".trace", NULL},
        .suffix = ".trace.json",
        .help = "what ran when, for Perfetto and chrome://tracing",
        .timeline = true,
        .write = chrometrace_write,
};
