/* SPDX-License-Identifier: Apache-2.0 */
/* Opening, mending and adding. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include <csample/log.h>
#include <csample/mem.h>

#include "internal.h"

#define LATE_NS \
	3600000000000LL /* a blob that is not indexed is looked for that long before the last */

char *store_default_dir(void)
{
	const char *state = getenv("STATE_DIRECTORY"), *home = getenv("HOME");
	if (state && state[0] == '/')
		return mem_asprintf("%.*s/store", (int)strcspn(state, ":"), state);
	if (!geteuid())
		return mem_strdup("/var/lib/csample/store");
	state = getenv("XDG_STATE_HOME");
	if (state && state[0] == '/')
		return mem_asprintf("%s/csample/store", state);
	return mem_asprintf("%s/.local/state/csample/store", home && home[0] ? home : ".");
}

/* The directory with those above it. */
static int make_dirs(const char *dir)
{
	_cleanup_free_ char *path = mem_strdup(dir);
	for (char *slash = strchr(path + 1, '/'); slash; slash = strchr(slash + 1, '/')) {
		*slash = '\0';
		if (mkdir(path, 0777) && errno != EEXIST)
			return errno;
		*slash = '/';
	}
	return mkdir(path, 0777) && errno != EEXIST ? errno : 0;
}

static struct err *open_dirs(struct store *s, enum store_mode mode)
{
	int errnum = mode == STORE_CREATE ? make_dirs(s->dir) : 0;
	if (!errnum) {
		s->dir_fd = open(s->dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
		errnum = s->dir_fd < 0 ? errno : 0;
	}
	if (!errnum && mode == STORE_CREATE && mkdirat(s->dir_fd, "blobs", 0777) && errno != EEXIST)
		errnum = errno;
	if (!errnum) {
		s->blobs_fd = openat(s->dir_fd, "blobs", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
		errnum = s->blobs_fd < 0 ? errno : 0;
	}
	if (errnum == ENOENT)
		return err_new(ERR_SYS, "'%s' is not a store of csample: name another with --store",
		               s->dir);
	return errnum ? err_errno(errnum, "cannot open the store '%s'", s->dir) : NULL;
}

/* Two that find the index damaged must not both move it away. */
static void move_damaged(struct store *s)
{
	if (flock(s->dir_fd, LOCK_EX))
		return;
	struct index *ix = NULL;
	bool is_new;
	struct err *err = index_open(s->dir, true, &ix, &is_new);
	if (!err)
		err = index_verify(ix);
	index_close(ix);
	if (err && err->kind == ERR_FORMAT) {
		renameat(s->dir_fd, INDEX_NAME, s->dir_fd, INDEX_NAME ".damaged");
		unlinkat(s->dir_fd, INDEX_NAME "-wal", 0);
		unlinkat(s->dir_fd, INDEX_NAME "-shm", 0);
	}
	err_free(err);
	flock(s->dir_fd, LOCK_UN);
}

struct err *store_adopt(struct store *s, const char *from_name, uint64_t *adopted_ret,
                        uint64_t *bad_ret)
{
	struct names days = {0};
	struct err *err = blob_days(s->blobs_fd, &days);
	for (size_t d = 0; d < days.n && !err; d++) {
		struct names blobs = {0};
		if (strncmp(days.items[d], from_name, 10) < 0)
			continue;
		err = blob_names(s->blobs_fd, days.items[d], false, &blobs);
		for (size_t i = 0; i < blobs.n && !err; i++) {
			struct facts facts;
			uint64_t bytes;
			if (strcmp(blobs.items[i], from_name) < 0 ||
			    index_has(s->index, blobs.items[i]))
				continue;
			struct err *bad = blob_facts(s->blobs_fd, blobs.items[i], &facts, &bytes);
			*bad_ret += !!bad;
			if (!bad) {
				err = index_add(s->index, &facts.p, blobs.items[i], bytes);
				facts_free(&facts);
				*adopted_ret += !err;
			}
			err_free(bad);
		}
		names_free(&blobs);
	}
	names_free(&days);
	return err;
}

/* Tables for an index that has none, and rows for the blobs that are there already. */
static struct err *fill(struct store *s)
{
	uint64_t adopted = 0, bad = 0;
	struct err *err = index_begin(s->index);
	if (err)
		return err;
	sqlite3_stmt *st;
	err = index_prepare(s->index, "SELECT count(*) FROM sqlite_master WHERE name = 'series'",
	                    &st);
	bool made = !err && sqlite3_step(st) == SQLITE_ROW && sqlite3_column_int(st, 0);
	if (!err)
		sqlite3_reset(st);
	if (!err && !made) /* by somebody else meanwhile */
		err = index_create(s->index);
	if (!err && !made)
		err = store_adopt(s, "", &adopted, &bad);
	if (err) {
		index_rollback(s->index);
		return err;
	}
	err = index_commit(s->index);
	if (!err && adopted)
		log_warn("store %s: the index was %s and has been made anew from %llu profiles",
		         s->dir, s->was_damaged ? "damaged" : "missing",
		         (unsigned long long)adopted);
	if (!err && bad)
		log_warn("store %s: %llu files are not profiles that csample stored; csample store "
		         "check --store '%s' names them",
		         s->dir, (unsigned long long)bad, s->dir);
	return err;
}

/* What a writer that was killed had named and not indexed. */
static struct err *mend_recent(struct store *s)
{
	struct store_totals totals;
	uint64_t adopted = 0, bad = 0;
	struct err *err = store_totals(s, &totals);
	if (err || !totals.profiles)
		return err;
	char from[BLOB_MAX_NAME];
	time_t since = (time_t)((totals.last_unix_ns - LATE_NS) / 1000000000);
	struct tm tm;
	gmtime_r(&since, &tm);
	strftime(from, sizeof(from), "%Y-%m-%d/%H%M%S", &tm);
	err = index_begin(s->index);
	if (!err)
		err = store_adopt(s, from, &adopted, &bad);
	if (err) {
		index_rollback(s->index);
		return err;
	}
	return index_commit(s->index);
}

static struct err *open_index(struct store *s)
{
	bool is_new = false;
	struct err *err = index_open(s->dir, s->write, &s->index, &is_new);
	if (err && err->kind == ERR_FORMAT) {
		/* A reader too: what it was asked for is in the blobs. */
		s->was_damaged = true;
		move_damaged(s);
		err_free(err);
		err = index_open(s->dir, true, &s->index, &is_new);
	} else if (err && !s->write && faccessat(s->dir_fd, INDEX_NAME, F_OK, 0)) {
		err_free(err);
		err = index_open(s->dir, true, &s->index, &is_new);
	}
	if (!err && is_new && !s->write) { /* opened for reading, and it has to be written */
		index_close(s->index);
		s->index = NULL;
		err = index_open(s->dir, true, &s->index, &is_new);
	}
	if (!err && is_new)
		err = fill(s);
	return err;
}

struct err *store_open(const char *dir, enum store_mode mode, struct store **ret)
{
	struct store *s = mem_zalloc(sizeof(*s));
	s->dir = mem_strdup(dir);
	s->dir_fd = s->blobs_fd = -1;
	s->write = mode != STORE_READ;
	struct err *err = open_dirs(s, mode);
	if (!err)
		err = open_index(s);
	if (!err && s->write)
		err = mend_recent(s);
	if (err) {
		store_close(s);
		return err;
	}
	*ret = s;
	return NULL;
}

void store_close(struct store *s)
{
	if (!s)
		return;
	index_close(s->index);
	if (s->blobs_fd >= 0)
		close(s->blobs_fd);
	if (s->dir_fd >= 0)
		close(s->dir_fd);
	free(s->dir);
	free(s);
}

struct err *store_follow(struct store *s)
{
	if (s->index && index_is_current(s->index))
		return NULL;
	index_close(s->index);
	s->index = NULL;
	return open_index(s);
}

static struct err *add(struct store *s, const struct store_profile *p, const struct blob *b)
{
	struct err *err = index_begin(s->index);
	if (err)
		return err;
	err = index_add(s->index, p, b->name, b->bytes);
	if (!err)
		err = blob_publish(s->blobs_fd, b);
	if (!err)
		return index_commit(s->index);
	index_rollback(s->index);
	return err;
}

struct err *store_renew(struct store *s)
{
	index_close(s->index);
	s->index = NULL;
	s->was_damaged = true;
	move_damaged(s);
	return open_index(s);
}

struct err *store_put(struct store *s, const struct store_profile *profile, const void *pprof,
                      size_t len)
{
	struct blob blob;
	struct err *err = store_follow(s);
	if (!err)
		err = blob_write(s->blobs_fd, profile, pprof, len, &blob);
	if (err)
		return err_wrap(err, "store %s", s->dir);
	err = add(s, profile, &blob);
	if (err && err->kind == ERR_FORMAT) { /* the index was damaged while it was open */
		err_free(err);
		blob_discard(s->blobs_fd, &blob);
		err = store_renew(s);
		if (!err)
			err = blob_write(s->blobs_fd, profile, pprof, len, &blob);
		if (!err)
			err = add(s, profile, &blob);
		if (err && err->kind == ERR_FORMAT)
			err->kind = ERR_SYS; /* not the profile's fault */
	}
	if (!err)
		return NULL;
	blob_discard(s->blobs_fd, &blob);
	return err_wrap(err, "store %s", s->dir);
}

struct err *store_totals(struct store *s, struct store_totals *ret)
{
	sqlite3_stmt *st;
	struct err *err =
	        index_prepare(s->index,
	                      "SELECT profiles, bytes, (SELECT min(start_ns) FROM profile),"
	                      " (SELECT max(start_ns) FROM profile) FROM totals",
	                      &st);
	if (err)
		return err;
	if (sqlite3_step(st) == SQLITE_ROW) {
		ret->profiles = (uint64_t)sqlite3_column_int64(st, 0);
		ret->bytes = (uint64_t)sqlite3_column_int64(st, 1);
		ret->first_unix_ns = sqlite3_column_int64(st, 2);
		ret->last_unix_ns = sqlite3_column_int64(st, 3);
	} else {
		err = index_error(s->index, "read");
	}
	sqlite3_reset(st);
	return err;
}
