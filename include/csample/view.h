/* SPDX-License-Identifier: Apache-2.0 */
/* What a person asks of a profile: which functions, lines, modules or threads the time went to, and
 * who called whom. Made once and brought up to date as the profile grows: report makes one and is
 * done, a live view calls view_update() at each refresh. */
#ifndef CSAMPLE_VIEW_H
#define CSAMPLE_VIEW_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <csample/profile.h>

enum view_kind {
	VIEW_FUNCTIONS,
	VIEW_LINES,   /* functions, each line that was seen of them apart */
	VIEW_MODULES, /* ELF files; for a runtime's frames their source file */
	VIEW_THREADS, /* the profile must tell them apart: else all is in one row */
};

struct view_config {
	enum view_kind kind;
	bool no_native; /* native and kernel frames are left out: their time is that of the nearest
	                   caller that stays */
	uint32_t below; /* only stacks through this node of the profile, a thread's say; 0: all */
};

/* Function, file and module say what it is; modules and threads are the function's name. */
struct view_row {
	struct frame frame;
	uint64_t own[PROFILE_VALUES];   /* of stacks that end there */
	uint64_t total[PROFILE_VALUES]; /* and of those that pass through, each counted once */
	/* The same, of what the last view_update() found new. */
	uint64_t recent_own[PROFILE_VALUES], recent_total[PROFILE_VALUES];
};

struct view;
/* p must outlive it. Empty until the first view_update(). */
struct view *view_create(const struct profile *p, const struct view_config *config);
void view_destroy(struct view *v);
/* Takes in what was added to p since the last time; locations that were named since are looked at
 * again only if they had no name when first seen. A read of each node, and for those that grew a
 * walk to the root. */
void view_update(struct view *v);
/* Counts from now on. Rows stay, with zeros. */
void view_reset(struct view *v);

/* In the order in which they were first seen: an index stands for its row as long as v lives. */
const struct view_row *view_rows(const struct view *v, size_t *n_ret);
/* Sums over all stacks that v looks at. */
const uint64_t *view_total(const struct view *v);
const uint64_t *view_recent_total(const struct view *v);

/* Who called whom: of the total of both rows, what was on stacks where one called the other, each
 * counted once. Sorted by caller, then by callee. The root of stacks has no caller. */
struct view_edge {
	uint32_t caller, callee; /* indices of rows */
	uint64_t values[PROFILE_VALUES];
};
/* From the whole of p as of the last view_update() (and not since view_reset()). Free the result.
 */
struct view_edge *view_edges(struct view *v, size_t *n_ret);

/* A tree of calls: from the roots of stacks down or, for one row, from each of its places on to
 * callees or back to callers. nodes[0] stands for the row, or for all; parents come before
 * children, which are linked in the order of their totals of values[value]. */
struct view_tree_node {
	uint32_t row;         /* UINT32_MAX: all */
	uint32_t parent;      /* of nodes[0] itself */
	uint32_t child, next; /* the first, and the next of the same parent; 0: none */
	uint32_t depth;
	uint64_t own[PROFILE_VALUES], total[PROFILE_VALUES];
};
struct view_tree {
	struct view_tree_node *nodes;
	size_t n;
};
#define VIEW_ALL UINT32_MAX
enum view_direction { VIEW_CALLEES, VIEW_CALLERS };
/* row: an index or VIEW_ALL. Recursion: down from the place nearest to the root, back from the one
 * nearest to the leaf, so that totals count each stack once. */
void view_tree_init(struct view_tree *t, struct view *v, uint32_t row,
                    enum view_direction direction, size_t value);
void view_tree_deinit(struct view_tree *t);

#endif
