/* SPDX-License-Identifier: Apache-2.0 */
#ifndef CAPTURE_EXCERPT_H
#define CAPTURE_EXCERPT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <csample/image.h>
#include <csample/strbuf.h>

/* Appends an ELF file to b that has of img: the header, the segments (without their bytes), the
 * build id, names and addresses of sections, those of symbols (NULL-terminated) that it defines
 * with up to 16 bytes of each. Names with a dot are of sections: small ones keep their bytes. Names
 * that end in a star are of all symbols that begin so; but of functions only those that hold one of
 * the addresses (as linked), the first and the last. True if img has any of them. */
bool excerpt_image(const struct image *img, const char *const *symbols, const uint64_t *addrs,
                   size_t n_addrs, struct strbuf *b);

#endif
