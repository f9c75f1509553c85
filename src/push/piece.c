/* SPDX-License-Identifier: Apache-2.0 */
/* A profile that is too large for a backend goes in pieces: some of its samples each, with the
 * locations, functions and strings these need, ids dense again. Merged they are the profile. */
#include <stdlib.h>
#include <string.h>

#include <csample/hash.h>
#include <csample/mem.h>
#include <csample/vec.h>

#include "push.h"

typedef Perftools__Profiles__Profile Profile;
typedef Perftools__Profiles__ValueType ValueType;
typedef Perftools__Profiles__Sample Sample;
typedef Perftools__Profiles__Label Label;
typedef Perftools__Profiles__Mapping Mapping;
typedef Perftools__Profiles__Location Location;
typedef Perftools__Profiles__Line Line;
typedef Perftools__Profiles__Function Function;

#define MAX_UNPACKED  ((size_t)512 << 20)
#define MEMORY_BUDGET ((size_t)2 << 30)

/* ---- reading ---- */

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
	(void)arg;
	free(p);
}

static bool valid_utf8(const char *s)
{
	struct strbuf b = {0};
	strbuf_add_utf8(&b, s);
	bool same = !strcmp(b.s ? b.s : "", s);
	strbuf_free(&b);
	return same;
}

static bool names_something(const Profile *pb, const ValueType *t)
{
	return t && t->type > 0 && t->unit > 0 && (uint64_t)t->type < pb->n_string_table &&
	       (uint64_t)t->unit < pb->n_string_table;
}

/* What a backend does not survive, or takes and then cannot read: refused here. */
static struct err *check(const Profile *pb)
{
	if (!pb->n_string_table || pb->string_table[0][0])
		return err_new(ERR_FORMAT, "its first string is not empty");
	for (size_t i = 0; i < pb->n_string_table; i++)
		if (!valid_utf8(pb->string_table[i]))
			return err_new(ERR_FORMAT, "string %zu is not UTF-8", i);
	if (!names_something(pb, pb->period_type))
		return err_new(ERR_FORMAT, "it has no period type, which some servers crash on");
	if (!pb->n_sample_type)
		return err_new(ERR_FORMAT, "it has no sample type");
	for (size_t i = 0; i < pb->n_sample_type; i++)
		if (!names_something(pb, pb->sample_type[i]))
			return err_new(ERR_FORMAT, "sample type %zu has no name or unit", i);
	for (size_t i = 0; i < pb->n_sample; i++)
		if (pb->sample[i]->n_value != pb->n_sample_type)
			return err_new(ERR_FORMAT, "sample %zu has %zu values instead of %zu", i,
			               pb->sample[i]->n_value, pb->n_sample_type);
	return NULL;
}

struct err *unpacked_create(const struct entry *e, struct unpacked *ret)
{
	_cleanup_free_ void *bytes = NULL;
	size_t len = 0;
	struct err *err = gzip_unpack(e->pprof, e->pprof_len, MAX_UNPACKED, &bytes, &len);
	if (err)
		return err;
	struct budget budget = {.left = MEMORY_BUDGET};
	budget.base = (ProtobufCAllocator){take, give, &budget};
	Profile *pb = perftools__profiles__profile__unpack(&budget.base, len, bytes);
	if (!pb)
		return err_new(ERR_FORMAT, "it is not a profile.proto, or too large");
	ret->pb = pb;
	ret->len = len;
	err = check(pb);
	if (err)
		unpacked_free(ret);
	return err;
}

void unpacked_free(struct unpacked *u)
{
	ProtobufCAllocator plain = {take, give, NULL};
	if (u->pb)
		perftools__profiles__profile__free_unpacked(u->pb, &plain);
	*u = (struct unpacked){0};
}

bool unpacked_any(const struct unpacked *u)
{
	for (size_t i = 0; i < u->pb->n_sample; i++)
		for (size_t v = 0; v < u->pb->sample[i]->n_value; v++)
			if (u->pb->sample[i]->value[v] > 0)
				return true;
	return false;
}

/* ---- cutting ---- */

struct piece {
	Profile base; /* first: what is handed out */
	struct arena *arena;
};

/* By the old id: where it is in the whole profile, and its number in the piece. */
struct ids {
	struct map64 at; /* index + 1 */
	uint64_t *own;   /* by index; 0: not used so far */
	VEC(size_t) used;
};

struct cutter {
	const Profile *in;
	struct arena *arena;
	struct ids mappings, locations, functions;
	int64_t *string_ids; /* by index; 0: not used so far */
	VEC(char *) strings;
};

static int64_t string_of(struct cutter *c, int64_t i)
{
	if (i <= 0 || (uint64_t)i >= c->in->n_string_table)
		return 0;
	if (!c->string_ids[i]) {
		c->string_ids[i] = (int64_t)c->strings.n;
		*vec_add(&c->strings) = c->in->string_table[i];
	}
	return c->string_ids[i];
}

/* The number in the piece of what has this id in the whole; 0: there is no such thing. */
static uint64_t id_of(struct ids *ids, uint64_t id)
{
	const uint64_t *at = id ? map64_get(&ids->at, id) : NULL;
	if (!at || !*at)
		return 0;
	size_t i = *at - 1;
	if (!ids->own[i]) {
		*vec_add(&ids->used) = i;
		ids->own[i] = ids->used.n;
	}
	return ids->own[i];
}

static void ids_free(struct ids *ids)
{
	map64_free(&ids->at);
	free(ids->own);
	vec_free(&ids->used);
}

#define NEW_ARRAY(c, n, type) arena_alloc((c)->arena, ((n) + 1) * sizeof(type))

static Sample *cut_sample(struct cutter *c, const Sample *s)
{
	Sample *to = arena_alloc(c->arena, sizeof(*to));
	*to = *s;
	to->location_id = NEW_ARRAY(c, s->n_location_id, uint64_t);
	for (size_t i = 0; i < s->n_location_id; i++)
		to->location_id[i] = id_of(&c->locations, s->location_id[i]);
	to->label = NEW_ARRAY(c, s->n_label, Label *);
	for (size_t i = 0; i < s->n_label; i++) {
		Label *label = to->label[i] = arena_alloc(c->arena, sizeof(*label));
		*label = *s->label[i];
		label->key = string_of(c, label->key);
		label->str = string_of(c, label->str);
		label->num_unit = string_of(c, label->num_unit);
	}
	return to; /* the values stay where they are */
}

static Location *cut_location(struct cutter *c, const Location *l, uint64_t id)
{
	Location *to = arena_alloc(c->arena, sizeof(*to));
	*to = *l;
	to->id = id;
	to->mapping_id = id_of(&c->mappings, l->mapping_id);
	to->line = NEW_ARRAY(c, l->n_line, Line *);
	for (size_t i = 0; i < l->n_line; i++) {
		to->line[i] = arena_alloc(c->arena, sizeof(Line));
		*to->line[i] = *l->line[i];
		to->line[i]->function_id = id_of(&c->functions, l->line[i]->function_id);
	}
	return to;
}

static void cut_tables(struct cutter *c, Profile *out)
{
	out->n_location = c->locations.used.n;
	out->location = NEW_ARRAY(c, out->n_location, Location *);
	for (size_t i = 0; i < out->n_location; i++)
		out->location[i] =
		        cut_location(c, c->in->location[c->locations.used.items[i]], i + 1);
	out->n_mapping = c->mappings.used.n;
	out->mapping = NEW_ARRAY(c, out->n_mapping, Mapping *);
	for (size_t i = 0; i < out->n_mapping; i++) {
		Mapping *m = out->mapping[i] = arena_alloc(c->arena, sizeof(*m));
		*m = *c->in->mapping[c->mappings.used.items[i]];
		m->id = i + 1;
		m->filename = string_of(c, m->filename);
		m->build_id = string_of(c, m->build_id);
	}
	out->n_function = c->functions.used.n;
	out->function = NEW_ARRAY(c, out->n_function, Function *);
	for (size_t i = 0; i < out->n_function; i++) {
		Function *f = out->function[i] = arena_alloc(c->arena, sizeof(*f));
		*f = *c->in->function[c->functions.used.items[i]];
		f->id = i + 1;
		f->name = string_of(c, f->name);
		f->system_name = string_of(c, f->system_name);
		f->filename = string_of(c, f->filename);
	}
}

static ValueType *cut_type(struct cutter *c, const ValueType *t)
{
	ValueType *to = arena_alloc(c->arena, sizeof(*to));
	*to = *t;
	to->type = string_of(c, t->type);
	to->unit = string_of(c, t->unit);
	return to;
}

/* What there is once; last, since it takes the string table. */
static void cut_rest(struct cutter *c, Profile *out, int64_t shift_ns)
{
	const Profile *in = c->in;
	out->sample_type = NEW_ARRAY(c, in->n_sample_type, ValueType *);
	for (size_t i = 0; i < in->n_sample_type; i++)
		out->sample_type[i] = cut_type(c, in->sample_type[i]);
	out->n_sample_type = in->n_sample_type;
	out->period_type = cut_type(c, in->period_type);
	out->period = in->period;
	out->time_nanos = in->time_nanos + shift_ns;
	out->duration_nanos = in->duration_nanos;
	out->drop_frames = string_of(c, in->drop_frames);
	out->keep_frames = string_of(c, in->keep_frames);
	out->default_sample_type = string_of(c, in->default_sample_type);
	out->doc_url = string_of(c, in->doc_url);
	out->n_comment = in->n_comment;
	out->comment = NEW_ARRAY(c, in->n_comment, int64_t);
	for (size_t i = 0; i < in->n_comment; i++)
		out->comment[i] = string_of(c, in->comment[i]);
	out->n_string_table = c->strings.n;
	out->string_table = NEW_ARRAY(c, c->strings.n, char *);
	memcpy(out->string_table, c->strings.items, c->strings.n * sizeof(char *));
}

static Profile *cut(const Profile *in, size_t first, size_t n, int64_t shift_ns)
{
	struct piece *piece = mem_zalloc(sizeof(*piece));
	piece->arena = arena_create();
	Profile *out = &piece->base;
	perftools__profiles__profile__init(out);
	struct cutter c = {.in = in, .arena = piece->arena};
	c.string_ids = mem_zalloc((in->n_string_table + 1) * sizeof(*c.string_ids));
	*vec_add(&c.strings) = in->string_table[0];
	c.mappings.own = mem_zalloc((in->n_mapping + 1) * sizeof(uint64_t));
	c.locations.own = mem_zalloc((in->n_location + 1) * sizeof(uint64_t));
	c.functions.own = mem_zalloc((in->n_function + 1) * sizeof(uint64_t));
	for (size_t i = 0; i < in->n_mapping; i++)
		*map64_put(&c.mappings.at, in->mapping[i]->id) = i + 1;
	for (size_t i = 0; i < in->n_location; i++)
		*map64_put(&c.locations.at, in->location[i]->id) = i + 1;
	for (size_t i = 0; i < in->n_function; i++)
		*map64_put(&c.functions.at, in->function[i]->id) = i + 1;
	if (in->n_mapping) /* pprof takes the first one for the program's own */
		id_of(&c.mappings, in->mapping[0]->id);
	out->n_sample = n;
	out->sample = NEW_ARRAY(&c, n, Sample *);
	for (size_t i = 0; i < n; i++)
		out->sample[i] = cut_sample(&c, in->sample[first + i]);
	cut_tables(&c, out);
	cut_rest(&c, out, shift_ns);
	ids_free(&c.mappings);
	ids_free(&c.locations);
	ids_free(&c.functions);
	free(c.string_ids);
	vec_free(&c.strings);
	return out;
}

Profile *piece_cut(const struct unpacked *u, size_t first, const struct piece_limits *limits,
                   int64_t shift_ns, size_t *n_ret)
{
	size_t n = u->pb->n_sample - first;
	if (n > limits->samples)
		n = limits->samples;
	/* As if all samples were of one size; what is shared makes it more. */
	if (u->len > limits->bytes) {
		size_t guess =
		        (size_t)((double)u->pb->n_sample * (double)limits->bytes / (double)u->len);
		n = n < guess + 1 ? n : guess + 1;
	}
	for (;;) {
		Profile *piece = cut(u->pb, first, n, shift_ns);
		size_t size = perftools__profiles__profile__get_packed_size(piece);
		*n_ret = n;
		if (size <= limits->bytes || n <= 1)
			return piece;
		piece_free(piece);
		size_t fit = (size_t)((double)n * 0.9 * (double)limits->bytes / (double)size);
		n = fit < 1 ? 1 : fit < n ? fit : n - 1;
	}
}

void piece_free(Profile *p)
{
	struct piece *piece = (struct piece *)p;
	if (!piece)
		return;
	arena_destroy(piece->arena);
	free(piece);
}

struct err *piece_pack(const Profile *piece, void **bytes_ret, size_t *len_ret)
{
	size_t len = perftools__profiles__profile__get_packed_size(piece);
	_cleanup_free_ uint8_t *bytes = mem_alloc(len + 1);
	perftools__profiles__profile__pack(piece, bytes);
	return gzip_pack(bytes, len, bytes_ret, len_ret);
}
