/* SPDX-License-Identifier: Apache-2.0 */
#include "tables.h"

#include <stdlib.h>
#include <string.h>

#include <csample/log.h>
#include <csample/vec.h>

#include "arch.h"
#include "go.h"

/* 8 million functions: ten times the largest browser. */
#define MAX_INDEX ((size_t)8 << 20)

struct index_entry {
	uint64_t start; /* of the function, as linked */
	uint64_t off;   /* of its FDE in the section */
};

struct index {
	struct cfi_section section;
	struct index_entry *items; /* sorted by start */
	size_t n, cap;
};

/* .eh_frame_hdr as the LSB has it: pairs of 32-bit distances from its own address. */
struct header {
	struct cfi_section section; /* the segment that holds .eh_frame */
	uint64_t vaddr;             /* of .eh_frame_hdr */
	const uint8_t *table;       /* NULL: no usable one */
	uint64_t n;
};

struct tables {
	struct header header;
	struct index eh, debug;
	struct go_functions *go;
};

/* The part of a segment that is in the file. Linkers keep .eh_frame in one segment, whose bounds
 * are known where section headers were stripped. */
static bool segment_of(const struct image *img, uint64_t vaddr, struct cfi_section *ret)
{
	for (size_t i = 0; i < img->n_segments; i++) {
		const struct image_segment *s = &img->segments[i];
		if (vaddr - s->vaddr >= s->filesz)
			continue;
		const uint8_t *data = image_bytes(img, s->vaddr, s->filesz);
		if (!data)
			return false;
		*ret = (struct cfi_section){data, s->filesz, s->vaddr, true};
		return true;
	}
	return false;
}

static int32_t word_at(const uint8_t *p)
{
	int32_t v;
	memcpy(&v, p, sizeof(v));
	return v;
}

static bool entry_is_sound(const struct header *h, uint64_t i)
{
	struct cfi_fde fde;
	uint64_t start = h->vaddr + (uint64_t)(int64_t)word_at(h->table + 8 * i);
	uint64_t at = h->vaddr + (uint64_t)(int64_t)word_at(h->table + 8 * i + 4);
	return cfi_parse_fde(&h->section, at - h->section.vaddr, &fde) && fde.start == start;
}

/* Returns the address of .eh_frame, if the header tells, with table set if that can be used. */
static bool read_header(const struct image *img, struct header *h, uint64_t *eh_frame_ret)
{
	const struct image_section *s = &img->eh_frame_hdr;
	const uint8_t *p = image_section_bytes(img, s);
	if (!p || s->size < 4)
		return false;
	struct bytes b = bytes_over(p, s->size);
	uint8_t version = bytes_u8(&b), ptr_enc = bytes_u8(&b), count_enc = bytes_u8(&b),
	        table_enc = bytes_u8(&b);
	uint64_t count;
	if (version != 1 ||
	    !cfi_pointer(&b, ptr_enc, s->vaddr + (uint64_t)(b.p - p), s->vaddr, eh_frame_ret) ||
	    !segment_of(img, *eh_frame_ret, &h->section))
		return false;
	h->vaddr = s->vaddr;
	/* The one encoding all linkers write: relative to the header, four bytes, signed. */
	if (table_enc != 0x3b || !cfi_pointer(&b, count_enc, 0, 0, &count) || !count ||
	    count > bytes_left(&b) / 8)
		return true;
	h->table = b.p;
	h->n = count;
	if (!entry_is_sound(h, 0) || !entry_is_sound(h, count / 2) || !entry_is_sound(h, count - 1))
		h->table = NULL;
	return true;
}

static void add_to_index(void *arg, uint64_t start, uint64_t off)
{
	struct index *index = arg;
	if (index->n < MAX_INDEX)
		*vec_add(index) = (struct index_entry){start, off};
}

static int by_start(const void *a, const void *b)
{
	const struct index_entry *x = a, *y = b;
	return x->start < y->start ? -1 : x->start > y->start;
}

static void build_index(struct index *index, const struct cfi_section *section, uint64_t off)
{
	index->section = *section;
	cfi_scan(section, off, add_to_index, index);
	if (index->n)
		qsort(index->items, index->n, sizeof(*index->items), by_start);
}

static void free_tables(struct image *img)
{
	struct tables *t = img->unwind_data;
	if (!t)
		return;
	free(t->eh.items);
	free(t->debug.items);
	go_functions_destroy(t->go);
	free(t);
	img->unwind_data = NULL;
}

static void read_eh(struct tables *t, const struct image *img)
{
	uint64_t eh_frame = 0;
	bool known = read_header(img, &t->header, &eh_frame);
	if (t->header.table)
		return;
	const uint8_t *data = image_section_bytes(img, &img->eh_frame);
	if (data) {
		struct cfi_section s = {data, img->eh_frame.size, img->eh_frame.vaddr, true};
		build_index(&t->eh, &s, 0);
	} else if (known) {
		build_index(&t->eh, &t->header.section, eh_frame - t->header.section.vaddr);
	}
}

struct tables *tables_of(struct image *img, size_t *bytes)
{
	if (img->unwind_data)
		return img->unwind_data;
	struct tables *t = mem_zalloc(sizeof(*t));
	img->unwind_data = t;
	img->free_unwind = free_tables;
	if (img->machine == ARCH_MACHINE) {
		read_eh(t, img);
		const uint8_t *data = image_section_bytes(img, &img->debug_frame);
		if (data) {
			struct cfi_section s = {data, img->debug_frame.size, 0, false};
			build_index(&t->debug, &s, 0);
		}
		t->go = go_functions_create(img);
	}
	*bytes += sizeof(*t) + (t->eh.cap + t->debug.cap) * sizeof(struct index_entry);
	log_debug(LOG_UNWIND,
	          "%s: %zu functions by .eh_frame_hdr, %zu by .eh_frame, %zu by .debug_frame%s",
	          img->path, (size_t)t->header.n, t->eh.n, t->debug.n, t->go ? ", Go" : "");
	return t;
}

static bool find_by_header(const struct header *h, uint64_t vaddr, struct cfi_fde *ret)
{
	int64_t key = (int64_t)(vaddr - h->vaddr);
	if (!h->table || key != (int32_t)key)
		return false;
	uint64_t lo = 0, hi = h->n; /* the last entry that starts at or before key */
	while (hi - lo > 1) {
		uint64_t mid = lo + (hi - lo) / 2;
		if (word_at(h->table + 8 * mid) <= key)
			lo = mid;
		else
			hi = mid;
	}
	uint64_t at = h->vaddr + (uint64_t)(int64_t)word_at(h->table + 8 * lo + 4);
	return cfi_parse_fde(&h->section, at - h->section.vaddr, ret) && vaddr >= ret->start &&
	       vaddr < ret->end;
}

static bool find_by_index(const struct index *index, uint64_t vaddr, struct cfi_fde *ret)
{
	if (!index->n)
		return false;
	size_t lo = 0, hi = index->n;
	while (hi - lo > 1) {
		size_t mid = lo + (hi - lo) / 2;
		if (index->items[mid].start <= vaddr)
			lo = mid;
		else
			hi = mid;
	}
	return cfi_parse_fde(&index->section, index->items[lo].off, ret) && vaddr >= ret->start &&
	       vaddr < ret->end;
}

bool tables_find(const struct tables *t, uint64_t vaddr, struct cfi_fde *ret)
{
	return find_by_header(&t->header, vaddr, ret) || find_by_index(&t->eh, vaddr, ret) ||
	       find_by_index(&t->debug, vaddr, ret);
}

const struct go_functions *tables_go(const struct tables *t)
{
	return t->go;
}
