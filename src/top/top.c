/* SPDX-License-Identifier: Apache-2.0 */
#include <stdlib.h>

#include "model.h"

struct top *top_create(const struct top_config *config)
{
	struct top *t = mem_zalloc(sizeof(*t));
	model_init(&t->model, config);
	return t;
}

void top_destroy(struct top *t)
{
	if (!t)
		return;
	model_deinit(&t->model);
	free(t);
}

void top_set_profile(struct top *t, const struct profile *p)
{
	model_set_profile(&t->model, p);
	t->paused = false; /* of what is no more */
}

void top_refresh(struct top *t, const struct top_facts *facts)
{
	if (t->paused)
		return;
	t->interval++;
	model_refresh(&t->model, facts);
}

bool top_is_paused(const struct top *t)
{
	return t->paused;
}
