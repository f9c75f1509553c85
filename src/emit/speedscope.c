/* SPDX-License-Identifier: Apache-2.0 */
/* speedscope's own format, by its file-format-schema.json (speedscope 1.x): one "sampled" profile
 * for each thread that is told apart, over one table of frames. Stacks are root first. Of a
 * recording with a timeline each thread is told apart, and its samples are in the order of their
 * times. */
#include <inttypes.h>
#include <stdlib.h>

#include <csample/hash.h>
#include <csample/mem.h>

#include "emit.h"
#include "readers.h"

struct writer {
	const struct profile *p;
	const struct emit_options *opt;
	FILE *out;
	struct strings *texts;     /* what is written for frames */
	struct map64 known;        /* the address of such a text: its number + 1 */
	uint32_t *first;           /* per location, into numbers */
	VEC(uint32_t) numbers;     /* of the frames of all locations, outermost first */
	VEC(uint32_t) path;        /* locations of a stack, leaf first */
	struct roots roots;        /* which profile each node belongs to */
	size_t value;              /* which of the values is the weight */
	struct timeline *timeline; /* NULL: not known, what is equal is one sample */
	uint32_t n_frames, no_frames;
};

static uint32_t frame_number(struct writer *w, const struct frame *f)
{
	struct strbuf b = {0}, label = {0};
	frame_label(f, w->opt, &label);
	strbuf_add(&b, "{\"name\":");
	strbuf_add_json(&b, label.s);
	strbuf_free(&label);
	if (f->file) {
		strbuf_add(&b, ",\"file\":");
		strbuf_add_json(&b, f->file);
	} else if (f->module) {
		strbuf_add(&b, ",\"file\":");
		strbuf_add_json(&b, f->module);
	}
	/* As labels do: a native function is one, whatever its line. */
	if (frame_kind_is_script(f->kind) && f->file && f->line && !w->opt->functions)
		strbuf_addf(&b, ",\"line\":%" PRIu32, f->line);
	strbuf_addc(&b, '}');
	uint64_t *number = map64_put(&w->known, (uintptr_t)intern(w->texts, b.s));
	if (!*number) {
		fprintf(w->out, "%s%s", w->n_frames ? ",\n" : "", b.s);
		*number = ++w->n_frames;
	}
	strbuf_free(&b);
	return (uint32_t)*number - 1;
}

static void write_frames(struct writer *w)
{
	static const struct frame no_frames = {.kind = FRAME_MARK, .function = LABEL_NO_FRAMES};
	const struct profile *p = w->p;
	w->first = mem_alloc((p->n_locations + 1) * sizeof(*w->first));
	for (size_t i = 0; i < p->n_locations; i++) {
		const struct location *loc = &p->locations[i];
		w->first[i] = (uint32_t)w->numbers.n;
		for (uint32_t f = loc->n_frames; f-- > 0;)
			*vec_add(&w->numbers) = frame_number(w, &loc->frames[f]);
	}
	w->first[p->n_locations] = (uint32_t)w->numbers.n;
	w->no_frames = frame_number(w, &no_frames);
}

static void write_stack(struct writer *w, uint32_t leaf)
{
	const struct profile *p = w->p;
	uint32_t root = w->roots.nodes.items[w->roots.owner[leaf]];
	w->path.n = 0;
	for (uint32_t i = leaf; i != root; i = p->nodes[i].parent)
		*vec_add(&w->path) = p->nodes[i].location;
	const char *comma = "";
	fputc('[', w->out);
	for (size_t i = w->path.n; i-- > 0;) {
		uint32_t location = w->path.items[i];
		for (uint32_t k = w->first[location]; k < w->first[location + 1]; k++) {
			fprintf(w->out, "%s%" PRIu32, comma, w->numbers.items[k]);
			comma = ",";
		}
	}
	if (!*comma)
		fprintf(w->out, "%" PRIu32, w->no_frames);
	fputc(']', w->out);
}

/* order: nodes with a weight, by profile; those of this one are [from, to). */
static void write_profile(struct writer *w, size_t index, const uint32_t *order, size_t from,
                          size_t to)
{
	struct strbuf name = {0}, quoted = {0};
	roots_name(w->p, w->roots.nodes.items[index], &name);
	strbuf_add_json(&quoted, name.s);
	fprintf(w->out,
	        "{\"type\":\"sampled\",\"name\":%s,\"unit\":\"%s\",\"startValue\":0,"
	        "\"endValue\":%" PRIu64 ",\n\"samples\":[",
	        quoted.s, w->value ? "nanoseconds" : "none",
	        w->roots.totals[index].values[w->value]);
	strbuf_free(&name);
	strbuf_free(&quoted);
	for (size_t i = from; i < to; i++) {
		if (i > from)
			fputs(",\n", w->out);
		write_stack(w, order[i]);
	}
	fputs("],\n\"weights\":[", w->out);
	for (size_t i = from; i < to; i++)
		fprintf(w->out, "%s%" PRIu64, i > from ? "," : "",
		        w->p->nodes[order[i]].self[w->value]);
	fputs("]}", w->out);
}

/* Nodes with a weight, those of one profile together: a counting sort. */
static void write_profiles(struct writer *w)
{
	const struct profile *p = w->p;
	size_t n = w->roots.nodes.n, n_written = 0;
	_cleanup_free_ size_t *ends = mem_zalloc((n + 1) * sizeof(*ends));
	_cleanup_free_ uint32_t *order = mem_alloc((p->n_nodes + 1) * sizeof(*order));
	for (uint32_t i = 0; i < p->n_nodes; i++)
		if (p->nodes[i].self[w->value])
			ends[w->roots.owner[i] + 1]++;
	for (size_t i = 0; i < n; i++)
		ends[i + 1] += ends[i];
	for (uint32_t i = 0; i < p->n_nodes; i++)
		if (p->nodes[i].self[w->value])
			order[ends[w->roots.owner[i]]++] = i;
	for (size_t i = 0, from = 0; i < n; from = ends[i++]) {
		if (ends[i] == from && (n_written || i + 1 < n)) /* at least one, if empty */
			continue;
		fputs(n_written++ ? ",\n" : "", w->out);
		write_profile(w, i, order, from, ends[i]);
	}
}

static void write_thread(struct writer *w, uint32_t thread, const char *comma)
{
	const struct profile *p = w->p;
	const struct profile_thread *th = &p->threads[thread];
	const struct span *spans = &w->timeline->spans[w->timeline->first[thread]];
	size_t n = w->timeline->first[thread + 1] - w->timeline->first[thread];
	struct strbuf name = {0}, quoted = {0};
	uint64_t total = 0;
	for (size_t i = 0; i < n; i++)
		total += p->samples[spans[i].number].values[w->value];
	strbuf_addf(&name, "%s (%" PRId32 ")", th->name ? th->name : "?", th->tid);
	strbuf_add_json(&quoted, name.s);
	fprintf(w->out,
	        "%s{\"type\":\"sampled\",\"name\":%s,\"unit\":\"%s\",\"startValue\":0,"
	        "\"endValue\":%" PRIu64 ",\n\"samples\":[",
	        comma, quoted.s, w->value ? "nanoseconds" : "none", total);
	strbuf_free(&name);
	strbuf_free(&quoted);
	for (size_t i = 0; i < n; i++) {
		fputs(i ? ",\n" : "", w->out);
		write_stack(w, spans[i].node);
	}
	fputs("],\n\"weights\":[", w->out);
	for (size_t i = 0; i < n; i++)
		fprintf(w->out, "%s%" PRIu64, i ? "," : "",
		        p->samples[spans[i].number].values[w->value]);
	fputs("]}", w->out);
}

static void write_threads(struct writer *w)
{
	const char *comma = "";
	for (uint32_t i = 0; i < w->p->n_threads; i++) {
		if (w->timeline->first[i + 1] == w->timeline->first[i])
			continue;
		write_thread(w, i, comma);
		comma = ",\n";
	}
}

static struct err *speedscope_write(const struct profile *p, const struct emit_options *opt,
                                    FILE *out)
{
	struct writer w = {.p = p, .opt = opt, .out = out, .value = p->total[1] ? 1 : 0};
	struct timeline timeline = {0};
	if (p->n_samples) {
		struct err *err = timeline_init(&timeline, p);
		if (err)
			return err;
		w.timeline = &timeline;
	}
	w.texts = strings_create();
	struct strbuf title = {0};
	roots_find(p, &w.roots);
	fputs("{\"$schema\":\"https://www.speedscope.app/file-format-schema.json\",\n"
	      "\"exporter\":\"csample\",\"activeProfileIndex\":0,\"name\":",
	      out);
	strbuf_add_json(&title, p->meta.title ? p->meta.title : "csample");
	fputs(title.s, out);
	fputs(",\n\"shared\":{\"frames\":[\n", out);
	write_frames(&w);
	fputs("]},\n\"profiles\":[", out);
	if (w.timeline)
		write_threads(&w);
	else
		write_profiles(&w);
	fputs("]}\n", out);
	strbuf_free(&title);
	roots_free(&w.roots);
	timeline_deinit(&timeline);
	map64_free(&w.known);
	strings_destroy(w.texts);
	vec_free(&w.numbers);
	vec_free(&w.path);
	free(w.first);
	return NULL;
}

const struct format format_speedscope = {
        .name = "speedscope",
        .suffixes = (const char *const[]){".speedscope.json", ".speedscope", NULL},
        .suffix = ".speedscope.json",
        .help = "for speedscope.app, threads apart with -t, in the order of time with --timeline",
        .write = speedscope_write,
        .is_it = speedscope_is_it,
        .read = speedscope_read,
};
