/* SPDX-License-Identifier: Apache-2.0 */
/* OTLP profiles over HTTP, in gzip. A profile there has one type of values, so ours becomes one for
 * each, which share their tables. */
#include <otlp.pb-c.h>
#include <stdlib.h>
#include <string.h>

#include <csample/hash.h>
#include <csample/mem.h>
#include <csample/vec.h>

#include "push.h"

#define PATH "/v1development/profiles"

struct translation {
	const struct sending *s;
	const Perftools__Profiles__Profile *in;
	struct arena *arena;
	Otlp__Dictionary *out;
	struct map64 mappings, functions, locations; /* by id, their place in the table */
	VEC(char *) strings;                         /* those of the profile, and our keys */
	VEC(Otlp__Attribute *) attributes;
	struct map64 attribute_refs; /* by key and value */
};

#define NEW(t, type, init)                                                             \
	({                                                                             \
		__typeof__(type) *new_one = arena_alloc((t)->arena, sizeof(*new_one)); \
		(init)(new_one);                                                       \
		new_one;                                                               \
	})
#define NEW_ARRAY(t, n, type) arena_alloc((t)->arena, ((n) + 1) * sizeof(type))

static const char *string_at(const struct translation *t, int64_t i)
{
	return i > 0 && (uint64_t)i < t->in->n_string_table ? t->in->string_table[i] : "";
}

static int32_t string_ref(const struct translation *t, int64_t i)
{
	return i > 0 && (uint64_t)i < t->in->n_string_table ? (int32_t)i : 0;
}

static int32_t ref_of(const struct map64 *m, uint64_t id)
{
	const uint64_t *at = id ? map64_get(m, id) : NULL;
	return at ? (int32_t)*at : 0;
}

/* Of one of our own keys, of which there are few. */
static int32_t key_ref(struct translation *t, const char *key)
{
	for (size_t i = t->in->n_string_table; i < t->strings.n; i++)
		if (!strcmp(t->strings.items[i], key))
			return (int32_t)i;
	*vec_add(&t->strings) = (char *)key;
	return (int32_t)t->strings.n - 1;
}

/* text NULL: it is the number. */
static int32_t attribute_ref(struct translation *t, const char *key, const char *text,
                             int64_t number)
{
	uint64_t hash = hash_mix(hash_bytes(key, strlen(key)),
	                         text ? hash_bytes(text, strlen(text)) : (uint64_t)number);
	uint64_t *ref = map64_put(&t->attribute_refs, hash_mix(hash, text != NULL));
	if (*ref)
		return (int32_t)*ref;
	Otlp__Attribute *a = NEW(t, Otlp__Attribute, otlp__attribute__init);
	a->key_ref = key_ref(t, key);
	a->value = NEW(t, Otlp__Value, otlp__value__init);
	a->value->value_case = text ? OTLP__VALUE__VALUE_TEXT : OTLP__VALUE__VALUE_NUMBER;
	if (text)
		a->value->text = (char *)text;
	else
		a->value->number = number;
	*ref = t->attributes.n;
	*vec_add(&t->attributes) = a;
	return (int32_t)*ref;
}

static void add_mappings(struct translation *t)
{
	Otlp__Dictionary *out = t->out;
	out->n_mapping_table = t->in->n_mapping + 1;
	out->mapping_table = NEW_ARRAY(t, out->n_mapping_table, Otlp__Mapping *);
	out->mapping_table[0] = NEW(t, Otlp__Mapping, otlp__mapping__init);
	for (size_t i = 0; i < t->in->n_mapping; i++) {
		const Perftools__Profiles__Mapping *from = t->in->mapping[i];
		Otlp__Mapping *to = out->mapping_table[i + 1] =
		        NEW(t, Otlp__Mapping, otlp__mapping__init);
		to->memory_start = from->memory_start;
		to->memory_limit = from->memory_limit;
		to->file_offset = from->file_offset;
		to->filename_ref = string_ref(t, from->filename);
		if (from->build_id) {
			to->n_attribute_refs = 1;
			to->attribute_refs = NEW_ARRAY(t, 1, int32_t);
			to->attribute_refs[0] = attribute_ref(t, "process.executable.build_id.gnu",
			                                      string_at(t, from->build_id), 0);
		}
		*map64_put(&t->mappings, from->id) = i + 1;
	}
}

static void add_functions(struct translation *t)
{
	Otlp__Dictionary *out = t->out;
	out->n_function_table = t->in->n_function + 1;
	out->function_table = NEW_ARRAY(t, out->n_function_table, Otlp__Function *);
	out->function_table[0] = NEW(t, Otlp__Function, otlp__function__init);
	for (size_t i = 0; i < t->in->n_function; i++) {
		const Perftools__Profiles__Function *from = t->in->function[i];
		Otlp__Function *to = out->function_table[i + 1] =
		        NEW(t, Otlp__Function, otlp__function__init);
		to->name_ref = string_ref(t, from->name);
		to->system_name_ref = string_ref(t, from->system_name);
		to->filename_ref = string_ref(t, from->filename);
		to->start_line = from->start_line;
		*map64_put(&t->functions, from->id) = i + 1;
	}
}

static void add_locations(struct translation *t)
{
	Otlp__Dictionary *out = t->out;
	out->n_location_table = t->in->n_location + 1;
	out->location_table = NEW_ARRAY(t, out->n_location_table, Otlp__Location *);
	out->location_table[0] = NEW(t, Otlp__Location, otlp__location__init);
	for (size_t i = 0; i < t->in->n_location; i++) {
		const Perftools__Profiles__Location *from = t->in->location[i];
		Otlp__Location *to = out->location_table[i + 1] =
		        NEW(t, Otlp__Location, otlp__location__init);
		to->mapping_ref = ref_of(&t->mappings, from->mapping_id);
		to->address = from->address;
		to->n_lines = from->n_line;
		to->lines = NEW_ARRAY(t, from->n_line, Otlp__Line *);
		for (size_t k = 0; k < from->n_line; k++) {
			to->lines[k] = NEW(t, Otlp__Line, otlp__line__init);
			to->lines[k]->function_ref =
			        ref_of(&t->functions, from->line[k]->function_id);
			to->lines[k]->line = from->line[k]->line;
			to->lines[k]->column = from->line[k]->column;
		}
		*map64_put(&t->locations, from->id) = i + 1;
	}
}

/* A stack for each sample; the profile has merged equal ones already. */
static void add_stacks(struct translation *t)
{
	Otlp__Dictionary *out = t->out;
	out->n_stack_table = t->in->n_sample + 1;
	out->stack_table = NEW_ARRAY(t, out->n_stack_table, Otlp__Stack *);
	out->stack_table[0] = NEW(t, Otlp__Stack, otlp__stack__init);
	for (size_t i = 0; i < t->in->n_sample; i++) {
		const Perftools__Profiles__Sample *from = t->in->sample[i];
		Otlp__Stack *to = out->stack_table[i + 1] = NEW(t, Otlp__Stack, otlp__stack__init);
		to->n_location_refs = from->n_location_id;
		to->location_refs = NEW_ARRAY(t, from->n_location_id, int32_t);
		for (size_t k = 0; k < from->n_location_id; k++)
			to->location_refs[k] = ref_of(&t->locations, from->location_id[k]);
	}
}

/* Names that OpenTelemetry has for what csample's labels say. */
static const char *otel_name(const char *name)
{
	static const struct {
		const char *ours, *theirs;
	} names[] = {
	        {"thread", "thread.name"},
	        {"tid", "thread.id"},
	        {"process", "process.executable.name"},
	        {"pid", "process.pid"},
	        {"service_name", "service.name"},
	        {"service_namespace", "service.namespace"},
	        {"service_version", "service.version"},
	        {"service_instance_id", "service.instance.id"},
	        {"version", "service.version"},
	        {"env", "deployment.environment.name"},
	        {"host", "host.name"},
	        {"hostname", "host.name"},
	        {"container_id", "container.id"},
	        {"pod", "k8s.pod.name"},
	        {"namespace", "k8s.namespace.name"},
	};
	for (size_t i = 0; i < ARRAY_SIZE(names); i++)
		if (!strcmp(names[i].ours, name))
			return names[i].theirs;
	return name;
}

static void add_sample_attributes(struct translation *t, const Perftools__Profiles__Sample *from,
                                  Otlp__Sample *to)
{
	to->attribute_refs = NEW_ARRAY(t, from->n_label, int32_t);
	for (size_t i = 0; i < from->n_label; i++) {
		const Perftools__Profiles__Label *label = from->label[i];
		to->attribute_refs[to->n_attribute_refs++] =
		        attribute_ref(t, otel_name(string_at(t, label->key)),
		                      label->str ? string_at(t, label->str) : NULL, label->num);
	}
}

static Otlp__ValueType *value_type(struct translation *t,
                                   const Perftools__Profiles__ValueType *from)
{
	Otlp__ValueType *to = NEW(t, Otlp__ValueType, otlp__value_type__init);
	to->type_ref = string_ref(t, from->type);
	to->unit_ref = string_ref(t, from->unit);
	return to;
}

/* The same whenever the same piece is sent, so that a receiver can tell. */
static ProtobufCBinaryData profile_id(struct translation *t, size_t type)
{
	uint64_t *id = NEW_ARRAY(t, 2, uint64_t);
	id[0] = hash_mix(hash_bytes(t->s->pprof, t->s->pprof_len), type);
	id[1] = hash_mix(id[0], (uint64_t)t->in->time_nanos);
	for (size_t i = 0; i < t->s->entry->n_labels; i++) {
		const struct outlet_label *l = &t->s->entry->labels[i];
		id[1] = hash_mix(id[1], hash_bytes(l->value, strlen(l->value)));
	}
	return (ProtobufCBinaryData){16, (uint8_t *)id};
}

static Otlp__Profile *profile_of_type(struct translation *t, size_t type)
{
	const Perftools__Profiles__Profile *in = t->in;
	Otlp__Profile *out = NEW(t, Otlp__Profile, otlp__profile__init);
	out->sample_type = value_type(t, in->sample_type[type]);
	out->period_type = value_type(t, in->period_type);
	out->period = in->period;
	out->time_unix_nano = (uint64_t)in->time_nanos;
	out->duration_nano = (uint64_t)in->duration_nanos;
	out->profile_id = profile_id(t, type);
	out->samples = NEW_ARRAY(t, in->n_sample, Otlp__Sample *);
	for (size_t i = 0; i < in->n_sample; i++) {
		if (in->sample[i]->value[type] <= 0)
			continue;
		Otlp__Sample *to = NEW(t, Otlp__Sample, otlp__sample__init);
		to->stack_ref = (int32_t)i + 1;
		to->n_values = 1;
		to->values = NEW_ARRAY(t, 1, int64_t);
		to->values[0] = in->sample[i]->value[type];
		add_sample_attributes(t, in->sample[i], to);
		out->samples[out->n_samples++] = to;
	}
	return out;
}

static Otlp__Resource *resource(struct translation *t)
{
	const struct entry *e = t->s->entry;
	Otlp__Resource *r = NEW(t, Otlp__Resource, otlp__resource__init);
	r->attributes = NEW_ARRAY(t, e->n_labels, Otlp__KeyValue *);
	for (size_t i = 0; i < e->n_labels; i++) {
		Otlp__KeyValue *kv = NEW(t, Otlp__KeyValue, otlp__key_value__init);
		kv->key = (char *)otel_name(e->labels[i].name);
		kv->value = NEW(t, Otlp__Value, otlp__value__init);
		kv->value->value_case = OTLP__VALUE__VALUE_TEXT;
		kv->value->text = (char *)e->labels[i].value;
		r->attributes[r->n_attributes++] = kv;
	}
	return r;
}

static void translate(struct translation *t, Otlp__ExportRequest *request)
{
	for (size_t i = 0; i < t->in->n_string_table; i++)
		*vec_add(&t->strings) = t->in->string_table[i];
	*vec_add(&t->attributes) = NEW(t, Otlp__Attribute, otlp__attribute__init);
	t->out = request->dictionary = NEW(t, Otlp__Dictionary, otlp__dictionary__init);
	add_mappings(t);
	add_functions(t);
	add_locations(t);
	add_stacks(t);
	t->out->n_link_table = 1;
	t->out->link_table = NEW_ARRAY(t, 1, Otlp__Link *);
	t->out->link_table[0] = NEW(t, Otlp__Link, otlp__link__init);

	Otlp__ResourceProfiles *rp = NEW(t, Otlp__ResourceProfiles, otlp__resource_profiles__init);
	Otlp__ScopeProfiles *sp = NEW(t, Otlp__ScopeProfiles, otlp__scope_profiles__init);
	request->n_resource_profiles = 1;
	request->resource_profiles = NEW_ARRAY(t, 1, Otlp__ResourceProfiles *);
	request->resource_profiles[0] = rp;
	rp->resource = resource(t);
	rp->n_scope_profiles = 1;
	rp->scope_profiles = NEW_ARRAY(t, 1, Otlp__ScopeProfiles *);
	rp->scope_profiles[0] = sp;
	sp->scope = NEW(t, Otlp__Scope, otlp__scope__init);
	sp->scope->name = "csample";
	sp->scope->version = (char *)t->s->version;
	sp->n_profiles = t->in->n_sample_type;
	sp->profiles = NEW_ARRAY(t, sp->n_profiles, Otlp__Profile *);
	for (size_t i = 0; i < sp->n_profiles; i++)
		sp->profiles[i] = profile_of_type(t, i);
	/* Last: attributes have added to these. */
	t->out->n_attribute_table = t->attributes.n;
	t->out->attribute_table = t->attributes.items;
	t->out->n_string_table = t->strings.n;
	t->out->string_table = t->strings.items;
}

static struct err *request(const struct sending *s, struct http_request *ret)
{
	struct translation t = {.s = s, .in = s->piece, .arena = arena_create()};
	Otlp__ExportRequest message = OTLP__EXPORT_REQUEST__INIT;
	translate(&t, &message);
	size_t len = otlp__export_request__get_packed_size(&message);
	_cleanup_free_ uint8_t *bytes = mem_alloc(len + 1);
	otlp__export_request__pack(&message, bytes);
	arena_destroy(t.arena);
	map64_free(&t.mappings);
	map64_free(&t.functions);
	map64_free(&t.locations);
	map64_free(&t.attribute_refs);
	vec_free(&t.strings);
	vec_free(&t.attributes);
	ret->path = mem_strdup(PATH);
	ret->content_type = "application/x-protobuf";
	ret->content_encoding = "gzip";
	return gzip_pack(bytes, len, &ret->body, &ret->body_len);
}

/* 200 may say that some were refused: these are never to be sent again. */
static enum verdict judge(const struct sending *s, const struct http_answer *a)
{
	(void)s;
	if (a->status == 200 && a->body_len) {
		Otlp__ExportAnswer *answer =
		        otlp__export_answer__unpack(NULL, a->body_len, (const uint8_t *)a->body);
		bool refused = answer && answer->partial_success &&
		               answer->partial_success->rejected_profiles > 0;
		if (answer)
			otlp__export_answer__free_unpacked(answer, NULL);
		if (refused)
			return PUSH_REJECTED;
	}
	return retry_judge(a->status);
}

/* Collectors take 20 MiB by default, of which the tables here need more than in pprof. */
const struct backend backend_otlp = {
        .name = "otlp",
        .limits = {.samples = SIZE_MAX, .bytes = (size_t)6 << 20},
        .request = request,
        .judge = judge,
};
