/* SPDX-License-Identifier: Apache-2.0 */
#include <stdlib.h>

#include <csample/mem.h>

#include "cpython.h"

struct py_codes {
	int none;
};

struct py_codes *py_codes_create(struct strings *strings)
{
	(void)strings;
	return mem_zalloc(sizeof(struct py_codes));
}

void py_codes_destroy(struct py_codes *c)
{
	free(c);
}

bool py_code_is_settled(struct py_codes *c, uint64_t addr)
{
	(void)c, (void)addr;
	return false;
}

uint32_t py_code_entry(struct py *py, const struct snapshot *snap, uint64_t addr)
{
	(void)py, (void)snap, (void)addr;
	return 0;
}

void py_code_qualify(struct py *py, const struct snapshot *snap, uint32_t entry, uint64_t frame)
{
	(void)py, (void)snap, (void)entry, (void)frame;
}

int64_t py_code_first_traceable(struct py_codes *c, uint32_t entry)
{
	(void)c, (void)entry;
	return 0;
}

uint32_t py_code_line(struct py_codes *c, uint32_t entry, int64_t lasti)
{
	(void)c, (void)entry, (void)lasti;
	return 0;
}

void py_describe(struct runtime *rt, struct raw_frame raw, struct frame *out)
{
	(void)rt, (void)raw;
	*out = (struct frame){.kind = FRAME_PYTHON, .function = "?"};
}

void py_codes_refresh(struct py *py)
{
	(void)py;
}
