/* SPDX-License-Identifier: Apache-2.0 */
/* Variables of frames, read while their thread is held and printed later. */
#ifndef CMD_DUMP_LOCALS_H
#define CMD_DUMP_LOCALS_H

#include <stdbool.h>

#include <csample/decode.h>
#include <csample/strbuf.h>

struct locals_book;
struct locals_book *locals_create(void);
void locals_destroy(struct locals_book *book); /* NULL is allowed */
/* Reads those of all frames that the runtime has in snap's stack, if held only for as long as a
 * thread may be; replaces what was read of the thread before. */
void locals_collect(struct locals_book *book, const struct snapshot *snap,
                    const struct decoded *decoded, bool held);
/* Those of the i-th such frame, as text under it or as a member of its JSON object; nothing if they
 * were not read at the instant of snap. */
void locals_print(const struct locals_book *book, const struct snapshot *snap, size_t i, bool json,
                  struct strbuf *ret);

#endif
