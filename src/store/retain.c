/* SPDX-License-Identifier: Apache-2.0 */
/* Which profiles have to go, oldest first. */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <csample/mem.h>

#include "internal.h"

#define BATCH 500 /* a transaction holds up other writers */

struct oldest {
	char name[BLOB_MAX_NAME];
	int64_t start_ns;
	uint64_t bytes;
};

static struct err *list_oldest(struct store *s, struct oldest *list, size_t *n_ret)
{
	sqlite3_stmt *st;
	struct err *err = index_prepare(
	        s->index,
	        "SELECT name, start_ns + duration_ns, bytes FROM profile ORDER BY start_ns LIMIT ?",
	        &st);
	if (err)
		return err;
	sqlite3_bind_int(st, 1, BATCH);
	int r;
	while ((r = sqlite3_step(st)) == SQLITE_ROW && *n_ret < BATCH) {
		struct oldest *o = &list[(*n_ret)++];
		const char *name = (const char *)sqlite3_column_text(st, 0);
		snprintf(o->name, sizeof(o->name), "%s", name ? name : "");
		o->start_ns = sqlite3_column_int64(st, 1);
		o->bytes = (uint64_t)sqlite3_column_int64(st, 2);
	}
	err = r == SQLITE_DONE || r == SQLITE_ROW ? NULL : index_error(s->index, "search");
	sqlite3_reset(st);
	return err;
}

static bool too_much(const struct store_totals *t, const struct retention *keep,
                     const struct oldest *o, int64_t now_unix_ns)
{
	int64_t age = now_unix_ns - o->start_ns;
	return (keep->count && t->profiles > keep->count) ||
	       (keep->bytes && t->bytes > keep->bytes) ||
	       (keep->age_ns && age > 0 && (uint64_t)age > keep->age_ns);
}

/* The blob goes first: a row without one is passed over by readers, a blob without a row would stay
 * for ever. */
static struct err *remove_one(struct store *s, const struct oldest *o)
{
	char day[16];
	if (unlinkat(s->blobs_fd, o->name, 0) && errno != ENOENT)
		return err_errno(errno, "cannot delete '%s/blobs/%s'", s->dir, o->name);
	snprintf(day, sizeof(day), "%.10s", o->name);
	unlinkat(s->blobs_fd, day, AT_REMOVEDIR); /* if that was the last */
	return index_remove(s->index, o->name);
}

static struct err *remove_batch(struct store *s, const struct retention *keep, int64_t now_unix_ns,
                                uint64_t *removed, uint64_t *bytes)
{
	_cleanup_free_ struct oldest *list = mem_zalloc(BATCH * sizeof(*list));
	struct store_totals totals = {0};
	size_t n = 0;
	struct err *err = index_begin(s->index);
	if (err)
		return err;
	err = store_totals(s, &totals);
	if (!err)
		err = list_oldest(s, list, &n);
	for (size_t i = 0; i < n && !err && too_much(&totals, keep, &list[i], now_unix_ns); i++) {
		err = remove_one(s, &list[i]);
		if (err)
			break;
		totals.profiles--;
		totals.bytes -= list[i].bytes;
		*bytes += list[i].bytes;
		++*removed;
	}
	/* What was deleted is deleted: the rows go in any case. */
	struct err *commit = index_commit(s->index);
	if (!err)
		return commit;
	err_free(commit);
	return err;
}

struct err *store_retain(struct store *s, const struct retention *keep, int64_t now_unix_ns,
                         uint64_t *removed_ret, uint64_t *bytes_ret)
{
	uint64_t removed = 0, bytes = 0, before;
	if (!keep->count && !keep->age_ns && !keep->bytes) {
		*removed_ret = *bytes_ret = 0;
		return NULL;
	}
	struct err *err = store_follow(s);
	do {
		before = removed;
		if (!err)
			err = remove_batch(s, keep, now_unix_ns, &removed, &bytes);
	} while (!err && removed - before == BATCH);
	if (!err && removed) {
		err = index_begin(s->index);
		if (!err)
			err = index_sweep(s->index);
		if (err)
			index_rollback(s->index);
		else
			err = index_commit(s->index);
	}
	*removed_ret = removed;
	*bytes_ret = bytes;
	return err ? err_wrap(err, "store %s", s->dir) : NULL;
}
