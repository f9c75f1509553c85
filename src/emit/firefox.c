/* SPDX-License-Identifier: Apache-2.0 */
/* The Firefox Profiler's processed format, version 60, which profiler.firefox.com brings up to date
 * itself (its docs-developer/CHANGELOG-formats.md): tables of stacks, frames, functions, sources
 * and libraries that all threads share, each table an object of columns; and per thread its
 * samples. A stack is a frame and the stack of its caller, as our nodes are. Times are
 * milliseconds. */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include <csample/hash.h>
#include <csample/mem.h>

#include "emit.h"

#define NONE (-1) /* in a column: null */

typedef VEC(int64_t) column; /* a table is some of these */

struct writer {
	const struct profile *p;
	FILE *out;
	struct strings *texts;
	struct map64 string_ids, func_ids, source_ids, resource_ids; /* number + 1 */
	VEC(const char *) strings;
	column stack_frame, stack_prefix;
	column frame_func, frame_line, frame_column, frame_category, frame_depth;
	column func_name, func_source, func_resource, func_line, func_is_js;
	column source_name, resource_name;
	int64_t *node_stack;  /* per node; NONE: no frames */
	int64_t *first_frame; /* per location: of its outermost frame; the next ones follow */
};

/* In the order of enum frame_kind; the first grey one is what the reader falls back to. */
static const char categories[] =
        "{\"name\":\"Native\",\"color\":\"orange\",\"subcategories\":[\"Other\"]},"
        "{\"name\":\"Native, inlined\",\"color\":\"yellow\",\"subcategories\":[\"Other\"]},"
        "{\"name\":\"Kernel\",\"color\":\"red\",\"subcategories\":[\"Other\"]},"
        "{\"name\":\"Python\",\"color\":\"blue\",\"subcategories\":[\"Other\"]},"
        "{\"name\":\"JavaScript\",\"color\":\"green\",\"subcategories\":[\"Other\"]},"
        "{\"name\":\"Other\",\"color\":\"grey\",\"subcategories\":[\"Other\"]}";
_Static_assert(FRAME_KINDS == 6 && FRAME_MARK == 5, "categories have the order of kinds");

static int64_t string_number(struct writer *w, const char *s)
{
	const char *text = intern(w->texts, s ? s : "");
	uint64_t *id = map64_put(&w->string_ids, (uintptr_t)text);
	if (!*id) {
		*vec_add(&w->strings) = text;
		*id = w->strings.n;
	}
	return (int64_t)*id - 1;
}

/* A row of a table that has but a name; NONE without one. */
static int64_t named_row(struct writer *w, struct map64 *ids, column *names, const char *name)
{
	if (!name)
		return NONE;
	int64_t string = string_number(w, name);
	uint64_t *id = map64_put(ids, (uint64_t)string);
	if (!*id) {
		*vec_add(names) = string;
		*id = names->n;
	}
	return (int64_t)*id - 1;
}

/* One function, wherever in it samples were: what has the same name in the same places. */
static int64_t func_number(struct writer *w, const struct frame *f)
{
	bool is_script = frame_kind_is_script(f->kind);
	int64_t name = string_number(w, f->function);
	int64_t source = named_row(w, &w->source_ids, &w->source_name, f->file);
	const char *place =
	        is_script ? f->file : f->module; /* shown before each name: "libc.so.6" */
	int64_t resource = named_row(w, &w->resource_ids, &w->resource_name,
	                             place ? frame_short_path(place) : NULL);
	struct strbuf b = {0};
	strbuf_addf(&b, "%" PRId64 " %" PRId64 " %" PRId64 " %d", name, source, resource,
	            (int)f->kind);
	uint64_t *id = map64_put(&w->func_ids, (uintptr_t)intern(w->texts, b.s));
	strbuf_free(&b);
	if (!*id) {
		*vec_add(&w->func_name) = name;
		*vec_add(&w->func_source) = source;
		*vec_add(&w->func_resource) = resource;
		*vec_add(&w->func_line) = NONE;
		*vec_add(&w->func_is_js) = f->kind == FRAME_JAVASCRIPT;
		*id = w->func_name.n;
	}
	return (int64_t)*id - 1;
}

static void add_frames(struct writer *w)
{
	const struct profile *p = w->p;
	w->first_frame = mem_alloc((p->n_locations + 1) * sizeof(*w->first_frame));
	for (size_t i = 0; i < p->n_locations; i++) {
		const struct location *loc = &p->locations[i];
		bool is_track = loc->raw.kind == RAW_THREAD || loc->raw.kind == RAW_PROCESS;
		w->first_frame[i] = (int64_t)w->frame_func.n;
		for (uint32_t k = is_track ? 0 : loc->n_frames, depth = 0; k-- > 0; depth++) {
			const struct frame *f = &loc->frames[k];
			*vec_add(&w->frame_func) = func_number(w, f);
			*vec_add(&w->frame_line) = f->line ? (int64_t)f->line : NONE;
			*vec_add(&w->frame_column) = f->column ? (int64_t)f->column : NONE;
			*vec_add(&w->frame_category) = f->kind;
			*vec_add(&w->frame_depth) = depth;
		}
	}
	w->first_frame[p->n_locations] = (int64_t)w->frame_func.n;
}

static void add_stacks(struct writer *w)
{
	const struct profile *p = w->p;
	w->node_stack = mem_alloc((p->n_nodes + 1) * sizeof(*w->node_stack));
	w->node_stack[0] = NONE;
	for (size_t i = 1; i < p->n_nodes; i++) {
		int64_t stack = w->node_stack[p->nodes[i].parent];
		uint32_t location = p->nodes[i].location;
		for (int64_t f = w->first_frame[location]; f < w->first_frame[location + 1]; f++) {
			*vec_add(&w->stack_frame) = f;
			*vec_add(&w->stack_prefix) = stack;
			stack = (int64_t)w->stack_frame.n - 1;
		}
		w->node_stack[i] = stack;
	}
}

static void put_column(struct writer *w, const char *name, const column *c, bool has_none)
{
	fprintf(w->out, "\"%s\":[", name);
	for (size_t i = 0; i < c->n; i++) {
		fputs(i ? "," : "", w->out);
		if (has_none && c->items[i] == NONE)
			fputs("null", w->out);
		else
			fprintf(w->out, "%" PRId64, c->items[i]);
	}
	fputs("],", w->out);
}

/* A column that is the same all the way. */
static void put_same(struct writer *w, const char *name, const char *value, size_t n)
{
	fprintf(w->out, "\"%s\":[", name);
	for (size_t i = 0; i < n; i++)
		fprintf(w->out, "%s%s", i ? "," : "", value);
	fputs("],", w->out);
}

static void put_bools(struct writer *w, const char *name, const column *c)
{
	fprintf(w->out, "\"%s\":[", name);
	for (size_t i = 0; i < c->n; i++)
		fprintf(w->out, "%s%s", i ? "," : "", c->items[i] ? "true" : "false");
	fputs("],", w->out);
}

static void put_strings(struct writer *w)
{
	struct strbuf b = {0};
	fputs("\"stringArray\":[", w->out);
	for (size_t i = 0; i < w->strings.n; i++) {
		strbuf_clear(&b);
		strbuf_add_json(&b, w->strings.items[i]);
		fprintf(w->out, "%s%s", i ? ",\n" : "", b.s);
	}
	fputs("]", w->out);
	strbuf_free(&b);
}

static void put_shared(struct writer *w)
{
	FILE *out = w->out;
	size_t n_frames = w->frame_func.n, n_funcs = w->func_name.n;
	fputs("\"shared\":{\"stackTable\":{", out);
	put_column(w, "frame", &w->stack_frame, false);
	put_column(w, "prefix", &w->stack_prefix, true);
	fprintf(out, "\"length\":%zu},\n\"frameTable\":{", w->stack_frame.n);
	put_same(w, "address", "-1", n_frames);
	put_column(w, "inlineDepth", &w->frame_depth, false);
	put_column(w, "category", &w->frame_category, false);
	put_same(w, "subcategory", "0", n_frames);
	put_column(w, "func", &w->frame_func, false);
	put_same(w, "nativeSymbol", "null", n_frames);
	put_same(w, "innerWindowID", "0", n_frames);
	put_column(w, "line", &w->frame_line, true);
	put_column(w, "column", &w->frame_column, true);
	fprintf(out, "\"length\":%zu},\n\"funcTable\":{", n_frames);
	put_column(w, "name", &w->func_name, false);
	put_bools(w, "isJS", &w->func_is_js);
	put_same(w, "relevantForJS", "false", n_funcs);
	put_column(w, "resource", &w->func_resource, false);
	put_column(w, "source", &w->func_source, true);
	put_same(w, "lineNumber", "null", n_funcs);
	put_same(w, "columnNumber", "null", n_funcs);
	fprintf(out, "\"length\":%zu},\n\"resourceTable\":{", n_funcs);
	put_same(w, "lib", "null", w->resource_name.n);
	put_column(w, "name", &w->resource_name, false);
	put_same(w, "host", "null", w->resource_name.n);
	put_same(w, "type", "1", w->resource_name.n); /* a library */
	fprintf(out, "\"length\":%zu},\n\"sources\":{", w->resource_name.n);
	put_same(w, "uuid", "null", w->source_name.n);
	put_column(w, "filename", &w->source_name, false);
	fprintf(out,
	        "\"length\":%zu},\n\"nativeSymbols\":{\"libIndex\":[],\"address\":[],\"name\":[],"
	        "\"functionSize\":[],\"length\":0},\n",
	        w->source_name.n);
	put_strings(w);
	fputs("},\n", out);
}

static void put_ms(FILE *out, uint64_t ns)
{
	fprintf(out, "%" PRIu64 ".%06u", ns / 1000000, (unsigned)(ns % 1000000));
}

/* Weights are times, so that sums are those of the profile; of CPU time, how busy the thread was
 * since its last sample is known, too. */
static void put_samples(struct writer *w, const struct span *spans, size_t n)
{
	const struct profile *p = w->p;
	FILE *out = w->out;
	bool is_cpu = p->meta.value_type && !strcmp(p->meta.value_type, "cpu");
	fputs("\"samples\":{\"stack\":[", out);
	for (size_t i = 0; i < n; i++) {
		int64_t stack = w->node_stack[spans[i].node];
		fputs(i ? "," : "", out);
		if (stack == NONE)
			fputs("null", out);
		else
			fprintf(out, "%" PRId64, stack);
	}
	fputs("],\"time\":[", out);
	for (size_t i = 0; i < n; i++) {
		fputs(i ? "," : "", out);
		put_ms(out, spans[i].end_ns);
	}
	fputs("],\"weight\":[", out);
	for (size_t i = 0; i < n; i++) {
		fputs(i ? "," : "", out);
		put_ms(out, p->samples[spans[i].number].values[1]);
	}
	if (is_cpu)
		fputs("],\"threadCPUDelta\":[", out);
	for (size_t i = 0; is_cpu && i < n; i++)
		fprintf(out, "%s%" PRIu64, i ? "," : "", p->samples[spans[i].number].values[1]);
	fprintf(out, "],\"weightType\":\"tracing-ms\",\"length\":%zu},", n);
}

static void put_thread(struct writer *w, const struct profile_thread *th, const struct span *spans,
                       size_t n, const char *comma)
{
	struct strbuf b = {0};
	FILE *out = w->out;
	strbuf_addf(&b, "%s{\"processType\":\"default\",\"processName\":", comma);
	strbuf_add_json(&b, th->process ? th->process : "?");
	strbuf_add(&b, ",\"name\":");
	strbuf_add_json(&b, th->name ? th->name : "?");
	strbuf_addf(&b,
	            ",\"isMainThread\":%s,\"pid\":\"%" PRId32 "\",\"tid\":%" PRId32
	            ",\"processStartupTime\":0,\"processShutdownTime\":null,\"registerTime\":",
	            th->pid == th->tid ? "true" : "false", th->pid, th->tid);
	fputs(b.s, out);
	strbuf_free(&b);
	put_ms(out, n ? spans[0].begin_ns : 0);
	fputs(",\"unregisterTime\":null,\"pausedRanges\":[],\n", out);
	put_samples(w, spans, n);
	fputs("\n\"markers\":{\"data\":[],\"name\":[],\"startTime\":[],\"endTime\":[],\"phase\":[],"
	      "\"category\":[],\"length\":0}}",
	      out);
}

static void put_meta(struct writer *w)
{
	const struct profile_meta *m = &w->p->meta;
	struct strbuf b = {0};
	strbuf_add(&b, "{\"meta\":{\"product\":");
	strbuf_add_json(&b, m->title ? m->title : "csample");
	strbuf_addf(&b,
	            ",\"interval\":%.6f,\"startTime\":%.6f,\"profilingStartTime\":0,"
	            "\"profilingEndTime\":%.6f,",
	            m->rate_hz > 0 ? 1e3 / m->rate_hz : 10, (double)m->start_unix_ns / 1e6,
	            (double)m->duration_ns / 1e6);
	if (m->command) {
		strbuf_add(&b, "\"arguments\":");
		strbuf_add_json(&b, m->command);
		strbuf_add(&b, ",");
	}
	strbuf_addf(
	        &b,
	        "\"processType\":0,\"stackwalk\":1,\"version\":31,"
	        "\"preprocessedProfileVersion\":60,\"symbolicated\":true,"
	        "\"symbolicationNotSupported\":true,\"importedFrom\":\"csample\","
	        "\"sourceCodeIsNotOnSearchfox\":true,\"usesOnlyOneStackType\":true,"
	        "\"markerSchema\":[],\"sampleUnits\":{\"time\":\"ms\",\"eventDelay\":\"ms\","
	        "\"threadCPUDelta\":\"ns\"},\"categories\":[%s],"
	        "\"extra\":[{\"label\":\"csample\",\"entries\":[{\"label\":\"Samples beyond the "
	        "limit of a timeline\",\"format\":\"integer\",\"value\":%" PRIu64 "}]}]},\n"
	        "\"libs\":[],\n",
	        categories, w->p->n_samples_lost);
	fputs(b.s, w->out);
	strbuf_free(&b);
}

static void free_writer(struct writer *w)
{
	column *columns[] = {&w->stack_frame,  &w->stack_prefix,   &w->frame_func,  &w->frame_line,
	                     &w->frame_column, &w->frame_category, &w->frame_depth, &w->func_name,
	                     &w->func_source,  &w->func_resource,  &w->func_line,   &w->func_is_js,
	                     &w->source_name,  &w->resource_name};
	for (size_t i = 0; i < ARRAY_SIZE(columns); i++)
		vec_free(columns[i]);
	map64_free(&w->string_ids);
	map64_free(&w->func_ids);
	map64_free(&w->source_ids);
	map64_free(&w->resource_ids);
	vec_free(&w->strings);
	strings_destroy(w->texts);
	free(w->node_stack);
	free(w->first_frame);
}

static struct err *firefox_write(const struct profile *p, const struct emit_options *opt, FILE *out)
{
	(void)opt;
	struct timeline t;
	struct err *err = timeline_init(&t, p);
	if (err)
		return err;
	struct writer w = {.p = p, .out = out, .texts = strings_create()};
	add_frames(&w);
	add_stacks(&w);
	put_meta(&w);
	put_shared(&w);
	fputs("\"threads\":[", out);
	for (size_t i = 0; i < p->n_threads; i++)
		put_thread(&w, &p->threads[i], &t.spans[t.first[i]], t.first[i + 1] - t.first[i],
		           i ? ",\n" : "\n");
	fputs("]}\n", out);
	free_writer(&w);
	timeline_deinit(&t);
	return NULL;
}

const struct format format_firefox = {
        .name = "firefox",
        .aliases = (const char *const[]){"gecko", NULL},
        .suffixes = (const char *const[]){".firefox.json", ".gecko.json", NULL},
        .suffix = ".firefox.json",
        .help = "what ran when, for profiler.firefox.com",
        .timeline = true,
        .write = firefox_write,
};
