/* SPDX-License-Identifier: Apache-2.0 */
/* The local store: a directory of profiles, each a pprof file of its own, and an index of them.
 *
 *   DIR/blobs/2026-11-21/083000.250-1a2b3c4d.pb.gz   UTC time of its start; readable by any tool
 *   DIR/index.db                                     SQLite; can be made anew from the blobs
 *
 * What the index has of a profile is in the head of its blob too (an extra field of gzip, which
 * readers skip). Any number of processes write and read at the same time. A blob is complete and
 * on the disk before its name appears, and its name before the index has it: whatever is killed at
 * whatever moment leaves at most one profile that is not indexed, which store_check() finds. */
#ifndef CSAMPLE_STORE_H
#define CSAMPLE_STORE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <csample/err.h>
#include <csample/outlet.h>
#include <csample/strbuf.h>

#define STORE_MAX_LABELS 64

/* What is known of a profile without reading it. */
struct store_profile {
	const char *type;
	const struct outlet_label *labels; /* sorted by name */
	size_t n_labels;
	int64_t start_unix_ns;
	uint64_t duration_ns;
	uint64_t samples, total; /* total: nanoseconds */
};

/* One that is there. Lives as long as the call it is passed to. */
struct store_entry {
	struct store_profile profile;
	const char *labels_json; /* {"env":"prod",...} */
	const char *path;        /* of the blob */
	uint64_t bytes;          /* of the blob */
};

enum store_mode {
	STORE_READ,   /* it must be there */
	STORE_WRITE,  /* it must be there, and may be changed */
	STORE_CREATE, /* it is made if need be */
};

struct store;
/* A damaged index is made anew from the blobs, which is said. ERR_SYS, ERR_PERM: not there, not
 * ours; ERR_UNSUPPORTED: of a newer csample. A store is used by one thread at a time. */
struct err *store_open(const char *dir, enum store_mode mode, struct store **ret);
void store_close(struct store *s); /* NULL is allowed */
/* Where profiles go when nobody says: below $STATE_DIRECTORY, for root below /var/lib, else below
 * $XDG_STATE_HOME or ~/.local/state. Free it. */
char *store_default_dir(void);

/* Adds a profile: pprof in gzip, as it is. When this returns it survives a loss of power.
 * ERR_FORMAT, ERR_USAGE: never will be taken. Others may pass: a full disk. Nothing is left of what
 * failed. */
struct err *store_put(struct store *s, const struct store_profile *profile, const void *pprof,
                      size_t len);

/* Which ones: name{label="value",other!="",third=~"regex",fourth!~"..."}, by the rules of PromQL:
 * the name (or __name__) is the type, a label that is not there is empty, expressions must match
 * the whole value (PCRE2's syntax), values are in "", '' with escapes or in `` without. */
struct selector;
/* ERR_USAGE says what was expected, and where. */
struct err *selector_parse(const char *text, struct selector **ret);
void selector_free(struct selector *s);
bool selector_matches(const struct selector *s, const struct store_profile *p);
/* The i-th value a label must have ("=" matchers; __name__ among them); false: no more. */
bool selector_equal(const struct selector *s, size_t i, const char **name_ret,
                    const char **value_ret);

/* Calls each with all that match and begin in [from_ns, to_ns), by series and then by time, until
 * it returns false. selector NULL: all. */
typedef bool store_visit(void *arg, const struct store_entry *e);
struct err *store_each(struct store *s, const struct selector *selector, int64_t from_ns,
                       int64_t to_ns, store_visit *each, void *arg);
/* "3,600 profiles from ... to ...; types ...; labels ...": for who found nothing. */
struct err *store_describe(struct store *s, int64_t from_ns, int64_t to_ns, struct strbuf *b);

struct store_totals {
	uint64_t profiles, bytes;
	int64_t first_unix_ns, last_unix_ns; /* starts; 0: none */
};
struct err *store_totals(struct store *s, struct store_totals *ret);

/* Deletes the oldest until the whole store is within keep. *removed_ret: how many. */
struct err *store_retain(struct store *s, const struct retention *keep, int64_t now_unix_ns,
                         uint64_t *removed_ret, uint64_t *bytes_ret);

struct store_problems {
	uint64_t profiles;   /* looked at */
	uint64_t missing;    /* in the index, without a blob */
	uint64_t unindexed;  /* blobs that are not in the index */
	uint64_t damaged;    /* blobs that cannot be unpacked, or are not what the index says */
	uint64_t unfinished; /* of writers that were killed */
	bool index_damaged;
	uint64_t repaired; /* of all these */
};
/* Compares index and blobs, each of which it unpacks. repair: rows without blob go, blobs without
 * row are indexed, damaged ones are moved to DIR/damaged, what is unfinished is deleted. say is
 * called with a line for each problem; NULL: nobody. */
typedef void store_say(void *arg, const char *line);
struct err *store_check(struct store *s, bool repair, store_say *say, void *arg,
                        struct store_problems *ret);

#endif
