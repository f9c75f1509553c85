/* SPDX-License-Identifier: Apache-2.0 */
/* One pointer per distinct string, so that names compare by address. Not thread-safe: the worker's.
 */
#ifndef CSAMPLE_INTERN_H
#define CSAMPLE_INTERN_H

#include <stddef.h>

struct strings;
struct strings *strings_create(void);
void strings_destroy(struct strings *s);
/* The one copy of s[0..len), NUL-terminated, living as long as the table. Bytes are kept as they
 * are, except that an embedded NUL ends the string. NULL in, NULL out. */
const char *intern(struct strings *s, const char *str);
const char *intern_n(struct strings *s, const char *str, size_t len);
/* The same for a string that comes with one interval and goes with it, as names of processes with
 * their ids do: it lives until the end of what strings_take_passing() returned. */
const char *intern_passing(struct strings *s, const char *str, size_t len);
/* The passing strings so far become the caller's, and s gives out others from now on: for who knows
 * that nothing uses them but what he will be done with before passed_strings_free(), which may be
 * called on another thread. */
struct passed_strings;
struct passed_strings *strings_take_passing(struct strings *s);
void passed_strings_free(struct passed_strings *p); /* NULL is allowed */
/* How many there are but for those: grows with each new name. */
size_t strings_count(const struct strings *s);
/* Memory of all of them. */
size_t strings_bytes(const struct strings *s);

#endif
