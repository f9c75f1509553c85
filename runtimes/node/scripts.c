/* SPDX-License-Identifier: Apache-2.0 */
/* Script -> its name, and the line of a position in its source. V8 src/objects/script.tq; the
 * offsets are the same in all releases. */
#include <stdlib.h>
#include <string.h>

#include <csample/mem.h>

#include "node.h"

#define MAX_SCRIPTS  16384
#define MAX_EVAL     4
#define SCRIPT_BYTES 80

static const struct field script_source = PTR(8), script_name = PTR(16), script_line = PTR(24),
                          script_column = PTR(32), script_eval_from = PTR(72);

struct script {
	uint64_t tagged, source, name_word; /* as read */
	uint64_t serial;
	const char *name;
	int32_t line_offset, column_offset;
	struct v8_ends ends;
	bool looked, has_ends;
};

struct v8_scripts {
	struct map64 by_address; /* -> number */
	VEC(struct script *) items;
	unsigned eval_depth;
};

struct v8_scripts *v8_scripts_create(void)
{
	struct v8_scripts *s = mem_zalloc(sizeof(*s));
	return s;
}

static void clear(struct v8_scripts *s)
{
	for (size_t i = 0; i < s->items.n; i++) {
		free(s->items.items[i]->ends.items);
		free(s->items.items[i]);
	}
	s->items.n = 0;
	map64_clear(&s->by_address);
}

void v8_scripts_destroy(struct v8_scripts *s)
{
	if (!s)
		return;
	clear(s);
	vec_free(&s->items);
	map64_free(&s->by_address);
	free(s);
}

bool v8_scripts_trim(struct v8 *v8)
{
	if (v8->scripts->items.n < MAX_SCRIPTS)
		return false;
	clear(v8->scripts);
	return true;
}

static int hex_digit(char c)
{
	return c >= '0' && c <= '9'                 ? c - '0'
	       : (c | 32) >= 'a' && (c | 32) <= 'f' ? (c | 32) - 'a' + 10
	                                            : -1;
}

/* ES modules are named by URL: "file:///a%20b.mjs" is "/a b.mjs", what follows ? or # is left out.
 * Any other name is what it is. */
static const char *path_of_url(struct v8 *v8, const char *name)
{
	static const char scheme[] = "file://";
	struct strbuf b = {0};
	if (strncmp(name, scheme, sizeof(scheme) - 1) != 0 || name[sizeof(scheme) - 1] != '/')
		return name;
	for (const char *p = name + sizeof(scheme) - 1; *p && *p != '?' && *p != '#'; p++) {
		int high = *p == '%' ? hex_digit(p[1]) : -1, low = high >= 0 ? hex_digit(p[2]) : -1;
		bool escaped = low >= 0 && (high || low);
		strbuf_addc(&b, escaped ? (char)(high << 4 | low) : *p);
		p += escaped ? 2 : 0;
	}
	const char *path = intern_n(v8->strings, b.s, b.len);
	strbuf_free(&b);
	return path;
}

/* As V8 says it in stack traces, for code that was a string: which function evaluated it. */
static const char *name_of_eval(struct v8 *v8, uint64_t from)
{
	struct strbuf b = {0};
	if (v8->scripts->eval_depth >= MAX_EVAL)
		return intern(v8->strings, "eval");
	v8->scripts->eval_depth++;
	const struct v8_function *f = v8_function_find(v8, from);
	v8->scripts->eval_depth--;
	if (!f)
		return NULL;
	const char *file = v8_script_name(v8, f->script);
	strbuf_addf(&b, "eval at %s", f->has_name ? f->name : "(anonymous)");
	if (file)
		strbuf_addf(&b, " in %s", v8_base_name(file));
	const char *name = intern_n(v8->strings, b.s, b.len);
	strbuf_free(&b);
	return name;
}

static void fill(struct v8 *v8, struct script *s, struct obj o, uint64_t tagged)
{
	uint64_t line = 0, column = 0, from = 0;
	s->tagged = tagged;
	s->serial = v8->serial;
	obj_get(o, script_source, &s->source);
	obj_get(o, script_name, &s->name_word);
	obj_get(o, script_line, &line);
	obj_get(o, script_column, &column);
	if (!v8_smi(line, &s->line_offset) || s->line_offset < 0)
		s->line_offset = 0;
	if (!v8_smi(column, &s->column_offset) || s->column_offset < 0)
		s->column_offset = 0;
	s->name = v8_string(v8, s->name_word);
	if (s->name)
		s->name = *s->name ? path_of_url(v8, s->name) : NULL;
	if (!s->name && obj_get(o, script_eval_from, &from))
		s->name = name_of_eval(v8, from);
}

uint32_t v8_script_find(struct v8 *v8, uint64_t tagged)
{
	uint8_t bytes[SCRIPT_BYTES];
	struct obj o = {bytes, sizeof(bytes)};
	uint64_t source = 0, name = 0;
	uint64_t *known = map64_get(&v8->scripts->by_address, tagged);
	uint32_t number = known ? (uint32_t)*known : 0;
	if (number && v8->scripts->items.items[number - 1]->serial == v8->serial)
		return number;
	uint32_t type = v8->layout.type.script;
	if (!v8_object(v8, &tagged, type, type, bytes, sizeof(bytes)))
		return 0;
	obj_get(o, script_source, &source);
	obj_get(o, script_name, &name);
	if (number) {
		struct script *s = v8->scripts->items.items[number - 1];
		if (s->tagged == tagged && s->source == source && s->name_word == name) {
			s->serial = v8->serial;
			return number;
		}
		v8->stats.changed++;
	}
	struct script *s = mem_zalloc(sizeof(*s));
	fill(v8, s, o, tagged);
	*vec_add(&v8->scripts->items) = s;
	number = (uint32_t)v8->scripts->items.n;
	*map64_put(&v8->scripts->by_address, tagged) = number;
	return number;
}

const char *v8_script_name(struct v8 *v8, uint32_t script)
{
	return script && script <= v8->scripts->items.n ? v8->scripts->items.items[script - 1]->name
	                                                : NULL;
}

bool v8_script_holds(struct v8 *v8, uint32_t script, int32_t position)
{
	uint32_t length;
	return script && script <= v8->scripts->items.n && position >= 0 &&
	       v8_string_length(v8, v8->scripts->items.items[script - 1]->source, &length) &&
	       (uint32_t)position <= length;
}

const char *v8_base_name(const char *path)
{
	const char *slash = strrchr(path, '/');
	return slash && slash[1] ? slash + 1 : path;
}

struct finding {
	struct v8_ends *ends;
	uint32_t at;
	bool cr;
};

static void find_in_piece(void *arg, const uint8_t *bytes, size_t n_units, unsigned unit)
{
	struct finding *f = arg;
	v8_find_line_ends(bytes, n_units, unit, f->at, &f->cr, f->ends);
	f->at += (uint32_t)n_units;
}

bool v8_script_place(struct v8 *v8, uint32_t script, int32_t position, uint32_t *line_ret,
                     uint32_t *column_ret)
{
	if (!script || script > v8->scripts->items.n || position < 0)
		return false;
	struct script *s = v8->scripts->items.items[script - 1];
	if (!s->looked) {
		struct finding f = {&s->ends, 0, false};
		s->looked = true;
		s->has_ends = v8_string_pieces(v8, s->source, V8_MAX_SOURCE, find_in_piece, &f);
	}
	if (!s->has_ends)
		return false;
	size_t low = 0, high = s->ends.n; /* lines that end before position */
	while (low < high) {
		size_t mid = low + (high - low) / 2;
		if (s->ends.items[mid] < (uint32_t)position)
			low = mid + 1;
		else
			high = mid;
	}
	uint32_t start = low ? s->ends.items[low - 1] + 1 : 0;
	*line_ret = (uint32_t)low + 1 + (uint32_t)s->line_offset;
	*column_ret = (uint32_t)position - start + 1 + (low ? 0 : (uint32_t)s->column_offset);
	return true;
}
