/* SPDX-License-Identifier: Apache-2.0 */
#include "dwarfindex.h"

#include <dwarf.h>
#include <gelf.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include <csample/log.h>
#include <csample/mem.h>

#define MAX_UNITS           ((size_t)1 << 20)
#define MAX_RANGES          ((size_t)4 << 20) /* in the file, and again in each unit */
#define MAX_CACHE_BYTES     ((size_t)6 << 20) /* of unit_data; libdw's own memory is about as much */
#define MAX_UNITS_LOADED    100000
#define WALK_BYTES          ((size_t)2 << 20)
#define UNITS_BETWEEN_DROPS 32 /* each touches pages of several sections, and 15 around each */
#define MAX_DEPTH           64
#define ROOM_BYTES          ((size_t)32 << 20)
#define MAX_DIR             4096
#define PADDING             16 /* between functions; ranges of one unit that close are joined */

/* libdw ends the process when it gets no memory: it is not asked where there is next to none. */
static bool is_room_for_libdw(void)
{
	void *p = mmap(NULL, ROOM_BYTES, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1,
	               0);
	return p != MAP_FAILED && !munmap(p, ROOM_BYTES);
}

static void end(struct dwarf_index *x)
{
	dwarf_end(x->dw);
	dwarf_end(x->alt);
	x->dw = x->alt = NULL;
}

static bool begin(struct dwarf_index *x)
{
	if (!is_room_for_libdw())
		return false;
	x->dw = dwarf_begin_elf(x->file->elf, DWARF_C_READ, NULL);
	if (!x->dw)
		return false;
	if (x->alt_file) {
		x->alt = dwarf_begin_elf(x->alt_file->elf, DWARF_C_READ, NULL);
		if (!x->alt)
			return false;
		/* Else libdw would go and open what the file names, wherever that is. */
		dwarf_setalt(x->dw, x->alt);
	}
	x->units_loaded = 0;
	return true;
}

/* libdw reads the headers of all units before the one that is asked for, when it begins anew: here,
 * so that their pages do not stay. */
static bool begin_anew(struct dwarf_index *x)
{
	end(x);
	if (!begin(x))
		return false;
	Dwarf_Die die;
	for (size_t i = 0; i < x->units.n; i += UNITS_BETWEEN_DROPS) {
		dwarf_offdie(x->dw, x->units.items[i].die, &die);
		elf_file_drop_pages(x->file);
	}
	return true;
}

/* Adds [start, end) unless it is nowhere in the image's code. */
static void add_range(const struct dwarf_index *x, code_ranges *ranges, uint64_t start,
                      uint64_t stop, uint32_t what)
{
	if (start < x->code_start || start >= stop || stop > x->code_end || ranges->n >= MAX_RANGES)
		return;
	uint64_t size = stop - start;
	if (ranges->n) {
		struct code_range *last = &ranges->items[ranges->n - 1];
		uint64_t last_end = last->start + last->size;
		if (last->what == what && start >= last->start && start <= last_end + PADDING &&
		    stop - last->start <= UINT32_MAX) {
			if (stop > last_end)
				last->size = (uint32_t)(stop - last->start);
			return;
		}
	}
	*vec_add(ranges) =
	        (struct code_range){start, size < UINT32_MAX ? (uint32_t)size : UINT32_MAX, what};
}

static void add_die_ranges(const struct dwarf_index *x, code_ranges *ranges, Dwarf_Die *die,
                           uint32_t what, size_t *budget)
{
	Dwarf_Addr base, start, stop;
	ptrdiff_t offset = 0;
	while (*budget && (offset = dwarf_ranges(die, offset, &base, &start, &stop)) > 0) {
		--*budget;
		add_range(x, ranges, start, stop, what);
	}
}

void dwarf_index_passed(struct dwarf_index *x, const Dwarf_Die *die)
{
	uintptr_t at = (uintptr_t)die->addr;
	if (at - x->dropped_at < WALK_BYTES)
		return;
	if (at > x->dropped_at && x->dropped_at) {
		elf_file_drop_pages(x->file);
		if (x->alt_file)
			elf_file_drop_pages(x->alt_file);
	}
	x->dropped_at = at;
}

static int compare_ranges(const void *a, const void *b)
{
	const struct code_range *x = a, *y = b;
	if (x->start != y->start)
		return x->start < y->start ? -1 : 1;
	/* The smaller one is found first when searching backwards. */
	return x->size > y->size ? -1 : x->size < y->size;
}

static void finish_ranges(code_ranges *ranges)
{
	if (!ranges->n) {
		vec_free(ranges);
		return;
	}
	qsort(ranges->items, ranges->n, sizeof(*ranges->items), compare_ranges);
	ranges->items = mem_realloc_array(ranges->items, ranges->n, sizeof(*ranges->items));
	ranges->cap = ranges->n;
}

/* Ranges may nest, a little: functions in functions, a unit inside a hole of another. */
static const struct code_range *find_range(const code_ranges *ranges, uint64_t addr)
{
	size_t lo = 0, hi = ranges->n;
	while (lo < hi) {
		size_t mid = lo + (hi - lo) / 2;
		if (ranges->items[mid].start <= addr)
			lo = mid + 1;
		else
			hi = mid;
	}
	for (size_t back = 0; lo > 0 && back < 64; back++) {
		const struct code_range *r = &ranges->items[--lo];
		if (addr - r->start < r->size)
			return r;
	}
	return NULL;
}

/* A section's bytes. */
static struct bytes section_of(Elf *elf, const char *wanted)
{
	size_t strndx;
	if (elf_getshdrstrndx(elf, &strndx))
		return (struct bytes){0};
	for (Elf_Scn *scn = NULL; (scn = elf_nextscn(elf, scn));) {
		GElf_Shdr sh;
		const char *name =
		        gelf_getshdr(scn, &sh) ? elf_strptr(elf, strndx, sh.sh_name) : NULL;
		if (!name || sh.sh_type == SHT_NOBITS)
			continue;
		if (strcmp(name, wanted) != 0 &&
		    (name[0] != '.' || name[1] != 'z' || strcmp(name + 2, wanted + 1) != 0))
			continue;
		Elf_Data *data = elf_getdata(scn, NULL);
		if (data && data->d_buf)
			return bytes_over(data->d_buf, data->d_size);
	}
	return (struct bytes){0};
}

bool dwarf_index_init(struct dwarf_index *x)
{
	if (!begin(x))
		return false;
	x->info = section_of(x->file->elf, ".debug_info");
	x->sections = (struct line_sections){section_of(x->file->elf, ".debug_line"),
	                                     section_of(x->file->elf, ".debug_line_str"),
	                                     section_of(x->file->elf, ".debug_str")};
	size_t budget = MAX_RANGES;
	Dwarf_CU *cu = NULL;
	uint8_t type;
	Dwarf_Die die;
	/* The last argument stays NULL: for a skeleton unit libdw would open files by name. */
	while (x->units.n < MAX_UNITS &&
	       dwarf_get_units(x->dw, cu, &cu, NULL, &type, &die, NULL) == 0) {
		uint64_t offset = dwarf_dieoffset(&die);
		struct unit unit = {.start = offset - dwarf_cuoffset(&die), .die = offset};
		if (type == DW_UT_compile || type == DW_UT_skeleton)
			add_die_ranges(x, &x->ranges, &die, (uint32_t)x->units.n, &budget);
		*vec_add(&x->units) = unit;
		if (x->units.n % UNITS_BETWEEN_DROPS == 0)
			elf_file_drop_pages(x->file);
	}
	finish_ranges(&x->ranges);
	log_debug(LOG_SYMBOLS, "dwarf: %zu units, %zu ranges", x->units.n, x->ranges.n);
	return x->ranges.n != 0;
}

static void drop(struct dwarf_index *x, struct unit *unit)
{
	if (!unit->data)
		return;
	x->bytes -= unit->data->bytes;
	vec_free(&unit->data->functions);
	line_table_destroy(unit->data->lines);
	free(unit->data->comp_dir);
	free(unit->data);
	unit->data = NULL;
}

static void drop_all(struct dwarf_index *x)
{
	for (size_t i = 0; i < x->units.n; i++)
		drop(x, &x->units.items[i]);
}

void dwarf_index_deinit(struct dwarf_index *x)
{
	drop_all(x);
	vec_free(&x->units);
	vec_free(&x->ranges);
	end(x);
}

/* Collecting a unit's functions. */
struct walk {
	struct dwarf_index *x;
	struct unit_data *unit;
	size_t budget;
	const unsigned char *end; /* of the unit's DIEs */
};

static bool may_hold_functions(int tag, bool deep)
{
	switch (tag) {
	case DW_TAG_namespace:
	case DW_TAG_module:
		return true;
	case DW_TAG_subprogram:
	case DW_TAG_lexical_block:
	case DW_TAG_inlined_subroutine:
	case DW_TAG_class_type:
	case DW_TAG_structure_type:
	case DW_TAG_union_type:
		return deep;
	default:
		return false;
	}
}

/* Walks the DIEs of one level from *die on. Returns the address behind the level's end, NULL at the
 * end of the unit or on damage. */
static const unsigned char *walk_level(struct walk *w, Dwarf_Die *die, unsigned depth)
{
	for (;;) {
		int tag = dwarf_tag(die);
		dwarf_index_passed(w->x, die);
		if (tag == DW_TAG_subprogram)
			add_die_ranges(w->x, &w->unit->functions, die,
			               (uint32_t)(dwarf_dieoffset(die) - w->unit->start),
			               &w->budget);
		Dwarf_Die next = {0};
		Dwarf_Die child;
		if (depth < MAX_DEPTH && may_hold_functions(tag, w->unit->deep) &&
		    dwarf_child(die, &child) == 0) {
			/* Where the children end the next sibling begins: without this, units
			 * without DW_AT_sibling (of LLVM) would be walked once for each level. */
			const unsigned char *p = walk_level(w, &child, depth + 1);
			if (!p || p >= w->end)
				return NULL;
			if (!*p)
				return p + 1;
			next.addr = (void *)p;
			next.cu = die->cu;
		} else {
			int r = dwarf_siblingof(die, &next);
			if (r)
				return r == 1 && next.addr ? (unsigned char *)next.addr + 1 : NULL;
		}
		*die = next;
	}
}

static void read_functions(struct dwarf_index *x, const struct unit *unit, struct unit_data *data,
                           Dwarf_Die *unit_die)
{
	struct walk w = {.x = x, .unit = data, .budget = MAX_RANGES, .end = x->info.end};
	Dwarf_Off next;
	size_t header;
	if (dwarf_nextcu(x->dw, unit->start, &next, &header, NULL, NULL, NULL) == 0 &&
	    next < bytes_left(&x->info))
		w.end = x->info.p + next;
	Dwarf_Die child;
	data->functions.n = 0;
	if (dwarf_child(unit_die, &child) == 0)
		walk_level(&w, &child, 0);
	finish_ranges(&data->functions);
}

static void read_lines(struct dwarf_index *x, struct unit_data *data, Dwarf_Die *die)
{
	Dwarf_Attribute attr;
	Dwarf_Word offset;
	if (dwarf_attr(die, DW_AT_stmt_list, &attr) && !dwarf_formudata(&attr, &offset))
		data->lines = line_table_create(&x->sections, offset, x->code_start);
	const char *dir = dwarf_formstring(dwarf_attr(die, DW_AT_comp_dir, &attr));
	data->comp_dir = dir ? mem_strndup(dir, MAX_DIR) : NULL;
}

static void account(struct dwarf_index *x, struct unit_data *data)
{
	x->bytes -= data->bytes;
	data->bytes = sizeof(*data) + data->functions.cap * sizeof(*data->functions.items) +
	              (data->lines ? line_table_bytes(data->lines) : 0);
	x->bytes += data->bytes;
}

static struct unit_data *load(struct dwarf_index *x, struct unit *unit)
{
	if (!is_room_for_libdw())
		return NULL;
	if (x->bytes > MAX_CACHE_BYTES)
		drop_all(x);
	if (x->units_loaded >= MAX_UNITS_LOADED && !begin_anew(x))
		return NULL;
	x->units_loaded++;
	Dwarf_Die die;
	if (!dwarf_offdie(x->dw, unit->die, &die))
		return NULL;
	struct unit_data *data = mem_zalloc(sizeof(*data));
	data->start = unit->start;
	read_functions(x, unit, data, &die);
	read_lines(x, data, &die);
	account(x, data);
	unit->data = data;
	return data;
}

const struct unit_data *dwarf_index_unit(struct dwarf_index *x, uint64_t addr)
{
	const struct code_range *r = x->dw ? find_range(&x->ranges, addr) : NULL;
	if (!r)
		return NULL;
	struct unit *unit = &x->units.items[r->what];
	return unit->data ? unit->data : load(x, unit);
}

bool dwarf_index_function(struct dwarf_index *x, const struct unit_data *data, uint64_t addr,
                          Dwarf_Die *ret)
{
	const struct code_range *r = find_range(&data->functions, addr);
	if (!r && !data->deep) {
		const struct code_range *u = find_range(&x->ranges, addr);
		struct unit *unit = &x->units.items[u->what];
		Dwarf_Die die;
		if (!dwarf_offdie(x->dw, unit->die, &die))
			return false;
		unit->data->deep = true;
		read_functions(x, unit, unit->data, &die);
		account(x, unit->data);
		r = find_range(&unit->data->functions, addr);
	}
	return r && dwarf_offdie(x->dw, data->start + r->what, ret);
}
