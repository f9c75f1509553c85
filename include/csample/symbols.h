/* SPDX-License-Identifier: Apache-2.0 */
/* Names for raw frames. Never in the sampling path: after it, or on the worker for live use. */
#ifndef CSAMPLE_SYMBOLS_H
#define CSAMPLE_SYMBOLS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <csample/frame.h>
#include <csample/image.h>
#include <csample/intern.h>

#define SYMBOLS_MAX_INLINED 64

struct symbols_config {
	bool no_inlines; /* one frame per address */
	bool no_demangle;
	bool no_debuginfod; /* even when DEBUGINFOD_URLS is set */
};

struct symbols;
struct symbols *symbols_create(struct images *images, struct strings *strings,
                               const struct symbols_config *config);
void symbols_destroy(struct symbols *s);

/* Opens now whatever naming frames of img will need later (separate debug files in the target's
 * root and here), but parses nothing: a few milliseconds at most, and no network. */
void symbols_prepare_image(struct symbols *s, struct image *img);
/* Tells where RAW_ANON frames of this owner are named: /tmp/perf-NSPID.map beneath root_fd, which
 * is duplicated; the file is opened now if it is there, and looked for again when names are asked
 * for. uid: the file must belong to it or to root. */
void symbols_add_process(struct symbols *s, uint32_t owner, int root_fd, int32_t ns_pid,
                         uint32_t uid);

/* The process has ended, or is sampled no more: symbols_collect() forgets where its frames are
 * named, when none of them waits for a name any more. */
void symbols_end_process(struct symbols *s, uint32_t owner);
void symbols_collect(struct symbols *s);

/* Names one raw frame: innermost (inlined) first, the function that really exists last; at least 1,
 * at most max (>= 1) frames are written to out. Never fails: without symbols the name is
 * "module+0xoffset". Results are cached per (image, address). */
size_t symbols_name(struct symbols *s, struct raw_frame raw, struct frame *out, size_t max);

/* A function's name from the object file's symbol table, undemangled, and its start as linked;
 * false: none. For unwinding roots and runtimes. */
bool symbols_lookup_name(struct symbols *s, struct image *img, uint64_t vaddr,
                         const char **name_ret, uint64_t *start_ret);

/* How well img could be named: "symtab", "dynsym", "debug file /…", "none"; for doctor and pprof.
 */
struct symbols_source {
	bool has_functions, has_lines, has_inlines;
	const char *origin; /* where the names come from, for people; interned */
};
void symbols_source(struct symbols *s, struct image *img, struct symbols_source *ret);

/* Demangled copy (C++, Rust v0 and legacy, D), or NULL if name is not mangled. Free it. Bounded in
 * time and size whatever the name. */
char *demangle(const char *name);

#endif
