/* SPDX-License-Identifier: Apache-2.0 */
/* Code without CFI: assembly, musl, JIT compilers. What its own bytes prove, else frame pointers.
 */
#ifndef UNWIND_NOCFI_H
#define UNWIND_NOCFI_H

#include <csample/image.h>
#include <csample/unwinder.h>

#include "rule.h"
#include "walk.h"

/* Frame the kernel built for a signal's handler, if vaddr is in the code that returns from it. */
bool nocfi_sigreturn(const struct image *img, uint64_t vaddr, bool is_exact, struct rule *ret);
/* The rule at vaddr, where w is, by the code around it: a root, a PLT stub, an epilogue, or how
 * deep the stack is since the start of the function; else RULE_NO_CFI. namer may be NULL. */
void nocfi_rule(struct walk *w, struct image *img, uint64_t vaddr, unwinder_namer *namer,
                void *namer_arg, struct rule *ret);
/* Goes to the caller by the frame pointer. w is left as it was when false; w->end is set, and
 * STACK_ROOT means that w is at the outermost frame. */
bool nocfi_step(struct walk *w);

#endif
