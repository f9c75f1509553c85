/* SPDX-License-Identifier: Apache-2.0 */
/* The profile as it is, in JSON; nothing is lost, and csample reads it back:
 *
 *     {"format": "csample", "version": 1,
 *      "meta": {"title", "command", "event", "value_type", "note", "pid", "rate_hz",
 *               "start_unix_ns", "duration_ns", "lost"},
 *      "mappings": [{"file", "build_id", "start", "limit", "offset",
 *                    "functions", "filenames", "lines", "inlines"}],
 *      "frames": [{"kind", "function", "module", "file", "line", "column"}],
 *      "locations": [{"frames": [3, 1], "mapping": 0, "address": "0x401000"}],
 *      "nodes": [[parent, location, samples, nanoseconds], ...],
 *      "threads": [{"pid", "tid", "name", "process"}],
 *      "samples": [[end, thread, node, samples, nanoseconds], ...], "samples_lost": 0}
 *
 * frames, mapping, parent and location are indices from 0. A location's frames are those inlined at
 * one place, innermost first. A location that is a thread or a process and not code also has "tid"
 * or "pid", and a "name" if known. nodes are the trie of stacks: parents come before their
 * children, the first is the root, whose parent and location are -1; the two values are those of
 * stacks that end there, in nanoseconds of what value_type says. threads and samples are there if
 * samples kept their times: end is nanoseconds since start_unix_ns. Facts not known are absent;
 * addresses are strings, since JSON numbers hold but 53 bits; kind is native, inlined, kernel,
 * python, javascript or mark. */
#include "json.h"

#include <inttypes.h>
#include <stdlib.h>

#include <csample/hash.h>
#include <csample/mem.h>

#include "emit.h"

const char *const json_kinds[FRAME_KINDS] = {
        [FRAME_NATIVE] = "native", [FRAME_INLINED] = "inlined",       [FRAME_KERNEL] = "kernel",
        [FRAME_PYTHON] = "python", [FRAME_JAVASCRIPT] = "javascript", [FRAME_MARK] = "mark",
};

/* ,"key": before a value, without the comma where an object begins. */
static void add_key(struct strbuf *b, const char *key)
{
	strbuf_addf(b, "%s\"%s\":", b->len && b->s[b->len - 1] != '{' ? "," : "", key);
}

static void add_text(struct strbuf *b, const char *key, const char *value)
{
	if (!value)
		return;
	add_key(b, key);
	strbuf_add_json(b, value);
}

static void add_integer(struct strbuf *b, const char *key, int64_t value)
{
	if (!value)
		return;
	add_key(b, key);
	strbuf_addf(b, "%" PRId64, value);
}

static void add_address(struct strbuf *b, const char *key, uint64_t value)
{
	if (!value)
		return;
	add_key(b, key);
	strbuf_addf(b, "\"0x%" PRIx64 "\"", value);
}

static void add_true(struct strbuf *b, const char *key, bool value)
{
	if (!value)
		return;
	add_key(b, key);
	strbuf_add(b, "true");
}

/* Ends the object in b, writes it as an element of a list, and empties b. */
static void put(struct strbuf *b, size_t index, FILE *out)
{
	fprintf(out, "%s%s}", index ? ",\n" : "\n", b->s);
	strbuf_clear(b);
}

static void write_meta(const struct profile_meta *m, FILE *out)
{
	struct strbuf b = {0};
	strbuf_addc(&b, '{');
	add_text(&b, "title", m->title);
	add_text(&b, "command", m->command);
	add_text(&b, "event", m->event);
	add_text(&b, "value_type", m->value_type);
	add_text(&b, "note", m->note);
	add_integer(&b, "pid", m->pid);
	if (m->rate_hz > 0) {
		add_key(&b, "rate_hz");
		strbuf_addf(&b, "%.17g", m->rate_hz);
	}
	add_integer(&b, "start_unix_ns", m->start_unix_ns);
	add_integer(&b, "duration_ns", (int64_t)m->duration_ns);
	add_integer(&b, "lost", (int64_t)m->lost);
	fprintf(out, "{\"format\":\"csample\",\"version\":1,\n\"meta\":%s},\n\"mappings\":[", b.s);
	strbuf_free(&b);
}

static void write_mappings(const struct profile *p, FILE *out)
{
	struct strbuf b = {0};
	for (size_t i = 0; i < p->n_mappings; i++) {
		const struct profile_mapping *m = &p->mappings[i];
		strbuf_addc(&b, '{');
		add_text(&b, "file", m->file);
		add_text(&b, "build_id", m->build_id);
		add_address(&b, "start", m->start);
		add_address(&b, "limit", m->limit);
		add_address(&b, "offset", m->offset);
		add_true(&b, "functions", m->has_functions);
		add_true(&b, "filenames", m->has_filenames);
		add_true(&b, "lines", m->has_lines);
		add_true(&b, "inlines", m->has_inlines);
		put(&b, i, out);
	}
	strbuf_free(&b);
}

static void add_frame(struct strbuf *b, const struct frame *f)
{
	strbuf_addc(b, '{');
	add_text(b, "kind", json_kinds[f->kind]);
	add_text(b, "function", f->function);
	add_text(b, "module", f->module);
	add_text(b, "file", f->file);
	add_integer(b, "line", f->line);
	add_integer(b, "column", f->column);
}

static void add_location(struct strbuf *b, const struct location *loc)
{
	bool thread = loc->raw.kind == RAW_THREAD, process = loc->raw.kind == RAW_PROCESS;
	if (loc->mapping) {
		add_key(b, "mapping");
		strbuf_addf(b, "%" PRIu32, loc->mapping - 1);
	}
	add_address(b, "address", loc->address);
	if (!thread && !process)
		return;
	add_key(b, thread ? "tid" : "pid");
	strbuf_addf(b, "%" PRIu32, loc->raw.owner);
	add_text(b, "name", (const char *)loc->raw.aux);
}

/* Equal frames are written once. The locations, which follow them, gather in a second text. */
static void write_frames(const struct profile *p, FILE *out)
{
	struct strings *texts = strings_create();
	struct map64 known = {0};
	struct strbuf b = {0}, locations = {0};
	size_t n = 0;
	for (size_t i = 0; i < p->n_locations; i++) {
		const struct location *loc = &p->locations[i];
		strbuf_add(&locations, i ? ",\n{\"frames\":[" : "\n{\"frames\":[");
		for (uint32_t f = 0; f < loc->n_frames; f++) {
			add_frame(&b, &loc->frames[f]);
			uint64_t *number = map64_put(&known, (uintptr_t)intern(texts, b.s));
			if (!*number) {
				*number = n + 1;
				put(&b, n++, out);
			}
			strbuf_clear(&b);
			strbuf_addf(&locations, "%s%" PRIu64, f ? "," : "", *number - 1);
		}
		strbuf_addc(&locations, ']');
		add_location(&locations, loc);
		strbuf_addc(&locations, '}');
	}
	fprintf(out, "],\n\"locations\":[%s],\n\"nodes\":[", locations.s ? locations.s : "");
	strbuf_free(&b);
	strbuf_free(&locations);
	map64_free(&known);
	strings_destroy(texts);
}

static void write_samples(const struct profile *p, FILE *out)
{
	if (!p->n_samples)
		return;
	struct strbuf b = {0};
	fputs(",\n\"threads\":[", out);
	for (size_t i = 0; i < p->n_threads; i++) {
		const struct profile_thread *th = &p->threads[i];
		strbuf_addc(&b, '{');
		add_integer(&b, "pid", th->pid);
		add_integer(&b, "tid", th->tid);
		add_text(&b, "name", th->name);
		add_text(&b, "process", th->process);
		put(&b, i, out);
	}
	fputs("],\n\"samples\":[", out);
	for (size_t i = 0; i < p->n_samples; i++) {
		const struct profile_sample *s = &p->samples[i];
		fprintf(out, "%s[%" PRIu64 ",%" PRIu32 ",%" PRIu32 ",%" PRIu64 ",%" PRIu64 "]",
		        i ? ",\n" : "\n", s->time_ns, s->thread, s->node, s->values[0],
		        s->values[1]);
	}
	fprintf(out, "],\n\"samples_lost\":%" PRIu64, p->n_samples_lost);
	strbuf_free(&b);
}

static struct err *json_write(const struct profile *p, const struct emit_options *opt, FILE *out)
{
	(void)opt;
	write_meta(&p->meta, out);
	write_mappings(p, out);
	fputs("],\n\"frames\":[", out);
	write_frames(p, out);
	for (size_t i = 0; i < p->n_nodes; i++) {
		const struct profile_node *node = &p->nodes[i];
		int64_t parent = i ? (int64_t)node->parent : -1;
		int64_t location = i ? (int64_t)node->location : -1;
		fprintf(out, "%s[%" PRId64 ",%" PRId64 ",%" PRIu64 ",%" PRIu64 "]",
		        i ? ",\n" : "\n", parent, location, node->self[0], node->self[1]);
	}
	fputs("]", out);
	write_samples(p, out);
	fputs("}\n", out);
	return NULL;
}

const struct format format_json = {
        .name = "json",
        .suffixes = (const char *const[]){".json", NULL},
        .suffix = ".json",
        .help = "the whole profile, as README describes it",
        .write = json_write,
        .is_it = json_is_it,
        .read = json_read,
};
