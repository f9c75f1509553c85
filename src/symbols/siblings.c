/* SPDX-License-Identifier: Apache-2.0 */
#include "siblings.h"

#define MARK_EVERY 128
#define MAX_MARKS  65536

void siblings_deinit(struct siblings *s)
{
	for (size_t i = 0; i < s->marks.n; i++)
		vec_free(&s->marks.items[i].offsets);
	vec_free(&s->marks);
	map64_free(&s->lists);
	s->n = 0;
}

static struct sibling_marks *marks_of(struct siblings *s, const Dwarf_Die *first)
{
	if (s->n > MAX_MARKS)
		siblings_deinit(s);
	uint64_t *index = map64_put(&s->lists, (uintptr_t)first->addr);
	if (!*index) {
		*vec_add(&s->marks) = (struct sibling_marks){0};
		s->n++; /* an empty list costs something too */
		*index = s->marks.n;
	}
	return &s->marks.items[*index - 1];
}

/* The last mark at or before addr. Offsets are kept, not DIEs: libdw is begun anew now and then. */
static void jump(const struct sibling_marks *m, Dwarf_Die *die, const void *addr)
{
	Dwarf *dw = dwarf_cu_getdwarf(die->cu);
	Dwarf_Off base = dwarf_dieoffset(die);
	Dwarf_Off want = base + (Dwarf_Off)((const char *)addr - (const char *)die->addr);
	size_t lo = 0, hi = m->offsets.n;
	while (lo < hi) {
		size_t mid = lo + (hi - lo) / 2;
		if (m->offsets.items[mid] <= want)
			lo = mid + 1;
		else
			hi = mid;
	}
	Dwarf_Die there;
	if (lo && dwarf_offdie(dw, m->offsets.items[lo - 1], &there))
		*die = there;
}

bool siblings_seek(struct siblings *s, struct dwarf_index *x, Dwarf_Die *die, const void *addr)
{
	struct sibling_marks *m = marks_of(s, die);
	Dwarf_Die next;
	int r;
	jump(m, die, addr);
	for (size_t steps = 1; (r = dwarf_siblingof(die, &next)) == 0; steps++) {
		if ((const char *)next.addr > (const char *)addr)
			break;
		*die = next;
		dwarf_index_passed(x, die);
		if (steps % MARK_EVERY)
			continue;
		Dwarf_Off offset = dwarf_dieoffset(die);
		if (!m->offsets.n || offset > m->offsets.items[m->offsets.n - 1]) {
			*vec_add(&m->offsets) = offset;
			s->n++;
		}
	}
	return r >= 0;
}
