/* SPDX-License-Identifier: Apache-2.0 */
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <csample/hash.h>
#include <csample/log.h>
#include <csample/mem.h>
#include <csample/strbuf.h>
#include <csample/symbols.h>
#include <csample/vec.h>

#include "fdestart.h"
#include "imagesyms.h"
#include "kallsyms.h"
#include "namecache.h"
#include "perfmap.h"
#include "residency.h"

struct symbols {
	struct images *images;
	struct strings *strings;
	struct symbols_config config;
	struct name_cache *cache;
	struct map64 perf_maps;    /* owner to struct perf_map * */
	VEC(uint32_t) ended;       /* owners that have */
	struct kallsyms *kallsyms; /* NULL: not read yet */
	struct residency residency;
};

struct symbols *symbols_create(struct images *images, struct strings *strings,
                               const struct symbols_config *config)
{
	struct symbols *s = mem_zalloc(sizeof(*s));
	s->images = images;
	s->strings = strings;
	if (config)
		s->config = *config;
	s->cache = name_cache_create();
	return s;
}

void symbols_destroy(struct symbols *s)
{
	if (!s)
		return;
	for (size_t i = 0; i < s->perf_maps.cap; i++)
		if (s->perf_maps.slots[i].used)
			perf_map_destroy((void *)(uintptr_t)s->perf_maps.slots[i].value);
	map64_free(&s->perf_maps);
	vec_free(&s->ended);
	kallsyms_destroy(s->kallsyms);
	name_cache_destroy(s->cache);
	residency_deinit(&s->residency);
	free(s);
}

void symbols_prepare_image(struct symbols *s, struct image *img)
{
	(void)s;
	image_symbols_get(img);
}

void symbols_add_process(struct symbols *s, uint32_t owner, int root_fd, int32_t ns_pid,
                         uint32_t uid)
{
	for (size_t i = 0; i < s->ended.n; i++) /* its number was given out again */
		if (s->ended.items[i] == owner)
			s->ended.items[i--] = s->ended.items[--s->ended.n];
	uint64_t *slot = map64_put(&s->perf_maps, owner);
	perf_map_destroy((void *)(uintptr_t)*slot);
	struct perf_map *m = perf_map_create(root_fd, ns_pid, (int32_t)owner, uid);
	*slot = (uintptr_t)m;
	/* Open it while the process and its root exist. */
	const char *name;
	size_t len;
	perf_map_find(m, 0, &name, &len);
}

void symbols_end_process(struct symbols *s, uint32_t owner)
{
	if (map64_get(&s->perf_maps, owner))
		*vec_add(&s->ended) = owner;
}

void symbols_collect(struct symbols *s)
{
	for (size_t i = 0; i < s->ended.n; i++) {
		uint64_t *map = map64_get(&s->perf_maps, s->ended.items[i]);
		if (!map)
			continue;
		perf_map_destroy((struct perf_map *)(uintptr_t)*map);
		*map = 0;
	}
	if (s->ended.n)
		map64_compact(&s->perf_maps);
	vec_free(&s->ended);
}

static const char *basename_of(const char *path)
{
	const char *slash = strrchr(path, '/');
	return slash && slash[1] ? slash + 1 : path;
}

static const char *format(struct symbols *s, const char *fmt, ...)
        __attribute__((format(printf, 2, 3)));

static const char *format(struct symbols *s, const char *fmt, ...)
{
	char text[512];
	va_list ap;
	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	return intern(s->strings, text);
}

/* Of what comes and goes: processes, threads, generated code. */
static const char *format_passing(struct symbols *s, const char *fmt, ...)
        __attribute__((format(printf, 2, 3)));

static const char *format_passing(struct symbols *s, const char *fmt, ...)
{
	char text[512];
	va_list ap;
	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	return intern_passing(s->strings, text, strlen(text));
}

static const char *pretty(struct symbols *s, const char *name)
{
	_cleanup_free_ char *text = s->config.no_demangle ? NULL : demangle(name);
	return text ? intern(s->strings, text) : name;
}

static void drop_pages(void *arg)
{
	struct symbols *s = arg;
	for (uint32_t id = 1; id <= images_count(s->images); id++) {
		struct image *img = images_get(s->images, id);
		if (img->symbols_data)
			image_symbols_drop_pages(img->symbols_data);
	}
}

/* A return address may be the first of the next function, or of the next line. */
static uint64_t lookup_addr(const struct raw_frame *raw)
{
	return raw->addr - (raw->flags & RAW_RETURN && raw->addr ? 1 : 0);
}

static size_t name_native(struct symbols *s, const struct raw_frame *raw, struct frame *out,
                          size_t max)
{
	struct image *img = images_get(s->images, raw->owner);
	if (!img) {
		out[0] = (struct frame){.kind = FRAME_NATIVE,
		                        .function = format(s, "[unknown module]+0x%llx",
		                                           (unsigned long long)raw->addr)};
		return 1;
	}
	struct code_frame found[SYMBOLS_MAX_INLINED];
	if (max > SYMBOLS_MAX_INLINED)
		max = SYMBOLS_MAX_INLINED;
	if (s->config.no_inlines)
		max = 1;
	size_t n = image_symbols_find(image_symbols_get(img), s->strings, lookup_addr(raw),
	                              !s->config.no_debuginfod, found, max);
	for (size_t i = 0; i < n; i++)
		out[i] = (struct frame){
		        .kind = found[i].inlined ? FRAME_INLINED : FRAME_NATIVE,
		        .function = found[i].name ? pretty(s, found[i].name) : NULL,
		        .module = img->path,
		        .file = found[i].file,
		        .line = found[i].line,
		        .column = found[i].column,
		};
	if (!n) {
		out[0] = (struct frame){.kind = FRAME_NATIVE, .module = img->path};
		n = 1;
	}
	/* Without a name, all of a function is still one. */
	uint64_t addr = raw->addr;
	if (!out[n - 1].function)
		fde_start(img, lookup_addr(raw), &addr);
	for (size_t i = 0; i < n; i++)
		if (!out[i].function)
			out[i].function = format(s, "%s+0x%llx", basename_of(img->path),
			                         (unsigned long long)addr);
	residency_check(&s->residency, drop_pages, s);
	return n;
}

static void name_anonymous(struct symbols *s, const struct raw_frame *raw, struct frame *out)
{
	const char *mapping = (const char *)(uintptr_t)raw->aux;
	const char *module = mapping && *mapping ? mapping : "[anon]";
	uint64_t *map = map64_get(&s->perf_maps, raw->owner);
	const char *name;
	size_t len;
	*out = (struct frame){.kind = FRAME_NATIVE};
	if (map &&
	    perf_map_find((struct perf_map *)(uintptr_t)*map, lookup_addr(raw), &name, &len)) {
		out->function = intern_passing(s->strings, name, len);
		out->module = intern(s->strings, "[jit]");
		return;
	}
	out->module = intern(s->strings, module);
	out->function = format_passing(s, "%.400s+0x%llx", basename_of(module),
	                               (unsigned long long)raw->addr);
}

static void name_kernel(struct symbols *s, const struct raw_frame *raw, struct frame *out)
{
	bool hidden = false;
	if (!s->kallsyms)
		s->kallsyms = kallsyms_read("/proc/kallsyms", &hidden);
	if (hidden)
		log_warn("kernel functions have no names, because /proc/kallsyms shows no "
		         "addresses: "
		         "run csample as root or with CAP_SYSLOG, and set sysctl "
		         "kernel.kptr_restrict "
		         "to 1 or 0");
	const char *name, *module = NULL;
	*out = (struct frame){.kind = FRAME_KERNEL};
	if (kallsyms_find(s->kallsyms, lookup_addr(raw), &name, &module))
		out->function = intern(s->strings, name);
	else
		out->function = format(s, "[kernel]+0x%llx", (unsigned long long)raw->addr);
	out->module = module ? format(s, "[%.200s]", module) : intern(s->strings, "[kernel]");
}

static void name_mark(struct symbols *s, const struct raw_frame *raw, struct frame *out)
{
	const char *text = (const char *)(uintptr_t)raw->aux;
	*out = (struct frame){.kind = FRAME_MARK, .function = text ? text : "[unknown]"};
	if (raw->kind == RAW_THREAD || raw->kind == RAW_PROCESS)
		out->function = format_passing(s, "%.400s (%u)", text ? text : "?", raw->owner);
}

static size_t name_uncached(struct symbols *s, const struct raw_frame *raw, struct frame *out,
                            size_t max)
{
	switch ((enum raw_kind)raw->kind) {
	case RAW_NATIVE:
		return name_native(s, raw, out, max);
	case RAW_KERNEL:
		name_kernel(s, raw, out);
		return 1;
	case RAW_ANON:
	case RAW_MARK:
	case RAW_THREAD:
	case RAW_PROCESS:
	case RAW_RUNTIME: /* its runtime's business: not asked here */
	default:
		name_mark(s, raw, out);
		return 1;
	}
}

size_t symbols_name(struct symbols *s, struct raw_frame raw, struct frame *out, size_t max)
{
	struct frame frames[SYMBOLS_MAX_INLINED];
	size_t n;
	if (raw.kind == RAW_ANON) { /* not cached: code is thrown away and its place used again */
		name_anonymous(s, &raw, out);
		return 1;
	}
	/* Nor what says its name itself: there are as many as processes that came and went. */
	if (raw.kind == RAW_MARK || raw.kind == RAW_THREAD || raw.kind == RAW_PROCESS) {
		name_mark(s, &raw, out);
		return 1;
	}
	const struct frame *known = name_cache_get(s->cache, &raw, &n);
	if (!known) {
		n = name_uncached(s, &raw, frames, SYMBOLS_MAX_INLINED);
		known = name_cache_put(s->cache, &raw, frames, n);
	}
	/* The function that really exists is always among what fits. */
	size_t inlined = n - 1 < max - 1 ? n - 1 : max - 1;
	memcpy(out, known, inlined * sizeof(*out));
	out[inlined] = known[n - 1];
	return inlined + 1;
}

bool symbols_lookup_name(struct symbols *s, struct image *img, uint64_t vaddr,
                         const char **name_ret, uint64_t *start_ret)
{
	struct elfsym_name sym;
	if (!image_symbols_lookup(image_symbols_get(img), vaddr, &sym))
		return false;
	*name_ret = intern_n(s->strings, sym.name, sym.len);
	*start_ret = sym.start;
	return true;
}

void symbols_source(struct symbols *s, struct image *img, struct symbols_source *ret)
{
	struct image_origin origin;
	image_symbols_origin(image_symbols_get(img), &origin);
	*ret = (struct symbols_source){.has_functions = origin.has_functions,
	                               .has_lines = origin.has_lines,
	                               .has_inlines = origin.has_inlines,
	                               .origin = intern(s->strings, origin.text)};
}
