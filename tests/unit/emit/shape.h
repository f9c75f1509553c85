/* SPDX-License-Identifier: Apache-2.0 */
/* A small profile, frame by frame, and what a format makes of it. */
#ifndef SHAPE_H
#define SHAPE_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <csample/format.h>
#include <csample/mem.h>
#include <csample/profile.h>

static struct strings *strings;
static struct profile *p;

static int setup(void **state)
{
	(void)state;
	strings = strings_create();
	p = profile_create(strings);
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	profile_destroy(p);
	strings_destroy(strings);
	return 0;
}

/* Below parent, a location of n frames, innermost first, whose names are interned here. Equal
 * addresses are equal locations. Returns its node. */
static inline uint32_t call(uint32_t parent, uint64_t addr, size_t n, const struct frame *frames)
{
	struct frame copy[8];
	for (size_t i = 0; i < n; i++) {
		copy[i] = frames[i];
		copy[i].function = intern(strings, frames[i].function);
		copy[i].module = intern(strings, frames[i].module);
		copy[i].file = intern(strings, frames[i].file);
	}
	struct location loc = {.raw = {.kind = RAW_NATIVE, .addr = addr},
	                       .address = addr,
	                       .n_frames = (uint32_t)n,
	                       .frames = copy};
	return profile_child(p, parent, profile_add_location(p, &loc));
}
#define CALL(parent, addr, ...)                                         \
	call(parent, addr, ARRAY_SIZE(((struct frame[]){__VA_ARGS__})), \
	     (struct frame[]){__VA_ARGS__})
#define NATIVE(name)                                     \
	{                                                \
		.kind = FRAME_NATIVE, .function = (name) \
	}

static inline void values(uint32_t node, uint64_t samples, uint64_t ns)
{
	profile_add_to_node(p, node, (uint64_t[PROFILE_VALUES]){samples, ns});
}

/* What a format writes. Free it. */
__attribute__((unused, noinline)) static char *written(const char *format, struct emit_options opt,
                                                       size_t *len)
{
	char *text = NULL;
	FILE *out = open_memstream(&text, len);
	assert_null(format_by_name(format)->write(p, &opt, out));
	assert_int_equal(fclose(out), 0);
	return text;
}

#endif
