/* SPDX-License-Identifier: Apache-2.0 */
#include "dwarfline.h"

#include <dwarf.h>
#include <stdlib.h>
#include <string.h>

#include <csample/mem.h>
#include <csample/vec.h>

#define ROWS_PER_MARK 128
#define MAX_LOOKBACK  8
#define MAX_FORMATS   16
#define MAX_NAME      4096

/* Rows from here on, up to where the next mark takes over. */
struct mark {
	uint64_t addr, end;
	uint32_t next; /* offset in the program of what follows the first row */
	struct line_row row;
};

struct line_table {
	struct line_sections sections;
	uint16_t version;
	bool is_64; /* 64-bit DWARF */
	uint8_t min_inst_len, line_range, opcode_base;
	int8_t line_base;
	uint8_t opcode_lengths[256];
	struct bytes dirs; /* directory table and, behind it, the file table */
	struct bytes program;
	VEC(struct mark) marks;
};

/* The registers of the line number state machine that matter here (DWARF 5, 6.2.2). */
struct machine {
	struct bytes b;
	uint64_t addr;
	struct line_row row;
	bool new_sequence; /* the row is the first of one */
	bool end_sequence;
};

static uint64_t read_offset(struct bytes *b, bool is_64)
{
	return is_64 ? bytes_u64(b) : bytes_u32(b);
}

static void reset(struct machine *m)
{
	m->addr = 0;
	m->row = (struct line_row){1, 1, 0};
	m->new_sequence = true;
	m->end_sequence = false;
}

static void advance(const struct line_table *t, struct machine *m, uint64_t by)
{
	m->addr += by * t->min_inst_len;
}

static void extended(struct machine *m)
{
	uint64_t len = bytes_uleb(&m->b);
	const uint8_t *body = bytes_take(&m->b, len);
	if (!body || !len)
		return;
	struct bytes b = bytes_over(body, len);
	switch (bytes_u8(&b)) {
	case DW_LNE_end_sequence:
		m->end_sequence = true;
		break;
	case DW_LNE_set_address:
		m->addr = len == 9 ? bytes_u64(&b) : bytes_u32(&b);
		break;
	default:
		break; /* discriminators, and files defined in passing, which nobody emits */
	}
}

static void standard(const struct line_table *t, struct machine *m, uint8_t op)
{
	switch (op) {
	case DW_LNS_advance_pc:
		advance(t, m, bytes_uleb(&m->b));
		break;
	case DW_LNS_advance_line:
		m->row.line += (uint32_t)bytes_sleb(&m->b);
		break;
	case DW_LNS_set_file:
		m->row.file = (uint32_t)bytes_uleb(&m->b);
		break;
	case DW_LNS_set_column:
		m->row.column = (uint32_t)bytes_uleb(&m->b);
		break;
	case DW_LNS_const_add_pc:
		advance(t, m, (255u - t->opcode_base) / t->line_range);
		break;
	case DW_LNS_fixed_advance_pc:
		m->addr += bytes_u16(&m->b);
		break;
	case DW_LNS_negate_stmt:
	case DW_LNS_set_basic_block:
	case DW_LNS_set_prologue_end:
	case DW_LNS_set_epilogue_begin:
		break;
	default: /* DW_LNS_set_isa, and what later versions add */
		for (unsigned i = 0; i < t->opcode_lengths[op]; i++)
			bytes_uleb(&m->b);
	}
}

/* Runs to the next row or end of a sequence; false at the end of the program. */
static bool next_row(const struct line_table *t, struct machine *m)
{
	if (m->end_sequence)
		reset(m);
	while (!m->b.bad && bytes_left(&m->b)) {
		uint8_t op = bytes_u8(&m->b);
		if (op >= t->opcode_base) {
			unsigned special = op - t->opcode_base;
			advance(t, m, special / t->line_range);
			m->row.line += (uint32_t)(t->line_base + (int)(special % t->line_range));
			return true;
		}
		if (op == DW_LNS_copy)
			return true;
		if (op)
			standard(t, m, op);
		else
			extended(m);
		if (m->end_sequence)
			return true;
	}
	return false;
}

static int compare_marks(const void *a, const void *b)
{
	const struct mark *x = a, *y = b;
	return x->addr < y->addr ? -1 : x->addr > y->addr ? 1 : x->next < y->next ? -1 : 1;
}

/* Runs the whole program once and leaves marks on the way. */
static void make_marks(struct line_table *t, uint64_t min_addr)
{
	struct machine m = {.b = t->program};
	size_t rows = 0;
	bool skip = false, open = false;
	uint64_t last = 0;
	reset(&m);
	while (next_row(t, &m)) {
		bool first = m.new_sequence;
		m.new_sequence = false;
		if (first) {
			skip = m.addr < min_addr;
			open = false;
		}
		if (skip)
			continue;
		bool next_mark = first || rows >= ROWS_PER_MARK || m.addr < last;
		if (open && (m.end_sequence || next_mark)) {
			struct mark *mark = &t->marks.items[t->marks.n - 1];
			mark->end = m.addr < last ? last + 1 : m.addr;
			if (mark->end <= mark->addr)
				t->marks.n--; /* empty */
			open = false;
		}
		if (!m.end_sequence && next_mark) {
			*vec_add(&t->marks) = (struct mark){
			        m.addr, m.addr, (uint32_t)(m.b.p - t->program.p), m.row};
			open = true;
			rows = 0;
		}
		last = m.addr;
		rows++;
	}
	if (open)
		t->marks.n--; /* a sequence without an end: damaged */
	if (!t->marks.n) {
		vec_free(&t->marks);
		return;
	}
	t->marks.items = mem_realloc_array(t->marks.items, t->marks.n, sizeof(*t->marks.items));
	t->marks.cap = t->marks.n;
	qsort(t->marks.items, t->marks.n, sizeof(*t->marks.items), compare_marks);
}

static bool read_header(struct line_table *t, struct bytes b)
{
	uint64_t length = bytes_u32(&b);
	t->is_64 = length == 0xffffffff;
	if (t->is_64)
		length = bytes_u64(&b);
	const uint8_t *unit = bytes_take(&b, length);
	if (!unit || length > UINT32_MAX)
		return false;
	b = bytes_over(unit, length);
	t->version = bytes_u16(&b);
	if (t->version < 2 || t->version > 5)
		return false;
	if (t->version >= 5)
		bytes_u16(&b); /* sizes of an address and of a segment selector */
	uint64_t header_length = read_offset(&b, t->is_64);
	const uint8_t *header = bytes_take(&b, header_length);
	if (!header)
		return false;
	t->program = b;
	b = bytes_over(header, header_length);
	t->min_inst_len = bytes_u8(&b);
	if (t->version >= 4)
		bytes_u8(&b); /* operations in an instruction: 1 but for VLIW machines */
	bytes_u8(&b);         /* default_is_stmt */
	t->line_base = (int8_t)bytes_u8(&b);
	t->line_range = bytes_u8(&b);
	t->opcode_base = bytes_u8(&b);
	for (unsigned i = 1; i < t->opcode_base; i++)
		t->opcode_lengths[i] = bytes_u8(&b);
	t->dirs = b;
	return !b.bad && t->line_range && t->opcode_base;
}

struct line_table *line_table_create(const struct line_sections *sections, uint64_t offset,
                                     uint64_t min_addr)
{
	struct bytes b = sections->line;
	if (!b.p || !bytes_take(&b, offset))
		return NULL;
	struct line_table *t = mem_zalloc(sizeof(*t));
	t->sections = *sections;
	if (!read_header(t, b)) {
		free(t);
		return NULL;
	}
	make_marks(t, min_addr);
	return t;
}

void line_table_destroy(struct line_table *t)
{
	if (!t)
		return;
	vec_free(&t->marks);
	free(t);
}

size_t line_table_bytes(const struct line_table *t)
{
	return sizeof(*t) + t->marks.cap * sizeof(*t->marks.items);
}

static bool find_in_mark(const struct line_table *t, const struct mark *mark, uint64_t addr,
                         struct line_row *ret)
{
	struct machine m = {.b = t->program, .addr = mark->addr, .row = mark->row};
	bytes_take(&m.b, mark->next);
	*ret = mark->row;
	while (next_row(t, &m) && !m.end_sequence && m.addr <= addr)
		*ret = m.row;
	return true;
}

bool line_table_find(const struct line_table *t, uint64_t addr, struct line_row *ret)
{
	size_t lo = 0, hi = t->marks.n;
	while (lo < hi) {
		size_t mid = lo + (hi - lo) / 2;
		if (t->marks.items[mid].addr <= addr)
			lo = mid + 1;
		else
			hi = mid;
	}
	for (size_t back = 0; lo > 0 && back < MAX_LOOKBACK; back++) {
		const struct mark *mark = &t->marks.items[--lo];
		if (addr - mark->addr < mark->end - mark->addr)
			return find_in_mark(t, mark, addr, ret);
	}
	return false;
}

/* A name and the directory it is in: an entry of either table. */
struct entry {
	struct bytes name; /* up to its NUL, at the start */
	uint64_t dir;
};

struct formats {
	unsigned n;
	struct {
		uint64_t content, form;
	} items[MAX_FORMATS];
};

static bool read_formats(struct bytes *b, struct formats *ret)
{
	ret->n = bytes_u8(b);
	if (ret->n > MAX_FORMATS)
		return false;
	for (unsigned i = 0; i < ret->n; i++) {
		ret->items[i].content = bytes_uleb(b);
		ret->items[i].form = bytes_uleb(b);
	}
	return !b->bad && ret->n;
}

static struct bytes at_offset(struct bytes section, uint64_t offset)
{
	return section.p && bytes_take(&section, offset) ? section : (struct bytes){0};
}

/* One value of a DWARF 5 entry: into *number or *string, as the form is; false: not a known form.
 */
static bool read_form(const struct line_table *t, struct bytes *b, uint64_t form, uint64_t *number,
                      struct bytes *string)
{
	switch (form) {
	case DW_FORM_string:
		*string = *b;
		return bytes_cstr(b) != NULL;
	case DW_FORM_line_strp:
		*string = at_offset(t->sections.line_str, read_offset(b, t->is_64));
		return true;
	case DW_FORM_strp:
		*string = at_offset(t->sections.str, read_offset(b, t->is_64));
		return true;
	case DW_FORM_udata:
		*number = bytes_uleb(b);
		return true;
	case DW_FORM_data1:
		*number = bytes_u8(b);
		return true;
	case DW_FORM_data2:
		*number = bytes_u16(b);
		return true;
	case DW_FORM_data4:
		*number = bytes_u32(b);
		return true;
	case DW_FORM_data8:
		*number = bytes_u64(b);
		return true;
	case DW_FORM_data16:
		return bytes_take(b, 16) != NULL;
	case DW_FORM_block:
		return bytes_take(b, bytes_uleb(b)) != NULL;
	default:
		return false;
	}
}

static bool read_entry(const struct line_table *t, struct bytes *b, const struct formats *formats,
                       struct entry *ret)
{
	*ret = (struct entry){0};
	for (unsigned i = 0; i < formats->n; i++) {
		uint64_t number = 0;
		struct bytes string = {0};
		if (!read_form(t, b, formats->items[i].form, &number, &string) || b->bad)
			return false;
		if (formats->items[i].content == DW_LNCT_path)
			ret->name = string;
		else if (formats->items[i].content == DW_LNCT_directory_index)
			ret->dir = number;
	}
	return true;
}

/* Reads the table at b of DWARF 5, whole; ret gets entry number wanted. False: it has none such. */
static bool scan_table(const struct line_table *t, struct bytes *b, uint64_t wanted,
                       struct entry *ret)
{
	struct formats formats;
	bool found = false, known = read_formats(b, &formats);
	uint64_t n = bytes_uleb(b);
	for (uint64_t i = 0; known && i < n && !b->bad; i++) {
		struct entry entry;
		if (!read_entry(t, b, &formats, &entry))
			return false;
		if (i == wanted) {
			*ret = entry;
			found = true;
		}
	}
	return found;
}

static bool find_v5(const struct line_table *t, uint32_t file, struct entry *ret,
                    struct entry *dir_ret)
{
	struct bytes b = t->dirs;
	struct entry ignored;
	scan_table(t, &b, UINT64_MAX, &ignored);
	if (!scan_table(t, &b, file, ret))
		return false;
	b = t->dirs;
	if (!scan_table(t, &b, ret->dir, dir_ret))
		*dir_ret = (struct entry){0};
	return true;
}

/* Before DWARF 5, files count from 1, and directory 0 is that of the compilation. */
static bool find_v2(const struct line_table *t, uint32_t file, struct entry *ret,
                    struct entry *dir_ret)
{
	struct bytes b = t->dirs;
	while (bytes_left(&b) && *b.p)
		if (!bytes_cstr(&b))
			return false;
	bytes_u8(&b);
	for (uint32_t i = 1; bytes_left(&b) && *b.p; i++) {
		ret->name = b;
		bytes_cstr(&b);
		ret->dir = bytes_uleb(&b);
		bytes_uleb(&b); /* time */
		bytes_uleb(&b); /* length */
		if (b.bad)
			return false;
		if (i != file)
			continue;
		*dir_ret = (struct entry){0};
		struct bytes d = t->dirs;
		for (uint64_t k = 1; bytes_left(&d) && *d.p; k++) {
			if (k == ret->dir)
				dir_ret->name = d;
			bytes_cstr(&d);
		}
		return true;
	}
	return false;
}

static size_t name_len(struct bytes b)
{
	size_t max = bytes_left(&b) < MAX_NAME ? bytes_left(&b) : MAX_NAME;
	return max ? strnlen((const char *)b.p, max) : 0;
}

bool line_table_file(const struct line_table *t, uint32_t file, const char *comp_dir,
                     struct strbuf *ret)
{
	struct entry entry, dir;
	if (!(t->version >= 5 ? find_v5 : find_v2)(t, file, &entry, &dir))
		return false;
	size_t len = name_len(entry.name), dir_len = name_len(dir.name);
	if (!len)
		return false;
	if (*entry.name.p != '/') {
		if (comp_dir && (!dir_len || *dir.name.p != '/')) {
			strbuf_addn(ret, comp_dir, strnlen(comp_dir, MAX_NAME));
			strbuf_addc(ret, '/');
		}
		if (dir_len) {
			strbuf_addn(ret, (const char *)dir.name.p, dir_len);
			strbuf_addc(ret, '/');
		}
	}
	strbuf_addn(ret, (const char *)entry.name.p, len);
	return true;
}
