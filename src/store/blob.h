/* SPDX-License-Identifier: Apache-2.0 */
/* Profiles as files. */
#ifndef STORE_BLOB_H
#define STORE_BLOB_H

#include <csample/store.h>

#define BLOB_MAX_NAME   64 /* "2026-11-21/083000.250-1a2b3c4d.pb.gz" */
#define BLOB_MAX_LABELS 60000

/* Facts with storage of their own. */
struct facts {
	struct store_profile p;
	struct outlet_label labels[STORE_MAX_LABELS];
	char *labels_json;
	void *root; /* of the strings: JSON */
};
/* From the text of a JSON object; ERR_FORMAT: it is none of ours. */
struct err *facts_parse_labels(const char *json, struct facts *ret);
void facts_free(struct facts *f);
/* {"env":"prod"}, by name. */
void facts_labels_json(const struct store_profile *p, struct strbuf *b);

/* Writes the blob under a temporary name, durably; dir_fd: of blobs/. ERR_FORMAT: not gzip. */
struct blob {
	char name[BLOB_MAX_NAME]; /* its own, with the day */
	char temp[BLOB_MAX_NAME]; /* until it has that */
	uint64_t bytes;
};
struct err *blob_write(int dir_fd, const struct store_profile *p, const void *pprof, size_t len,
                       struct blob *ret);
/* Gives it its own name, durably. Or takes all of it away again. */
struct err *blob_publish(int dir_fd, const struct blob *b);
void blob_discard(int dir_fd, const struct blob *b);

/* What the head of a blob says. ERR_GONE: no such file; ERR_FORMAT: not one of ours. */
struct err *blob_facts(int dir_fd, const char *name, struct facts *ret, uint64_t *bytes_ret);
/* Unpacks all of it, to nowhere. */
struct err *blob_verify(int dir_fd, const char *name);

/* The days that have blobs, and the names of one, sorted; free with names_free(). */
struct names {
	char **items;
	size_t n;
};
struct err *blob_days(int dir_fd, struct names *ret);
/* temps: those of unfinished ones instead. */
struct err *blob_names(int dir_fd, const char *day, bool temps, struct names *ret);
void names_free(struct names *n);
/* Whether an unfinished one is so old that its writer is gone. */
bool blob_is_stale(int dir_fd, const char *name);

#endif
