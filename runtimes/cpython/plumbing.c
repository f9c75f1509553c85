/* SPDX-License-Identifier: Apache-2.0 */
#include "cpython.h"

enum native_role py_role(struct runtime *rt, const struct image *img, const char *name,
                         uint64_t start)
{
	(void)rt, (void)img, (void)name, (void)start;
	return ROLE_NONE;
}
