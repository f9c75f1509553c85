/* SPDX-License-Identifier: Apache-2.0 */
/* What native frames are to a runtime; asked once for each address. */
#ifndef DECODE_ROLES_H
#define DECODE_ROLES_H

#include <csample/decode.h>
#include <csample/hash.h>

#include "splice.h"

struct roles {
	struct runtime *rt;
	struct images *images;
	decoder_namer *namer;
	void *namer_arg;
	struct map64 known; /* of image and address: enum native_role + 1 */
};
void roles_init(struct roles *r, struct runtime *rt, struct images *images, decoder_namer *namer,
                void *namer_arg);
void roles_deinit(struct roles *r);
/* arg is a struct roles. */
enum native_role roles_of(void *arg, const struct raw_frame *raw);

#endif
