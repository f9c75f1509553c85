/* SPDX-License-Identifier: Apache-2.0 */
/* Output formats: each a const table row; src/emit/formats.c lists them.
 *
 * To add one: write src/emit/NAME.c with a `const struct format`, declare it in src/emit/emit.h,
 * list it in formats.c, and add its golden file under tests/golden. */
#ifndef CSAMPLE_FORMAT_H
#define CSAMPLE_FORMAT_H

#include <stdbool.h>
#include <stdio.h>

#include <csample/err.h>
#include <csample/profile.h>

struct emit_options {
	bool functions;      /* -F: no lines in names */
	bool full_filenames; /* not only the last part of a path */
	bool annotate;       /* collapsed: suffixes _[k] _[i] ... as flamegraph.pl knows them */
	bool inverted;       /* SVG, HTML: icicle at first sight */
	double min_width_px; /* SVG: narrower frames are dropped; 0: the default */
};

struct format {
	const char *name;            /* after -f */
	const char *const *aliases;  /* NULL-terminated, may be NULL */
	const char *const *suffixes; /* ".svg", NULL-terminated: what -o implies */
	const char *suffix;          /* of the name csample chooses itself */
	const char *help;
	bool timeline; /* of samples' times, or it has nothing to write: record keeps them then */
	/* Writes the whole profile, which is named. Errors of the stream stay in the stream, for
	 * output_commit() to tell: it knows the path. */
	struct err *(*write)(const struct profile *p, const struct emit_options *opt, FILE *out);
	/* Formats that can be read back, NULL for others. is_it looks at the beginning of a file
	 * and does not err on well-formed ones of other formats that are readable. read fills p,
	 * which is empty; whatever the bytes are it ends soon and touches no others. ERR_FORMAT
	 * says what is wrong, and p may then hold a part. */
	bool (*is_it)(const char *bytes, size_t len);
	struct err *(*read)(const char *bytes, size_t len, struct profile *p);
};

/* By name (any case) or alias; NULL: none. */
const struct format *format_by_name(const char *name);
/* By a file name's end; NULL: none. */
const struct format *format_by_path(const char *path);
/* NULL-terminated. */
extern const struct format *const formats[];
/* "svg, collapsed, pprof": for messages. */
void format_list(char *buf, size_t len);

/* Fills p, which is empty, from a file in any format that can be read, told by its content; "-" is
 * standard input. What is in gzip is unpacked. */
struct err *profile_read(const char *path, struct profile *p);
/* "pprof, json, ...": for messages. */
void format_list_readable(char *buf, size_t len);

/* The text of a frame as flame graphs and collapsed stacks show it. Appends to b. */
struct strbuf;
void frame_label(const struct frame *f, const struct emit_options *opt, struct strbuf *b);

/* An output file that replaces the old one only when it is complete: written beside it under a
 * temporary name, renamed at the end, removed when something fails. "-" and /dev/stdout are stdout;
 * pipes and devices are written directly. */
struct output;
/* Checks that path can be written, before anything is sampled. */
struct err *output_open(const char *path, struct output **ret);
FILE *output_stream(struct output *o);
struct err *output_commit(struct output *o); /* frees o in any case */
void output_abort(struct output *o);         /* NULL is allowed */

#endif
