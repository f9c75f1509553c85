/* SPDX-License-Identifier: Apache-2.0 */
#include "gopclntab.h"

#include <stdlib.h>
#include <string.h>

#include <csample/mem.h>

#define MAX_FUNCTIONS ((uint64_t)16 << 20)
#define MAX_INLINED   64
#define MAX_NAME      65535

/* A release's layouts, from its src/runtime/symtab.go, runtime2.go and symtabinl.go. */
struct go_layout {
	uint32_t magic;
	uint8_t entry_bytes;  /* of each half of an entry of the function table */
	bool has_text_start;  /* in the header, whether used or not */
	uint8_t func_shift;   /* of the fields of _func behind its entry */
	uint8_t inlined_size; /* of inlinedCall; 0: inline trees are found another way */
	uint8_t inlined_name, inlined_pc;
};
// clang-format off
static const struct go_layout layouts[] = {
	{ .magic = 0xfffffffa /* 1.16, 1.17 */, .entry_bytes = 8, .func_shift = 4 },
	{ .magic = 0xfffffff0 /* 1.18, 1.19 */, .entry_bytes = 4, .has_text_start = true,
	  .inlined_size = 20, .inlined_name = 12, .inlined_pc = 16 },
	{ .magic = 0xfffffff1 /* 1.20 and later */, .entry_bytes = 4, .has_text_start = true,
	  .inlined_size = 16, .inlined_name = 4, .inlined_pc = 8 },
};
// clang-format on

enum { PCDATA_INL_TREE_INDEX = 2, FUNCDATA_INL_TREE = 3 };

struct gopclntab {
	const struct go_layout *layout;
	struct go_module module;
	uint8_t min_lc; /* bytes of the smallest instruction */
	uint64_t n_functions;
	struct bytes names, cus, files, pcs, functions;
};

/* A function, with its offset from module.text and the tables of it that are used here. */
struct go_func {
	uint64_t entry;
	int32_t name;
	uint32_t file_table, line_table, inline_index_table, cu;
	uint32_t inline_tree; /* offset in gofunc; UINT32_MAX: none */
};

static struct bytes from(struct bytes b, uint64_t offset)
{
	return b.p && bytes_take(&b, offset) ? b : (struct bytes){.bad = true};
}

static bool is_table(struct bytes b, const struct go_layout **layout_ret, uint8_t *min_lc_ret)
{
	uint32_t magic = bytes_u32(&b);
	uint16_t pad = bytes_u16(&b);
	uint8_t min_lc = bytes_u8(&b), pointer_size = bytes_u8(&b);
	if (b.bad || pad || pointer_size != 8 || (min_lc != 1 && min_lc != 4))
		return false;
	*min_lc_ret = min_lc;
	for (size_t i = 0; i < ARRAY_SIZE(layouts); i++) {
		*layout_ret = &layouts[i];
		if (layouts[i].magic == magic)
			return true;
	}
	return false;
}

struct gopclntab *gopclntab_create(struct bytes table, struct go_module module)
{
	struct gopclntab g = {.module = module};
	if (!is_table(table, &g.layout, &g.min_lc))
		return NULL;
	struct bytes b = from(table, 8);
	g.n_functions = bytes_u64(&b);
	bytes_u64(&b); /* number of files */
	if (g.layout->has_text_start) {
		uint64_t text = bytes_u64(&b);
		if (!g.module.text)
			g.module.text = text;
	}
	g.names = from(table, bytes_u64(&b));
	g.cus = from(table, bytes_u64(&b));
	g.files = from(table, bytes_u64(&b));
	g.pcs = from(table, bytes_u64(&b));
	g.functions = from(table, bytes_u64(&b));
	if (b.bad || g.functions.bad || !g.n_functions || g.n_functions > MAX_FUNCTIONS ||
	    bytes_left(&g.functions) / ((size_t)2 * g.layout->entry_bytes) < g.n_functions)
		return NULL;
	struct gopclntab *ret = mem_alloc(sizeof(*ret));
	*ret = g;
	return ret;
}

void gopclntab_destroy(struct gopclntab *g)
{
	free(g);
}

static uint64_t read_entry(const struct gopclntab *g, uint64_t i, bool second)
{
	struct bytes b = from(g->functions, (2 * i + second) * g->layout->entry_bytes);
	return g->layout->entry_bytes == 4 ? bytes_u32(&b) : bytes_u64(&b);
}

static bool read_func(const struct gopclntab *g, uint64_t i, struct go_func *ret)
{
	*ret = (struct go_func){.entry = read_entry(g, i, false), .inline_tree = UINT32_MAX};
	struct bytes b = from(g->functions, read_entry(g, i, true));
	bytes_take(&b, 4u + g->layout->func_shift);
	ret->name = (int32_t)bytes_u32(&b);
	bytes_take(&b, 12); /* args, deferreturn, pcsp */
	ret->file_table = bytes_u32(&b);
	ret->line_table = bytes_u32(&b);
	uint32_t n_pcdata = bytes_u32(&b);
	ret->cu = bytes_u32(&b);
	if (g->layout->magic == 0xfffffff1)
		bytes_u32(&b); /* startLine */
	bytes_take(&b, 3);     /* funcID, flag, padding */
	uint8_t n_funcdata = bytes_u8(&b);
	if (b.bad)
		return false;
	struct bytes at = from(b, (uint64_t)PCDATA_INL_TREE_INDEX * 4);
	if (n_pcdata > PCDATA_INL_TREE_INDEX)
		ret->inline_index_table = bytes_u32(&at);
	at = from(b, (uint64_t)n_pcdata * 4 + (uint64_t)FUNCDATA_INL_TREE * 4);
	if (n_funcdata > FUNCDATA_INL_TREE && !at.bad && g->layout->inlined_size)
		ret->inline_tree = bytes_u32(&at);
	return true;
}

/* The last function that starts at or before addr; the table ends with an entry for the end. */
static bool find_func(const struct gopclntab *g, uint64_t addr, struct go_func *ret)
{
	/* Before 1.18 the table holds addresses. */
	uint64_t text = g->layout->has_text_start ? g->module.text : 0, wanted = addr - text;
	uint64_t lo = 0, hi = g->n_functions;
	if (addr < text || wanted >= read_entry(g, g->n_functions, false))
		return false;
	while (lo < hi) {
		uint64_t mid = lo + (hi - lo) / 2;
		if (read_entry(g, mid, false) <= wanted)
			lo = mid + 1;
		else
			hi = mid;
	}
	return lo && read_func(g, lo - 1, ret);
}

/* The value at offset pc of a function in one of its tables of (pc, value) steps; -1: none. */
static int32_t value_at(const struct gopclntab *g, uint32_t table, uint64_t pc)
{
	if (!table)
		return -1;
	struct bytes b = from(g->pcs, table);
	int32_t value = -1;
	uint64_t at = 0;
	for (bool first = true; !b.bad; first = false) {
		uint32_t delta = (uint32_t)bytes_uleb(&b);
		if (!delta && !first)
			break;
		value = (int32_t)((uint32_t)value + ((delta >> 1) ^ -(delta & 1)));
		at += bytes_uleb(&b) * g->min_lc;
		if (!b.bad && pc < at)
			return value;
	}
	return -1;
}

static const char *string_at(struct strings *strings, struct bytes table, uint32_t offset)
{
	struct bytes b = from(table, offset);
	size_t max = bytes_left(&b) < MAX_NAME ? bytes_left(&b) : MAX_NAME;
	size_t len = max ? strnlen((const char *)b.p, max) : 0;
	return len && len < max ? intern_n(strings, (const char *)b.p, len) : NULL;
}

static void set_place(const struct gopclntab *g, struct strings *strings,
                      const struct go_func *func, uint64_t pc, struct code_frame *f)
{
	int32_t file = value_at(g, func->file_table, pc);
	int32_t line = value_at(g, func->line_table, pc);
	if (file >= 0) {
		struct bytes b = from(g->cus, ((uint64_t)func->cu + (uint32_t)file) * 4);
		uint32_t offset = bytes_u32(&b);
		if (!b.bad && offset != UINT32_MAX)
			f->file = string_at(strings, g->files, offset);
	}
	f->line = line > 0 ? (uint32_t)line : 0;
}

/* Entry i of a function's inline tree: the name of what was inlined there, and where. */
static bool read_inlined(const struct gopclntab *g, const struct go_func *func, int32_t i,
                         uint32_t *name_ret, uint64_t *parent_pc_ret)
{
	if (i < 0 || func->inline_tree == UINT32_MAX)
		return false;
	struct bytes entry =
	        from(g->module.gofunc, func->inline_tree + (uint64_t)i * g->layout->inlined_size);
	struct bytes name = from(entry, g->layout->inlined_name);
	struct bytes pc = from(entry, g->layout->inlined_pc);
	*name_ret = bytes_u32(&name);
	*parent_pc_ret = bytes_u32(&pc);
	return !name.bad && !pc.bad;
}

size_t gopclntab_find(const struct gopclntab *g, struct strings *strings, uint64_t addr,
                      struct code_frame *out, size_t max)
{
	struct go_func func;
	if (!find_func(g, addr, &func))
		return 0;
	uint64_t text = g->layout->has_text_start ? g->module.text : 0;
	uint64_t pc = addr - text - func.entry, parent_pc;
	size_t n = 0;
	uint32_t name;
	for (int depth = 0; depth < MAX_INLINED; depth++) {
		int32_t i = value_at(g, func.inline_index_table, pc);
		if (!read_inlined(g, &func, i, &name, &parent_pc))
			break;
		if (n + 1 < max) {
			out[n] = (struct code_frame){.name = string_at(strings, g->names, name),
			                             .inlined = true};
			set_place(g, strings, &func, pc, &out[n++]);
		}
		pc = parent_pc;
	}
	out[n] = (struct code_frame){.name = string_at(strings, g->names, (uint32_t)func.name)};
	set_place(g, strings, &func, pc, &out[n]);
	return n + 1;
}
