/* SPDX-License-Identifier: Apache-2.0 */
/* In the pause: of code objects that are not settled, the guard words, and where those cannot tell
 * two apart, the heads of what they point to. All of it is asked for beforehand at the next capture
 * of the thread, as what ran a moment ago is there again for the most part: regions sorted, each
 * once (codes of one file share its name), near ones as one. */
#include <string.h>

#include "gather.h"

#define HIGHEST_ADDRESS (1ULL << 47)

static uint32_t guard_bytes(const struct py *py)
{
	uint32_t size = py->layout.code.size;
	return size < PY_CODE_GUARD_BYTES ? size : PY_CODE_GUARD_BYTES;
}

void py_young_predict(struct py_young *y, struct asking *a)
{
	/* Both ends of a gap are asked for, and it is shorter than a page: all can be read. */
	for (unsigned i = 0; i < y->n_wanted;) {
		uint64_t start = y->wanted[i].addr, end = start;
		for (; i < y->n_wanted && (end == start || y->wanted[i].addr <= end + JOIN_GAP);
		     i++)
			if (y->wanted[i].addr + y->wanted[i].len > end)
				end = y->wanted[i].addr + y->wanted[i].len;
		py_ask(a, start, end - start, PREDICT_BYTES);
	}
	y->n = y->n_wanted = 0;
}

void py_young_note(struct py_young *y, uint64_t code)
{
	for (unsigned i = 0; i < y->n; i++)
		if (y->codes[i] == code)
			return;
	if (y->n < MAX_YOUNG)
		y->codes[y->n++] = code;
}

static void want(struct py_young *y, uint64_t addr, uint32_t len)
{
	unsigned i = y->n_wanted;
	while (i && y->wanted[i - 1].addr > addr)
		i--;
	if (y->n_wanted == MAX_WANTED || !addr || addr >= HIGHEST_ADDRESS ||
	    (i && y->wanted[i - 1].addr == addr && y->wanted[i - 1].len >= len))
		return;
	memmove(y->wanted + i + 1, y->wanted + i, (y->n_wanted - i) * sizeof(*y->wanted));
	y->wanted[i] = (struct region){.addr = addr, .len = len};
	y->n_wanted++;
}

void py_young_ask_guards(const struct py *py, const struct py_young *y, struct py_view *view,
                         struct asking *a)
{
	for (unsigned i = 0; i < y->n; i++)
		if (!py_view_at(view, y->codes[i], guard_bytes(py)))
			py_ask(a, y->codes[i], guard_bytes(py), GATHER_MAX_COPY);
}

void py_young_ask_contents(const struct py *py, struct py_young *y, struct py_view *view,
                           struct asking *a)
{
	for (unsigned i = 0; i < y->n; i++) {
		struct region parts[PY_CODE_CONTENTS];
		const uint8_t *guard = py_view_at(view, y->codes[i], guard_bytes(py));
		size_t n = guard ? py_code_contents(&py->layout, guard, parts) : 0;
		if (guard)
			want(y, y->codes[i], guard_bytes(py));
		for (size_t k = 0; k < n; k++) {
			want(y, parts[k].addr, parts[k].len);
			if (!py_view_at(view, parts[k].addr, parts[k].len))
				py_ask(a, parts[k].addr, parts[k].len, GATHER_MAX_COPY);
		}
	}
}
