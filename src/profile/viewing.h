/* SPDX-License-Identifier: Apache-2.0 */
/* What the parts of a view share. */
#ifndef PROFILE_VIEWING_H
#define PROFILE_VIEWING_H

#include <csample/hash.h>
#include <csample/vec.h>
#include <csample/view.h>

struct view {
	const struct profile *p;
	struct view_config config;
	VEC(struct view_row) rows;
	VEC(uint32_t) stamps; /* per row: the last stack that counted on it */
	uint32_t stamp;
	struct map64 by_key;        /* what makes a row: its index + 1 */
	VEC(uint32_t) located;      /* per location: into frame_rows, + 1; 0: not looked at */
	VEC(uint32_t) frame_rows;   /* a count, then that many rows, innermost first; and so on */
	VEC(struct view_seen) seen; /* per node */
	VEC(uint32_t) path;
	uint64_t total[PROFILE_VALUES], recent_total[PROFILE_VALUES];
};

struct view_seen {
	uint64_t self[PROFILE_VALUES];
	bool inside; /* one of the stacks that the view looks at */
};

/* The rows of a stack, leaf first, at least one. Valid until the next call. */
const uint32_t *view_path(struct view *v, uint32_t leaf, size_t *n_ret);

#endif
