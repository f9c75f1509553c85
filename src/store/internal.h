/* SPDX-License-Identifier: Apache-2.0 */
/* What the parts of the store share. */
#ifndef STORE_INTERNAL_H
#define STORE_INTERNAL_H

#include "index.h"

struct store {
	char *dir;
	int dir_fd, blobs_fd;
	bool write;
	struct index *index;
	bool was_damaged; /* the index, when it was opened */
};

/* Indexes what blobs there are whose names are not before the given one ("": all). In a
 * transaction. Those without a head of ours are left alone and counted in *bad_ret. */
struct err *store_adopt(struct store *s, const char *from_name, uint64_t *adopted_ret,
                        uint64_t *bad_ret);
/* What the index opened on is not the one that is there: somebody made it anew. */
struct err *store_follow(struct store *s);
/* The index turned out to be damaged while it was open: makes it anew. */
struct err *store_renew(struct store *s);

#endif
