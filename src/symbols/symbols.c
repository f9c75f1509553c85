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

#include "imagesyms.h"
#include "namecache.h"
#include "residency.h"

struct symbols {
	struct images *images;
	struct strings *strings;
	struct symbols_config config;
	struct name_cache *cache;
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
	name_cache_destroy(s->cache);
	residency_deinit(&s->residency);
	free(s);
}

void symbols_prepare_image(struct symbols *s, struct image *img)
{
	(void)s;
	image_symbols_get(img);
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
	struct dwarf_frame found[SYMBOLS_MAX_INLINED];
	if (max > SYMBOLS_MAX_INLINED)
		max = SYMBOLS_MAX_INLINED;
	if (s->config.no_inlines)
		max = 1;
	uint64_t lookup = raw->addr - (raw->flags & RAW_RETURN ? 1 : 0);
	size_t n = image_symbols_find(image_symbols_get(img), s->strings, lookup,
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
	for (size_t i = 0; i < n; i++)
		if (!out[i].function)
			out[i].function = format(s, "%s+0x%llx", basename_of(img->path),
			                         (unsigned long long)raw->addr);
	residency_check(&s->residency, drop_pages, s);
	return n;
}

static void name_anonymous(struct symbols *s, const struct raw_frame *raw, struct frame *out)
{
	const char *mapping = (const char *)(uintptr_t)raw->aux;
	const char *module = mapping && *mapping ? mapping : "[anon]";
	*out = (struct frame){.kind = FRAME_NATIVE, .module = module};
	out->function =
	        format(s, "%.400s+0x%llx", basename_of(module), (unsigned long long)raw->addr);
}

static void name_mark(struct symbols *s, const struct raw_frame *raw, struct frame *out)
{
	const char *text = (const char *)(uintptr_t)raw->aux;
	*out = (struct frame){.kind = FRAME_MARK, .function = text ? text : "[unknown]"};
	if (raw->kind == RAW_THREAD || raw->kind == RAW_PROCESS)
		out->function = format(s, "%.400s (%u)", text ? text : "?", raw->owner);
}

static size_t name_uncached(struct symbols *s, const struct raw_frame *raw, struct frame *out,
                            size_t max)
{
	switch ((enum raw_kind)raw->kind) {
	case RAW_NATIVE:
		return name_native(s, raw, out, max);
	case RAW_ANON:
		name_anonymous(s, raw, out);
		return 1;
	case RAW_KERNEL:
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
