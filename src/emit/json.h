/* SPDX-License-Identifier: Apache-2.0 */
/* The two halves of the JSON format. */
#ifndef EMIT_JSON_H
#define EMIT_JSON_H

#include <csample/format.h>

extern const char *const json_kinds[FRAME_KINDS];
bool json_is_it(const char *bytes, size_t len);
struct err *json_read(const char *bytes, size_t len, struct profile *p);

#endif
