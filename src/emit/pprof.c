/* SPDX-License-Identifier: Apache-2.0 */
/* pprof: profile.proto in gzip. A protobuf message may be written in parts that are joined end to
 * end, so samples are packed a batch at a time, straight into the compressor, and the tables they
 * filled (locations, functions, strings) follow; memory does not grow with the number of samples.
 */
#include <inttypes.h>
#include <profile.pb-c.h>
#include <stdlib.h>
#include <string.h>
#include <zlib.h>

#include <csample/hash.h>
#include <csample/mem.h>
#include <csample/vec.h>

#include "emit.h"
#include "readers.h"

typedef Perftools__Profiles__Profile Profile;
typedef Perftools__Profiles__ValueType ValueType;
typedef Perftools__Profiles__Sample Sample;
typedef Perftools__Profiles__Label Label;
typedef Perftools__Profiles__Mapping Mapping;
typedef Perftools__Profiles__Location Location;
typedef Perftools__Profiles__Line Line;
typedef Perftools__Profiles__Function Function;

#define BATCH_FRAMES ((size_t)64 * 1024)

/* protobuf-c's idea of where bytes go. */
struct gzip {
	ProtobufCBuffer base;
	z_stream z;
	FILE *out;
	int status; /* of zlib */
	size_t n;
	uint8_t pending[64 * 1024], packed[64 * 1024];
};

static void gzip_flush(struct gzip *g, int how)
{
	g->z.next_in = g->pending;
	g->z.avail_in = (uInt)g->n;
	do {
		g->z.next_out = g->packed;
		g->z.avail_out = sizeof(g->packed);
		g->status = deflate(&g->z, how);
		fwrite(g->packed, 1, sizeof(g->packed) - g->z.avail_out, g->out);
	} while (g->status == Z_OK && !g->z.avail_out);
	g->n = 0;
}

static void gzip_append(ProtobufCBuffer *base, size_t len, const uint8_t *data)
{
	struct gzip *g = (struct gzip *)base;
	while (len) {
		size_t n = len < sizeof(g->pending) - g->n ? len : sizeof(g->pending) - g->n;
		memcpy(g->pending + g->n, data, n);
		g->n += n;
		data += n;
		len -= n;
		if (g->n == sizeof(g->pending))
			gzip_flush(g, Z_NO_FLUSH);
	}
}

struct writer {
	const struct profile *p;
	struct gzip *gzip;
	struct arena *arena;     /* what the final part needs */
	struct map64 string_ids; /* by address: names are interned */
	VEC(char *) strings;
	struct map64 function_ids; /* by name and file, as string ids */
	VEC(Function *) functions;
	uint32_t *location_ids;  /* by index in the profile; 0: not used so far */
	VEC(uint32_t) locations; /* by id - 1; UINT32_MAX: the one for stacks without frames */
	uint32_t no_frames;      /* its id; 0: not used so far */
};

/* The place in the string table of a text that lives as long as the profile. */
static int64_t string_id(struct writer *w, const char *s)
{
	if (!s || !s[0])
		return 0;
	uint64_t *id = map64_put(&w->string_ids, (uintptr_t)s);
	if (!*id) {
		struct strbuf b = {0};
		strbuf_add_utf8(&b, s);
		char *copy = arena_alloc(w->arena, b.len + 1);
		memcpy(copy, b.s, b.len + 1);
		strbuf_free(&b);
		*id = w->strings.n;
		*vec_add(&w->strings) = copy;
	}
	return (int64_t)*id;
}

/* The same for a text made here. */
static int64_t add_string(struct writer *w, const char *s)
{
	size_t size = strlen(s) + 1;
	char *copy = arena_alloc(w->arena, size);
	memcpy(copy, s, size);
	*vec_add(&w->strings) = copy;
	return (int64_t)w->strings.n - 1;
}

static uint64_t function_id(struct writer *w, const struct frame *f)
{
	int64_t name = string_id(w, f->function), file = string_id(w, f->file);
	uint64_t *id = map64_put(&w->function_ids, (uint64_t)name << 32 | (uint64_t)file);
	if (!*id) {
		Function *function = arena_alloc(w->arena, sizeof(*function));
		perftools__profiles__function__init(function);
		*id = function->id = w->functions.n + 1;
		function->name = function->system_name = name;
		function->filename = file;
		*vec_add(&w->functions) = function;
	}
	return *id;
}

static uint64_t location_id(struct writer *w, uint32_t location)
{
	uint32_t *id = location == UINT32_MAX ? &w->no_frames : &w->location_ids[location];
	if (!*id) {
		*vec_add(&w->locations) = location;
		*id = (uint32_t)w->locations.n;
	}
	return *id;
}

static int64_t clamp(uint64_t value)
{
	return value < INT64_MAX ? (int64_t)value : INT64_MAX;
}

/* Samples that wait to be written together. */
struct batch {
	VEC(Sample) samples;
	VEC(size_t) starts; /* per sample, its first location and value in the arrays below */
	VEC(uint64_t) locations;
	VEC(int64_t) values;
	VEC(Label) labels;
	VEC(size_t) label_starts;
};

/* The name and the number of a thread or process. */
static void add_labels(struct writer *w, struct batch *b, const struct raw_frame *root)
{
	bool process = root->kind == RAW_PROCESS;
	const char *name = (const char *)root->aux;
	if (name && name[0]) {
		Label *label = vec_add(&b->labels);
		perftools__profiles__label__init(label);
		label->key = string_id(w, process ? "process" : "thread");
		label->str = string_id(w, name);
	}
	if (root->owner) {
		Label *label = vec_add(&b->labels);
		perftools__profiles__label__init(label);
		label->key = string_id(w, process ? "pid" : "tid");
		label->num = root->owner;
	}
}

static void add_sample(struct writer *w, struct batch *b, uint32_t leaf)
{
	const struct profile *p = w->p;
	*vec_add(&b->starts) = b->locations.n;
	*vec_add(&b->label_starts) = b->labels.n;
	perftools__profiles__sample__init(vec_add(&b->samples));
	const struct raw_frame *thread = NULL, *process = NULL;
	for (uint32_t i = leaf; i; i = p->nodes[i].parent) {
		const struct location *loc = &p->locations[p->nodes[i].location];
		if (loc->raw.kind == RAW_THREAD)
			thread = &loc->raw;
		else if (loc->raw.kind == RAW_PROCESS)
			process = &loc->raw;
		else
			*vec_add(&b->locations) = location_id(w, p->nodes[i].location);
	}
	if (b->locations.n == b->starts.items[b->starts.n - 1])
		*vec_add(&b->locations) = location_id(w, UINT32_MAX);
	if (process)
		add_labels(w, b, process);
	if (thread)
		add_labels(w, b, thread);
	for (size_t v = 0; v < PROFILE_VALUES; v++)
		*vec_add(&b->values) = clamp(p->nodes[leaf].self[v]);
}

/* Packs the batch as a part of the message, and empties it. */
static void write_batch(struct writer *w, struct batch *b)
{
	size_t n = b->samples.n;
	_cleanup_free_ Sample **samples = mem_realloc_array(NULL, n, sizeof(*samples));
	_cleanup_free_ Label **labels = mem_realloc_array(NULL, b->labels.n, sizeof(*labels));
	*vec_add(&b->starts) = b->locations.n;
	*vec_add(&b->label_starts) = b->labels.n;
	for (size_t i = 0; i < b->labels.n; i++)
		labels[i] = &b->labels.items[i];
	for (size_t i = 0; i < n; i++) {
		Sample *sample = samples[i] = &b->samples.items[i];
		sample->n_location_id = b->starts.items[i + 1] - b->starts.items[i];
		sample->location_id = &b->locations.items[b->starts.items[i]];
		sample->n_value = PROFILE_VALUES;
		sample->value = &b->values.items[i * PROFILE_VALUES];
		sample->n_label = b->label_starts.items[i + 1] - b->label_starts.items[i];
		sample->label = labels + b->label_starts.items[i];
	}
	Profile part = PERFTOOLS__PROFILES__PROFILE__INIT;
	part.n_sample = n;
	part.sample = samples;
	perftools__profiles__profile__pack_to_buffer(&part, &w->gzip->base);
	b->samples.n = b->starts.n = b->locations.n = 0;
	b->values.n = b->labels.n = b->label_starts.n = 0;
}

static void write_samples(struct writer *w)
{
	struct batch b = {0};
	for (uint32_t i = 0; i < w->p->n_nodes; i++) {
		if (!w->p->nodes[i].self[0] && !w->p->nodes[i].self[1])
			continue;
		add_sample(w, &b, i);
		if (b.locations.n >= BATCH_FRAMES)
			write_batch(w, &b);
	}
	if (b.samples.n)
		write_batch(w, &b);
	vec_free(&b.samples);
	vec_free(&b.starts);
	vec_free(&b.locations);
	vec_free(&b.values);
	vec_free(&b.labels);
	vec_free(&b.label_starts);
}

static void write_mappings(struct writer *w)
{
	size_t n = w->p->n_mappings;
	_cleanup_free_ Mapping *mappings = mem_realloc_array(NULL, n, sizeof(*mappings));
	_cleanup_free_ Mapping **list = mem_realloc_array(NULL, n, sizeof(*list));
	for (size_t i = 0; i < n; i++) {
		const struct profile_mapping *m = &w->p->mappings[i];
		list[i] = &mappings[i];
		perftools__profiles__mapping__init(list[i]);
		list[i]->id = i + 1;
		list[i]->memory_start = m->start;
		list[i]->memory_limit = m->limit;
		list[i]->file_offset = m->offset;
		list[i]->filename = string_id(w, m->file);
		list[i]->build_id = string_id(w, m->build_id);
		list[i]->has_functions = m->has_functions;
		list[i]->has_filenames = m->has_filenames;
		list[i]->has_line_numbers = m->has_lines;
		list[i]->has_inline_frames = m->has_inlines;
	}
	Profile part = PERFTOOLS__PROFILES__PROFILE__INIT;
	part.n_mapping = n;
	part.mapping = list;
	perftools__profiles__profile__pack_to_buffer(&part, &w->gzip->base);
}

/* One location as a part of its own; fills the functions. */
static void write_location(struct writer *w, uint32_t id)
{
	static const struct frame unknown = {.function = "[unknown]"};
	static const struct frame no_frames = {.function = LABEL_NO_FRAMES};
	static const struct location without = {.n_frames = 1, .frames = &no_frames};
	uint32_t index = w->locations.items[id - 1];
	const struct location *loc = index == UINT32_MAX ? &without : &w->p->locations[index];
	size_t n = loc->n_frames ? loc->n_frames : 1;
	const struct frame *frames = loc->n_frames ? loc->frames : &unknown;
	_cleanup_free_ Line *lines = mem_realloc_array(NULL, n, sizeof(*lines));
	_cleanup_free_ Line **list = mem_realloc_array(NULL, n, sizeof(*list));
	for (size_t i = 0; i < n; i++) {
		list[i] = &lines[i];
		perftools__profiles__line__init(list[i]);
		list[i]->function_id = function_id(w, &frames[i]);
		list[i]->line = frames[i].line;
		list[i]->column = frames[i].column;
	}
	Location location = PERFTOOLS__PROFILES__LOCATION__INIT, *locations[] = {&location};
	location.id = id;
	location.mapping_id = loc->mapping;
	location.address = loc->address;
	location.n_line = n;
	location.line = list;
	Profile part = PERFTOOLS__PROFILES__PROFILE__INIT;
	part.n_location = 1;
	part.location = locations;
	perftools__profiles__profile__pack_to_buffer(&part, &w->gzip->base);
}

/* Free text for people: what pprof -comments prints, and so for a terminal. */
static size_t add_comments(struct writer *w, int64_t ids[static 8])
{
	const struct profile_meta *meta = &w->p->meta;
	struct strbuf texts[8] = {0};
	size_t n = 0;
	if (meta->command) {
		strbuf_add(&texts[n], "command: ");
		strbuf_add_terminal(&texts[n++], meta->command);
	}
	if (meta->pid)
		strbuf_addf(&texts[n++], "pid: %" PRId32, meta->pid);
	if (meta->event || meta->rate_hz > 0) {
		strbuf_add(&texts[n], "event: ");
		strbuf_add_terminal(&texts[n], meta->event ? meta->event : "cpu");
		strbuf_addf(&texts[n++], ", %g Hz", meta->rate_hz);
	}
	strbuf_addf(&texts[n++], "lost ticks: %" PRIu64, meta->lost);
	if (meta->note) {
		strbuf_add(&texts[n], "note: ");
		strbuf_add_terminal(&texts[n++], meta->note);
	}
	for (size_t i = 0; i < n; i++) {
		ids[i] = add_string(w, texts[i].s);
		strbuf_free(&texts[i]);
	}
	return n;
}

/* All that is there once, and the tables that are complete by now. */
static void write_rest(struct writer *w)
{
	const struct profile_meta *meta = &w->p->meta;
	ValueType types[PROFILE_VALUES], *list[PROFILE_VALUES] = {&types[0], &types[1]};
	Profile part = PERFTOOLS__PROFILES__PROFILE__INIT;
	int64_t comments[8];

	perftools__profiles__value_type__init(&types[0]);
	perftools__profiles__value_type__init(&types[1]);
	types[0].type = string_id(w, "samples");
	types[0].unit = string_id(w, "count");
	types[1].type = string_id(w, meta->value_type ? meta->value_type : "cpu");
	types[1].unit = string_id(w, "nanoseconds");
	part.n_sample_type = PROFILE_VALUES;
	part.sample_type = list;
	part.period_type = &types[1];
	part.period = meta->rate_hz > 0 ? (int64_t)(1e9 / meta->rate_hz + 0.5) : 0;
	part.default_sample_type = types[1].type;
	part.time_nanos = meta->start_unix_ns;
	part.duration_nanos = clamp(meta->duration_ns);
	part.comment = comments;
	part.n_comment = add_comments(w, comments);
	part.n_function = w->functions.n;
	part.function = w->functions.items;
	part.n_string_table = w->strings.n;
	part.string_table = w->strings.items;
	perftools__profiles__profile__pack_to_buffer(&part, &w->gzip->base);
}

static struct err *pprof_write(const struct profile *p, const struct emit_options *opt, FILE *out)
{
	(void)opt;
	_cleanup_free_ struct gzip *g = mem_zalloc(sizeof(*g));
	g->base.append = gzip_append;
	g->out = out;
	if (deflateInit2(&g->z, Z_DEFAULT_COMPRESSION, Z_DEFLATED, 15 + 16, 8, Z_DEFAULT_STRATEGY))
		return err_new(ERR_NOMEM, "out of memory for compression");
	struct writer w = {.p = p, .gzip = g, .arena = arena_create()};
	w.location_ids = mem_zalloc((p->n_locations + 1) * sizeof(*w.location_ids));
	add_string(&w, ""); /* string_table[0] */
	write_samples(&w);
	write_mappings(&w);
	for (uint32_t id = 1; id <= w.locations.n; id++)
		write_location(&w, id);
	write_rest(&w);
	gzip_flush(g, Z_FINISH);
	int status = g->status;
	deflateEnd(&g->z);
	arena_destroy(w.arena);
	map64_free(&w.string_ids);
	map64_free(&w.function_ids);
	vec_free(&w.strings);
	vec_free(&w.functions);
	vec_free(&w.locations);
	free(w.location_ids);
	return status == Z_STREAM_END ? NULL : err_new(ERR_SYS, "compression failed: %d", status);
}

const struct format format_pprof = {
        .name = "pprof",
        .aliases = (const char *const[]){"pb", NULL},
        .suffixes = (const char *const[]){".pb.gz", ".pprof", NULL},
        .suffix = ".pb.gz",
        .help = "profile.proto in gzip, for go tool pprof, Pyroscope, Parca",
        .write = pprof_write,
        .is_it = pprof_is_it,
        .read = pprof_read,
};
