/* SPDX-License-Identifier: Apache-2.0 */
#include <elf.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <zlib.h>

#include <csample/hash.h>
#include <csample/recorded.h>
#include <csample/recording.h>
#include <csample/strbuf.h>
#include <csample/vec.h>

#include "excerpt.h"
#include "recording_format.h"

#define PAGE 4096u

/* What is known of a page of the target. */
struct page {
	uint64_t addr;
	uint8_t bytes[PAGE];
	bool known[PAGE];
};

struct place {
	uint32_t image;
	uint64_t addr;
};

struct recorder {
	struct rmem rm; /* first */
	struct target *target;
	struct rmem *before;          /* target->rm, to be put back */
	struct map64 pages;           /* address to struct page * */
	struct map64 used;            /* image id */
	struct map64 asked;           /* hash of image and address */
	struct strbuf names, threads; /* chunks' contents; whole chunks */
	VEC(struct place) places;     /* of native frames */
};

static void add_u32(struct strbuf *b, uint32_t v)
{
	strbuf_addn(b, (const char *)&v, sizeof(v));
}

static void add_u64(struct strbuf *b, uint64_t v)
{
	strbuf_addn(b, (const char *)&v, sizeof(v));
}

static void add_cstr(struct strbuf *b, const char *s)
{
	strbuf_addn(b, s, strlen(s) + 1);
}

static void add_chunk(struct strbuf *b, uint32_t tag, const void *bytes, size_t len)
{
	add_u32(b, tag);
	add_u32(b, (uint32_t)len);
	if (len)
		strbuf_addn(b, bytes, len);
}

static struct page *page_at(struct recorder *r, uint64_t addr)
{
	uint64_t *slot = map64_put(&r->pages, addr);
	if (!*slot) {
		struct page *page = mem_zalloc(sizeof(*page));
		page->addr = addr;
		*slot = (uintptr_t)page;
	}
	return (struct page *)(uintptr_t)*slot;
}

static void keep(struct recorder *r, uint64_t addr, const uint8_t *bytes, size_t len)
{
	while (len) {
		uint64_t at = addr % PAGE;
		size_t n = PAGE - at < len ? PAGE - at : len;
		struct page *page = page_at(r, addr - at);
		memcpy(page->bytes + at, bytes, n);
		memset(page->known + at, 1, n);
		addr += n;
		bytes += n;
		len -= n;
	}
}

static struct err *read_and_keep(struct rmem *rm, uint64_t addr, void *buf, size_t len)
{
	struct recorder *r = (struct recorder *)rm;
	struct err *err = rmem_read(r->before, addr, buf, len);
	if (!err)
		keep(r, addr, buf, len);
	return err;
}

struct recorder *recorder_create(struct target *t)
{
	struct recorder *r = mem_zalloc(sizeof(*r));
	r->rm.read = read_and_keep;
	r->target = t;
	r->before = t->rm;
	t->rm = &r->rm;
	return r;
}

void recorder_destroy(struct recorder *r)
{
	if (!r)
		return;
	r->target->rm = r->before;
	for (size_t i = 0; i < r->pages.cap; i++)
		if (r->pages.slots[i].used)
			free((void *)(uintptr_t)r->pages.slots[i].value);
	map64_free(&r->pages);
	map64_free(&r->used);
	map64_free(&r->asked);
	strbuf_free(&r->names);
	strbuf_free(&r->threads);
	vec_free(&r->places);
	free(r);
}

void recorder_add_name(struct recorder *r, const struct image *img, uint64_t vaddr,
                       const char *name, uint64_t start)
{
	uint64_t *asked = map64_put(&r->asked, hash_mix(img->id, vaddr));
	if ((*asked)++)
		return;
	*map64_put(&r->used, img->id) = 1;
	add_u32(&r->names, img->id); /* numbered anew when written */
	add_u64(&r->names, vaddr);
	add_u64(&r->names, start);
	add_cstr(&r->names, name);
}

static void add_stack(struct recorder *r, const struct stack *stack)
{
	struct strbuf b = {0};
	add_u32(&b, stack->end);
	for (size_t i = 0; i < stack->n; i++) {
		const struct raw_frame *raw = &stack->frames[i];
		if (raw->kind == RAW_NATIVE)
			*map64_put(&r->used, raw->owner) = 1;
		if (raw->kind == RAW_NATIVE)
			*vec_add(&r->places) = (struct place){raw->owner, raw->addr};
		strbuf_addc(&b, (char)raw->kind);
		strbuf_addc(&b, (char)raw->flags);
		add_u32(&b, raw->kind == RAW_NATIVE ? raw->owner : NO_IMAGE);
		add_u64(&b, raw->addr);
		add_u64(&b, stack->cfas[i]);
	}
	add_chunk(&r->threads, TAG_STAK, b.s, b.len);
	strbuf_free(&b);
}

struct err *recorder_add_thread(struct recorder *r, const struct snapshot *snap,
                                const struct stack *native)
{
	char *text = NULL;
	size_t len = 0;
	FILE *f = open_memstream(&text, &len);
	if (!f)
		return err_errno(errno, "record a thread");
	struct err *err = recorded_write(f, snap);
	fclose(f);
	if (!err) {
		add_chunk(&r->threads, TAG_SNAP, text, len);
		add_stack(r, native);
	}
	free(text);
	return err;
}

/* ---- the file ---- */

static void add_process(const struct target *t, struct strbuf *out)
{
	struct strbuf b = {0};
	add_u32(&b, (uint32_t)t->pid);
	add_u32(&b, (uint32_t)t->ns_pid);
#if defined(__x86_64__)
	add_u32(&b, EM_X86_64);
#else
	add_u32(&b, EM_AARCH64);
#endif
	add_u64(&b, t->start_time);
	add_cstr(&b, t->comm);
	add_cstr(&b, t->command);
	add_chunk(out, TAG_PROC, b.s, b.len);
	strbuf_clear(&b);
	strbuf_free(&b);
}

/* Images that matter, by their ids: those of frames, and those with symbols of a runtime. */
static void add_images(struct recorder *r, const char *const *symbols, struct map64 *numbers,
                       struct strbuf *out)
{
	uint64_t n = 0;
	for (size_t i = 0; i < r->target->maps.n; i++) {
		const struct image *img = r->target->maps.items[i].image;
		if (!img || map64_get(numbers, img->id))
			continue;
		struct strbuf b = {0};
		VEC(uint64_t) addrs = {0};
		for (size_t k = 0; k < r->places.n; k++)
			if (r->places.items[k].image == img->id)
				*vec_add(&addrs) = r->places.items[k].addr;
		add_cstr(&b, img->path);
		bool found = excerpt_image(img, symbols, addrs.items, addrs.n, &b);
		vec_free(&addrs);
		if (found || map64_get(&r->used, img->id)) {
			add_chunk(out, TAG_IMAG, b.s, b.len);
			*map64_put(numbers, img->id) = n++;
		}
		strbuf_free(&b);
	}
}

static uint32_t number_of(const struct map64 *numbers, uint32_t id)
{
	const uint64_t *number = map64_get(numbers, id);
	return number ? (uint32_t)*number : NO_IMAGE;
}

static void add_maps(const struct target *t, const struct map64 *numbers, struct strbuf *out)
{
	struct strbuf b = {0};
	for (size_t i = 0; i < t->maps.n; i++) {
		const struct mapping *m = &t->maps.items[i];
		add_u64(&b, m->start);
		add_u64(&b, m->end);
		add_u64(&b, m->offset);
		add_u64(&b, m->bias);
		add_u32(&b, m->image ? number_of(numbers, m->image->id) : NO_IMAGE);
		add_u32(&b, (m->readable ? RIGHT_READ : 0) | (m->writable ? RIGHT_WRITE : 0) |
		                    (m->executable ? RIGHT_EXECUTE : 0));
		add_cstr(&b, m->name);
	}
	add_chunk(out, TAG_MAPS, b.s, b.len);
	strbuf_free(&b);
}

/* Image ids become the numbers of their chunks, in place. */
static void renumber(const struct map64 *numbers, char *at)
{
	uint32_t id;
	memcpy(&id, at, sizeof(id));
	id = id == NO_IMAGE ? NO_IMAGE : number_of(numbers, id);
	memcpy(at, &id, sizeof(id));
}

static void renumber_all(struct recorder *r, const struct map64 *numbers)
{
	for (size_t at = 0; at < r->names.len;) {
		renumber(numbers, r->names.s + at);
		at += 4 + 8 + 8;
		at += strlen(r->names.s + at) + 1;
	}
	for (size_t at = 0; at < r->threads.len;) {
		uint32_t head[2];
		memcpy(head, r->threads.s + at, sizeof(head));
		at += sizeof(head);
		for (size_t i = 4; head[0] == TAG_STAK && i + 22 <= head[1]; i += 22)
			renumber(numbers, r->threads.s + at + i + 2);
		at += head[1];
	}
}

static int compare_pages(const void *a, const void *b)
{
	const struct page *x = *(struct page *const *)a, *y = *(struct page *const *)b;
	return (x->addr > y->addr) - (x->addr < y->addr);
}

/* Runs of known bytes, across pages. */
static void add_memory(const struct recorder *r, struct strbuf *out)
{
	VEC(struct page *) pages = {0};
	for (size_t i = 0; i < r->pages.cap; i++)
		if (r->pages.slots[i].used)
			*vec_add(&pages) = (struct page *)(uintptr_t)r->pages.slots[i].value;
	if (pages.n)
		qsort(pages.items, pages.n, sizeof(*pages.items), compare_pages);
	struct strbuf run = {0};
	uint64_t next = 0;
	for (size_t i = 0; i < pages.n; i++) {
		const struct page *page = pages.items[i];
		for (size_t k = 0; k < PAGE; k++) {
			uint64_t addr = page->addr + k;
			if (!page->known[k])
				continue;
			if (run.len && addr != next) {
				add_chunk(out, TAG_MEMO, run.s, run.len);
				strbuf_clear(&run);
			}
			if (!run.len)
				add_u64(&run, addr);
			strbuf_addc(&run, (char)page->bytes[k]);
			next = addr + 1;
		}
	}
	if (run.len)
		add_chunk(out, TAG_MEMO, run.s, run.len);
	strbuf_free(&run);
	vec_free(&pages);
}

static struct err *write_packed(const char *path, const struct strbuf *b)
{
	gzFile gz = gzopen(path, "wb9");
	if (!gz)
		return err_errno(errno, "open %s", path);
	bool ok = gzwrite(gz, b->s, (unsigned)b->len) == (int)b->len;
	int result = gzclose(gz);
	return ok && result == Z_OK ? NULL : err_errno(errno, "write %s", path);
}

struct err *recorder_write(struct recorder *r, const char *path, const char *const *symbols)
{
	struct strbuf out = {0};
	struct map64 numbers = {0};
	const struct target *t = r->target;
	strbuf_addn(&out, RECORDING_MAGIC, strlen(RECORDING_MAGIC));
	add_process(t, &out);
	pid_t *tids = NULL;
	size_t n_tids = 0;
	struct err *err = target_threads(r->target, &tids, &n_tids);
	if (!err) {
		add_chunk(&out, TAG_TIDS, tids, n_tids * sizeof(*tids));
		add_images(r, symbols, &numbers, &out);
		add_maps(t, &numbers, &out);
		renumber_all(r, &numbers);
		add_chunk(&out, TAG_NAME, r->names.s, r->names.len);
		add_memory(r, &out);
		strbuf_addn(&out, r->threads.s, r->threads.len);
		err = write_packed(path, &out);
	}
	free(tids);
	map64_free(&numbers);
	strbuf_free(&out);
	return err;
}
