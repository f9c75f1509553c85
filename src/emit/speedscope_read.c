/* SPDX-License-Identifier: Apache-2.0 */
/* speedscope's files of any producer: "sampled" profiles, and "evented" ones, whose stacks are what
 * is open between two events. libjansson parses, which bounds depth; here each index is checked. Of
 * several profiles each is a thread. */
#include <inttypes.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include <csample/mem.h>

#include "emit.h"
#include "json.h"
#include "readers.h"

#define MAX_DEPTH   100000
#define MAX_SAMPLES 100000.0

struct reader {
	struct profile *p;
	uint32_t *locations; /* of the shared frames */
	size_t n_locations;
	uint32_t root;        /* node of the profile that is read */
	double scale;         /* nanoseconds of its unit; 0: it counts samples */
	double period_ns;     /* for which a sample is taken to stand */
	VEC(uint32_t) open;   /* evented: frames, root first */
	VEC(uint32_t) opened; /* and the node of each */
	size_t at;            /* of the profiles, its number */
};

static uint32_t number_u32(const json_t *object, const char *key)
{
	double n = json_number_value(json_object_get(object, key));
	return n >= 1 && n <= UINT32_MAX ? (uint32_t)n : 0;
}

/* A library is where the function is, a source file is what says so. */
static bool is_module(const char *file)
{
	const char *name = frame_short_path(file);
	return file[0] == '[' || !strchr(name, '.') || strstr(name, ".so") ||
	       strstr(name, ".dll") || strstr(name, ".dylib") || strstr(name, ".exe");
}

static uint32_t add_frame(struct reader *r, const json_t *object)
{
	struct strings *strings = r->p->strings;
	const char *name = json_string_value(json_object_get(object, "name"));
	const char *file = json_string_value(json_object_get(object, "file"));
	struct frame f = {.kind = FRAME_NATIVE};
	struct location loc = {.raw.kind = RAW_MARK, .n_frames = 1, .frames = &f};
	if (name && !strcmp(name, LABEL_NO_FRAMES))
		return UINT32_MAX;
	_cleanup_free_ char *text = mem_strndup(name ? name : "", name ? strlen(name) : 0);
	uint32_t line = number_u32(object, "line"), column = number_u32(object, "col");
	split_place(strings, text, &f);
	f.function = text[0] ? intern(strings, text) : NULL;
	if (f.kind == FRAME_NATIVE)
		f.kind = guess_kind(f.function, file, file);
	if (file && (frame_kind_is_script(f.kind) || !is_module(file)))
		f.file = intern(strings, file);
	else if (file)
		f.module = intern(strings, file);
	f.line = line ? line : f.line;
	f.column = column;
	struct strbuf key = {0};
	strbuf_addf(&key, "%s\n%s\n%" PRIu32 "\n%" PRIu32, text, file ? file : "", f.line, column);
	loc.raw.aux = (uintptr_t)intern(strings, key.s);
	strbuf_free(&key);
	return profile_add_location(r->p, &loc);
}

static bool find_scale(const char *unit, double *ret)
{
	static const struct {
		const char *name;
		double scale;
	} units[] = {{"none", 0},
	             {"nanoseconds", 1},
	             {"microseconds", 1e3},
	             {"milliseconds", 1e6},
	             {"seconds", 1e9}};
	for (size_t i = 0; unit && i < ARRAY_SIZE(units); i++)
		if (!strcmp(unit, units[i].name)) {
			*ret = units[i].scale;
			return true;
		}
	return false;
}

static struct err *wrong(const struct reader *r, const char *what, size_t at)
{
	return err_new(ERR_FORMAT, "profile %zu, %s %zu: no such frame, or no such value", r->at,
	               what, at);
}

static bool add_weight(struct reader *r, uint32_t node, double weight)
{
	struct profile *p = r->p;
	double value = r->scale ? weight * r->scale : weight;
	if (!(value >= 0 && value < 1e18))
		return false;
	uint64_t n = (uint64_t)llround(value);
	uint64_t values[PROFILE_VALUES] = {n, 0};
	if (r->scale && n) {
		double samples = value / r->period_ns;
		values[0] = samples > 1 ? (uint64_t)llround(samples) : 1;
		values[1] = n;
	}
	for (size_t i = 0; i < PROFILE_VALUES; i++)
		if (p->total[i] + values[i] > INT64_MAX)
			return false;
	profile_add_to_node(p, node, values);
	return true;
}

/* How many samples a time is, the file does not say, and equal stacks may have become one: as if
 * the shortest were one sample, as long as that makes no absurd number of them. */
static void find_period(struct reader *r, const json_t *profile)
{
	const json_t *weights = json_object_get(profile, "weights");
	double sum = 0, least = 0;
	for (size_t i = 0; i < json_array_size(weights); i++) {
		double weight = json_number_value(json_array_get(weights, i));
		sum += weight > 0 ? weight : 0;
		if (weight > 0 && (!least || weight < least))
			least = weight;
	}
	double start = json_number_value(json_object_get(profile, "startValue"));
	double end = json_number_value(json_object_get(profile, "endValue"));
	if (!sum) /* evented */
		least = end > start ? (end - start) / MAX_SAMPLES : 1;
	else if (least < sum / MAX_SAMPLES)
		least = sum / MAX_SAMPLES;
	r->period_ns = least * r->scale;
}

/* The node of a frame below another; false: no such frame, or too many call paths. */
static bool step(struct reader *r, uint32_t parent, const json_t *frame, uint32_t *ret)
{
	json_int_t i = json_is_integer(frame) ? json_integer_value(frame) : -1;
	if (i < 0 || (uint64_t)i >= r->n_locations || r->p->n_nodes >= READ_MAX_NODES)
		return false;
	uint32_t location = r->locations[i];
	*ret = location == UINT32_MAX ? parent : profile_child(r->p, parent, location);
	return true;
}

static struct err *read_sampled(struct reader *r, const json_t *profile)
{
	const json_t *samples = json_object_get(profile, "samples");
	const json_t *weights = json_object_get(profile, "weights");
	size_t n = json_array_size(samples);
	for (size_t i = 0; i < n; i++) {
		const json_t *stack = json_array_get(samples, i),
		             *weight = json_array_get(weights, i);
		uint32_t node = r->root;
		if (!json_is_number(weight) || !json_is_array(stack))
			return wrong(r, "sample", i);
		for (size_t k = 0; k < json_array_size(stack); k++)
			if (!step(r, node, json_array_get(stack, k), &node))
				return wrong(r, "sample", i);
		if (!add_weight(r, node, json_number_value(weight)))
			return wrong(r, "sample", i);
	}
	return NULL;
}

static struct err *read_evented(struct reader *r, const json_t *profile)
{
	const json_t *events = json_object_get(profile, "events");
	double before = json_number_value(json_object_get(profile, "startValue"));
	r->open.n = r->opened.n = 0;
	for (size_t i = 0; i < json_array_size(events); i++) {
		const json_t *event = json_array_get(events, i);
		const char *type = json_string_value(json_object_get(event, "type"));
		const json_t *frame = json_object_get(event, "frame");
		double at = json_number_value(json_object_get(event, "at"));
		size_t depth = r->open.n;
		uint32_t node = depth ? r->opened.items[depth - 1] : r->root;
		if (!type || !(at >= before) || (depth && !add_weight(r, node, at - before)))
			return wrong(r, "event", i);
		before = at;
		if (!strcmp(type, "O") && depth < MAX_DEPTH && step(r, node, frame, &node)) {
			*vec_add(&r->open) = (uint32_t)json_integer_value(frame);
			*vec_add(&r->opened) = node;
		} else if (!strcmp(type, "C") && depth && json_is_integer(frame) &&
		           json_integer_value(frame) == r->open.items[depth - 1]) {
			r->open.n--;
			r->opened.n--;
		} else {
			return wrong(r, "event", i);
		}
	}
	return NULL;
}

/* The root of one of several profiles, by its name. */
static uint32_t add_root(struct reader *r, const char *name)
{
	struct frame f = {.kind = FRAME_MARK, .function = intern(r->p->strings, name)};
	struct location loc = {.n_frames = 1, .frames = &f};
	loc.raw = (struct raw_frame){
	        .kind = RAW_THREAD, .owner = (uint32_t)r->at + 1, .aux = (uintptr_t)f.function};
	return profile_child(r->p, 0, profile_add_location(r->p, &loc));
}

static struct err *read_profile(struct reader *r, const json_t *profile, bool alone)
{
	const char *type = json_string_value(json_object_get(profile, "type"));
	const char *name = json_string_value(json_object_get(profile, "name"));
	const char *unit = json_string_value(json_object_get(profile, "unit"));
	if (!find_scale(unit, &r->scale))
		return err_new(ERR_UNSUPPORTED, "profile %zu counts %s, neither samples nor time",
		               r->at, unit ? unit : "nothing");
	find_period(r, profile);
	r->root = alone ? 0 : add_root(r, name && name[0] ? name : "[unnamed]");
	if (type && !strcmp(type, "sampled"))
		return read_sampled(r, profile);
	if (type && !strcmp(type, "evented"))
		return read_evented(r, profile);
	return err_new(ERR_UNSUPPORTED, "profile %zu is neither sampled nor evented", r->at);
}

static struct err *read_all(struct reader *r, const json_t *root)
{
	const json_t *frames = json_object_get(json_object_get(root, "shared"), "frames");
	const json_t *profiles = json_object_get(root, "profiles");
	const char *title = json_string_value(json_object_get(root, "name"));
	size_t n = json_array_size(profiles);
	if (!n)
		return err_new(ERR_FORMAT, "no profile in it");
	r->p->meta.value_type = "cpu";
	if (title)
		r->p->meta.title = intern(r->p->strings, title);
	r->n_locations = json_array_size(frames);
	r->locations = mem_alloc((r->n_locations + 1) * sizeof(*r->locations));
	for (size_t i = 0; i < r->n_locations; i++)
		r->locations[i] = add_frame(r, json_array_get(frames, i));
	struct err *err = NULL;
	for (; r->at < n && !err; r->at++)
		err = read_profile(r, json_array_get(profiles, r->at), n == 1);
	return err;
}

bool speedscope_is_it(const char *bytes, size_t len)
{
	static const char schema[] = "speedscope.app/file-format-schema.json";
	while (len && strchr(" \t\r\n", *bytes)) {
		bytes++;
		len--;
	}
	/* Other producers write the key last. */
	return len && *bytes == '{' && memmem(bytes, len, schema, sizeof(schema) - 1);
}

struct err *speedscope_read(const char *bytes, size_t len, struct profile *p)
{
	json_t *root;
	struct err *err = json_parse(bytes, len, &root);
	if (err)
		return err;
	struct reader r = {.p = p};
	err = read_all(&r, root);
	json_decref(root);
	free(r.locations);
	vec_free(&r.open);
	vec_free(&r.opened);
	return err;
}
