/* SPDX-License-Identifier: Apache-2.0 */
#include "roles.h"

#include <stddef.h>

#define MAX_KNOWN    ((size_t)1 << 17)
#define ADDRESS_BITS 48

void roles_init(struct roles *r, struct runtime *rt, struct images *images, decoder_namer *namer,
                void *namer_arg)
{
	*r = (struct roles){rt, images, namer, namer_arg, {0}};
}

void roles_deinit(struct roles *r)
{
	map64_free(&r->known);
}

static enum native_role ask(const struct roles *r, struct image *img, uint64_t addr)
{
	const char *name = NULL;
	uint64_t start = addr;
	if (!r->namer || !r->namer(r->namer_arg, img, addr, &name, &start)) {
		name = NULL;
		start = addr;
	}
	return r->rt->ops->role(r->rt, img, name, start);
}

enum native_role roles_of(void *arg, const struct raw_frame *raw)
{
	struct roles *r = arg;
	uint64_t addr = raw->addr - (raw->flags & RAW_RETURN && raw->addr ? 1 : 0);
	if (raw->kind == RAW_ANON) {
		/* With a name it is of a file that could not be opened, or of a stack or heap. */
		const char *name = (const char *)(uintptr_t)raw->aux;
		return name && !*name ? r->rt->ops->role(r->rt, NULL, NULL, addr) : ROLE_NONE;
	}
	struct image *img = raw->kind == RAW_NATIVE ? images_get(r->images, raw->owner) : NULL;
	if (!img)
		return ROLE_NONE;
	if (addr >> ADDRESS_BITS || img->id >> (64 - ADDRESS_BITS)) /* does not fit into a key */
		return ask(r, img, addr);
	if (r->known.n >= MAX_KNOWN)
		map64_clear(&r->known);
	uint64_t *known = map64_put(&r->known, (uint64_t)img->id << ADDRESS_BITS | addr);
	if (!*known)
		*known = (uint64_t)ask(r, img, addr) + 1;
	return (enum native_role)(*known - 1);
}
