/* SPDX-License-Identifier: Apache-2.0 */
/* Formats that show threads apart: which nodes belong to which thread's root. */
#include <stdlib.h>

#include <csample/mem.h>

#include "emit.h"

static bool is_root(const struct location *loc)
{
	return loc->raw.kind == RAW_THREAD || loc->raw.kind == RAW_PROCESS;
}

void roots_find(const struct profile *p, struct roots *ret)
{
	uint32_t *owner = mem_alloc((p->n_nodes + 1) * sizeof(*owner)); /* index into roots */
	*ret = (struct roots){.owner = owner};
	*vec_add(&ret->nodes) = 0; /* of stacks without a thread */
	owner[0] = 0;
	for (uint32_t i = 1; i < p->n_nodes; i++) {
		owner[i] = owner[p->nodes[i].parent];
		if (!is_root(&p->locations[p->nodes[i].location]))
			continue;
		owner[i] = (uint32_t)ret->nodes.n;
		*vec_add(&ret->nodes) = i;
	}
	ret->totals = mem_zalloc(ret->nodes.n * sizeof(*ret->totals));
	for (uint32_t i = 0; i < p->n_nodes; i++)
		for (size_t v = 0; v < PROFILE_VALUES; v++)
			ret->totals[owner[i]].values[v] += p->nodes[i].self[v];
}

void roots_free(struct roots *t)
{
	free(t->owner);
	free(t->totals);
	vec_free(&t->nodes);
}

void roots_name(const struct profile *p, uint32_t root, struct strbuf *b)
{
	if (!root) {
		strbuf_add(b, p->meta.title ? p->meta.title : "profile");
		return;
	}
	uint32_t parent = p->nodes[root].parent;
	if (parent && is_root(&p->locations[p->nodes[parent].location])) {
		roots_name(p, parent, b);
		strbuf_add(b, ", ");
	}
	const struct location *loc = &p->locations[p->nodes[root].location];
	strbuf_add(b, loc->n_frames ? loc->frames[0].function : "[unknown]");
}
