/* SPDX-License-Identifier: Apache-2.0 */
/* The memory of a core file. Kernels and debuggers leave out what a file has anyway: mappings of
 * files that were never written to. */
#include <elf.h>
#include <string.h>

#include "core_file.h"

static const struct core_segment *find_segment(const struct core_file *f, uint64_t addr)
{
	size_t lo = 0, hi = f->segments.n;
	while (lo < hi) {
		size_t mid = lo + (hi - lo) / 2;
		if (f->segments.items[mid].addr <= addr)
			lo = mid + 1;
		else
			hi = mid;
	}
	const struct core_segment *s = lo ? &f->segments.items[lo - 1] : NULL;
	return s && addr - s->addr < s->size ? s : NULL;
}

size_t core_bytes(const struct core_file *f, uint64_t addr, size_t len, const uint8_t **ret)
{
	const struct core_segment *s = find_segment(f, addr);
	uint64_t at = s ? addr - s->addr : 0;
	if (!s || at >= s->kept || s->offset > f->size || at >= f->size - s->offset)
		return 0;
	uint64_t have = s->kept - at;
	if (have > f->size - s->offset - at)
		have = f->size - s->offset - at;
	*ret = f->data + s->offset + at;
	return have < len ? (size_t)have : len;
}

/* From the file that was mapped there. Not where the program's loader may have written: such pages
 * are in the core, unless somebody chose otherwise. */
static size_t file_bytes(const struct core_file *f, uint64_t addr, size_t len, const uint8_t **ret)
{
	const struct mapping *m = maps_find(f->maps, addr);
	if (!m || !m->image || m->writable)
		return 0;
	uint64_t vaddr = addr - m->bias;
	if (len > m->end - addr)
		len = m->end - addr;
	for (size_t i = 0; i < m->image->n_segments; i++) {
		const struct image_segment *s = &m->image->segments[i];
		if (vaddr - s->vaddr >= s->filesz)
			continue;
		if (s->flags & PF_W)
			return 0;
		if (len > s->filesz - (vaddr - s->vaddr))
			len = s->filesz - (vaddr - s->vaddr);
		*ret = image_bytes(m->image, vaddr, len);
		return *ret ? len : 0;
	}
	return 0;
}

struct err *core_read(struct rmem *rm, uint64_t addr, void *buf, size_t len)
{
	const struct core_file *f = (const struct core_file *)rm;
	uint8_t *to = buf;
	while (len) {
		const uint8_t *p = NULL;
		size_t n = core_bytes(f, addr, len, &p);
		if (!n)
			n = file_bytes(f, addr, len, &p);
		if (!n)
			return &err_fault;
		memcpy(to, p, n);
		to += n;
		addr += n;
		len -= n;
	}
	return NULL;
}
