/* SPDX-License-Identifier: Apache-2.0 */
/* A growing array: VEC(T) v = {0}; *vec_add(&v) = x; v.items[i]; v.n; vec_free(&v). */
#ifndef CSAMPLE_VEC_H
#define CSAMPLE_VEC_H

#include <stdlib.h>

#include <csample/mem.h>

#define VEC(type)              \
	struct {               \
		type *items;   \
		size_t n, cap; \
	}

/* Room for one more; the address of the new, uninitialised element. */
#define vec_add(v)                                                                              \
	(((v)->n == (v)->cap                                                                    \
	          ? ((v)->cap = (v)->cap ? (v)->cap * 2 : 16,                                   \
	             (v)->items = mem_realloc_array((v)->items, (v)->cap, sizeof(*(v)->items))) \
	          : (v)->items),                                                                \
	 &(v)->items[(v)->n++])

#define vec_free(v)                    \
	do {                           \
		free((v)->items);      \
		(v)->items = NULL;     \
		(v)->n = (v)->cap = 0; \
	} while (0)

#endif
