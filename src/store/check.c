/* SPDX-License-Identifier: Apache-2.0 */
/* Index and blobs side by side. */
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <csample/mem.h>

#include "internal.h"

struct check {
	struct store *s;
	bool repair;
	store_say *say;
	void *arg;
	struct store_problems *found;
};

__attribute__((format(printf, 2, 3))) static void say(struct check *c, const char *fmt, ...)
{
	if (!c->say)
		return;
	va_list ap;
	va_start(ap, fmt);
	char *line = NULL;
	if (vasprintf(&line, fmt, ap) >= 0)
		c->say(c->arg, line);
	va_end(ap);
	free(line);
}

/* One change in a transaction of its own: a check takes long, and others write meanwhile. */
static struct err *change(struct check *c, const char *name, const struct facts *add,
                          uint64_t bytes)
{
	struct err *err = index_begin(c->s->index);
	if (err)
		return err;
	err = add ? index_add(c->s->index, &add->p, name, bytes) : index_remove(c->s->index, name);
	if (err) {
		index_rollback(c->s->index);
		return err;
	}
	c->found->repaired++;
	return index_commit(c->s->index);
}

static struct err *move_away(struct check *c, const char *name)
{
	_cleanup_free_ char *to = mem_asprintf("damaged/%s", name);
	to[strlen("damaged/2026-11-21")] = '_';
	if (mkdirat(c->s->dir_fd, "damaged", 0777) && errno != EEXIST)
		return err_errno(errno, "cannot make '%s/damaged'", c->s->dir);
	if (renameat(c->s->blobs_fd, name, c->s->dir_fd, to))
		return err_errno(errno, "cannot move '%s/blobs/%s'", c->s->dir, name);
	return change(c, name, NULL, 0);
}

static struct err *check_blob(struct check *c, const char *name)
{
	struct facts facts = {0};
	uint64_t bytes = 0;
	struct err *bad = blob_facts(c->s->blobs_fd, name, &facts, &bytes), *err = NULL;
	if (!bad)
		bad = blob_verify(c->s->blobs_fd, name);
	if (bad && bad->kind == ERR_GONE) { /* retention was quicker */
		err_free(bad);
		facts_free(&facts);
		return NULL;
	}
	c->found->profiles++;
	if (bad) {
		c->found->damaged++;
		say(c, "%s: %s%s", name, bad->msg, c->repair ? "; moved to damaged/" : "");
		if (c->repair)
			err = move_away(c, name);
	} else if (!index_has(c->s->index, name)) {
		/* It may be about to be: its writer has the index now, and then not any more. */
		err_free(index_begin(c->s->index));
		index_rollback(c->s->index);
		if (!index_has(c->s->index, name)) {
			c->found->unindexed++;
			say(c, "%s: not in the index%s", name, c->repair ? "; added" : "");
			if (c->repair)
				err = change(c, name, &facts, bytes);
		}
	}
	facts_free(&facts);
	err_free(bad);
	return err;
}

static struct err *check_unfinished(struct check *c, const char *day)
{
	struct names temps = {0};
	struct err *err = blob_names(c->s->blobs_fd, day, true, &temps);
	for (size_t i = 0; i < temps.n; i++) {
		if (!blob_is_stale(c->s->blobs_fd, temps.items[i]))
			continue;
		c->found->unfinished++;
		say(c, "%s: unfinished%s", temps.items[i], c->repair ? "; deleted" : "");
		if (c->repair && !unlinkat(c->s->blobs_fd, temps.items[i], 0))
			c->found->repaired++;
	}
	names_free(&temps);
	return err;
}

static struct err *check_blobs(struct check *c)
{
	struct names days = {0};
	struct err *err = blob_days(c->s->blobs_fd, &days);
	for (size_t d = 0; d < days.n && !err; d++) {
		struct names blobs = {0};
		err = check_unfinished(c, days.items[d]);
		if (!err)
			err = blob_names(c->s->blobs_fd, days.items[d], false, &blobs);
		for (size_t i = 0; i < blobs.n && !err; i++)
			err = check_blob(c, blobs.items[i]);
		names_free(&blobs);
	}
	names_free(&days);
	return err;
}

/* Rows, a thousand at a time by id, so that no statement is open while they are changed. */
static struct err *check_rows(struct check *c)
{
	struct row {
		int64_t id;
		char name[BLOB_MAX_NAME];
	};
	enum { STEP = 1000 };
	_cleanup_free_ struct row *rows = mem_alloc(STEP * sizeof(*rows));
	int64_t last = INT64_MIN;
	for (;;) {
		sqlite3_stmt *st;
		size_t n = 0;
		struct err *err = index_prepare(
		        c->s->index,
		        "SELECT id, name FROM profile WHERE id > ? ORDER BY id LIMIT 1000", &st);
		if (err)
			return err;
		sqlite3_bind_int64(st, 1, last);
		while (n < STEP && sqlite3_step(st) == SQLITE_ROW) {
			const char *name = (const char *)sqlite3_column_text(st, 1);
			rows[n].id = last = sqlite3_column_int64(st, 0);
			snprintf(rows[n++].name, BLOB_MAX_NAME, "%s", name ? name : "");
		}
		sqlite3_reset(st);
		for (size_t i = 0; i < n; i++) {
			struct stat sb;
			const char *name = rows[i].name;
			if (!fstatat(c->s->blobs_fd, name, &sb, AT_SYMLINK_NOFOLLOW) ||
			    errno != ENOENT || !index_has(c->s->index, name))
				continue;
			c->found->missing++;
			say(c, "%s: missing%s", name, c->repair ? "; forgotten" : "");
			err = c->repair ? change(c, name, NULL, 0) : NULL;
			if (err)
				return err;
		}
		if (n < STEP)
			return NULL;
	}
}

struct err *store_check(struct store *s, bool repair, store_say *report, void *arg,
                        struct store_problems *ret)
{
	struct check c = {.s = s, .repair = repair, .say = report, .arg = arg, .found = ret};
	*ret = (struct store_problems){.index_damaged = s->was_damaged};
	struct err *err = index_verify(s->index);
	if (err && err->kind == ERR_FORMAT) {
		ret->index_damaged = true;
		say(&c, "%s", err->msg);
		err_free(err);
		err = repair ? store_renew(s) : NULL;
	}
	ret->repaired += ret->index_damaged && !err && (repair || s->was_damaged);
	if (!err)
		err = check_blobs(&c);
	if (!err)
		err = check_rows(&c);
	return err ? err_wrap(err, "store %s", s->dir) : NULL;
}
