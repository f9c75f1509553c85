/* SPDX-License-Identifier: Apache-2.0 */
/* Reads what json.c writes. libjansson parses, which bounds depth; here each index is checked. */
#include <jansson.h>
#include <stdlib.h>
#include <string.h>

#include <csample/mem.h>

#include "emit.h"
#include "json.h"

#define MAX_BYTES ((size_t)128 << 20) /* libjansson takes some 20 bytes for one of a file */

struct reader {
	struct profile *p;
	struct frame *frames;
	size_t n_frames;
	uint32_t *locations, *mappings, *nodes; /* their numbers in p; mappings: + 1 */
	size_t n_locations, n_mappings, n_nodes;
};

static const char *text(struct reader *r, const json_t *object, const char *key)
{
	const char *s = json_string_value(json_object_get(object, key));
	return s ? intern(r->p->strings, s) : NULL;
}

/* 0 where there is none, or none that can be. */
static uint64_t number(const json_t *object, const char *key)
{
	json_int_t n = json_integer_value(json_object_get(object, key));
	return n > 0 ? (uint64_t)n : 0;
}

static uint32_t number_u32(const json_t *object, const char *key)
{
	uint64_t n = number(object, key);
	return n <= UINT32_MAX ? (uint32_t)n : 0;
}

static uint64_t address(const json_t *object, const char *key)
{
	const char *s = json_string_value(json_object_get(object, key));
	return s ? strtoull(s, NULL, 16) : 0;
}

/* -1 is no index, nor is one that is not below n. */
static int64_t index_below(const json_t *value, size_t n)
{
	json_int_t i = json_is_integer(value) ? json_integer_value(value) : -1;
	return i >= 0 && (uint64_t)i < n ? i : -1;
}

static void read_meta(struct reader *r, const json_t *meta)
{
	struct profile_meta *m = &r->p->meta;
	m->title = text(r, meta, "title");
	m->command = text(r, meta, "command");
	m->event = text(r, meta, "event");
	m->value_type = text(r, meta, "value_type");
	m->note = text(r, meta, "note");
	m->pid = (int32_t)(number(meta, "pid") & INT32_MAX);
	double rate = json_number_value(json_object_get(meta, "rate_hz"));
	m->rate_hz = rate > 0 && rate < 1e9 ? rate : 0;
	m->start_unix_ns = (int64_t)number(meta, "start_unix_ns");
	m->duration_ns = number(meta, "duration_ns");
	m->lost = number(meta, "lost");
}

static void read_mappings(struct reader *r, const json_t *list)
{
	r->n_mappings = json_array_size(list);
	r->mappings = mem_alloc((r->n_mappings + 1) * sizeof(*r->mappings));
	for (size_t i = 0; i < r->n_mappings; i++) {
		const json_t *m = json_array_get(list, i);
		struct profile_mapping mapping = {
		        .start = address(m, "start"),
		        .limit = address(m, "limit"),
		        .offset = address(m, "offset"),
		        .file = text(r, m, "file"),
		        .build_id = text(r, m, "build_id"),
		        .has_functions = json_is_true(json_object_get(m, "functions")),
		        .has_filenames = json_is_true(json_object_get(m, "filenames")),
		        .has_lines = json_is_true(json_object_get(m, "lines")),
		        .has_inlines = json_is_true(json_object_get(m, "inlines")),
		};
		r->mappings[i] = profile_mapping(r->p, &mapping);
	}
}

static void read_frames(struct reader *r, const json_t *list)
{
	r->n_frames = json_array_size(list);
	r->frames = mem_alloc((r->n_frames + 1) * sizeof(*r->frames));
	for (size_t i = 0; i < r->n_frames; i++) {
		const json_t *f = json_array_get(list, i);
		const char *kind = json_string_value(json_object_get(f, "kind"));
		r->frames[i] = (struct frame){.function = text(r, f, "function"),
		                              .module = text(r, f, "module"),
		                              .file = text(r, f, "file"),
		                              .line = number_u32(f, "line"),
		                              .column = number_u32(f, "column")};
		for (int k = 0; kind && k < FRAME_KINDS; k++)
			if (!strcmp(kind, json_kinds[k]))
				r->frames[i].kind = (enum frame_kind)k;
	}
}

static struct err *read_location(struct reader *r, const json_t *l, size_t at)
{
	struct frame frames[READ_MAX_FRAMES];
	const json_t *list = json_object_get(l, "frames");
	struct location loc = {.frames = frames, .address = address(l, "address")};
	size_t n = json_array_size(list);
	if (n > READ_MAX_FRAMES)
		return err_new(ERR_FORMAT, "location %zu has more than %d frames", at,
		               READ_MAX_FRAMES);
	for (; loc.n_frames < n; loc.n_frames++) {
		int64_t i = index_below(json_array_get(list, loc.n_frames), r->n_frames);
		if (i < 0)
			return err_new(ERR_FORMAT, "location %zu has a frame that is not there",
			               at);
		frames[loc.n_frames] = r->frames[i];
	}
	int64_t mapping = index_below(json_object_get(l, "mapping"), r->n_mappings);
	if (mapping >= 0)
		loc.mapping = r->mappings[mapping];
	const char *ids[] = {"tid", "pid"};
	for (int i = 0; i < 2; i++) {
		if (!json_is_integer(json_object_get(l, ids[i])))
			continue;
		loc.raw.kind = i ? RAW_PROCESS : RAW_THREAD;
		loc.raw.owner = number_u32(l, ids[i]);
		loc.raw.aux = (uintptr_t)text(r, l, "name");
	}
	r->locations[at] = profile_add_location(r->p, &loc);
	return NULL;
}

static struct err *read_node(struct reader *r, const json_t *node, size_t at)
{
	uint64_t values[PROFILE_VALUES];
	for (size_t v = 0; v < PROFILE_VALUES; v++) {
		json_int_t n = json_integer_value(json_array_get(node, 2 + v));
		if (n < 0 || r->p->total[v] + (uint64_t)n > INT64_MAX)
			return err_new(ERR_FORMAT, "node %zu has an impossible value", at);
		values[v] = (uint64_t)n;
	}
	r->nodes[at] = 0;
	if (at) {
		int64_t parent = index_below(json_array_get(node, 0), at);
		int64_t location = index_below(json_array_get(node, 1), r->n_locations);
		if (parent < 0 || location < 0)
			return err_new(ERR_FORMAT, "node %zu: no such parent or location", at);
		r->nodes[at] = profile_child(r->p, r->nodes[parent], r->locations[location]);
	}
	profile_add_to_node(r->p, r->nodes[at], values);
	return NULL;
}

static struct err *read_samples(struct reader *r, const json_t *root)
{
	const json_t *threads = json_object_get(root, "threads");
	const json_t *samples = json_object_get(root, "samples");
	size_t n_threads = json_array_size(threads), n = json_array_size(samples);
	for (size_t i = 0; i < n_threads && n; i++) {
		const json_t *t = json_array_get(threads, i);
		struct profile_thread thread = {.pid = (int32_t)(number(t, "pid") & INT32_MAX),
		                                .tid = (int32_t)(number(t, "tid") & INT32_MAX),
		                                .name = text(r, t, "name"),
		                                .process = text(r, t, "process")};
		profile_add_thread(r->p, &thread);
	}
	r->p->max_samples = n;
	uint64_t sum = 0;
	for (size_t i = 0; i < n; i++) {
		const json_t *s = json_array_get(samples, i);
		json_int_t time = json_integer_value(json_array_get(s, 0));
		int64_t thread = index_below(json_array_get(s, 1), n_threads);
		int64_t node = index_below(json_array_get(s, 2), r->n_nodes);
		json_int_t count = json_integer_value(json_array_get(s, 3));
		json_int_t ns = json_integer_value(json_array_get(s, 4));
		if (time < 0 || thread < 0 || node < 0 || count < 0 || ns < 0 ||
		    (sum += (uint64_t)ns) > INT64_MAX)
			return err_new(ERR_FORMAT, "sample %zu: no such thread, node or value", i);
		profile_add_sample(
		        r->p, &(struct profile_sample){.time_ns = (uint64_t)time,
		                                       .thread = (uint32_t)thread,
		                                       .node = r->nodes[node],
		                                       .values = {(uint64_t)count, (uint64_t)ns}});
	}
	r->p->n_samples_lost = number(root, "samples_lost");
	return NULL;
}

static struct err *read_all(struct reader *r, const json_t *root)
{
	if (json_integer_value(json_object_get(root, "version")) != 1)
		return err_new(ERR_UNSUPPORTED, "not version 1 of csample's JSON");
	read_meta(r, json_object_get(root, "meta"));
	read_mappings(r, json_object_get(root, "mappings"));
	read_frames(r, json_object_get(root, "frames"));
	const json_t *locations = json_object_get(root, "locations");
	const json_t *nodes = json_object_get(root, "nodes");
	size_t n_nodes = r->n_nodes = json_array_size(nodes);
	if (n_nodes > READ_MAX_NODES)
		return err_new(ERR_FORMAT, "more than %zu nodes", READ_MAX_NODES);
	r->n_locations = json_array_size(locations);
	r->locations = mem_alloc((r->n_locations + 1) * sizeof(*r->locations));
	r->nodes = mem_alloc((n_nodes + 1) * sizeof(*r->nodes));
	struct err *err = NULL;
	for (size_t i = 0; i < r->n_locations && !err; i++)
		err = read_location(r, json_array_get(locations, i), i);
	for (size_t i = 0; i < n_nodes && !err; i++)
		err = read_node(r, json_array_get(nodes, i), i);
	return err ? err : read_samples(r, root);
}

bool json_is_it(const char *bytes, size_t len)
{
	static const char key[] = "\"format\"", value[] = "\"csample\"";
	size_t head = len < 256 ? len : 256;
	const char *at = memmem(bytes, head, key, sizeof(key) - 1);
	return at && memmem(at, head - (size_t)(at - bytes), value, sizeof(value) - 1);
}

struct err *json_parse(const char *bytes, size_t len, json_t **ret)
{
	json_error_t why;
	if (len > MAX_BYTES)
		return err_new(ERR_FORMAT, "more than %zu MiB of JSON", MAX_BYTES >> 20);
	*ret = json_loadb(bytes, len, 0, &why);
	return *ret ? NULL : err_new(ERR_FORMAT, "line %d: not JSON", why.line);
}

struct err *json_read(const char *bytes, size_t len, struct profile *p)
{
	json_t *root;
	struct err *err = json_parse(bytes, len, &root);
	if (err)
		return err;
	struct reader r = {.p = p};
	err = read_all(&r, root);
	json_decref(root);
	free(r.frames);
	free(r.locations);
	free(r.mappings);
	free(r.nodes);
	return err;
}
