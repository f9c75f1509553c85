/* SPDX-License-Identifier: Apache-2.0 */
/* What readers of text share, and the halves of formats that are in files of their own. */
#ifndef EMIT_READERS_H
#define EMIT_READERS_H

#include <csample/format.h>

bool pprof_is_it(const char *bytes, size_t len);
struct err *pprof_read(const char *bytes, size_t len, struct profile *p);
bool folded_is_it(const char *bytes, size_t len);
struct err *folded_read(const char *bytes, size_t len, struct profile *p);
bool speedscope_is_it(const char *bytes, size_t len);
struct err *speedscope_read(const char *bytes, size_t len, struct profile *p);

/* A line of text, without its end; s is NULL behind the last. */
struct line {
	const char *s;
	size_t len;
};
struct line next_line(const char **at, const char *end);
/* All of s[0..len) as a decimal number below 2^63; false: it is none. */
bool parse_number(const char *s, size_t len, uint64_t *ret);
/* What a frame of these facts is likely to be, where the file does not say. */
enum frame_kind guess_kind(const char *function, const char *module, const char *file);
/* "name (file:12)" or "name (file)", where the file looks like one of a language that is so shown:
 * cuts text behind the name, and fills kind, file and line. */
void split_place(struct strings *strings, char *text, struct frame *f);

#endif
