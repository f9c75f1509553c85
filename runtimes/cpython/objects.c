/* SPDX-License-Identifier: Apache-2.0 */
#include "objects.h"

#define PAGE \
	4096u /* the smallest there is: what lies in one is readable as a whole or not at all */

bool py_read(struct rmem *rm, uint64_t addr, void *buf, size_t len)
{
	struct err *err = rmem_read(rm, addr, buf, len);
	err_free(err);
	return !err;
}

size_t py_read_upto(struct rmem *rm, uint64_t addr, void *buf, size_t len)
{
	size_t in_page = PAGE - (size_t)(addr % PAGE);
	if (py_read(rm, addr, buf, len))
		return len;
	return in_page < len && py_read(rm, addr, buf, in_page) ? in_page : 0;
}

bool py_read_field(struct py *py, struct rmem *rm, uint64_t addr, struct field f, uint64_t *ret)
{
	uint64_t value = 0;
	if (!field_known(f) || f.width > 8 || !py_read(rm, addr + f.at, &value, f.width))
		return false;
	if (f.width == 8)
		value &= ~(uint64_t)py->layout.tag_mask;
	*ret = value;
	return true;
}

void py_repr(struct py *py, struct rmem *rm, uint64_t addr, struct strbuf *b)
{
	(void)py, (void)rm, (void)addr, (void)b;
}

void py_locals(struct runtime *rt, const struct snapshot *snap, size_t frame,
               runtime_visit_local *visit, void *arg)
{
	(void)rt, (void)snap, (void)frame, (void)visit, (void)arg;
}

void py_tasks(struct runtime *rt, runtime_visit_task *visit, void *arg)
{
	(void)rt, (void)visit, (void)arg;
}
