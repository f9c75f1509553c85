/* SPDX-License-Identifier: Apache-2.0 */
#include "cpython.h"

void py_locals(struct runtime *rt, const struct snapshot *snap, size_t frame,
               runtime_visit_local *visit, void *arg)
{
	(void)rt, (void)snap, (void)frame, (void)visit, (void)arg;
}

void py_tasks(struct runtime *rt, runtime_visit_task *visit, void *arg)
{
	(void)rt, (void)visit, (void)arg;
}
