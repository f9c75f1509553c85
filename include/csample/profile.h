/* SPDX-License-Identifier: Apache-2.0 */
/* Weighted stacks: a trie of locations. Filled with raw frames while sampling, named once when
 * read. Emitters see this and nothing else; a reader of a profile file fills the same structure. */
#ifndef CSAMPLE_PROFILE_H
#define CSAMPLE_PROFILE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <csample/frame.h>
#include <csample/intern.h>

/* A range of a process's memory that a file is mapped to. */
struct profile_mapping {
	uint64_t start, limit, offset;
	const char *file;     /* interned */
	const char *build_id; /* lower-case hex, interned; NULL: none */
	bool has_functions, has_filenames, has_lines, has_inlines;
};

/* A place in code: one raw frame and, once named, the frames it stands for, innermost first. */
struct location {
	struct raw_frame raw;
	uint32_t mapping;           /* index + 1 into mappings; 0: none */
	uint64_t address;           /* in the process, for pprof */
	uint32_t n_frames;          /* 0: not named yet */
	const struct frame *frames; /* owned by the profile */
};

#define PROFILE_VALUES 2 /* [0]: samples; [1]: nanoseconds, of what meta.value_type says */

/* A node of the trie: a location with its callers. nodes[0] is the root, without a location.
 * Parents come before their children. */
struct profile_node {
	uint32_t parent;
	uint32_t location;
	uint64_t self[PROFILE_VALUES]; /* of samples whose leaf is this node */
};

struct profile_meta {
	const char *title;      /* interned, as the rest here; NULL: none */
	const char *command;    /* command line of the target */
	const char *event;      /* "cpu", "wall", "cycles" */
	const char *value_type; /* pprof's type of values[1]: "cpu", "wall" */
	const char *note; /* what the reader must know: "perf events refused: timer fallback" */
	int32_t pid;
	double rate_hz;
	int64_t start_unix_ns;
	uint64_t start_ns; /* the same instant of CLOCK_MONOTONIC; 0: not known */
	uint64_t duration_ns;
	uint64_t lost; /* ticks */
};

/* Of recordings that keep when each sample was. */
struct profile_thread {
	int32_t pid, tid;
	const char *name, *process; /* interned; NULL: not known */
};
struct profile_sample {
	uint64_t time_ns;      /* since meta.start_unix_ns; the end of the time it stands for */
	uint32_t node, thread; /* indices; what it adds is in the node's values too */
	uint64_t values[PROFILE_VALUES];
};

struct profile {
	struct profile_meta meta;
	struct strings *strings; /* not owned */
	struct profile_mapping *mappings;
	size_t n_mappings;
	struct location *locations;
	size_t n_locations;
	struct profile_node *nodes;
	size_t n_nodes;
	uint64_t total[PROFILE_VALUES];
	struct profile_thread *threads;
	size_t n_threads;
	struct profile_sample *samples; /* in the order they were added; of one thread, of time */
	size_t n_samples, max_samples;  /* max_samples 0: none are kept */
	uint64_t n_samples_lost;        /* beyond max_samples: they count in nodes only */
	size_t max_nodes;               /* then new stacks count on "[too many distinct stacks]" */
	struct profile_index *index;    /* private: hashes for interning */
};

struct profile *profile_create(struct strings *strings);
void profile_destroy(struct profile *p);

/* Adds a stack, leaf first, and returns its leaf node. An empty stack counts on the root node. */
uint32_t profile_add(struct profile *p, const struct raw_frame *leaf_first, size_t n,
                     const uint64_t values[PROFILE_VALUES]);
/* More of what profile_add() returned. */
void profile_add_to_node(struct profile *p, uint32_t node, const uint64_t values[PROFILE_VALUES]);
/* Index + 1 of a mapping, added if it is new (file, build id, start and offset are its identity;
 * the limit and what it has are widened). Add the main binary's first: pprof shows that one as its
 * own. */
uint32_t profile_mapping(struct profile *p, const struct profile_mapping *mapping);

/* Gives each location without frames its names; frames are copied. RAW_MARK names itself. */
typedef size_t profile_namer(void *arg, const struct location *loc, struct frame *out, size_t max);
void profile_name(struct profile *p, profile_namer *namer, void *arg);
/* The same of locations [first, end), which exist. */
void profile_name_range(struct profile *p, size_t first, size_t end, profile_namer *namer,
                        void *arg);

/* For readers of files and for tests: a location that is already named; its frames are copied. With
 * a raw frame known before it is that location, without one (kind 0) a new one. Returns its index.
 */
uint32_t profile_add_location(struct profile *p, const struct location *loc);
/* The child of parent for a location, added if it is new. */
uint32_t profile_child(struct profile *p, uint32_t parent, uint32_t location);

/* A timeline of 64 MiB: 5 hours of a CPU at 100 Hz. */
#define PROFILE_MAX_SAMPLES ((size_t)1 << 21)
/* Index of a new thread, for samples. */
uint32_t profile_add_thread(struct profile *p, const struct profile_thread *thread);
/* Keeps a sample if there is room for it; its values are not added to the node's. */
void profile_add_sample(struct profile *p, const struct profile_sample *sample);

/* Adds from, which is named, to into: equal stacks meet, whichever address space they are of.
 * Strings are interned anew where the profiles have different tables, so from may go away.
 * baseline: values of nodes [0, n_baseline) of from that do not count (they were counted before);
 * NULL: none. Meta: into's command, event, ... stay if they are set; the window is widened, the
 * durations and losses add up. */
void profile_merge(struct profile *into, const struct profile *from,
                   const uint64_t (*baseline)[PROFILE_VALUES], size_t n_baseline);
/* The same with a node of into in the place of its root. */
void profile_merge_below(struct profile *into, uint32_t parent, const struct profile *from,
                         const uint64_t (*baseline)[PROFILE_VALUES], size_t n_baseline);

#endif
