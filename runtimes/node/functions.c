/* SPDX-License-Identifier: Apache-2.0 */
/* SharedFunctionInfo -> name, script, start; BytecodeArray -> positions.
 *
 *   SharedFunctionInfo.name_or_scope_info → String, or ScopeInfo → name, inferred name, start
 *                     .script             → Script, or DebugInfo → Script
 *                     .data               → Smi: a builtin
 *
 * V8 src/objects/shared-function-info.tq, scope-info.tq. */
#include <stdlib.h>
#include <string.h>

#include <csample/mem.h>

#include "node.h"

#define MAX_FUNCTIONS 65536
#define MAX_ENTRIES   1048576
#define MAX_LOCALS    65536
#define MAX_BYTECODES 65536
#define MAX_TABLE     (4u << 20)

/* What a frame shows: a function, by name and place, or something else by its name. */
struct entry {
	const char *name, *file;
	int32_t start;     /* of its parameters; -1: no function of a script */
	const char *title; /* with its class, once that is known */
	uint8_t tries;     /* to learn it */
};
#define MAX_TRIES 8

struct bytecode {
	uint64_t tagged, table;
	uint64_t serial;
	uint32_t length;
	struct v8_position *positions;
	size_t n;
};

struct v8_functions {
	struct map64 by_address; /* -> index + 1 */
	VEC(struct v8_function) items;
	struct map64 by_name; /* hash of an entry -> its number */
	VEC(struct entry) entries;
	struct map64 bytecode_by_address;
	VEC(struct bytecode) bytecodes;
};

struct v8_functions *v8_functions_create(void)
{
	struct v8_functions *f = mem_zalloc(sizeof(*f));
	return f;
}

static void clear_bytecodes(struct v8_functions *f)
{
	for (size_t i = 0; i < f->bytecodes.n; i++)
		free(f->bytecodes.items[i].positions);
	f->bytecodes.n = 0;
	map64_clear(&f->bytecode_by_address);
}

void v8_functions_destroy(struct v8_functions *f)
{
	if (!f)
		return;
	clear_bytecodes(f);
	vec_free(&f->bytecodes);
	map64_free(&f->bytecode_by_address);
	map64_free(&f->by_address);
	map64_free(&f->by_name);
	vec_free(&f->items);
	vec_free(&f->entries);
	free(f);
}

void v8_functions_trim(struct v8 *v8, bool all)
{
	struct v8_functions *f = v8->functions;
	if (all || f->items.n >= MAX_FUNCTIONS) {
		f->items.n = 0;
		map64_clear(&f->by_address);
	}
	if (f->bytecodes.n >= MAX_BYTECODES)
		clear_bytecodes(f);
}

static uint32_t entry_at(struct v8 *v8, const char *name, const char *file, int32_t start)
{
	struct v8_functions *f = v8->functions;
	uint64_t key = hash_mix((uint64_t)(uintptr_t)name, (uint64_t)(uintptr_t)file);
	key = hash_mix(key, (uint64_t)(uint32_t)start);
	for (;; key++) {
		uint64_t *known = map64_get(&f->by_name, key);
		if (!known)
			break;
		const struct entry *e = &f->entries.items[*known - 1];
		if (e->name == name && e->file == file && e->start == start)
			return (uint32_t)*known;
	}
	if (f->entries.n == MAX_ENTRIES)
		return 0;
	*vec_add(&f->entries) = (struct entry){.name = name, .file = file, .start = start};
	*map64_put(&f->by_name, key) = f->entries.n;
	return (uint32_t)f->entries.n;
}

uint32_t v8_entry(struct v8 *v8, const char *name, const char *file)
{
	return entry_at(v8, name, file, -1);
}

const char *v8_entry_title(struct v8 *v8, uint32_t entry)
{
	const struct v8_functions *f = v8->functions;
	const struct entry *e =
	        entry && entry <= f->entries.n ? &f->entries.items[entry - 1] : NULL;
	return e ? e->title ? e->title : e->name : NULL;
}

void v8_learn_class(struct v8 *v8, const struct v8_function *f, uint64_t function,
                    uint64_t receiver)
{
	struct v8_functions *all = v8->functions;
	/* Where V8 inferred a name from an assignment ("Foo.bar") it says all there is to say. */
	if (!f->has_name || strchr(f->name, '.') || !f->entry || f->entry > all->entries.n ||
	    all->entries.items[f->entry - 1].title ||
	    all->entries.items[f->entry - 1].tries == MAX_TRIES)
		return;
	all->entries.items[f->entry - 1].tries++;
	bool is_accessor = !strncmp(f->name, "get ", 4) || !strncmp(f->name, "set ", 4);
	const char *class = v8_class_of(v8, function, receiver, is_accessor);
	struct entry *e = &all->entries.items[f->entry - 1];
	if (!class)
		return;
	struct strbuf b = {0};
	strbuf_addf(&b, "%s.%s", class, e->name);
	e->title = intern_n(v8->strings, b.s, b.len);
	strbuf_free(&b);
}

void v8_describe(struct runtime *rt, struct raw_frame raw, struct frame *out)
{
	struct v8 *v8 = v8_of(rt);
	*out = (struct frame){.kind = FRAME_JAVASCRIPT};
	if (!raw.addr || raw.addr > v8->functions->entries.n) {
		out->function = intern(v8->strings, "[javascript: unknown]");
		return;
	}
	const struct entry *e = &v8->functions->entries.items[raw.addr - 1];
	out->function = e->title ? e->title : e->name;
	out->file = e->file;
	out->line = (uint32_t)(raw.aux >> 32);
	out->column = (uint32_t)raw.aux;
}

/* The words of a ScopeInfo that come after its variables: name, inferred name, start. False: not
 * readable as what it says it is. */
static bool read_scope(struct v8 *v8, uint64_t tagged, struct v8_function *f)
{
	const struct v8_layout *l = &v8->layout;
	uint64_t head[6], tail[8], at = l->scope.variables;
	int32_t n, start, end;
	unsigned i = 0;
	if (!v8_object(v8, &tagged, l->type.scope_info, l->type.scope_info, head, sizeof(head)) ||
	    !v8_smi(head[3], &n) || n < 0 || n > MAX_LOCALS)
		return false;
	/* A Smi, or from 12.9 on a plain number. */
	uint32_t flags = (uint32_t)head[1] ? (uint32_t)head[1] : (uint32_t)(head[1] >> 32);
	if (l->scope.module_slot && (flags & 15) == l->scope.module)
		at += 8;
	at += l->scope.inline_names && (uint32_t)n >= l->scope.inline_names ? 8 : 8 * (uint64_t)n;
	at += 8 * (uint64_t)n;
	if (flags >> 10 & 1)
		at += 8; /* saved class variable */
	unsigned receiver = flags >> 7 & 3;
	if (l->scope.has_receiver && (receiver == 1 || receiver == 2))
		at += 8;
	if (!v8_read(v8, tagged - 1 + at, tail, sizeof(tail)))
		return false;
	if (flags >> 12 & 3) {
		f->name = v8_string(v8, tail[0]);
		i = 2;
		/* Without a name it is 0. */
		if (!f->name && !v8_smi(tail[0], &start))
			return false;
	}
	if (flags >> 14 & 1) {
		if (!f->name || !*f->name)
			f->name = v8_string(v8, tail[i]);
		i++;
	}
	const uint64_t *range = field_known(l->scope.start) ? head + 4 : tail + i;
	if (v8_smi(range[0], &start) && v8_smi(range[1], &end) && start >= 0 && start < end)
		f->start = start;
	return true;
}

/* UncompiledData, of a function whose bytecode is gone: its start, i32 at 16. */
static void read_uncompiled(struct v8 *v8, uint64_t tagged, struct v8_function *f)
{
	const struct v8_layout *l = &v8->layout;
	uint64_t words[3];
	if (v8_object(v8, &tagged, l->type.uncompiled_first, l->type.uncompiled_last, words,
	              sizeof(words)))
		f->start = (int32_t)words[2];
}

/* A debugger's DebugInfo stands before the script; which of its words, differs. *ret is 0 for a
 * function of no script; false: not readable. */
static bool find_script(struct v8 *v8, uint64_t tagged, uint32_t *ret)
{
	const struct v8_layout *l = &v8->layout;
	uint64_t words[10];
	uint32_t kind;
	*ret = 0;
	if (!v8_type_of(v8, tagged, &kind))
		return false;
	if (kind == l->type.script) {
		*ret = v8_script_find(v8, tagged);
		return *ret != 0;
	}
	if (kind != l->type.debug_info)
		return true;
	if (!v8_object(v8, &tagged, kind, kind, words, sizeof(words)))
		return false;
	for (unsigned i = 1; i < ARRAY_SIZE(words); i++) {
		uint32_t type;
		if (v8_type_of(v8, words[i], &type) && type == l->type.script)
			*ret = v8_script_find(v8, words[i]);
	}
	return true;
}

/* A function without a name is known by its place. */
static const char *anonymous(struct v8 *v8, const struct v8_function *f, const char *file)
{
	struct strbuf b = {0};
	strbuf_add(&b, "(anonymous)");
	if (file && f->line)
		strbuf_addf(&b, " %s:%u:%u", v8_base_name(file), f->line, f->column);
	const char *name = intern_n(v8->strings, b.s, b.len);
	strbuf_free(&b);
	return name;
}

/* False: what it refers to is not, or no longer, there. */
static bool fill(struct v8 *v8, struct v8_function *f, struct obj o)
{
	const struct v8_layout *l = &v8->layout;
	uint64_t data = 0, untrusted = 0, name = 0, script = 0;
	int32_t id;
	obj_get(o, l->shared.data, &data);
	obj_get(o, l->shared.untrusted, &untrusted);
	obj_get(o, l->shared.name, &name);
	obj_get(o, l->shared.script, &script);
	f->start = -1;
	if (!find_script(v8, script, &f->script))
		return false;
	/* A function of a script has a Smi there too until it is first compiled. */
	f->is_builtin = v8_smi(data, &id) && !f->script &&
	                (!field_known(l->shared.untrusted) || v8_smi(untrusted, &id));
	f->name = v8_string(v8, name);
	if (!f->name && !v8_smi(name, &id) && !read_scope(v8, name, f))
		return false;
	if (f->start < 0)
		read_uncompiled(
		        v8, field_known(l->shared.untrusted) && untrusted ? untrusted : data, f);
	f->has_name = f->name && *f->name;
	const char *file = v8_script_name(v8, f->script);
	v8_script_place(v8, f->script, f->start, &f->line, &f->column);
	if (!f->has_name)
		f->name = anonymous(v8, f, file);
	f->entry = entry_at(v8, f->name, file, f->start);
	return true;
}

const struct v8_function *v8_function_find(struct v8 *v8, uint64_t tagged)
{
	const struct v8_layout *l = &v8->layout;
	struct v8_functions *all = v8->functions;
	uint64_t words[V8_SHARED_BYTES / 8];
	uint64_t *known = map64_get(&all->by_address, tagged);
	size_t index = known ? (size_t)*known - 1 : 0;
	if (known && all->items.items[index].walk == v8->walk)
		return &all->items.items[index];
	if (!v8_object(v8, &tagged, l->type.shared, l->type.shared, words, sizeof(words)))
		return NULL;
	struct obj o = {(uint8_t *)words, sizeof(words)};
	uint64_t script = 0;
	obj_get(o, l->shared.script, &script);
	if (known && all->items.items[index].tagged == tagged &&
	    !memcmp(words, all->items.items[index].words, sizeof(words))) {
		/* Its script may still be another one at the same address. */
		uint32_t before = all->items.items[index].script, now = 0;
		if (!before || v8_script_find(v8, script) == before ||
		    (find_script(v8, script, &now) && now == before)) {
			all->items.items[index].walk = v8->walk;
			return &all->items.items[index];
		}
	}
	struct v8_function f = {.tagged = tagged, .walk = v8->walk};
	memcpy(f.words, words, sizeof(words));
	if (!fill(v8, &f, o)) /* may find other functions: eval */
		return NULL;
	known = map64_get(&all->by_address, tagged);
	if (!known) {
		(void)vec_add(&all->items);
		known = map64_put(&all->by_address, tagged);
		*known = all->items.n;
	} else {
		v8->stats.changed++;
	}
	struct v8_function *ret = &all->items.items[*known - 1];
	*ret = f;
	return ret;
}

bool v8_shared_of(struct v8 *v8, uint64_t function, uint64_t *ret)
{
	const struct v8_layout *l = &v8->layout;
	uint8_t bytes[64];
	size_t len = l->function_shared.at + 8;
	return len <= sizeof(bytes) &&
	       v8_object(v8, &function, l->type.function_first, l->type.function_last, bytes,
	                 len) &&
	       obj_get((struct obj){bytes, len}, l->function_shared, ret);
}

const struct v8_position *v8_bytecode_positions(struct v8 *v8, uint64_t tagged, size_t *n_ret,
                                                uint32_t *length_ret)
{
	const struct v8_layout *l = &v8->layout;
	struct v8_functions *all = v8->functions;
	uint64_t words[6], table = 0;
	int32_t length;
	uint64_t *known = map64_get(&all->bytecode_by_address, tagged);
	struct bytecode *b = known ? &all->bytecodes.items[*known - 1] : NULL;
	if (!b || b->serial != v8->serial) {
		if (!v8_object(v8, &tagged, l->type.bytecode_array, l->type.bytecode_array, words,
		               sizeof(words)) ||
		    !v8_smi(words[1], &length) || length <= 0)
			return NULL;
		obj_get((struct obj){(uint8_t *)words, sizeof(words)}, l->bytecode.positions,
		        &table);
		if (!b) {
			b = vec_add(&all->bytecodes);
			*b = (struct bytecode){.tagged = tagged};
			*map64_put(&all->bytecode_by_address, tagged) = all->bytecodes.n;
		}
		if (b->table != table || b->length != (uint32_t)length) {
			size_t len = 0;
			_cleanup_free_ uint8_t *bytes = v8_array_bytes(v8, table, MAX_TABLE, &len);
			free(b->positions);
			*b = (struct bytecode){.tagged = tagged, .table = table};
			b->length = (uint32_t)length;
			/* Two quantities each, of a byte or more. */
			b->positions = mem_realloc_array(NULL, len / 2 + 1, sizeof(*b->positions));
			/* Of an unknown release the table itself says how it is written: the
			 * first entry is the function's, at the first bytecode. */
			if (v8->image.is_unknown && bytes && (bytes[0] == 1 || bytes[0] == 2))
				v8->layout.positions =
				        bytes[0] == 1 ? V8_POSITIONS_SIGNED : V8_POSITIONS_FLAGS;
			b->n = !bytes ? 0
			              : v8_positions_expand(l->positions, bytes, len, b->positions,
			                                    len / 2);
		}
		b->serial = v8->serial;
	}
	*n_ret = b->n;
	*length_ret = b->length;
	return b->positions;
}
