/* SPDX-License-Identifier: Apache-2.0 */
/* The two halves of the JSON format, and what readers of JSON share. */
#ifndef EMIT_JSON_H
#define EMIT_JSON_H

#include <jansson.h>

#include <csample/format.h>

extern const char *const json_kinds[FRAME_KINDS];
bool json_is_it(const char *bytes, size_t len);
struct err *json_read(const char *bytes, size_t len, struct profile *p);
/* *ret is the caller's, to json_decref(). ERR_FORMAT: it is none, or more than fits in memory. */
struct err *json_parse(const char *bytes, size_t len, json_t **ret);

#endif
