/* SPDX-License-Identifier: Apache-2.0 */
#include "dwarfinfo.h"

#include <dwarf.h>
#include <elfutils/libdw.h>
#include <stdlib.h>
#include <string.h>

#include <csample/hash.h>
#include <csample/mem.h>
#include <csample/symbols.h>

#include "dwarfindex.h"
#include "siblings.h"

#define MAX_INLINED     (SYMBOLS_MAX_INLINED - 1)
#define MAX_BLOCK_DEPTH 256
#define MAX_DIES        1000000 /* looked at for one address */
#define MAX_REFERENCES  16
#define MAX_SCOPES      64
#define MAX_NESTING     4
#define MAX_COMPOSED    20000
#define MAX_STRING      65536

struct dwarf_info {
	struct dwarf_index index;
	struct map64 composed; /* address of a DIE to its name */
	struct siblings siblings;
};

struct dwarf_info *dwarf_info_create(const struct elf_file *f, const struct elf_file *alt,
                                     uint64_t code_start, uint64_t code_end)
{
	if (!elf_file_has_dwarf(f))
		return NULL;
	struct dwarf_info *d = mem_zalloc(sizeof(*d));
	d->index = (struct dwarf_index){
	        .file = f, .alt_file = alt, .code_start = code_start, .code_end = code_end};
	if (!dwarf_index_init(&d->index)) {
		dwarf_info_destroy(d);
		return NULL;
	}
	return d;
}

void dwarf_info_destroy(struct dwarf_info *d)
{
	if (!d)
		return;
	dwarf_index_deinit(&d->index);
	map64_free(&d->composed);
	siblings_deinit(&d->siblings);
	free(d);
}

/* What is asked about one address, and how much may still be looked at for it. */
struct search {
	uint64_t addr;
	size_t dies_left, ranges_left;
	Dwarf_Die inlined[MAX_INLINED]; /* outermost first */
	size_t n;
};

enum has_pc { PC_OUTSIDE, PC_INSIDE, PC_NO_RANGES };

static enum has_pc has_pc(struct search *s, Dwarf_Die *die)
{
	Dwarf_Addr base, start, end;
	bool any = false;
	ptrdiff_t offset = 0;
	while (s->ranges_left && (offset = dwarf_ranges(die, offset, &base, &start, &end)) > 0) {
		s->ranges_left--;
		any = true;
		if (s->addr >= start && s->addr < end)
			return PC_INSIDE;
	}
	return any ? PC_OUTSIDE : PC_NO_RANGES;
}

/* Finds the inlined calls below die that hold the address. False: nothing there does. */
static bool search_inlined(struct search *s, Dwarf_Die *die, unsigned depth)
{
	Dwarf_Die child;
	if (depth > MAX_BLOCK_DEPTH || dwarf_child(die, &child) != 0)
		return false;
	do {
		int tag = dwarf_tag(&child);
		if (!s->dies_left--)
			return s->dies_left = 0, false;
		if (tag != DW_TAG_inlined_subroutine && tag != DW_TAG_lexical_block &&
		    tag != DW_TAG_try_block && tag != DW_TAG_catch_block)
			continue;
		enum has_pc has = has_pc(s, &child);
		if (has == PC_OUTSIDE)
			continue;
		if (tag == DW_TAG_inlined_subroutine && has == PC_INSIDE && s->n < MAX_INLINED)
			s->inlined[s->n++] = child;
		if (search_inlined(s, &child, depth + 1) || has == PC_INSIDE)
			return true;
	} while (dwarf_siblingof(&child, &child) == 0);
	return false;
}

static const char *string_attr(struct strings *strings, Dwarf_Die *die, unsigned name)
{
	Dwarf_Attribute attr;
	const char *s = dwarf_formstring(dwarf_attr_integrate(die, name, &attr));
	return s && *s ? intern_n(strings, s, strnlen(s, MAX_STRING)) : NULL;
}

static const char *plain_name(struct strings *strings, Dwarf_Die *die)
{
	const char *name = string_attr(strings, die, DW_AT_name);
	if (name)
		return name;
	return dwarf_tag(die) == DW_TAG_namespace ? "(anonymous namespace)" : NULL;
}

/* The DIE that was declared, where its scope is: behind abstract origins and specifications. */
static Dwarf_Die declaration_of(Dwarf_Die *die)
{
	Dwarf_Die here = *die, next;
	Dwarf_Attribute attr;
	for (int i = 0; i < MAX_REFERENCES; i++) {
		if (!dwarf_attr(&here, DW_AT_abstract_origin, &attr) &&
		    !dwarf_attr(&here, DW_AT_specification, &attr))
			break;
		if (!dwarf_formref_die(&attr, &next))
			break;
		here = next;
	}
	return here;
}

static void add_scope(struct strings *strings, Dwarf_Die *scope, struct strbuf *ret)
{
	const char *name = plain_name(strings, scope);
	switch (dwarf_tag(scope)) {
	case DW_TAG_class_type:
	case DW_TAG_structure_type:
		strbuf_addf(ret, "%s::", name ? name : "{lambda}"); /* what else has no name */
		break;
	case DW_TAG_lexical_block:
		break;
	default:
		if (name)
			strbuf_addf(ret, "%s::", name);
	}
}

/* Names of the namespaces, types and functions around die, outermost first. DIEs know their parents
 * only by lying between them and their next siblings: hence from the unit down. */
static void add_scopes(struct dwarf_info *d, struct strings *strings, Dwarf_Die *die,
                       struct strbuf *ret, int nesting)
{
	Dwarf_Die here, child;
	if (!dwarf_diecu(die, &here, NULL, NULL))
		return;
	for (int depth = 0; depth < MAX_SCOPES && dwarf_child(&here, &child) == 0; depth++) {
		if (!siblings_seek(&d->siblings, &d->index, &child, die->addr) ||
		    child.addr == die->addr)
			return;
		/* A function's body may be in the unit, its declaration in a namespace. */
		Dwarf_Die declared = declaration_of(&child);
		if (declared.addr != child.addr && nesting < MAX_NESTING) {
			strbuf_clear(ret);
			add_scopes(d, strings, &declared, ret, nesting + 1);
		}
		add_scope(strings, &child, ret);
		here = child;
	}
}

static bool has_scopes(Dwarf_Die *die)
{
	Dwarf_Die unit;
	switch (dwarf_diecu(die, &unit, NULL, NULL) ? dwarf_srclang(&unit) : -1) {
	case -1:
	case DW_LANG_C:
	case DW_LANG_C89:
	case DW_LANG_C99:
	case DW_LANG_C11:
	case 0x2c: /* DW_LANG_C17, which older headers lack */
	case DW_LANG_Mips_Assembler:
		return false;
	default:
		return true;
	}
}

/* As the linker knows it; else composed, since "get" alone says little, and compilers leave the
 * linkage name out where no other file can refer to it. */
static const char *name_of(struct dwarf_info *d, struct strings *strings, Dwarf_Die *die)
{
	const char *name = string_attr(strings, die, DW_AT_linkage_name);
	if (!name)
		name = string_attr(strings, die, DW_AT_MIPS_linkage_name);
	if (name)
		return name;
	Dwarf_Die declared = declaration_of(die);
	name = plain_name(strings, die);
	if (!name || !has_scopes(&declared))
		return name;
	if (d->composed.n > MAX_COMPOSED)
		map64_clear(&d->composed);
	uint64_t *known = map64_put(&d->composed, (uintptr_t)declared.addr);
	if (*known)
		return (const char *)(uintptr_t)*known;
	struct strbuf text = {0};
	add_scopes(d, strings, &declared, &text, 0);
	strbuf_add(&text, name);
	name = intern_n(strings, text.s, text.len < MAX_STRING ? text.len : MAX_STRING);
	strbuf_free(&text);
	*known = (uintptr_t)name;
	return name;
}

static uint32_t number_attr(Dwarf_Die *die, unsigned name)
{
	Dwarf_Attribute attr;
	Dwarf_Word value;
	if (!dwarf_attr(die, name, &attr) || dwarf_formudata(&attr, &value) || value > UINT32_MAX)
		return 0;
	return (uint32_t)value;
}

static void set_place(struct code_frame *f, struct strings *strings, const struct unit_data *unit,
                      const struct line_row *row)
{
	struct strbuf path = {0};
	if (line_table_file(unit->lines, row->file, unit->comp_dir, &path))
		f->file = intern_n(strings, path.s, path.len);
	strbuf_free(&path);
	f->line = row->line;
	f->column = row->column;
}

/* Innermost first: each inlined call says where in its caller it stands. */
static size_t fill(struct dwarf_info *d, struct search *s, struct strings *strings,
                   const struct unit_data *unit, Dwarf_Die *func, struct code_frame *out,
                   size_t max)
{
	struct line_row row;
	bool has_row = unit->lines && line_table_find(unit->lines, s->addr, &row);
	size_t n = 0;
	for (size_t i = s->n; i-- > 0;) {
		Dwarf_Die *die = &s->inlined[i];
		if (n + 1 < max) {
			out[n] = (struct code_frame){.name = name_of(d, strings, die),
			                             .inlined = true};
			if (has_row)
				set_place(&out[n], strings, unit, &row);
			n++;
		}
		row = (struct line_row){number_attr(die, DW_AT_call_file),
		                        number_attr(die, DW_AT_call_line),
		                        number_attr(die, DW_AT_call_column)};
		has_row = unit->lines && row.line;
	}
	out[n] = (struct code_frame){.name = func ? name_of(d, strings, func) : NULL};
	if (has_row)
		set_place(&out[n], strings, unit, &row);
	return n + 1;
}

size_t dwarf_info_find(struct dwarf_info *d, struct strings *strings, uint64_t addr,
                       struct code_frame *out, size_t max)
{
	const struct unit_data *unit = dwarf_index_unit(&d->index, addr);
	if (!unit)
		return 0;
	struct search s = {.addr = addr, .dies_left = MAX_DIES, .ranges_left = MAX_DIES};
	Dwarf_Die func;
	bool has_func = dwarf_index_function(&d->index, unit, addr, &func);
	if (has_func)
		search_inlined(&s, &func, 0);
	return fill(d, &s, strings, unit, has_func ? &func : NULL, out, max);
}
