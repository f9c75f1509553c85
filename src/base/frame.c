/* SPDX-License-Identifier: Apache-2.0 */
#include <stdlib.h>
#include <string.h>

#include <csample/frame.h>
#include <csample/mem.h>
#include <csample/snapshot.h>

const char *const stack_end_names[STACK_ENDS] = {
        [STACK_ROOT] = "root",
        [STACK_SHORT] = "truncated",
        [STACK_NO_RULE] = "no_unwind_rule",
        [STACK_BAD_CFI] = "bad_cfi",
        [STACK_LOOP] = "loop",
        [STACK_TOO_DEEP] = "too_deep",
        [STACK_NO_MEMORY] = "no_memory",
};

const char *const captured_by_names[CAPTURED_WAYS] = {
        [BY_PREEMPT] = "preempt",
        [BY_ASLEEP] = "asleep",
        [BY_STOP] = "stop",
};

void stack_init(struct stack *s)
{
	*s = (struct stack){.cap = STACK_MAX_FRAMES + 16};
	s->frames = mem_realloc_array(NULL, s->cap, sizeof(*s->frames));
	s->cfas = mem_realloc_array(NULL, s->cap, sizeof(*s->cfas));
}

void stack_deinit(struct stack *s)
{
	free(s->frames);
	free(s->cfas);
	*s = (struct stack){0};
}

const uint8_t *snapshot_at(const struct snapshot *snap, uint64_t addr, size_t len)
{
	for (size_t i = 0; i < snap->n_regions; i++) {
		const struct region *region = &snap->regions[i];
		uint64_t at = addr - region->addr;
		if (at < region->len && len <= region->len - at)
			return snap->bytes + region->at + at;
	}
	return NULL;
}

static struct err *read_snapshot(struct rmem *rm, uint64_t addr, void *buf, size_t len)
{
	const struct rmem_snapshot *m = (const struct rmem_snapshot *)rm;
	const uint8_t *p = snapshot_at(m->snap, addr, len);
	if (!p)
		return &err_fault;
	memcpy(buf, p, len);
	return NULL;
}

void rmem_snapshot_init(struct rmem_snapshot *m, const struct snapshot *snap)
{
	*m = (struct rmem_snapshot){.rm.read = read_snapshot, .snap = snap};
}

/* Each package or module has one of that name. */
static bool is_anonymous(const char *name)
{
	static const char *const names[] = {"__init__.py", "__main__.py", "index.js", "index.mjs",
	                                    "index.cjs"};
	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
		if (!strcmp(name, names[i]))
			return true;
	return false;
}

const char *frame_short_path(const char *path)
{
	const char *slash = strrchr(path, '/');
	if (!slash || !slash[1])
		return path;
	if (!is_anonymous(slash + 1) || slash == path)
		return slash + 1;
	const char *dir = slash;
	while (dir > path && dir[-1] != '/')
		dir--;
	return dir == slash ? slash + 1 : dir;
}
