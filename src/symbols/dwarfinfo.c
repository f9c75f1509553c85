/* SPDX-License-Identifier: Apache-2.0 */
#include "dwarfinfo.h"

#include <dwarf.h>
#include <elfutils/libdw.h>
#include <stdlib.h>
#include <string.h>

#include <csample/mem.h>
#include <csample/symbols.h>

#include "dwarfindex.h"

#define MAX_INLINED     (SYMBOLS_MAX_INLINED - 1)
#define MAX_BLOCK_DEPTH 256
#define MAX_DIES        1000000 /* looked at for one address */
#define MAX_STRING      65536

struct dwarf_info {
	struct dwarf_index index;
};

struct dwarf_info *dwarf_info_create(const struct elf_file *f, const struct elf_file *alt,
                                     uint64_t code_start, uint64_t code_end)
{
	if (!elf_file_has_dwarf(f))
		return NULL;
	struct dwarf_info *d = mem_zalloc(sizeof(*d));
	d->index = (struct dwarf_index){.elf = f->elf,
	                                .alt_elf = alt ? alt->elf : NULL,
	                                .code_start = code_start,
	                                .code_end = code_end};
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

#define MAX_SCOPE_NAME  1024
#define MAX_SCOPE_LEVEL 4

static const char *string_attr(struct strings *strings, Dwarf_Die *die, unsigned name)
{
	Dwarf_Attribute attr;
	const char *s = dwarf_formstring(dwarf_attr_integrate(die, name, &attr));
	return s && *s ? intern_n(strings, s, strnlen(s, MAX_STRING)) : NULL;
}

/* The die that declares what die is an instance of: inlined call, abstract function, declaration in
 * its class or namespace. */
static void follow_to_declaration(Dwarf_Die *die)
{
	static const unsigned links[] = {DW_AT_abstract_origin, DW_AT_specification};
	for (unsigned i = 0; i < 2 * ARRAY_SIZE(links); i++) {
		Dwarf_Attribute attr;
		Dwarf_Die next;
		if (dwarf_formref_die(dwarf_attr(die, links[i % ARRAY_SIZE(links)], &attr), &next))
			*die = next;
	}
}

/* The last child of parent that begins at or before offset: the one that is it, or holds it. */
static bool child_towards(struct search *s, Dwarf_Die *parent, Dwarf_Off offset, Dwarf_Die *ret)
{
	Dwarf_Die child;
	bool found = false;
	if (dwarf_child(parent, &child) != 0)
		return false;
	while (dwarf_dieoffset(&child) <= offset && s->dies_left) {
		s->dies_left--;
		*ret = child;
		found = true;
		if (dwarf_siblingof(&child, &child) != 0)
			break;
	}
	return found;
}

/* "space::Class::" of a declaration, from its unit downwards: dies do not know their parents. */
static void add_scopes(struct search *s, Dwarf_Die *declaration, unsigned level, struct strbuf *b)
{
	Dwarf_Die scope, child;
	Dwarf_Off offset = dwarf_dieoffset(declaration);
	if (!dwarf_diecu(declaration, &scope, NULL, NULL))
		return;
	for (unsigned depth = 0; depth < MAX_BLOCK_DEPTH; depth++) {
		if (!child_towards(s, &scope, offset, &child) || dwarf_dieoffset(&child) == offset)
			return;
		const char *name = dwarf_diename(&child);
		int tag = dwarf_tag(&child);
		/* The body of a function may stand outside its namespace. */
		Dwarf_Die elsewhere = child;
		if (tag == DW_TAG_subprogram && level < MAX_SCOPE_LEVEL)
			follow_to_declaration(&elsewhere);
		if (dwarf_dieoffset(&elsewhere) != dwarf_dieoffset(&child)) {
			strbuf_clear(b);
			add_scopes(s, &elsewhere, level + 1, b);
		}
		if (name)
			strbuf_addf(b, "%.*s::", MAX_SCOPE_NAME, name);
		else if (tag == DW_TAG_namespace)
			strbuf_add(b, "(anonymous namespace)::");
		scope = child;
	}
}

/* The linker's name, to be demangled; without one (local types, internal linkage), the source's
 * name with its scopes. */
static const char *name_of(struct search *s, struct strings *strings, Dwarf_Die *die)
{
	const char *name = string_attr(strings, die, DW_AT_linkage_name);
	if (!name)
		name = string_attr(strings, die, DW_AT_MIPS_linkage_name);
	if (!name)
		name = string_attr(strings, die, DW_AT_name);
	else
		return name;
	Dwarf_Die declaration = *die;
	struct strbuf b = {0};
	follow_to_declaration(&declaration);
	add_scopes(s, &declaration, 0, &b);
	if (b.len && name) {
		strbuf_add(&b, name);
		name = intern_n(strings, b.s, b.len);
	}
	strbuf_free(&b);
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
static size_t fill(struct search *s, struct strings *strings, const struct unit_data *unit,
                   Dwarf_Die *func, struct code_frame *out, size_t max)
{
	struct line_row row;
	bool has_row = unit->lines && line_table_find(unit->lines, s->addr, &row);
	size_t n = 0;
	for (size_t i = s->n; i-- > 0;) {
		Dwarf_Die *die = &s->inlined[i];
		if (n + 1 < max) {
			out[n] = (struct code_frame){.name = name_of(s, strings, die),
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
	out[n] = (struct code_frame){.name = func ? name_of(s, strings, func) : NULL};
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
	return fill(&s, strings, unit, has_func ? &func : NULL, out, max);
}
