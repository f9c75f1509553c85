/* SPDX-License-Identifier: Apache-2.0 */
#ifndef SYMBOLS_CODEFRAME_H
#define SYMBOLS_CODEFRAME_H

#include <stdbool.h>
#include <stdint.h>

/* What a source of names says of one function at an address. Strings are interned; NULL or 0: not
 * known. */
struct code_frame {
	const char *name; /* as the linker knows it, else as the source has it */
	const char *file;
	uint32_t line, column; /* that execution is at in this function */
	bool inlined;
};

#endif
