/* SPDX-License-Identifier: Apache-2.0 */
/* Frames and groups, as walks of all runtimes fill them in. */
#include <stdlib.h>

#include <csample/mem.h>
#include <csample/runtime.h>

const char *const walk_end_names[WALK_ENDS] = {
        [WALK_NONE] = "none",           [WALK_WHOLE] = "whole", [WALK_STARTING] = "starting",
        [WALK_TRUNCATED] = "truncated", [WALK_TORN] = "torn",
};

void runtime_stack_init(struct runtime_stack *s)
{
	*s = (struct runtime_stack){0};
}

void runtime_stack_deinit(struct runtime_stack *s)
{
	free(s->frames);
	free(s->groups);
	*s = (struct runtime_stack){0};
}

bool runtime_stack_push(struct runtime_stack *s, struct raw_frame raw)
{
	if (!s->frames || s->n == s->cap) {
		if (s->cap == RUNTIME_MAX_FRAMES)
			return false;
		s->cap = s->cap ? s->cap * 2 : 256;
		s->frames = mem_realloc_array(s->frames, s->cap, sizeof(*s->frames));
	}
	s->frames[s->n++] = raw;
	return true;
}

bool runtime_stack_close_group(struct runtime_stack *s, uint64_t marker)
{
	const struct runtime_group *last = s->n_groups ? &s->groups[s->n_groups - 1] : NULL;
	uint32_t first = last ? last->first + last->n : 0;
	if (!s->groups || s->n_groups == s->cap_groups) {
		if (s->cap_groups == RUNTIME_MAX_FRAMES)
			return false;
		s->cap_groups = s->cap_groups ? s->cap_groups * 2 : 64;
		s->groups = mem_realloc_array(s->groups, s->cap_groups, sizeof(*s->groups));
	}
	s->groups[s->n_groups++] = (struct runtime_group){first, (uint32_t)s->n - first, marker};
	return true;
}
