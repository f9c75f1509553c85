/* SPDX-License-Identifier: Apache-2.0 */
/* A heap of V8's objects made for a layout, read as another process's memory would be. */
#ifndef TEST_NODE_HEAP_H
#define TEST_NODE_HEAP_H

#include <stdint.h>
#include <string.h>

#include "../../../runtimes/node/node.h"

#define HEAP_BASE  0x200000000ULL
#define HEAP_WORDS 16384

struct heap {
	struct rmem rm; /* first */
	uint64_t words[HEAP_WORDS];
	size_t n;
	struct target target;
	struct v8 v8;
	struct map64 maps; /* type -> tagged map */
	unsigned reads;
};

static inline struct err *heap_read(struct rmem *rm, uint64_t addr, void *buf, size_t len)
{
	struct heap *h = (struct heap *)rm;
	h->reads++;
	if (addr < HEAP_BASE || addr - HEAP_BASE > sizeof(h->words) ||
	    len > sizeof(h->words) - (addr - HEAP_BASE))
		return &err_fault;
	memcpy(buf, (uint8_t *)h->words + (addr - HEAP_BASE), len);
	return NULL;
}

static inline uint64_t *heap_at(struct heap *h, uint64_t tagged)
{
	return h->words + (tagged - 1 - HEAP_BASE) / 8;
}

static inline uint64_t heap_alloc(struct heap *h, size_t n_words)
{
	uint64_t tagged = HEAP_BASE + h->n * 8 + 1;
	h->n += n_words;
	return tagged;
}

static inline uint64_t heap_map(struct heap *h, uint32_t type)
{
	uint64_t *known = map64_put(&h->maps, type);
	if (!*known) {
		*known = heap_alloc(h, 2);
		heap_at(h, *known)[0] = HEAP_BASE + 1; /* some map */
		heap_at(h, *known)[1] = (uint64_t)type << 32;
	}
	return *known;
}

static inline uint64_t heap_object(struct heap *h, uint32_t type, size_t n_words)
{
	uint64_t map = heap_map(h, type), tagged = heap_alloc(h, n_words);
	heap_at(h, tagged)[0] = map;
	return tagged;
}

static inline uint64_t smi(int32_t v)
{
	return (uint64_t)(uint32_t)v << 32;
}

static inline uint64_t heap_string(struct heap *h, const char *s)
{
	size_t n = strlen(s);
	uint64_t tagged = heap_object(h, 8, 2 + n / 8 + 1); /* sequential, one byte */
	heap_at(h, tagged)[1] = (uint64_t)n << 32;
	memcpy(heap_at(h, tagged) + 2, s, n);
	return tagged;
}

static inline uint64_t heap_bytes(struct heap *h, uint32_t type, const void *p, size_t n)
{
	uint64_t tagged = heap_object(h, type, 2 + n / 8 + 1);
	heap_at(h, tagged)[1] = smi((int32_t)n);
	memcpy(heap_at(h, tagged) + 2, p, n);
	return tagged;
}

static inline void put_field(struct heap *h, uint64_t tagged, struct field f, uint64_t value)
{
	memcpy((uint8_t *)heap_at(h, tagged) + f.at, &value, f.width);
}

static inline void heap_init(struct heap *h, const struct v8_layout *l)
{
	memset(h, 0, sizeof(*h));
	h->rm.read = heap_read;
	h->target.rm = &h->rm;
	h->n = 2;
	h->v8.base.target = &h->target;
	h->v8.layout = *l;
	h->v8.strings = strings_create();
	h->v8.functions = v8_functions_create();
	h->v8.scripts = v8_scripts_create();
	h->v8.codes = v8_codes_create();
	h->v8.serial = h->v8.walk = 1;
}

static inline void heap_deinit(struct heap *h)
{
	v8_functions_destroy(h->v8.functions);
	v8_scripts_destroy(h->v8.scripts);
	v8_codes_destroy(h->v8.codes);
	map64_free(&h->v8.types);
	map64_free(&h->maps);
	strings_destroy(h->v8.strings);
}

/* A ScopeInfo of so many locals. */
static inline uint64_t heap_scope(struct heap *h, uint64_t name, uint64_t inferred, int32_t n,
                                  unsigned receiver, bool is_module, int32_t start)
{
	const struct v8_layout *l = &h->v8.layout;
	uint64_t tagged = heap_object(h, l->type.scope_info, (size_t)n * 2 + 24);
	uint64_t *w = heap_at(h, tagged);
	uint32_t flags = (is_module ? l->scope.module : l->scope.function) | receiver << 7 |
	                 (name ? 1u << 12 : 0) | (inferred ? 1u << 14 : 0);
	bool new_form = field_known(l->scope.start);
	w[1] = new_form ? flags : smi((int32_t)flags);
	w[2] = smi(1);
	w[3] = smi(n);
	size_t at = l->scope.variables / 8;
	if (new_form) {
		w[4] = smi(start);
		w[5] = smi(start + 10);
	}
	if (is_module && l->scope.module_slot)
		w[at++] = smi(77);
	if (l->scope.inline_names && (uint32_t)n >= l->scope.inline_names)
		w[at++] = heap_string(h, "not a name: a table");
	else
		for (int32_t i = 0; i < n; i++)
			w[at++] = heap_string(h, "local");
	for (int32_t i = 0; i < n; i++)
		w[at++] = smi(i);
	if (l->scope.has_receiver && (receiver == 1 || receiver == 2))
		w[at++] = smi(3);
	if (name) {
		w[at++] = name;
		w[at++] = smi(0);
	}
	if (inferred)
		w[at++] = inferred;
	if (!new_form) {
		w[at++] = smi(start);
		w[at++] = smi(start + 10);
	}
	return tagged;
}

static inline uint64_t heap_script(struct heap *h, const char *source, const char *name)
{
	uint64_t tagged = heap_object(h, h->v8.layout.type.script, 12);
	uint64_t text = heap_string(h, source), title = heap_string(h, name);
	heap_at(h, tagged)[1] = text;
	heap_at(h, tagged)[2] = title;
	return tagged;
}

static inline uint64_t heap_shared(struct heap *h, uint64_t name_or_scope, uint64_t script)
{
	const struct v8_layout *l = &h->v8.layout;
	uint64_t tagged = heap_object(h, l->type.shared, 8);
	put_field(h, tagged, l->shared.name, name_or_scope);
	put_field(h, tagged, l->shared.script, script);
	return tagged;
}

#endif
