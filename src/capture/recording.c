/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <zlib.h>

#include <csample/bytes.h>
#include <csample/hash.h>
#include <csample/recorded.h>
#include <csample/recording.h>
#include <csample/vec.h>

#include "recording_format.h"

#define MAX_BYTES   ((size_t)64 << 20)
#define MAX_IMAGES  256
#define MAX_THREADS 256
#define READ_STEP   ((size_t)1 << 16)

struct range {
	uint64_t addr;
	const uint8_t *bytes;
	size_t len;
};

struct recording_data {
	struct rmem rm;           /* first */
	uint8_t *bytes;           /* the whole file */
	VEC(struct range) ranges; /* sorted by address */
	VEC(struct image *) images;
	VEC(struct recorded_thread) threads;
	VEC(struct mapping) mappings;
	struct map64 names; /* hash of image and address to index + 1 */
	VEC(struct name {
		const char *name;
		uint64_t start;
	})
	named;
	struct images *all;
	struct strings *strings;
};

static struct err *read_recorded(struct rmem *rm, uint64_t addr, void *buf, size_t len)
{
	const struct recording_data *d = (const struct recording_data *)rm;
	size_t lo = 0, hi = d->ranges.n;
	while (lo < hi) {
		size_t mid = lo + (hi - lo) / 2;
		if (d->ranges.items[mid].addr <= addr)
			lo = mid + 1;
		else
			hi = mid;
	}
	const struct range *range = lo ? &d->ranges.items[lo - 1] : NULL;
	uint64_t at = range ? addr - range->addr : 0;
	if (!range || at > range->len || len > range->len - at)
		return &err_fault;
	memcpy(buf, range->bytes + at, len);
	return NULL;
}

static bool read_process(struct recording *r, struct bytes *b)
{
	struct target *t = r->target;
	t->pid = (pid_t)bytes_u32(b);
	t->ns_pid = (pid_t)bytes_u32(b);
	bytes_u32(b); /* the machine; images tell */
	t->start_time = bytes_u64(b);
	const char *comm = bytes_cstr(b), *command = comm ? bytes_cstr(b) : NULL;
	if (!command || t->command)
		return false;
	snprintf(t->comm, sizeof(t->comm), "%s", comm);
	memcpy(t->name, t->comm, sizeof(t->name));
	t->command = mem_strdup(command);
	t->exe = mem_strdup("");
	return t->pid > 0;
}

static bool read_tids(struct recording *r, struct bytes *b)
{
	struct target *t = r->target;
	size_t n = bytes_left(b) / sizeof(pid_t);
	if (!n || t->tids)
		return false;
	t->tids = mem_realloc_array(NULL, n, sizeof(pid_t));
	t->n_tids = n;
	for (size_t i = 0; i < n; i++)
		t->tids[i] = (pid_t)bytes_u32(b);
	return true;
}

static bool read_image(struct recording *r, struct bytes *b)
{
	struct recording_data *d = r->data;
	const char *path = bytes_cstr(b);
	struct image *img = NULL;
	if (!path || d->images.n == MAX_IMAGES)
		return false;
	struct err *err = images_add_memory(d->all, b->p, bytes_left(b), path, &img);
	bool ok = !err;
	err_free(err);
	if (ok)
		*vec_add(&d->images) = img;
	return ok;
}

static struct image *image_of(const struct recording_data *d, uint32_t number)
{
	return number < d->images.n ? d->images.items[number] : NULL;
}

static bool read_maps(struct recording *r, struct bytes *b)
{
	struct recording_data *d = r->data;
	while (bytes_left(b)) {
		struct mapping m = {.start = bytes_u64(b), .end = bytes_u64(b)};
		m.offset = bytes_u64(b);
		m.bias = bytes_u64(b);
		uint32_t number = bytes_u32(b), rights = bytes_u32(b);
		const char *name = bytes_cstr(b);
		uint64_t before = d->mappings.n ? d->mappings.items[d->mappings.n - 1].end : 0;
		if (!name || m.start < before || m.start >= m.end)
			return false;
		m.name = intern(d->strings, name);
		m.image = image_of(d, number);
		m.inode = m.image ? number + 1 : 0;
		m.readable = rights & RIGHT_READ;
		m.writable = rights & RIGHT_WRITE;
		m.executable = rights & RIGHT_EXECUTE;
		*vec_add(&d->mappings) = m;
	}
	return true;
}

static bool read_names(struct recording *r, struct bytes *b)
{
	struct recording_data *d = r->data;
	while (bytes_left(b)) {
		const struct image *img = image_of(d, bytes_u32(b));
		uint64_t vaddr = bytes_u64(b), start = bytes_u64(b);
		const char *name = bytes_cstr(b);
		if (!name)
			return false;
		if (!img)
			continue;
		*map64_put(&d->names, hash_mix(img->id, vaddr)) = d->named.n + 1;
		*vec_add(&d->named) = (struct name){intern(d->strings, name), start};
	}
	return true;
}

static bool read_memory(struct recording *r, struct bytes *b)
{
	struct recording_data *d = r->data;
	struct range range = {.addr = bytes_u64(b)};
	range.bytes = b->p;
	range.len = bytes_left(b);
	const struct range *last = d->ranges.n ? &d->ranges.items[d->ranges.n - 1] : NULL;
	if (b->bad || !range.len || range.addr > UINT64_MAX - range.len ||
	    (last && range.addr - last->addr < last->len) || (last && range.addr < last->addr))
		return false;
	*vec_add(&d->ranges) = range;
	return true;
}

static bool read_thread(struct recording *r, struct bytes *b)
{
	struct recording_data *d = r->data;
	if (!bytes_left(b) || d->threads.n == MAX_THREADS)
		return false;
	_cleanup_fclose_ FILE *f = fmemopen((void *)(uintptr_t)b->p, bytes_left(b), "r");
	struct snapshot snap;
	uint8_t *bytes = NULL;
	struct err *err = f ? recorded_read(f, &snap, &bytes) : &err_nomem;
	bool ok = !err;
	err_free(err);
	if (!ok)
		return false;
	struct recorded_thread *th = vec_add(&d->threads);
	th->snap = snap;
	stack_init(&th->stack);
	return true;
}

static bool read_stack(struct recording *r, struct bytes *b)
{
	struct recording_data *d = r->data;
	if (!d->threads.n)
		return false;
	struct stack *stack = &d->threads.items[d->threads.n - 1].stack;
	uint32_t end = bytes_u32(b);
	stack_reset(stack);
	while (bytes_left(b)) {
		struct raw_frame raw = {.kind = bytes_u8(b), .flags = bytes_u8(b)};
		const struct image *img = image_of(d, bytes_u32(b));
		raw.addr = bytes_u64(b);
		uint64_t cfa = bytes_u64(b);
		bool known = raw.kind == RAW_NATIVE ? img != NULL : raw.kind == RAW_ANON;
		if (b->bad || !known || stack->n == STACK_MAX_FRAMES)
			return false;
		raw.owner = img ? img->id : (uint32_t)r->target->pid;
		if (raw.kind == RAW_ANON)
			raw.aux = (uintptr_t)intern(d->strings, "");
		stack_push(stack, raw, cfa);
	}
	stack->end = end < STACK_ENDS ? (enum stack_end)end : STACK_NO_RULE;
	return !b->bad;
}

static struct err *read_chunks(struct recording *r, struct bytes b)
{
	static const struct {
		uint32_t tag;
		bool (*read)(struct recording *r, struct bytes *b);
	} readers[] = {
	        {TAG_PROC, read_process}, {TAG_TIDS, read_tids},  {TAG_IMAG, read_image},
	        {TAG_MAPS, read_maps},    {TAG_NAME, read_names}, {TAG_MEMO, read_memory},
	        {TAG_SNAP, read_thread},  {TAG_STAK, read_stack},
	};
	while (bytes_left(&b)) {
		uint32_t tag = bytes_u32(&b), size = bytes_u32(&b);
		const uint8_t *p = bytes_take(&b, size);
		bool ok = false;
		for (size_t i = 0; i < ARRAY_SIZE(readers); i++) {
			if (p && readers[i].tag == tag) {
				struct bytes chunk = bytes_over(p, size);
				ok = readers[i].read(r, &chunk);
			}
		}
		if (!ok)
			return err_new(ERR_FORMAT, "not a recording, or a damaged one: chunk %.4s",
			               (const char *)&tag);
	}
	if (!r->target->tids || !r->target->command)
		return err_new(ERR_FORMAT, "a recording without a process");
	return NULL;
}

struct err *recording_read(const uint8_t *bytes, size_t len, struct images *images,
                           struct strings *strings, struct recording **ret)
{
	static const size_t magic = sizeof(RECORDING_MAGIC) - 1;
	if (len < magic || memcmp(bytes, RECORDING_MAGIC, magic) != 0)
		return err_new(ERR_FORMAT, "not a recording");
	struct recording *r = mem_zalloc(sizeof(*r));
	struct recording_data *d = r->data = mem_zalloc(sizeof(*d));
	struct target *t = r->target = mem_zalloc(sizeof(*t));
	d->rm.read = read_recorded;
	d->all = images;
	d->strings = strings;
	d->bytes = mem_alloc(len);
	memcpy(d->bytes, bytes, len);
	t->proc_fd = t->root_fd = t->pid_fd = -1;
	t->images = images;
	t->strings = strings;
	t->rm = &d->rm;
	rmem_live_init(&t->mem, -1);
	struct err *err = read_chunks(r, bytes_over(d->bytes + magic, len - magic));
	r->threads = d->threads.items;
	r->n_threads = d->threads.n;
	t->maps = (struct maps){d->mappings.items, d->mappings.n, 1};
	t->argv = mem_zalloc(sizeof(*t->argv));
	if (err) {
		recording_destroy(r);
		return err;
	}
	*ret = r;
	return NULL;
}

struct err *recording_load(const char *path, struct images *images, struct strings *strings,
                           struct recording **ret)
{
	gzFile gz = gzopen(path, "rb");
	if (!gz)
		return err_errno(errno, "open %s", path);
	VEC(uint8_t) v = {0};
	int n = 0;
	do {
		v.cap = v.n + READ_STEP;
		v.items = mem_realloc_array(v.items, v.cap, 1);
		n = gzread(gz, v.items + v.n, READ_STEP);
		v.n += n > 0 ? (size_t)n : 0;
	} while (n > 0 && v.n < MAX_BYTES);
	gzclose(gz);
	struct err *err = n ? err_new(ERR_FORMAT, "it is cut, or too long")
	                    : recording_read(v.items, v.n, images, strings, ret);
	vec_free(&v);
	return err ? err_wrap(err, "%s", path) : NULL;
}

void recording_destroy(struct recording *r)
{
	if (!r)
		return;
	struct recording_data *d = r->data;
	for (size_t i = 0; i < d->threads.n; i++) {
		free(d->threads.items[i].snap.bytes);
		stack_deinit(&d->threads.items[i].stack);
	}
	target_close(r->target); /* mappings too */
	vec_free(&d->ranges);
	vec_free(&d->images);
	vec_free(&d->threads);
	vec_free(&d->named);
	map64_free(&d->names);
	free(d->bytes);
	free(d);
	free(r);
}

bool recording_name(void *arg, struct image *img, uint64_t vaddr, const char **name_ret,
                    uint64_t *start_ret)
{
	const struct recording_data *d = ((const struct recording *)arg)->data;
	const uint64_t *index = map64_get(&d->names, hash_mix(img->id, vaddr));
	if (!index)
		return false;
	*name_ret = d->named.items[*index - 1].name;
	*start_ret = d->named.items[*index - 1].start;
	return true;
}
