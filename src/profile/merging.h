/* SPDX-License-Identifier: Apache-2.0 */
/* What merging needs of a profile's indices. */
#ifndef PROFILE_MERGING_H
#define PROFILE_MERGING_H

#include <csample/profile.h>

/* Where the profile keeps what merging knows of it; freed with it. */
struct merging;
struct merging **profile_merging(struct profile *p);
void merging_destroy(struct merging *m); /* NULL is allowed */

/* The child of parent for a location, or the node that counts what there is no room for. */
uint32_t profile_child_or_full(struct profile *p, uint32_t parent, uint32_t location);

#endif
