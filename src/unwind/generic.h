/* SPDX-License-Identifier: Apache-2.0 */
/* One step by libunwind, for rows of CFI whose expressions do not reduce to a rule. */
#ifndef UNWIND_GENERIC_H
#define UNWIND_GENERIC_H

#include "cfi.h"
#include "walk.h"

struct generic;
struct generic *generic_create(void); /* NULL: libunwind cannot */
void generic_destroy(struct generic *g);
/* As walk_step(), for any row whose expressions are sound. */
bool generic_step(struct generic *g, struct walk *w, const struct cfi_row *row);

#endif
