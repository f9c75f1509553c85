/* SPDX-License-Identifier: Apache-2.0 */
/* Pushing profiles to a backend: what the files of this room know of each other.
 *
 *     put() → spool (a file per profile) → sender thread → piece → request of the backend → HTTP
 *
 * The spool is all that put() touches; everything else runs on the sender thread. */
#ifndef PUSH_PUSH_H
#define PUSH_PUSH_H

#include <profile.pb-c.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <csample/outlet.h>
#include <csample/strbuf.h>

/* ---- entry.c: a profile that waits, as bytes: a line of JSON, then pprof in gzip ---- */

struct entry {
	char *type;
	struct outlet_label *labels; /* names and values are the entry's */
	size_t n_labels;
	int64_t start_unix_ns;
	int64_t shift_ns; /* to be added to the profile's time: see put() */
	void *pprof;      /* gzip */
	size_t pprof_len;
	size_t unpacked_len;
};

void entry_pack(const struct delivery *d, int64_t shift_ns, struct strbuf *b);
/* ERR_FORMAT: damaged. ret is to be freed with entry_free(). */
struct err *entry_unpack(const void *bytes, size_t len, struct entry *ret);
void entry_free(struct entry *e);

/* ---- spool.c: profiles that wait, oldest first, on disk, in memory while the disk is full ---- */

struct spool;
struct spool_counts {
	uint64_t waiting, bytes, dropped;
};
/* How far the oldest one has been delivered; survives a restart. */
struct spool_progress {
	uint64_t samples; /* of its profile, from the first one */
	unsigned pieces;
};

/* Takes a directory of its own below dir, with what an ended process left there; dir NULL: memory
 * only. Several processes may use one dir. Errors: it can be neither made nor written. */
struct err *spool_open(const char *dir, uint64_t max_bytes, struct spool **ret);
/* Any thread. Never waits for more than one write to a file. *errnum_ret: why it went to memory
 * only; 0: it did not. */
void spool_put(struct spool *sp, const void *bytes, size_t len, int *errnum_ret);
void spool_count(struct spool *sp, struct spool_counts *ret);
/* What follows is for the sender alone. The oldest; it stays until spool_done() or spool_aside()
 * and is not dropped meanwhile. False: none. Free *bytes_ret. A file that cannot be read is moved
 * aside. */
bool spool_oldest(struct spool *sp, void **bytes_ret, size_t *len_ret, struct spool_progress *ret);
void spool_progressed(struct spool *sp, struct spool_progress progress);
void spool_done(struct spool *sp);
/* Before spool_done(): writes the profile as a file that pprof reads, and beside it a .reason; the
 * oldest of these are removed when they take more than a quarter of the spool. */
void spool_aside(struct spool *sp, const void *pprof, size_t len, const char *reason);
/* Brings what waits to the disk: fsync, and what is in memory if there is room again. How many are
 * in memory still. */
uint64_t spool_settle(struct spool *sp);
/* Takes over what other processes left behind. True: something came. */
bool spool_adopt(struct spool *sp);
/* NULL: memory only. */
const char *spool_dir(const struct spool *sp);
void spool_close(struct spool *sp);

/* ---- piece.c: a part of a profile that a backend takes in one request ---- */

/* A profile as protobuf, of the budget's memory. */
struct unpacked {
	Perftools__Profiles__Profile *pb;
	size_t len; /* uncompressed */
};

/* ERR_FORMAT: not a profile, or one that a backend refuses or falls over. */
struct err *unpacked_create(const struct entry *e, struct unpacked *ret);
void unpacked_free(struct unpacked *u);
/* Whether there is anything but zeros. */
bool unpacked_any(const struct unpacked *u);

struct piece_limits {
	size_t samples, bytes; /* bytes: uncompressed */
};
/* The samples from first on, as many as the limits allow and at least one, as a profile of its own
 * whose time is moved by shift_ns. *n_ret: how many samples. Free pb_ret with piece_free(). */
Perftools__Profiles__Profile *piece_cut(const struct unpacked *u, size_t first,
                                        const struct piece_limits *limits, int64_t shift_ns,
                                        size_t *n_ret);
void piece_free(Perftools__Profiles__Profile *piece);
/* gzip'd protobuf. */
struct err *piece_pack(const Perftools__Profiles__Profile *piece, void **bytes_ret,
                       size_t *len_ret);

/* ---- pack.c ---- */

struct err *gzip_pack(const void *bytes, size_t len, void **packed_ret, size_t *packed_len_ret);
/* max: of the result. */
struct err *gzip_unpack(const void *bytes, size_t len, size_t max, void **ret, size_t *len_ret);

void base64_add(struct strbuf *b, const void *bytes, size_t len);

/* ---- http.c ---- */

struct http;
struct http_request {
	char *path; /* after the base URL, query included; owned */
	const char *content_type, *content_encoding;
	void *body; /* owned */
	size_t body_len;
};
struct http_answer {
	long status;            /* 0: none came */
	bool aborted;           /* by http_stop() */
	uint64_t retry_after_s; /* 0: not said */
	char text[512];         /* why none came, or how the body begins; printable, no secrets */
	char body[4096];        /* NUL-terminated */
	size_t body_len;
};
struct http_config {
	const char *base; /* without credentials, no slash at the end */
	const char *user; /* "user:password" of the URL; NULL: none */
	const struct push_config *push;
};
/* Checks the files it names. Copies what it needs. */
struct err *http_create(const struct http_config *config, struct http **ret);
void http_post(struct http *h, const struct http_request *r, struct http_answer *ret);
bool http_has_secrets(const struct http *h);
/* Sender: connections and certificates are taken anew. */
void http_reopen(struct http *h);
/* Any thread: a request in flight or begun later is given up at this time (CLOCK_MONOTONIC). */
void http_stop(struct http *h, uint64_t deadline_ns);
void http_destroy(struct http *h);
void http_request_free(struct http_request *r);

/* ---- retry.c ---- */

enum verdict {
	PUSH_DELIVERED,
	PUSH_RETRY,     /* as long as it takes */
	PUSH_RETRY_FEW, /* then rejected */
	PUSH_SMALLER,   /* too large: the same in smaller pieces */
	PUSH_REJECTED,
	PUSH_EXPIRED,
	PUSH_OTHER_WAY, /* the backend speaks another protocol of ours: once more, at once */
};
#define PUSH_FEW 3

/* What all HTTP servers mean by a status. */
enum verdict retry_judge(long status);
/* Until the next attempt after that many failures in a row; random: any number. */
uint64_t retry_delay_ns(unsigned failures, uint64_t retry_after_s, uint64_t random);

/* ---- backends: a row each; backends.c lists them ---- */

struct sending {
	const struct entry *entry;
	const Perftools__Profiles__Profile *piece;
	const void *pprof; /* the piece in gzip */
	size_t pprof_len;
	unsigned number;     /* of the piece, from 0 */
	const char *version; /* of csample */
	bool other_way;      /* PUSH_OTHER_WAY was said */
};
struct backend {
	const char *name; /* "pyroscope": the scheme before + */
	struct piece_limits limits;
	/* It drops the second of two profiles of a series that begin in the same millisecond, and
	 * recordings of many hosts begin at the same boundaries: theirs are moved by up to this. */
	unsigned spread_ms;
	struct err *(*request)(const struct sending *s, struct http_request *ret);
	enum verdict (*judge)(const struct sending *s, const struct http_answer *a);
};
extern const struct backend backend_pyroscope, backend_parca, backend_otlp;
/* NULL: none of that name. */
const struct backend *backend_find(const char *name, size_t len);

/* ---- url.c ---- */

struct push_url {
	const struct backend *backend;
	char *base;           /* http://host:port/prefix, no credentials, no slash at the end */
	char *user;           /* user:password; NULL: none */
	bool secret_in_clear; /* plain HTTP to another host */
};
struct err *push_url_parse(const char *url, struct push_url *ret);
void push_url_free(struct push_url *u);

#endif
