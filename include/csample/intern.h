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
 * their ids do: it lives until strings_forget_passing(), which is for who knows that no profile
 * with names uses the table any more. */
const char *intern_passing(struct strings *s, const char *str, size_t len);
void strings_forget_passing(struct strings *s);
/* Memory of all of them. */
size_t strings_bytes(const struct strings *s);

#endif
