/* SPDX-License-Identifier: Apache-2.0 */
/* Where profiles of continuous recordings go: files, the store, a backend. Each interval's profile
 * is handed to every outlet once. */
#ifndef CSAMPLE_OUTLET_H
#define CSAMPLE_OUTLET_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <csample/err.h>
#include <csample/format.h>
#include <csample/profile.h>

/* What a series of profiles is told apart by. */
struct outlet_label {
	const char *name, *value; /* UTF-8, by the rules of label_check() */
};

/* A finished interval. Lives as long as the call it is passed to. */
struct delivery {
	const struct profile *profile;     /* named, its meta complete */
	uint64_t sequence;                 /* of the recording, from 1 */
	const char *type;                  /* "process_cpu", "wall": what backends call __name__ */
	const struct outlet_label *labels; /* sorted by name; service_name is among them */
	size_t n_labels;
	const void *pprof; /* the profile as profile.proto, in gzip; ids dense, strings UTF-8 */
	size_t pprof_len;
	size_t pprof_unpacked_len;
};

/* Counts since it was opened; of what is asynchronous, as far as is known by now. */
struct outlet_stats {
	uint64_t delivered; /* profiles that have arrived */
	uint64_t retried;   /* attempts that failed and will be repeated, or were */
	uint64_t rejected;  /* moved aside: the other side will never take them */
	uint64_t dropped; /* oldest of a full spool, expired by retention that was not asked for */
	uint64_t expired; /* of these: too old for the other side by the time it took any */
	uint64_t waiting, waiting_bytes; /* profiles not yet delivered */
	char last_error[256];            /* "": none so far */
};

struct outlet;
struct outlet_ops {
	/* Called for each interval, by one thread, not the one that samples: takes what it needs
	 * and returns without waiting for a network, since the other outlets wait. An error is
	 * reported and counted by the caller; sampling and the other outlets go on. */
	struct err *(*put)(struct outlet *o, const struct delivery *d);
	/* SIGHUP: files and certificates may have been moved. By that thread. Optional. */
	void (*reopen)(struct outlet *o);
	/* From any thread. */
	void (*stats)(struct outlet *o, struct outlet_stats *ret);
	/* Delivers what can be delivered until deadline_ns (CLOCK_MONOTONIC), keeps the rest where
	 * it survives, and frees o. */
	void (*close)(struct outlet *o, uint64_t deadline_ns);
};

/* The beginning of each outlet. */
struct outlet {
	const struct outlet_ops *ops;
	char *name; /* for messages and metrics, without credentials: "store /var/lib/csample",
	               "pyroscope http://host:4040"; owned, freed by close */
};

/* How much to keep; 0: no such limit. */
struct retention {
	uint64_t count, age_ns, bytes;
};

/* -o 'prof-%t-%p-%n.pb.gz'. Errors: an unknown format, a directory that cannot be written. */
struct err *outlet_files(const char *pattern, const struct format *format,
                         const struct emit_options *emit, const struct retention *keep,
                         struct outlet **ret);
/* --store DIR; made if it is not there. */
struct err *outlet_store(const char *dir, const struct retention *keep, struct outlet **ret);

/* --push SCHEME://...; what options of pushes said, for all of them. Strings are borrowed during
 * the call. */
struct push_config {
	const char *spool_dir;      /* NULL: below $XDG_STATE_HOME or /var/lib */
	uint64_t spool_max_bytes;   /* 0: 256 MiB */
	const char *tenant;         /* X-Scope-OrgID; NULL: none */
	const char *user_file;      /* "user:password" in a file; NULL: none */
	const char *token_file;     /* bearer token; NULL: none */
	const char *const *headers; /* "Name: value", NULL-terminated; may be NULL */
	const char *ca_file, *cert_file, *key_file; /* NULL: curl's defaults */
	bool insecure;                              /* the certificate is not checked */
	uint64_t timeout_ns;                        /* of a request; 0: 30 s, more for large ones */
	const char *version;                        /* of csample, for User-Agent */
};
/* A profile without samples goes nowhere: no backend keeps it. Errors: a URL that is none, a file
 * that cannot be read, a spool directory that was named and cannot be written. */
struct err *outlet_push(const char *url, const struct push_config *config, struct outlet **ret);
/* What it can push to, in a line: for `csample version`. */
const char *push_features(void);

/* Whether all backends accept it as a label: the name as Prometheus has it, the value UTF-8 of
 * bounded length. ERR_USAGE says why not; names that identify requests or people are refused, since
 * each of their values would make a series of its own. */
struct err *label_check(const char *name, const char *value);

#endif
