/* SPDX-License-Identifier: Apache-2.0 */
/* Code objects by address, read once each, and believed only while nothing says that the memory has
 * become another one.
 *
 *   place  an address and the guard words it had          a cache: dropped when they change
 *   code   name, file, lines; what a raw frame refers to  kept: old samples must find their names
 *
 * Names and tables are read live, after the pause: what was copied in it says whether that is still
 * the same code. When it is not, there is no name, and the next sample begins anew. */
#include <stdlib.h>

#include <csample/clock.h>
#include <csample/hash.h>
#include <csample/mem.h>
#include <csample/vec.h>

#include "places.h"

#define MAX_CODES       (1u << 20)
#define MAX_PLACES      (1u << 17)
#define MAX_TABLE       (1u << 20)  /* bytes of a line table */
#define MAX_LINES_BYTES (64u << 20) /* all expanded tables together */
#define MAX_NAME        16384       /* characters */

#define KEEP_NS 60000000000ull /* when there are too many places: those used since */

struct py_codes *py_codes_create(struct strings *strings)
{
	struct py_codes *c = mem_zalloc(sizeof(*c));
	c->strings = strings;
	c->settled = py_settled_create();
	return c;
}

void py_codes_destroy(struct py_codes *c)
{
	if (!c)
		return;
	for (size_t i = 0; i < c->codes.n; i++)
		free(c->codes.items[i].ranges);
	vec_free(&c->codes);
	vec_free(&c->places);
	vec_free(&c->hot);
	map64_free(&c->by_content);
	map64_free(&c->by_addr);
	free(c->scratch);
	py_settled_destroy(c->settled);
	free(c);
}

bool py_code_is_settled(struct py_codes *c, uint64_t addr)
{
	return py_settled_has(c->settled, addr);
}

/* ---- places ---- */

static void unsettle(struct py_codes *c, struct place *p)
{
	if (p->settled)
		py_settled_remove(c->settled, p->addr);
	p->settled = false;
}

struct place *py_place_find(struct py_codes *c, uint64_t addr)
{
	uint64_t *at = map64_get(&c->by_addr, addr);
	return at && *at ? &c->places.items[*at - 1] : NULL;
}

void py_place_forget(struct py_codes *c, struct place *p)
{
	unsettle(c, p);
	*map64_put(&c->by_addr, p->addr) = 0;
	*p = (struct place){0};
	c->n_free++;
}

/* Packs the places that are in use; drops those that no sample has met since used_ns. */
static void drop_places(struct py_codes *c, uint64_t used_ns)
{
	size_t kept = 0;
	map64_clear(&c->by_addr);
	for (size_t i = 0; i < c->places.n; i++) {
		struct place *p = &c->places.items[i];
		if (!p->code)
			continue;
		if (p->used_ns < used_ns) {
			unsettle(c, p);
			continue;
		}
		c->places.items[kept] = *p;
		*map64_put(&c->by_addr, p->addr) = ++kept;
	}
	c->places.n = kept;
	c->n_free = 0;
}

static void add_place(struct py_codes *c, struct place p)
{
	if (c->places.n >= MAX_PLACES) {
		drop_places(c, c->now_ns > KEEP_NS ? c->now_ns - KEEP_NS : 0);
		if (c->places.n > (size_t)MAX_PLACES / 4 * 3)
			drop_places(c, UINT64_MAX);
	}
	*vec_add(&c->places) = p;
	*map64_put(&c->by_addr, p.addr) = c->places.n;
}

/* ---- reading ---- */

static bool is_code_type(struct py *py, uint64_t type)
{
	uint64_t name;
	char text[5];
	if (py->roots.code_type)
		return type == py->roots.code_type;
	if (!py_read_field(py->base.target->rm, type, py->layout.type.name, &name) ||
	    !py_read(py->base.target->rm, name, text, sizeof(text)) ||
	    memcmp(text, "code", sizeof(text)) != 0)
		return false;
	__atomic_store_n(&py->roots.code_type, type, __ATOMIC_RELAXED); /* samplers read it */
	return true;
}

/* The bytes of a bytes object; NULL: not readable or too long. Free *ret. */
static uint8_t *read_bytes(struct py *py, uint64_t addr, size_t *len_ret)
{
	uint64_t len;
	if (!py_read_field(py->base.target->rm, addr, py->layout.bytes.size, &len) ||
	    len > MAX_TABLE)
		return NULL;
	uint8_t *buf = mem_alloc(len ? (size_t)len : 1);
	if (len && !py_read(py->base.target->rm, addr + py->layout.bytes.data, buf, (size_t)len)) {
		free(buf);
		return NULL;
	}
	*len_ret = (size_t)len;
	return buf;
}

/* A hash of what the code's name and line table hold now. */
static bool hash_contents(struct py *py, struct obj o, uint8_t **table_ret, size_t *len_ret,
                          struct strbuf *name, uint64_t *ret)
{
	const struct py_layout *l = &py->layout;
	uint64_t name_addr, table_addr;
	struct field f = field_known(l->code.qualname) ? l->code.qualname : l->code.name;
	if (!obj_get(o, f, &name_addr) || !obj_get(o, l->code.linetable, &table_addr) ||
	    !py_read_str(py, py->base.target->rm, name_addr, MAX_NAME, name))
		return false;
	*table_ret = read_bytes(py, table_addr, len_ret);
	*ret = hash_bytes(name->s ? name->s : "", name->len);
	if (*table_ret)
		*ret = hash_mix(*ret, hash_bytes(*table_ret, *len_ret));
	return true;
}

/* ---- lines ---- */

/* What has not been asked for since the refresh before, when all of it is too much. */
static void drop_lines(struct py_codes *c, uint32_t unused_since)
{
	for (size_t i = 0; i < c->codes.n; i++) {
		struct code *code = &c->codes.items[i];
		if (code->table != TABLE_KEPT || code->used > unused_since)
			continue;
		c->lines_bytes -= code->n_ranges * sizeof(*code->ranges);
		free(code->ranges);
		code->ranges = NULL;
		code->n_ranges = 0;
		code->table = TABLE_DROPPED;
	}
}

static void keep_lines(struct py_codes *c, struct code *code, enum py_lines kind,
                       const uint8_t *table, size_t len)
{
	if (!table) {
		code->table = TABLE_NONE;
		return;
	}
	size_t max = len + 2; /* an entry has at least a byte, and there is a first and a last */
	if (max > c->scratch_len) {
		free(c->scratch);
		c->scratch = mem_realloc_array(NULL, max, sizeof(*c->scratch));
		c->scratch_len = max;
	}
	size_t n = py_lines_expand(kind, table, len, code->firstlineno, c->scratch, max);
	if (c->lines_bytes + n * sizeof(*code->ranges) > MAX_LINES_BYTES)
		drop_lines(c, c->refreshes ? c->refreshes - 1 : 0);
	if (c->lines_bytes + n * sizeof(*code->ranges) > MAX_LINES_BYTES)
		drop_lines(c, UINT32_MAX);
	code->ranges = mem_realloc_array(NULL, n ? n : 1, sizeof(*code->ranges));
	if (n)
		memcpy(code->ranges, c->scratch, n * sizeof(*code->ranges));
	code->n_ranges = (uint32_t)n;
	code->table = TABLE_KEPT;
	c->lines_bytes += n * sizeof(*code->ranges);
}

/* Its lines once more, after drop_lines(). */
static void restore_lines(struct py *py, const struct place *p, struct code *code)
{
	uint64_t table_addr, guard;
	size_t len = 0;
	_cleanup_free_ uint8_t *table = NULL;
	if (py_read_field(py->base.target->rm, p->addr, py->layout.code.linetable, &table_addr))
		table = read_bytes(py, table_addr, &len);
	if (table && py_guard_now(py, p->addr, &guard) && guard == p->guard)
		keep_lines(py->codes, code, py->layout.lines, table, len);
}

/* ---- entries ---- */

static bool same_code(const struct code *a, const struct code *b)
{
	return a->name == b->name && a->file == b->file && a->content == b->content &&
	       a->firstlineno == b->firstlineno && a->first_traceable == b->first_traceable;
}

/* The number of a code of this description; one text compiled twice is one code. 0: too many. */
static uint32_t number_of(struct py_codes *c, const struct code *wanted)
{
	uint64_t key = hash_mix(wanted->content, (uintptr_t)wanted->file);
	key = hash_mix(key, (uint32_t)wanted->firstlineno);
	uint64_t *first = map64_get(&c->by_content, key);
	if (first && same_code(&c->codes.items[*first - 1], wanted))
		return (uint32_t)*first;
	if (c->codes.n >= MAX_CODES)
		return 0;
	*vec_add(&c->codes) = *wanted;
	*map64_put(&c->by_content, key) = c->codes.n;
	return (uint32_t)c->codes.n;
}

/* The code object at addr as it is now; false when it is none or changes while it is read. */
static bool read_code(struct py *py, uint64_t addr, const uint8_t *copied, struct code *ret,
                      uint64_t *guard_ret, uint8_t **table_ret, size_t *len_ret)
{
	const struct py_layout *l = &py->layout;
	uint8_t bytes[PY_CODE_GUARD_BYTES];
	size_t size = l->code.size < sizeof(bytes) ? l->code.size : sizeof(bytes);
	struct obj o = {bytes, size};
	uint64_t type, filename, firstlineno, traceable = 0, guard_after;
	if (size < py_guard_bytes(l) || size < 16 ||
	    !py_read(py->base.target->rm, addr, bytes, size) ||
	    !obj_get(o, l->object.type, &type) || !is_code_type(py, type) || py_is_freed(l, bytes))
		return false;
	*guard_ret = py_guard_of(l, bytes);
	if (copied && py_guard_of(l, copied) != *guard_ret)
		return false;
	if (!obj_get(o, l->code.filename, &filename) ||
	    !obj_get(o, l->code.firstlineno, &firstlineno))
		return false;
	obj_get(o, l->code.firsttraceable, &traceable);
	struct strbuf name = {0}, file = {0};
	bool ok = hash_contents(py, o, table_ret, len_ret, &name, &ret->content) &&
	          py_read_str(py, py->base.target->rm, filename, MAX_NAME, &file) &&
	          py_read(py->base.target->rm, addr, bytes, size) && !py_is_freed(l, bytes);
	guard_after = ok ? py_guard_of(l, bytes) : 0;
	if (ok && guard_after == *guard_ret) {
		ret->name = name.len ? intern_n(py->strings, name.s, name.len) : "<unnamed>";
		ret->shown = ret->name;
		ret->file = file.len ? intern_n(py->strings, file.s, file.len) : NULL;
		ret->firstlineno = (int32_t)firstlineno;
		ret->first_traceable = traceable < (1u << 20) ? 2 * (int32_t)traceable : 0;
	}
	strbuf_free(&name);
	strbuf_free(&file);
	return ok && guard_after == *guard_ret;
}

/* copied, heads: what the pause copied of it, or NULL. */
static uint32_t learn(struct py *py, uint64_t addr, const uint8_t *copied, const uint64_t *heads)
{
	struct py_codes *c = py->codes;
	struct code code = {.qualify_tries = py_code_has_version(py) ? 0 : 3};
	_cleanup_free_ uint8_t *table = NULL;
	uint64_t guard;
	size_t len = 0;
	if (!read_code(py, addr, copied, &code, &guard, &table, &len))
		return 0;
	struct place place = {.addr = addr, .guard = guard};
	if (!py_code_has_version(py) &&
	    (!py_heads_now(py, addr, guard, place.heads) ||
	     (heads && py_heads_compare(heads, place.heads) == DIFFERENT)))
		return 0;
	uint32_t number = number_of(c, &code);
	if (!number)
		return 0;
	struct code *kept = &c->codes.items[number - 1];
	if (kept->table == TABLE_DROPPED)
		keep_lines(c, kept, py->layout.lines, table, len);
	kept->used = c->refreshes;
	place.since_ns = place.checked_ns = place.content_checked_ns = place.used_ns = c->now_ns;
	place.code = number;
	add_place(c, place);
	return number;
}

/* For releases whose code objects carry no version of their own; see the top of the file. */
static bool same_contents(struct py *py, struct place *p)
{
	struct py_codes *c = py->codes;
	uint8_t bytes[PY_CODE_GUARD_BYTES];
	_cleanup_free_ uint8_t *table = NULL;
	struct strbuf name = {0};
	uint64_t content;
	size_t len = 0, n = py_guard_bytes(&py->layout);
	if (py_code_has_version(py) ||
	    (p->settled &&
	     (p->content_checked_ns >= c->now_ns || c->now_ns - p->content_checked_ns < TRUST_NS)))
		return true;
	uint64_t now = now_ns();
	bool ok = py_read(py->base.target->rm, p->addr, bytes, n) &&
	          !py_is_freed(&py->layout, bytes) && py_guard_of(&py->layout, bytes) == p->guard &&
	          hash_contents(py, (struct obj){bytes, n}, &table, &len, &name, &content) &&
	          content == c->codes.items[p->code - 1].content;
	strbuf_free(&name);
	p->content_checked_ns = now;
	return ok;
}

/* A look after the sample tells as much as one before it. */
bool py_place_is_trusted(const struct py_codes *c, const struct place *p)
{
	return p->checked_ns >= c->now_ns || c->now_ns - p->checked_ns < TRUST_NS;
}

bool py_place_still_there(struct py *py, struct place *p)
{
	uint64_t guard, now = now_ns();
	if (!py_guard_now(py, p->addr, &guard) || guard != p->guard || !same_contents(py, p))
		return false;
	p->checked_ns = now;
	return true;
}

uint32_t py_code_entry(struct py *py, const struct snapshot *snap, uint64_t addr)
{
	struct py_codes *c = py->codes;
	const uint8_t *copied = snapshot_at(snap, addr, py_guard_bytes(&py->layout));
	struct place *p = py_place_find(c, addr);
	if (snap->time_ns > c->now_ns)
		c->now_ns = snap->time_ns;
	uint64_t heads[PY_CODE_CONTENTS] = {0};
	if (copied && !py_code_has_version(py))
		py_heads_of(py, snap, copied, heads);
	enum comparison same = p ? py_heads_compare(heads, p->heads) : NOTHING_TO_COMPARE;
	if (p && copied && (py_guard_of(&py->layout, copied) != p->guard || same == DIFFERENT)) {
		py_place_forget(c, p);
		p = NULL;
	}
	if (!p)
		return learn(py, addr, copied, heads);
	/* Without a copy of its guard nobody knows which of the two the sample was of. */
	if (p->settled)
		py_recheck_note(c, p);
	if (!copied && p->hot && !py_place_is_trusted(c, p))
		py_recheck_hot(py);
	bool ok = copied ? same == SAME || same_contents(py, p)
	                 : py_place_is_trusted(c, p) || py_place_still_there(py, p);
	if (!ok) {
		py_place_forget(c, p);
		return 0;
	}
	struct code *code = &c->codes.items[p->code - 1];
	p->used_ns = c->now_ns;
	code->used = c->refreshes;
	if (code->table == TABLE_DROPPED)
		restore_lines(py, p, code);
	return p->code;
}

static struct code *code_at(struct py_codes *c, uint64_t number)
{
	return number && number <= c->codes.n ? &c->codes.items[number - 1] : NULL;
}

int64_t py_code_first_traceable(struct py_codes *c, uint32_t entry)
{
	const struct code *code = code_at(c, entry);
	return code ? code->first_traceable : 0;
}

uint32_t py_code_line(struct py_codes *c, uint32_t entry, int64_t lasti)
{
	const struct code *code = code_at(c, entry);
	if (!code || lasti == PY_LASTI_UNKNOWN)
		return 0;
	return (uint32_t)py_line_of(code->ranges, code->n_ranges, lasti, code->firstlineno);
}

void py_describe(struct runtime *rt, struct raw_frame raw, struct frame *out)
{
	const struct code *code = code_at(py_of(rt)->codes, raw.addr);
	*out = (struct frame){.kind = FRAME_PYTHON,
	                      .function = code ? code->shown : "[python: unknown]",
	                      .file = code ? code->file : NULL,
	                      .line = (uint32_t)raw.aux};
}

void py_code_qualify(struct py *py, const struct snapshot *snap, uint32_t entry, uint64_t frame)
{
	struct code *code = code_at(py->codes, entry);
	struct strbuf name = {0};
	bool hopeless;
	if (!code || !code->qualify_tries || !py->base.target)
		return;
	code->qualify_tries--;
	if (py_find_qualname(py, snap, frame, &name, &hopeless)) {
		code->shown = intern_n(py->strings, name.s, name.len);
		hopeless = true;
	}
	if (hopeless)
		code->qualify_tries = 0;
	strbuf_free(&name);
}

void py_codes_refresh(struct py *py)
{
	struct py_codes *c = py->codes;
	c->now_ns = now_ns();
	c->refreshes++;
	if (c->n_free > c->places.n / 2)
		drop_places(c, 0);
	py_recheck_some(py);
}
