/* SPDX-License-Identifier: Apache-2.0 */
#include "cpython.h"

struct py_thread_names *py_thread_names_create(void)
{
	return NULL;
}

void py_thread_names_destroy(struct py_thread_names *n)
{
	(void)n;
}

bool py_thread_name(struct runtime *rt, pid_t tid, char *buf, size_t len)
{
	(void)rt, (void)tid, (void)buf, (void)len;
	return false;
}
