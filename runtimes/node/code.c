/* SPDX-License-Identifier: Apache-2.0 */
/* pc -> Code, without any table of V8's: instructions are in an object of the heap, whose header is
 * at a fixed distance before the first of them.
 *
 *   pc → InstructionStream → Code → positions; deoptimization data → function, inlined functions
 *
 * Before 11.0 InstructionStream and Code are one. V8 src/objects/code.h, instruction-stream.h,
 * deoptimization-data.h. */
#include <stdlib.h>
#include <string.h>

#include <csample/mem.h>

#include "node.h"

#define MAX_CODES     16384
#define MAX_PCS       65536
#define MAX_SCAN      524288u
#define SCAN_BLOCK    4096u
#define CODE_BYTES    64
#define MAX_CODE_SIZE (64u << 20)
#define MAX_TABLE     (4u << 20)
#define MAX_INLINED   4096
#define MAX_LITERALS  (1u << 20)

struct v8_codes {
	struct map64 by_pc, by_start; /* -> index + 1 */
	struct map64 missing;         /* pcs without code, until the next refresh */
	VEC(struct v8_code *) items;
};

struct v8_codes *v8_codes_create(void)
{
	struct v8_codes *c = mem_zalloc(sizeof(*c));
	return c;
}

static void clear_code(struct v8_code *c)
{
	free(c->positions);
	free(c->pcs);
	free(c->inlined);
	*c = (struct v8_code){.start = c->start};
}

void v8_codes_clear(struct v8_codes *c)
{
	for (size_t i = 0; i < c->items.n; i++) {
		clear_code(c->items.items[i]);
		free(c->items.items[i]);
	}
	c->items.n = 0;
	map64_clear(&c->by_pc);
	map64_clear(&c->by_start);
}

void v8_codes_destroy(struct v8_codes *c)
{
	if (!c)
		return;
	v8_codes_clear(c);
	vec_free(&c->items);
	map64_free(&c->missing);
	map64_free(&c->by_pc);
	map64_free(&c->by_start);
	free(c);
}

void v8_codes_trim(struct v8_codes *c, bool all)
{
	if (all || c->items.n >= MAX_CODES || c->by_pc.n >= MAX_PCS)
		v8_codes_clear(c);
}

void v8_codes_forget_missing(struct v8_codes *c)
{
	map64_clear(&c->missing);
}

struct code_words {
	uint64_t tagged, start, deopt, table, flags, size;
};

/* The Code whose first instruction would be at start; false: there is none. */
static bool read_code(struct v8 *v8, uint64_t start, struct code_words *ret)
{
	const struct v8_layout *l = &v8->layout;
	uint64_t tagged = start - l->code.header + 1, words[2], code;
	uint8_t bytes[CODE_BYTES];
	struct obj o = {bytes, sizeof(bytes)};
	uint32_t type = l->type.instructions;
	*ret = (struct code_words){.start = start};
	if (field_known(l->code.of_instructions)) {
		if (!v8_object(v8, &tagged, type, type, words, sizeof(words)) ||
		    !obj_get((struct obj){(uint8_t *)words, sizeof(words)}, l->code.of_instructions,
		             &code))
			return false;
		tagged = code;
	}
	if (!v8_object(v8, &tagged, l->type.code, l->type.code, bytes, sizeof(bytes)))
		return false;
	ret->tagged = tagged;
	bool ok = obj_get(o, l->code.deopt, &ret->deopt) &&
	          obj_get(o, l->code.positions, &ret->table) &&
	          obj_get(o, l->code.flags, &ret->flags) && obj_get(o, l->code.size, &ret->size);
	if (field_known(l->code.start))
		ok = ok && obj_get(o, l->code.start, &ret->start);
	return ok && ret->start == start && ret->size && ret->size <= MAX_CODE_SIZE;
}

/* Where the instructions that hold pc begin: steps back until the header is one. */
static bool find_start(struct v8 *v8, uint64_t pc, struct code_words *ret)
{
	const struct v8_layout *l = &v8->layout;
	uint64_t align = l->code.alignment, start = pc / align * align;
	uint64_t block[SCAN_BLOCK / 8], block_at = 0;
	bool has_block = false;
	for (uint64_t end = start; end - start < MAX_SCAN && start > MAX_SCAN; start -= align) {
		uint64_t at = start - l->code.header, map;
		uint32_t type;
		if (!has_block || at < block_at) {
			block_at = (at + 8) / SCAN_BLOCK * SCAN_BLOCK;
			if (block_at > at)
				block_at -= SCAN_BLOCK;
			has_block = true;
			if (!v8_read(v8, block_at, block, sizeof(block)))
				return false;
		}
		map = block[(at - block_at) / 8];
		if (v8_is_pointer(map) && v8_type_of(v8, at + 1, &type) &&
		    type == l->type.instructions && read_code(v8, start, ret))
			return pc - start < ret->size;
	}
	return false;
}

/* The BytecodeArray of baseline code, which may stand behind an InterpreterData. */
static uint64_t bytecode_of(struct v8 *v8, uint64_t tagged)
{
	uint64_t words[2];
	uint32_t type = v8->layout.type.interpreter_data;
	return v8_object(v8, &tagged, type, type, words, sizeof(words)) ? words[1] : tagged;
}

static void fill_baseline(struct v8 *v8, struct v8_code *c, uint64_t in_frame)
{
	const struct v8_layout *l = &v8->layout;
	/* Up to 9.4 it is in the function's BaselineData instead. */
	uint64_t tagged = l->type.baseline_data ? in_frame : bytecode_of(v8, c->deopt), words[2];
	size_t len = 0;
	int32_t n;
	if (!v8_object(v8, &tagged, l->type.bytecode_array, l->type.bytecode_array, words,
	               sizeof(words)) ||
	    !v8_smi(words[1], &n) || n <= 0 || (uint32_t)n > MAX_TABLE)
		return;
	c->bytecode = tagged;
	_cleanup_free_ uint8_t *table = v8_array_bytes(v8, c->table, MAX_TABLE, &len);
	_cleanup_free_ uint8_t *bytecodes = mem_alloc((size_t)n);
	if (!table || !v8_read(v8, tagged - 1 + l->bytecode.first, bytecodes, (size_t)n))
		return;
	c->pcs = mem_realloc_array(NULL, len, sizeof(*c->pcs));
	c->n_pcs = v8_pcs_expand(l, table, len, bytecodes, (size_t)n, c->pcs, len);
}

static uint64_t word(const uint8_t *words, size_t n, size_t i)
{
	uint64_t w = 0;
	if (i < n)
		memcpy(&w, words + i * 8, 8);
	return w;
}

static void fill_inlined(struct v8 *v8, struct v8_code *c, uint64_t literals, uint64_t inlining)
{
	size_t n_literals = 0, len = 0;
	_cleanup_free_ uint8_t *positions =
	        v8_array_bytes(v8, inlining, (size_t)MAX_INLINED * 16, &len);
	if (!positions || len < 16)
		return;
	_cleanup_free_ uint8_t *words = v8_array_words(v8, literals, MAX_LITERALS, &n_literals);
	size_t n = len / 16;
	c->inlined = mem_realloc_array(NULL, n, sizeof(*c->inlined));
	c->n_inlined = n;
	for (size_t i = 0; i < n; i++) {
		struct v8_inlining *in = &c->inlined[i];
		int32_t index;
		*in = (struct v8_inlining){0};
		memcpy(&in->position, positions + i * 16, 8);
		memcpy(&index, positions + i * 16 + 8, 4);
		uint64_t shared = index < 0 ? c->shared : word(words, n_literals, (size_t)index);
		const struct v8_function *f = v8_function_find(v8, shared & ~2ULL);
		if (!f)
			continue;
		in->entry = f->entry;
		in->script = f->script;
		in->line = f->line;
		in->column = f->column;
	}
}

static void fill_optimized(struct v8 *v8, struct v8_code *c)
{
	const struct v8_layout *l = &v8->layout;
	size_t n = 0, len = 0;
	_cleanup_free_ uint8_t *deopt = v8_array_words(v8, c->deopt, MAX_LITERALS, &n);
	if (deopt) {
		uint64_t shared = word(deopt, n, l->deopt.shared), wrapper[2];
		uint32_t type = l->type.shared_wrapper;
		if (l->deopt.wrapped &&
		    v8_object(v8, &shared, type, type, wrapper, sizeof(wrapper)))
			shared = wrapper[1];
		c->shared = shared & ~2ULL;
		fill_inlined(v8, c, word(deopt, n, l->deopt.literals),
		             word(deopt, n, l->deopt.inlining));
	}
	_cleanup_free_ uint8_t *table = v8_array_bytes(v8, c->table, MAX_TABLE, &len);
	if (!table)
		return;
	c->positions = mem_realloc_array(NULL, len / 2 + 1, sizeof(*c->positions));
	c->n_positions = v8_positions_expand(l->positions, table, len, c->positions, len / 2);
}

static void fill(struct v8 *v8, struct v8_code *c, const struct code_words *w, uint64_t in_frame)
{
	const struct v8_layout *l = &v8->layout;
	clear_code(c);
	c->start = w->start;
	c->tagged = w->tagged;
	c->size = (uint32_t)w->size;
	c->deopt = w->deopt;
	c->table = w->table;
	c->flags = w->flags;
	c->kind = (uint32_t)w->flags & 15;
	if (c->kind == l->kind.baseline)
		fill_baseline(v8, c, in_frame);
	else if (c->kind == l->kind.turbofan || (c->kind && c->kind == l->kind.maglev) ||
	         (c->kind && c->kind == l->kind.turboprop))
		fill_optimized(v8, c);
}

static struct v8_code *code_at(struct v8 *v8, const struct code_words *w, uint64_t in_frame)
{
	struct v8_codes *all = v8->codes;
	uint64_t *known = map64_get(&all->by_start, w->start);
	struct v8_code *c;
	if (known) {
		c = all->items.items[*known - 1];
	} else {
		c = mem_zalloc(sizeof(*c));
		*vec_add(&all->items) = c;
		*map64_put(&all->by_start, w->start) = all->items.n;
	}
	/* The collector moves what it refers to, and reuses the place of code that died. Flags
	 * have bits that change. */
	if (c->tagged != w->tagged || c->deopt != w->deopt || c->table != w->table ||
	    c->size != w->size || ((c->flags ^ w->flags) & 15))
		fill(v8, c, w, in_frame);
	c->serial = v8->serial;
	return c;
}

const struct v8_code *v8_code_find(struct v8 *v8, uint64_t pc, uint64_t in_frame)
{
	struct v8_codes *all = v8->codes;
	struct code_words w;
	uint64_t *known = map64_get(&all->by_pc, pc);
	if (map64_get(&all->missing, pc))
		return NULL;
	if (known) {
		struct v8_code *c = all->items.items[*known - 1];
		if (c->serial == v8->serial && pc - c->start < c->size)
			return c;
		if (read_code(v8, c->start, &w) && pc - w.start < w.size)
			return code_at(v8, &w, in_frame);
	}
	if (!find_start(v8, pc, &w)) {
		v8->stats.codes_missing++;
		if (all->missing.n < MAX_PCS)
			*map64_put(&all->missing, pc) = 1;
		return NULL;
	}
	struct v8_code *c = code_at(v8, &w, in_frame);
	uint64_t index = *map64_get(&all->by_start, w.start);
	*map64_put(&all->by_pc, pc) = index;
	return c;
}
