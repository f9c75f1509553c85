/* SPDX-License-Identifier: Apache-2.0 */
/* Labels are kept once per series. Write-ahead logging lets readers go on while somebody writes,
 * and a commit is on the disk when it returns (synchronous=FULL). */
#include "index.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <csample/clock.h>
#include <csample/mem.h>
#include <csample/vec.h>

#define APPLICATION_ID 0x63736d70 /* "csmp", which file(1) shows */
#define BUSY_MS        10000
#define STRING_OF(x)   #x
#define TEXT_OF(x)     STRING_OF(x)

struct index {
	sqlite3 *db;
	char *path;
	dev_t dev;
	ino_t ino;
	VEC(sqlite3_stmt *) statements;
};

static const char schema[] = "PRAGMA application_id=" TEXT_OF(
        APPLICATION_ID) ";"
                        "PRAGMA user_version=" TEXT_OF(
                                INDEX_VERSION) ";"
                                               "CREATE TABLE series(id INTEGER PRIMARY KEY, type "
                                               "TEXT NOT NULL, labels TEXT NOT NULL,"
                                               " UNIQUE(type, labels));"
                                               "CREATE TABLE label(name TEXT NOT NULL, value TEXT "
                                               "NOT NULL, series INTEGER NOT NULL,"
                                               " PRIMARY KEY(name, value, series)) WITHOUT ROWID;"
                                               "CREATE TABLE profile(id INTEGER PRIMARY KEY, "
                                               "series INTEGER NOT NULL,"
                                               " start_ns INTEGER NOT NULL, duration_ns INTEGER "
                                               "NOT NULL, samples INTEGER NOT NULL,"
                                               " total INTEGER NOT NULL, bytes INTEGER NOT NULL, "
                                               "name TEXT NOT NULL UNIQUE);"
                                               "CREATE INDEX profile_series ON profile(series, "
                                               "start_ns);"
                                               "CREATE INDEX profile_start ON profile(start_ns);"
                                               /* Counting rows would take longer the more there
                                                  are. */
                                               "CREATE TABLE totals(id INTEGER PRIMARY KEY "
                                               "CHECK(id = 1), profiles INTEGER, bytes INTEGER);"
                                               "INSERT INTO totals VALUES(1, 0, 0);"
                                               "CREATE TRIGGER profile_added AFTER INSERT ON "
                                               "profile BEGIN"
                                               " UPDATE totals SET profiles = profiles + 1, bytes "
                                               "= bytes + NEW.bytes; END;"
                                               "CREATE TRIGGER profile_removed AFTER DELETE ON "
                                               "profile BEGIN"
                                               " UPDATE totals SET profiles = profiles - 1, bytes "
                                               "= bytes - OLD.bytes; END;";

struct err *index_error(struct index *ix, const char *what)
{
	int code = sqlite3_errcode(ix->db) & 0xff;
	enum err_kind kind = ERR_SYS;
	const char *advice = "";
	if (code == SQLITE_CORRUPT || code == SQLITE_NOTADB)
		kind = ERR_FORMAT;
	if (code == SQLITE_PERM || code == SQLITE_READONLY || code == SQLITE_AUTH)
		kind = ERR_PERM;
	if (code == SQLITE_FULL)
		advice = "; free some space there";
	if (code == SQLITE_BUSY)
		advice = "; another csample is busy with it: try again";
	return err_new(kind, "cannot %s the index '%s': %s%s", what, ix->path,
	               sqlite3_errmsg(ix->db), advice);
}

static struct err *run(struct index *ix, const char *sql, const char *what)
{
	return sqlite3_exec(ix->db, sql, NULL, NULL, NULL) == SQLITE_OK ? NULL
	                                                                : index_error(ix, what);
}

/* The change to write-ahead logging, of a new index, does not wait for others by itself. */
static struct err *set_modes(struct index *ix)
{
	uint64_t end = now_ns() + BUSY_MS * 1000000ULL;
	for (;;) {
		struct err *err =
		        run(ix, "PRAGMA journal_mode=WAL; PRAGMA synchronous=FULL;", "open");
		bool busy = err && (sqlite3_errcode(ix->db) & 0xff) == SQLITE_BUSY;
		if (!busy || now_ns() >= end)
			return err;
		err_free(err);
		usleep(10000);
	}
}

static struct err *number(struct index *ix, const char *sql, int64_t *ret)
{
	sqlite3_stmt *st;
	struct err *err = index_prepare(ix, sql, &st);
	if (err)
		return err;
	if (sqlite3_step(st) == SQLITE_ROW)
		*ret = sqlite3_column_int64(st, 0);
	else
		err = index_error(ix, "read");
	sqlite3_reset(st);
	return err;
}

static struct err *look_at_version(struct index *ix, bool *is_new_ret)
{
	int64_t id = 0, version = 0;
	struct err *err = number(ix, "PRAGMA application_id", &id);
	if (!err)
		err = number(ix, "PRAGMA user_version", &version);
	if (err)
		return err;
	*is_new_ret = !id && !version;
	if (*is_new_ret)
		return NULL;
	if (id != APPLICATION_ID)
		return err_new(ERR_FORMAT, "'%s' is not a csample index", ix->path);
	if (version != INDEX_VERSION)
		return err_new(ERR_UNSUPPORTED,
		               "'%s' is of version %lld, made by another csample; this one knows "
		               "version %d",
		               ix->path, (long long)version, INDEX_VERSION);
	return NULL;
}

/* Where the directory may not be written, not even the log beside the index can be: what has
 * reached the index itself is read. */
static struct err *open_db(struct index *ix, bool write)
{
	int flags = SQLITE_OPEN_NOMUTEX | SQLITE_OPEN_READWRITE | (write ? SQLITE_OPEN_CREATE : 0);
	int r = sqlite3_open_v2(ix->path, &ix->db, flags, NULL);
	if (r == SQLITE_OK) {
		sqlite3_busy_timeout(ix->db, BUSY_MS);
		r = sqlite3_exec(ix->db, "SELECT count(*) FROM sqlite_master", NULL, NULL, NULL);
	}
	if (r != SQLITE_OK && !write && (r & 0xff) != SQLITE_NOTADB &&
	    (r & 0xff) != SQLITE_CORRUPT) {
		sqlite3_close(ix->db);
		_cleanup_free_ char *uri = mem_asprintf("file:%s?immutable=1", ix->path);
		flags = SQLITE_OPEN_NOMUTEX | SQLITE_OPEN_READONLY | SQLITE_OPEN_URI;
		r = sqlite3_open_v2(strpbrk(ix->path, "?#%") ? ix->path : uri, &ix->db, flags,
		                    NULL);
	}
	if (r != SQLITE_OK)
		return index_error(ix, "open");
	sqlite3_extended_result_codes(ix->db, 1);
	/* Of a hostile file: no functions but SQLite's own from its schema, no odd sizes. */
	sqlite3_db_config(ix->db, SQLITE_DBCONFIG_DEFENSIVE, 1, NULL);
	sqlite3_db_config(ix->db, SQLITE_DBCONFIG_TRUSTED_SCHEMA, 0, NULL);
	sqlite3_limit(ix->db, SQLITE_LIMIT_LENGTH, 16 << 20);
	return NULL;
}

struct err *index_open(const char *dir, bool write, struct index **ret, bool *is_new_ret)
{
	struct index *ix = mem_zalloc(sizeof(*ix));
	struct stat st = {0};
	ix->path = mem_asprintf("%s/" INDEX_NAME, dir);
	struct err *err = open_db(ix, write);
	if (!err && write)
		err = set_modes(ix);
	if (!err)
		err = look_at_version(ix, is_new_ret);
	if (!err && stat(ix->path, &st))
		err = err_errno(errno, "cannot see '%s'", ix->path);
	ix->dev = st.st_dev;
	ix->ino = st.st_ino;
	if (err) {
		index_close(ix);
		return err;
	}
	*ret = ix;
	return NULL;
}

void index_close(struct index *ix)
{
	if (!ix)
		return;
	for (size_t i = 0; i < ix->statements.n; i++)
		sqlite3_finalize(ix->statements.items[i]);
	vec_free(&ix->statements);
	sqlite3_close(ix->db);
	free(ix->path);
	free(ix);
}

bool index_is_current(const struct index *ix)
{
	struct stat st;
	return !stat(ix->path, &st) && st.st_dev == ix->dev && st.st_ino == ix->ino;
}

struct err *index_prepare(struct index *ix, const char *sql, sqlite3_stmt **ret)
{
	sqlite3_stmt *st = NULL;
	for (size_t i = 0; i < ix->statements.n; i++) {
		if (!strcmp(sqlite3_sql(ix->statements.items[i]), sql)) {
			*ret = ix->statements.items[i];
			sqlite3_reset(*ret);
			sqlite3_clear_bindings(*ret);
			return NULL;
		}
	}
	if (sqlite3_prepare_v3(ix->db, sql, -1, SQLITE_PREPARE_PERSISTENT, &st, NULL) != SQLITE_OK)
		return index_error(ix, "search");
	*vec_add(&ix->statements) = st;
	*ret = st;
	return NULL;
}

struct err *index_begin(struct index *ix)
{
	return run(ix, "BEGIN IMMEDIATE", "write to");
}

struct err *index_commit(struct index *ix)
{
	struct err *err = run(ix, "COMMIT", "write to");
	if (err)
		index_rollback(ix);
	return err;
}

void index_rollback(struct index *ix)
{
	if (!sqlite3_get_autocommit(ix->db))
		sqlite3_exec(ix->db, "ROLLBACK", NULL, NULL, NULL);
}

struct err *index_create(struct index *ix)
{
	return run(ix, schema, "make");
}

/* Runs a statement whose parameters are set. */
static struct err *finish(struct index *ix, sqlite3_stmt *st)
{
	int r = sqlite3_step(st);
	struct err *err = r == SQLITE_DONE || r == SQLITE_ROW ? NULL : index_error(ix, "write to");
	sqlite3_reset(st);
	return err;
}

static struct err *add_labels(struct index *ix, const struct store_profile *p, int64_t series)
{
	for (size_t i = 0; i < p->n_labels; i++) {
		sqlite3_stmt *st;
		struct err *err = index_prepare(
		        ix, "INSERT OR IGNORE INTO label(name, value, series) VALUES(?, ?, ?)",
		        &st);
		if (err)
			return err;
		sqlite3_bind_text(st, 1, p->labels[i].name, -1, SQLITE_STATIC);
		sqlite3_bind_text(st, 2, p->labels[i].value, -1, SQLITE_STATIC);
		sqlite3_bind_int64(st, 3, series);
		err = finish(ix, st);
		if (err)
			return err;
	}
	return NULL;
}

static struct err *series_of(struct index *ix, const struct store_profile *p, int64_t *ret)
{
	struct strbuf labels = {0};
	sqlite3_stmt *st;
	facts_labels_json(p, &labels);
	struct err *err =
	        index_prepare(ix, "SELECT id FROM series WHERE type = ? AND labels = ?", &st);
	int r = SQLITE_DONE;
	if (!err) {
		sqlite3_bind_text(st, 1, p->type, -1, SQLITE_STATIC);
		sqlite3_bind_text(st, 2, labels.s, -1, SQLITE_STATIC);
		r = sqlite3_step(st);
		if (r == SQLITE_ROW)
			*ret = sqlite3_column_int64(st, 0);
		else if (r != SQLITE_DONE)
			err = index_error(ix, "search");
		sqlite3_reset(st);
	}
	if (!err && r == SQLITE_DONE) {
		err = index_prepare(ix, "INSERT INTO series(type, labels) VALUES(?, ?)", &st);
		if (!err) {
			sqlite3_bind_text(st, 1, p->type, -1, SQLITE_STATIC);
			sqlite3_bind_text(st, 2, labels.s, -1, SQLITE_STATIC);
			err = finish(ix, st);
		}
		if (!err) {
			*ret = sqlite3_last_insert_rowid(ix->db);
			err = add_labels(ix, p, *ret);
		}
	}
	strbuf_free(&labels);
	return err;
}

static int64_t clamp(uint64_t n)
{
	return n < INT64_MAX ? (int64_t)n : INT64_MAX;
}

struct err *index_add(struct index *ix, const struct store_profile *p, const char *name,
                      uint64_t bytes)
{
	int64_t series = 0;
	sqlite3_stmt *st;
	struct err *err = series_of(ix, p, &series);
	if (!err)
		err = index_prepare(ix,
		                    "INSERT OR IGNORE INTO profile(series, start_ns, duration_ns,"
		                    " samples, total, bytes, name) VALUES(?, ?, ?, ?, ?, ?, ?)",
		                    &st);
	if (err)
		return err;
	sqlite3_bind_int64(st, 1, series);
	sqlite3_bind_int64(st, 2, p->start_unix_ns);
	sqlite3_bind_int64(st, 3, clamp(p->duration_ns));
	sqlite3_bind_int64(st, 4, clamp(p->samples));
	sqlite3_bind_int64(st, 5, clamp(p->total));
	sqlite3_bind_int64(st, 6, clamp(bytes));
	sqlite3_bind_text(st, 7, name, -1, SQLITE_STATIC);
	return finish(ix, st);
}

struct err *index_remove(struct index *ix, const char *name)
{
	sqlite3_stmt *st;
	struct err *err = index_prepare(ix, "DELETE FROM profile WHERE name = ?", &st);
	if (err)
		return err;
	sqlite3_bind_text(st, 1, name, -1, SQLITE_STATIC);
	return finish(ix, st);
}

bool index_has(struct index *ix, const char *name)
{
	sqlite3_stmt *st;
	struct err *err = index_prepare(ix, "SELECT 1 FROM profile WHERE name = ?", &st);
	if (err) {
		err_free(err);
		return false;
	}
	sqlite3_bind_text(st, 1, name, -1, SQLITE_STATIC);
	bool found = sqlite3_step(st) == SQLITE_ROW;
	sqlite3_reset(st);
	return found;
}

struct err *index_sweep(struct index *ix)
{
	return run(ix,
	           "DELETE FROM series WHERE NOT EXISTS"
	           " (SELECT 1 FROM profile WHERE profile.series = series.id);"
	           "DELETE FROM label WHERE NOT EXISTS"
	           " (SELECT 1 FROM series WHERE series.id = label.series);",
	           "write to");
}

struct err *index_verify(struct index *ix)
{
	sqlite3_stmt *st;
	struct err *err = index_prepare(ix, "PRAGMA integrity_check(1)", &st);
	if (err)
		return err;
	int r = sqlite3_step(st);
	const char *text = r == SQLITE_ROW ? (const char *)sqlite3_column_text(st, 0) : NULL;
	if (!text)
		err = index_error(ix, "check");
	else if (strcmp(text, "ok") != 0)
		err = err_new(ERR_FORMAT, "the index '%s' is damaged: %s", ix->path, text);
	sqlite3_reset(st);
	return err;
}
