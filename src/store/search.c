/* SPDX-License-Identifier: Apache-2.0 */
/* First which series match, which are few, then their profiles: of each by its own index where few
 * match, else in one pass over the time asked for. */
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <csample/hash.h>
#include <csample/mem.h>
#include <csample/vec.h>

#include "internal.h"

#define FEW_SERIES 64

struct series {
	int64_t id;
	struct facts facts; /* type and labels */
};

struct matching {
	struct series **items;
	size_t n, cap;
};

static void matching_free(struct matching *m)
{
	for (size_t i = 0; i < m->n; i++) {
		facts_free(&m->items[i]->facts);
		free((char *)m->items[i]->facts.p.type);
		free(m->items[i]);
	}
	vec_free(m);
}

/* Rows whose labels cannot be read, of a damaged or hostile index, match nothing. */
static void take_series(sqlite3_stmt *st, const struct selector *selector, struct matching *ret)
{
	struct series *series = mem_zalloc(sizeof(*series));
	const char *type = (const char *)sqlite3_column_text(st, 1);
	const char *labels = (const char *)sqlite3_column_text(st, 2);
	struct err *err = type && labels ? facts_parse_labels(labels, &series->facts) : &err_nomem;
	if (!err) {
		series->id = sqlite3_column_int64(st, 0);
		series->facts.p.type = mem_strdup(type);
		if (!selector || selector_matches(selector, &series->facts.p)) {
			*vec_add(ret) = series;
			return;
		}
		facts_free(&series->facts);
		free((char *)series->facts.p.type);
	}
	err_free(err);
	free(series);
}

/* A label that must have one value narrows the search before anything is compared here. */
static struct err *find_series(struct store *s, const struct selector *selector,
                               struct matching *ret)
{
	const char *name = NULL, *value = NULL;
	sqlite3_stmt *st;
	for (size_t i = 0; selector && selector_equal(selector, i, &name, &value); i++)
		if (value[0] && strcmp(name, "__name__") != 0)
			break;
	bool narrow = name && value && value[0] && strcmp(name, "__name__") != 0;
	struct err *err =
	        index_prepare(s->index,
	                      narrow ? "SELECT id, type, labels FROM series WHERE id IN"
	                               " (SELECT series FROM label WHERE name = ? AND value = ?) "
	                               "ORDER BY type, labels"
	                             : "SELECT id, type, labels FROM series ORDER BY type, labels",
	                      &st);
	if (err)
		return err;
	if (narrow) {
		sqlite3_bind_text(st, 1, name, -1, SQLITE_STATIC);
		sqlite3_bind_text(st, 2, value, -1, SQLITE_STATIC);
	}
	int r;
	while ((r = sqlite3_step(st)) == SQLITE_ROW)
		take_series(st, selector, ret);
	err = r == SQLITE_DONE ? NULL : index_error(s->index, "search");
	sqlite3_reset(st);
	return err;
}

#define COLUMNS "series, start_ns, duration_ns, samples, total, bytes, name"

static uint64_t column(sqlite3_stmt *st, int i)
{
	int64_t n = sqlite3_column_int64(st, i);
	return n > 0 ? (uint64_t)n : 0;
}

/* Names come from the index: nothing but a blob may be read for one. */
static bool is_blob_name(const char *name)
{
	return name && strlen(name) < BLOB_MAX_NAME && strspn(name, "0123456789-") == 10 &&
	       name[10] == '/' && !strchr(name + 11, '/') && name[11] != '.';
}

static bool visit(struct store *s, sqlite3_stmt *st, const struct series *series, store_visit *each,
                  void *arg)
{
	const char *name = (const char *)sqlite3_column_text(st, 6);
	if (!is_blob_name(name))
		return true;
	_cleanup_free_ char *path = mem_asprintf("%s/blobs/%s", s->dir, name);
	struct store_entry e = {.profile = series->facts.p,
	                        .labels_json = series->facts.labels_json,
	                        .path = path,
	                        .bytes = column(st, 5)};
	e.profile.labels = series->facts.labels;
	e.profile.start_unix_ns = (int64_t)column(st, 1);
	e.profile.duration_ns = column(st, 2);
	e.profile.samples = column(st, 3);
	e.profile.total = column(st, 4);
	return each(arg, &e);
}

struct search {
	struct store *s;
	const struct matching *matching;
	int64_t from_ns, to_ns;
	store_visit *each;
	void *arg;
	uint64_t visited;
};

/* Of one series, or of all that match when only is NULL. */
static struct err *search(struct search *q, const struct series *only, bool *more)
{
	sqlite3_stmt *st;
	struct map64 by_id = {0};
	struct err *err = index_prepare(
	        q->s->index,
	        only ? "SELECT " COLUMNS " FROM profile WHERE start_ns >= ? AND start_ns < ?"
	               " AND series = ? ORDER BY start_ns, name"
	             : "SELECT " COLUMNS " FROM profile WHERE start_ns >= ? AND start_ns < ?"
	               " ORDER BY start_ns, name",
	        &st);
	if (err)
		return err;
	sqlite3_bind_int64(st, 1, q->from_ns);
	sqlite3_bind_int64(st, 2, q->to_ns);
	if (only)
		sqlite3_bind_int64(st, 3, only->id);
	for (size_t i = 0; !only && i < q->matching->n; i++)
		*map64_put(&by_id, (uint64_t)q->matching->items[i]->id) = i + 1;
	int r = SQLITE_DONE;
	while (*more && (r = sqlite3_step(st)) == SQLITE_ROW) {
		const struct series *series = only;
		const uint64_t *at =
		        only ? NULL : map64_get(&by_id, (uint64_t)sqlite3_column_int64(st, 0));
		if (at)
			series = q->matching->items[*at - 1];
		if (!series)
			continue;
		q->visited++;
		*more = visit(q->s, st, series, q->each, q->arg);
	}
	err = r == SQLITE_DONE || r == SQLITE_ROW ? NULL : index_error(q->s->index, "search");
	sqlite3_reset(st);
	map64_free(&by_id);
	return err;
}

static struct err *search_all(struct search *q, const struct selector *selector)
{
	struct matching matching = {0};
	bool more = true;
	struct err *err = find_series(q->s, selector, &matching);
	q->matching = &matching;
	if (!err && matching.n > FEW_SERIES)
		err = search(q, NULL, &more);
	for (size_t i = 0; !err && more && matching.n <= FEW_SERIES && i < matching.n; i++)
		err = search(q, matching.items[i], &more);
	matching_free(&matching);
	return err;
}

struct err *store_each(struct store *s, const struct selector *selector, int64_t from_ns,
                       int64_t to_ns, store_visit *each, void *arg)
{
	struct search q = {.s = s, .from_ns = from_ns, .to_ns = to_ns, .each = each, .arg = arg};
	struct err *err = search_all(&q, selector);
	if (err && err->kind == ERR_FORMAT && !q.visited) {
		err_free(err);
		err = store_renew(s);
		if (!err)
			err = search_all(&q, selector);
	}
	return err ? err_wrap(err, "store %s", s->dir) : NULL;
}

static void add_time(struct strbuf *b, int64_t ns)
{
	char text[48];
	time_t seconds = (time_t)(ns / 1000000000);
	struct tm tm;
	localtime_r(&seconds, &tm);
	strftime(text, sizeof(text), "%Y-%m-%d %H:%M:%S", &tm);
	strbuf_add(b, text);
}

#define MAX_SHOWN 8

/* "env (prod, dev), version (v1, v2, ...)". */
static struct err *list_labels(struct store *s, int64_t from_ns, int64_t to_ns, struct strbuf *b)
{
	sqlite3_stmt *st;
	struct err *err = index_prepare(
	        s->index,
	        "SELECT name, value FROM (SELECT '' AS name, type AS value, id AS of FROM series"
	        " UNION ALL SELECT name, value, series FROM label) WHERE EXISTS (SELECT 1 FROM"
	        " profile WHERE series = of AND start_ns >= ? AND start_ns < ?)"
	        " GROUP BY name, value ORDER BY name, value LIMIT 1000",
	        &st);
	if (err)
		return err;
	sqlite3_bind_int64(st, 1, from_ns);
	sqlite3_bind_int64(st, 2, to_ns);
	_cleanup_free_ char *last = NULL;
	size_t shown = 0;
	int r;
	while ((r = sqlite3_step(st)) == SQLITE_ROW) {
		const char *name = (const char *)sqlite3_column_text(st, 0);
		const char *value = (const char *)sqlite3_column_text(st, 1);
		if (!name || !value)
			continue;
		bool same = last && !strcmp(last, name);
		shown = same ? shown + 1 : 0;
		if (shown > MAX_SHOWN)
			continue;
		if (!same) {
			strbuf_add(b, last ? "); " : "");
			strbuf_add(b, name[0] ? name : "types");
		}
		strbuf_add(b, same ? ", " : " (");
		strbuf_add(b, shown == MAX_SHOWN ? "..." : value);
		free(last);
		last = mem_strdup(name);
	}
	strbuf_add(b, last ? ")" : "");
	err = r == SQLITE_DONE ? NULL : index_error(s->index, "search");
	sqlite3_reset(st);
	return err;
}

struct err *store_describe(struct store *s, int64_t from_ns, int64_t to_ns, struct strbuf *b)
{
	struct store_totals totals = {0};
	struct err *err = store_totals(s, &totals);
	if (err)
		return err;
	if (!totals.profiles) {
		strbuf_add(b, "the store is empty");
		return NULL;
	}
	strbuf_addf(b, "the store has %llu profiles, from ", (unsigned long long)totals.profiles);
	add_time(b, totals.first_unix_ns);
	strbuf_add(b, " to ");
	add_time(b, totals.last_unix_ns);
	size_t before = b->len;
	strbuf_add(b, "; in the time asked for: ");
	size_t head = b->len;
	err = list_labels(s, from_ns, to_ns, b);
	if (!err && b->len == head) {
		b->len = before;
		b->s[before] = '\0';
		strbuf_add(b, ", none of them in the time asked for; then: ");
		err = list_labels(s, 0, INT64_MAX, b);
	}
	return err;
}
