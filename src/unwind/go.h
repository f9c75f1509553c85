/* SPDX-License-Identifier: Apache-2.0 */
/* Go's own table of functions, .gopclntab, which even stripped Go programs carry: for each pc how
 * far the stack pointer is from the return address, and which functions end a stack. */
#ifndef UNWIND_GO_H
#define UNWIND_GO_H

#include <stdbool.h>
#include <stdint.h>

#include <csample/image.h>

struct go_functions;
/* NULL: not a Go program, or of a release whose table is unknown (before 1.16). */
struct go_functions *go_functions_create(const struct image *img);
void go_functions_destroy(struct go_functions *go);

struct go_frame {
	uint64_t start;   /* of the function, as linked */
	int64_t sp_delta; /* from the stack pointer up to the return address's slot; -1: unknown */
	bool is_top;      /* outermost on its stack: goexit, mstart, rt0_go */
	bool switches_stack; /* sets the stack pointer to what the table cannot tell */
};
/* What the table says of vaddr; false if no Go function is there. */
bool go_functions_find(const struct go_functions *go, uint64_t vaddr, struct go_frame *ret);

#endif
