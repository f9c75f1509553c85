/* SPDX-License-Identifier: Apache-2.0 */
/* profile.proto of any producer. protobuf-c unpacks, within a budget of memory, since a byte of the
 * file can ask for much of it; every id and index is checked here. Of the sample types, the first
 * that counts becomes the samples and the last that is a time, or the one that the file says is
 * its default, the time. */
#include <inttypes.h>
#include <profile.pb-c.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

#include <csample/hash.h>
#include <csample/mem.h>

#include "emit.h"
#include "readers.h"

#define MEMORY_BUDGET ((size_t)3 << 30)
#define NO_LOCATION   UINT32_MAX

typedef Perftools__Profiles__Profile Profile;

struct budget {
	ProtobufCAllocator base;
	size_t left;
};

static void *take(void *arg, size_t size)
{
	struct budget *b = arg;
	if (size > b->left)
		return NULL;
	b->left -= size;
	return malloc(size ? size : 1);
}

static void give(void *arg, void *p)
{
	(void)arg; /* what is freed, at the end or by growing, is not counted back */
	free(p);
}

struct reader {
	const Profile *pb;
	struct profile *p;
	int count, time;   /* which of a sample's values; -1: none */
	uint64_t scale_ns; /* of the time */
	uint64_t count_ns; /* the time that a sample stands for, if only samples or only time are
	                      counted; 0: not known */
	/* By id: index + 1; empty where ids are 1 to n in order, as csample and most write them. */
	struct map64 functions, mappings, locations;
	const char **texts; /* per string of the table, what it is interned as; NULL: not yet */
	uint64_t seed;      /* the file chooses its ids: not which of them collide */
	uint32_t *own_mappings, *own_locations; /* by index, their number in p */
};

/* NULL: an empty string, or no such index. */
static const char *str(const struct reader *r, int64_t i)
{
	if (i <= 0 || (uint64_t)i >= r->pb->n_string_table || !r->pb->string_table[i][0])
		return NULL;
	if (!r->texts[i])
		r->texts[i] = intern(r->p->strings, r->pb->string_table[i]);
	return r->texts[i];
}

/* The index + 1 of an id; 0: there is none. */
static size_t index_of(const struct reader *r, const struct map64 *map, size_t n, uint64_t id)
{
	if (!map->n)
		return id <= n ? (size_t)id : 0;
	const uint64_t *at = map64_get(map, id ^ r->seed);
	return at ? (size_t)*at : 0;
}

/* Fills map unless the ids say themselves where they are. */
#define NOTE_IDS(r, map, items, n)                                                       \
	do {                                                                             \
		bool dense = true;                                                       \
		for (size_t note_i = 0; note_i < (n); note_i++)                          \
			dense &= (items)[note_i]->id == note_i + 1;                      \
		for (size_t note_i = 0; note_i < (n) && !dense; note_i++)                \
			*map64_put((map), (items)[note_i]->id ^ (r)->seed) = note_i + 1; \
	} while (0)

static uint64_t nanoseconds_of(const char *unit)
{
	static const struct {
		const char *unit;
		uint64_t ns;
	} units[] = {{"nanoseconds", 1},      {"ns", 1},
	             {"microseconds", 1000},  {"us", 1000},
	             {"ms", 1000000},         {"milliseconds", 1000000},
	             {"seconds", 1000000000}, {"s", 1000000000}};
	for (size_t i = 0; unit && i < ARRAY_SIZE(units); i++)
		if (!strcmp(unit, units[i].unit))
			return units[i].ns;
	return 0;
}

static struct err *choose_values(struct reader *r)
{
	const Profile *pb = r->pb;
	r->count = r->time = -1;
	bool by_default = false;
	for (size_t i = 0; i < pb->n_sample_type && i < 64; i++) {
		const char *unit = str(r, pb->sample_type[i]->unit);
		uint64_t ns = nanoseconds_of(unit);
		if (r->count < 0 && unit && !strcmp(unit, "count"))
			r->count = (int)i;
		if (!ns || by_default)
			continue;
		r->time = (int)i;
		r->scale_ns = ns;
		r->p->meta.value_type = str(r, pb->sample_type[i]->type);
		by_default = pb->default_sample_type &&
		             pb->sample_type[i]->type == pb->default_sample_type;
	}
	if (r->count < 0 && r->time < 0)
		return err_new(ERR_UNSUPPORTED,
		               "it has no sample type that is a count or a time%s%s",
		               pb->n_sample_type ? ", but " : "",
		               pb->n_sample_type ? str(r, pb->sample_type[0]->type) ?: "?" : "");
	const char *unit = pb->period_type ? str(r, pb->period_type->unit) : NULL;
	uint64_t period = pb->period > 0 ? (uint64_t)pb->period : 0;
	uint64_t ns = nanoseconds_of(unit);
	if (ns && period && period < UINT64_MAX / ns) {
		r->p->meta.rate_hz = 1e9 / (double)(period * ns);
		r->count_ns = period * ns;
	}
	return NULL;
}

/* "command: ..." and the like, as pprof.c writes them. */
static void read_meta(struct reader *r)
{
	struct profile_meta *m = &r->p->meta;
	const Profile *pb = r->pb;
	m->start_unix_ns = pb->time_nanos > 0 ? pb->time_nanos : 0;
	m->duration_ns = pb->duration_nanos > 0 ? (uint64_t)pb->duration_nanos : 0;
	for (size_t i = 0; i < pb->n_comment && i < 64; i++) {
		const char *s = str(r, pb->comment[i]);
		uint64_t n;
		if (!s)
			continue;
		if (!strncmp(s, "command: ", 9))
			m->command = intern(r->p->strings, s + 9);
		else if (!strncmp(s, "note: ", 6))
			m->note = intern(r->p->strings, s + 6);
		else if (!strncmp(s, "pid: ", 5) && parse_number(s + 5, strlen(s + 5), &n) &&
		         n <= INT32_MAX)
			m->pid = (int32_t)n;
		else if (!strncmp(s, "lost ticks: ", 12) &&
		         parse_number(s + 12, strlen(s + 12), &n))
			m->lost = n;
		else if (!strncmp(s, "event: ", 7))
			m->event = intern_n(r->p->strings, s + 7, strcspn(s + 7, ","));
	}
	m->title = m->command;
}

static void read_mappings(struct reader *r)
{
	const Profile *pb = r->pb;
	r->own_mappings = mem_alloc((pb->n_mapping + 1) * sizeof(*r->own_mappings));
	for (size_t i = 0; i < pb->n_mapping; i++) {
		const Perftools__Profiles__Mapping *m = pb->mapping[i];
		struct profile_mapping mapping = {
		        .start = m->memory_start,
		        .limit = m->memory_limit,
		        .offset = m->file_offset,
		        .file = str(r, m->filename),
		        .build_id = str(r, m->build_id),
		        .has_functions = m->has_functions,
		        .has_filenames = m->has_filenames,
		        .has_lines = m->has_line_numbers,
		        .has_inlines = m->has_inline_frames,
		};
		r->own_mappings[i] = profile_mapping(r->p, &mapping);
	}
	NOTE_IDS(r, &r->mappings, pb->mapping, pb->n_mapping);
	NOTE_IDS(r, &r->functions, pb->function, pb->n_function);
	NOTE_IDS(r, &r->locations, pb->location, pb->n_location);
}

static struct frame frame_of(struct reader *r, const Perftools__Profiles__Line *line,
                             const char *module, bool outermost)
{
	struct frame f = {.module = module};
	size_t i = index_of(r, &r->functions, r->pb->n_function, line->function_id);
	if (i) {
		const Perftools__Profiles__Function *function = r->pb->function[i - 1];
		f.function = str(r, function->name);
		if (!f.function)
			f.function = str(r, function->system_name);
		f.file = str(r, function->filename);
	}
	f.line = line->line > 0 && line->line <= UINT32_MAX ? (uint32_t)line->line : 0;
	f.column = line->column > 0 && line->column <= UINT32_MAX ? (uint32_t)line->column : 0;
	f.kind = guess_kind(f.function, module, f.file);
	if (f.kind == FRAME_NATIVE && !outermost)
		f.kind = FRAME_INLINED;
	return f;
}

static void read_location(struct reader *r, size_t at)
{
	const Perftools__Profiles__Location *l = r->pb->location[at];
	struct frame frames[READ_MAX_FRAMES];
	struct location loc = {.address = l->address, .frames = frames};
	size_t mapping = index_of(r, &r->mappings, r->pb->n_mapping, l->mapping_id);
	const char *module = NULL;
	if (l->mapping_id && mapping) {
		loc.mapping = r->own_mappings[mapping - 1];
		module = r->p->mappings[loc.mapping - 1].file;
	}
	for (; loc.n_frames < l->n_line && loc.n_frames < READ_MAX_FRAMES; loc.n_frames++) {
		bool outermost = loc.n_frames + 1 == l->n_line;
		frames[loc.n_frames] = frame_of(r, l->line[loc.n_frames], module, outermost);
	}
	if (!loc.n_frames) { /* not symbolized */
		char name[512];
		const struct profile_mapping *m =
		        loc.mapping ? &r->p->mappings[loc.mapping - 1] : NULL;
		uint64_t offset = m ? l->address - m->start + m->offset : l->address;
		snprintf(name, sizeof(name), "%s+0x%" PRIx64,
		         module ? frame_short_path(module) : "[unknown]", offset);
		frames[0] =
		        (struct frame){.function = intern(r->p->strings, name), .module = module};
		loc.n_frames = 1;
	}
	const struct frame *f = &frames[0];
	if (loc.n_frames == 1 && f->kind == FRAME_MARK && !strcmp(f->function, LABEL_NO_FRAMES))
		r->own_locations[at] = NO_LOCATION;
	else
		r->own_locations[at] = profile_add_location(r->p, &loc);
}

/* The root that the labels "process" and "pid", or "thread" and "tid", stand for. */
static struct err *add_root(struct reader *r, const Perftools__Profiles__Sample *s, bool process,
                            uint32_t *node)
{
	const char *name = NULL;
	uint64_t id = 0;
	for (size_t i = 0; i < s->n_label && i < 256; i++) {
		const Perftools__Profiles__Label *label = s->label[i];
		const char *key = str(r, label->key);
		if (!key)
			continue;
		if (!strcmp(key, process ? "process" : "thread"))
			name = str(r, label->str);
		else if (!strcmp(key, process ? "pid" : "tid") && label->num > 0 &&
		         label->num <= INT32_MAX)
			id = (uint64_t)label->num;
	}
	if (!name && !id)
		return NULL;
	char text[600];
	if (id && name)
		snprintf(text, sizeof(text), "%.500s (%" PRIu64 ")", name, id);
	else if (id)
		snprintf(text, sizeof(text), "%s %" PRIu64, process ? "process" : "thread", id);
	struct frame f = {.kind = FRAME_MARK};
	f.function = id ? intern(r->p->strings, text) : name;
	struct location loc = {.n_frames = 1, .frames = &f};
	loc.raw.kind = process ? RAW_PROCESS : RAW_THREAD;
	loc.raw.owner = (uint32_t)id;
	loc.raw.aux = (uintptr_t)name;
	*node = profile_child(r->p, *node, profile_add_location(r->p, &loc));
	return NULL;
}

static struct err *value_of(const struct reader *r, const Perftools__Profiles__Sample *s, int at,
                            uint64_t *ret)
{
	int64_t value = at >= 0 && (size_t)at < s->n_value ? s->value[at] : 0;
	if (value < 0)
		return err_new(ERR_UNSUPPORTED,
		               "it has negative values: the difference of two profiles");
	uint64_t scale = at >= 0 && at == r->time ? r->scale_ns : 1;
	if ((uint64_t)value > INT64_MAX / scale)
		return err_new(ERR_FORMAT, "a value is too large");
	*ret = (uint64_t)value * scale;
	return NULL;
}

static struct err *read_sample(struct reader *r, const Perftools__Profiles__Sample *s)
{
	struct profile *p = r->p;
	uint64_t values[PROFILE_VALUES] = {0};
	struct err *err = value_of(r, s, r->count, &values[0]);
	if (!err)
		err = value_of(r, s, r->time, &values[1]);
	if (err)
		return err;
	if (r->time < 0 && r->count_ns && values[0] <= INT64_MAX / r->count_ns)
		values[1] = values[0] * r->count_ns;
	if (r->count < 0) /* equal stacks may have become one */
		values[0] = r->count_ns ? (values[1] + r->count_ns / 2) / r->count_ns : 1;
	if (r->count < 0 && !values[0])
		values[0] = values[1] != 0;
	if (p->total[0] + values[0] > INT64_MAX || p->total[1] + values[1] > INT64_MAX)
		return err_new(ERR_FORMAT, "the values' sum is too large");
	if (p->n_nodes + s->n_location_id + 2 > READ_MAX_NODES)
		return err_new(ERR_FORMAT, "more than %zu call paths", READ_MAX_NODES);
	uint32_t node = 0;
	err = add_root(r, s, true, &node);
	if (!err)
		err = add_root(r, s, false, &node);
	for (size_t i = s->n_location_id; !err && i-- > 0;) {
		size_t at = index_of(r, &r->locations, r->pb->n_location, s->location_id[i]);
		if (!at)
			return err_new(ERR_FORMAT, "a sample has a location that is not there");
		if (r->own_locations[at - 1] != NO_LOCATION)
			node = profile_child(p, node, r->own_locations[at - 1]);
	}
	if (!err)
		profile_add_to_node(p, node, values);
	return err;
}

/* Whichever field comes first, with a length or a number: some of these begin texts too, which hold
 * no NUL, as a profile does: its string table begins with an empty one. */
bool pprof_is_it(const char *bytes, size_t len)
{
	unsigned tag = len ? (unsigned char)bytes[0] : 0, field = tag >> 3, type = tag & 7;
	return field >= 1 && field <= 15 && (type == 0 || type == 2) && memchr(bytes, 0, len);
}

struct err *pprof_read(const char *bytes, size_t len, struct profile *p)
{
	struct budget budget = {.left = MEMORY_BUDGET};
	budget.base = (ProtobufCAllocator){take, give, &budget};
	Profile *pb =
	        perftools__profiles__profile__unpack(&budget.base, len, (const uint8_t *)bytes);
	if (!pb)
		return err_new(ERR_FORMAT, "damaged profile.proto, or one too large");
	struct reader r = {.pb = pb, .p = p};
	if (getrandom(&r.seed, sizeof(r.seed), GRND_NONBLOCK) != sizeof(r.seed))
		r.seed = (uintptr_t)pb;
	r.texts = mem_zalloc((pb->n_string_table + 1) * sizeof(*r.texts));
	struct err *err = choose_values(&r);
	if (!err) {
		read_meta(&r);
		read_mappings(&r);
		r.own_locations = mem_alloc((pb->n_location + 1) * sizeof(*r.own_locations));
		for (size_t i = 0; i < pb->n_location; i++)
			read_location(&r, i);
	}
	for (size_t i = 0; i < pb->n_sample && !err; i++)
		err = read_sample(&r, pb->sample[i]);
	perftools__profiles__profile__free_unpacked(pb, &budget.base);
	map64_free(&r.functions);
	map64_free(&r.mappings);
	map64_free(&r.locations);
	free(r.texts);
	free(r.own_mappings);
	free(r.own_locations);
	return err;
}
