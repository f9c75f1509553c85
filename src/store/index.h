/* SPDX-License-Identifier: Apache-2.0 */
/* The index: SQLite, and all that is asked of it. */
#ifndef STORE_INDEX_H
#define STORE_INDEX_H

#include <sqlite3.h>

#include "blob.h"

#define INDEX_NAME    "index.db"
#define INDEX_VERSION 1

struct index;
/* Opens DIR/index.db. *is_new_ret: it has no tables yet; then call index_create(). ERR_FORMAT: it
 * is damaged; ERR_UNSUPPORTED: of a newer csample. */
struct err *index_open(const char *dir, bool write, struct index **ret, bool *is_new_ret);
void index_close(struct index *ix); /* NULL is allowed */
/* Whether DIR/index.db still is the file that was opened. */
bool index_is_current(const struct index *ix);

/* Transactions: of one thing each; index_begin() waits for other writers. */
struct err *index_begin(struct index *ix);
struct err *index_commit(struct index *ix); /* rolls back when it fails */
void index_rollback(struct index *ix);

/* In a transaction. Makes the tables. */
struct err *index_create(struct index *ix);
/* One of that name that is there already stays as it is. */
struct err *index_add(struct index *ix, const struct store_profile *p, const char *name,
                      uint64_t bytes);
struct err *index_remove(struct index *ix, const char *name);
bool index_has(struct index *ix, const char *name);
/* Series that no profile is of any more. */
struct err *index_sweep(struct index *ix);

/* Looks at all of it. ERR_FORMAT: damaged. */
struct err *index_verify(struct index *ix);

/* The error of the last call; what: "write to", "search". */
struct err *index_error(struct index *ix, const char *what);
/* A statement, compiled once per text and kept; reset, its parameters unset. */
struct err *index_prepare(struct index *ix, const char *sql, sqlite3_stmt **ret);

#endif
