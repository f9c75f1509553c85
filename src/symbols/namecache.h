/* SPDX-License-Identifier: Apache-2.0 */
/* Frames by raw frame, of bounded size: what was asked for recently stays. */
#ifndef SYMBOLS_NAMECACHE_H
#define SYMBOLS_NAMECACHE_H

#include <stddef.h>

#include <csample/frame.h>

struct name_cache;
struct name_cache *name_cache_create(void);
void name_cache_destroy(struct name_cache *c);
/* The frames, valid until the next put; NULL: not there. */
const struct frame *name_cache_get(struct name_cache *c, const struct raw_frame *raw,
                                   size_t *n_ret);
/* Copies frames; returns the copy. */
const struct frame *name_cache_put(struct name_cache *c, const struct raw_frame *raw,
                                   const struct frame *frames, size_t n);
void name_cache_clear(struct name_cache *c);
size_t name_cache_bytes(const struct name_cache *c);

#endif
