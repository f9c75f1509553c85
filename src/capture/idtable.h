/* SPDX-License-Identifier: Apache-2.0 */
/* From a number (a pid, a tid) to an object, without a lock: one writer, any number of readers. */
#ifndef CAPTURE_IDTABLE_H
#define CAPTURE_IDTABLE_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

/* What the table holds begins with its number. */
struct id_object {
	pid_t id;
};

/* Open addressing. Replaced as a whole when it is full. */
struct id_slots {
	size_t cap;  /* a power of two */
	size_t used; /* slots that are or were taken */
	_Atomic(struct id_object *) slots[];
};

struct id_table {
	_Atomic(struct id_slots *) now;
	size_t n;
};

void id_table_init(struct id_table *t);
void id_table_deinit(struct id_table *t);
/* object's number is not in the table. Returns the old slots if they had to be replaced: readers
 * may still be in them, the caller frees them when they no longer are. */
void *id_table_add(struct id_table *t, struct id_object *object);
/* Takes it out of sight, and returns it; NULL when it is not there. */
struct id_object *id_table_remove(struct id_table *t, pid_t id);
struct id_object *id_table_find(const struct id_table *t, pid_t id);
/* The object at or after *cursor, which is moved behind it; NULL at the end, and *cursor is 0
 * again. */
struct id_object *id_table_next(const struct id_table *t, size_t *cursor);

#endif
