/* SPDX-License-Identifier: Apache-2.0 */
#include <stdlib.h>

#include <csample/mem.h>

#include "cpython.h"

struct py_threads {
	int none;
};

struct py_threads *py_threads_create(void)
{
	return mem_zalloc(sizeof(struct py_threads));
}

void py_threads_destroy(struct py_threads *t)
{
	free(t);
}

struct err *py_threads_refresh(struct py *py)
{
	(void)py;
	return NULL;
}

void py_threads_missing(struct py *py, pid_t tid)
{
	(void)py, (void)tid;
}

struct py_thread *py_threads_find(struct py_threads *t, pid_t tid)
{
	(void)t, (void)tid;
	return NULL;
}

struct py_thread *py_threads_at(struct py_threads *t, size_t i)
{
	(void)t, (void)i;
	return NULL;
}
