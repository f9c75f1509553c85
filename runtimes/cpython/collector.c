/* SPDX-License-Identifier: Apache-2.0 */
/* interpreters.head -> PyInterpreterState.gc.collecting (and .next -> ...), which CPython sets
 * while it collects cyclic garbage: told also where the collector's functions have no names. */
#include "cpython.h"

#define MAX_INTERPRETERS 8 /* the others are not asked */

static bool read_word(struct py *py, uint64_t addr, size_t width, uint64_t *ret)
{
	uint64_t word = 0;
	struct err *err = width > sizeof(word) ? &err_fault
	                                       : rmem_read(py->base.target->rm, addr, &word, width);
	bool ok = !err;
	err_free(err);
	if (ok)
		*ret = word;
	return ok;
}

bool py_collecting(struct runtime *rt, bool *ret)
{
	struct py *py = py_of(rt);
	struct field flag = py->layout.interp.gc_collecting, next = py->layout.interp.next;
	uint64_t interp = 0, value = 0;
	bool told = false, any = false;
	if (!py->base.target || !field_known(flag) || !read_word(py, py->roots.head, 8, &interp))
		return false;
	for (int i = 0; i < MAX_INTERPRETERS && interp; i++) {
		/* Another value: it is not what we take it for. */
		if (!read_word(py, interp + flag.at, flag.width, &value) || value > 1)
			return false;
		told = true;
		any |= value;
		if (!field_known(next) || !read_word(py, interp + next.at, next.width, &interp))
			break;
	}
	*ret = any;
	return told;
}
