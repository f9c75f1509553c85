/* SPDX-License-Identifier: Apache-2.0 */
#include "guard.h"

#include <csample/hash.h>

#define HEAD_BYTES 256 /* of a name, file name or line table */

/* Bytes of a code object from its address on that the guard looks at. */
size_t py_guard_bytes(const struct py_layout *l)
{
	size_t n = l->code.linetable.at + (size_t)l->code.linetable.width;
	return n < PY_CODE_GUARD_BYTES ? n : PY_CODE_GUARD_BYTES;
}

uint64_t py_guard_of(const struct py_layout *l, const uint8_t *bytes)
{
	size_t n = py_guard_bytes(l), head = l->object.size < n ? l->object.size : n;
	uint64_t type = 0;
	obj_get((struct obj){bytes, n}, l->object.type, &type);
	return hash_mix(hash_bytes(bytes + head, n - head), type);
}

size_t py_code_contents(const struct py_layout *l, const uint8_t *guard,
                        struct region more[PY_CODE_CONTENTS])
{
	const struct field fields[PY_CODE_CONTENTS] = {l->code.name, l->code.filename,
	                                               l->code.linetable};
	struct obj o = {guard, py_guard_bytes(l)};
	if (field_known(l->code.qualname))
		return 0;
	for (size_t i = 0; i < PY_CODE_CONTENTS; i++) {
		more[i] = (struct region){.len = HEAD_BYTES};
		if (!obj_get(o, fields[i], &more[i].addr))
			return 0;
	}
	return PY_CODE_CONTENTS;
}

/* The part of an object's head that never changes: no reference count, hash, or cached UTF-8. */
static uint64_t hash_head(const struct py_layout *l, bool is_str, struct obj head)
{
	struct py_str_shape shape = {.kind = 1, .data = l->bytes.data};
	if (is_str ? !py_str_shape(l, head, &shape) : !obj_get(head, l->bytes.size, &shape.length))
		return 0;
	size_t have = shape.data < head.len ? head.len - shape.data : 0;
	if (shape.length < have / shape.kind)
		have = (size_t)shape.length * shape.kind;
	return hash_mix(hash_bytes(head.bytes + (have ? shape.data : 0), have), shape.length);
}

/* Of the contents of the code with this guard, as in the snapshot (NULL: as they are now). 0 for
 * each that was not copied or is not readable. */
void py_heads_of(struct py *py, const struct snapshot *snap, const uint8_t *guard,
                 uint64_t ret[PY_CODE_CONTENTS])
{
	struct region parts[PY_CODE_CONTENTS];
	size_t n = py_code_contents(&py->layout, guard, parts);
	uint8_t bytes[HEAD_BYTES];
	struct rmem_snapshot copied;
	struct rmem *rm = py->base.target->rm;
	if (snap) {
		rmem_snapshot_init(&copied, snap);
		rm = &copied.rm;
	}
	for (size_t i = 0; i < PY_CODE_CONTENTS; i++) {
		size_t have = i < n ? py_read_upto(rm, parts[i].addr, bytes, parts[i].len) : 0;
		ret[i] = have ? hash_head(&py->layout, i < 2, (struct obj){bytes, have}) : 0;
	}
}

enum comparison py_heads_compare(const uint64_t a[PY_CODE_CONTENTS],
                                 const uint64_t b[PY_CODE_CONTENTS])
{
	size_t compared = 0;
	for (size_t i = 0; i < PY_CODE_CONTENTS; i++) {
		if (!a[i] || !b[i])
			continue;
		if (a[i] != b[i])
			return DIFFERENT;
		compared++;
	}
	return compared == PY_CODE_CONTENTS ? SAME : NOTHING_TO_COMPARE;
}

bool py_code_has_version(const struct py *py)
{
	return field_known(py->layout.code.qualname); /* since the same release */
}

bool py_guard_now(struct py *py, uint64_t addr, uint64_t *ret)
{
	uint8_t bytes[PY_CODE_GUARD_BYTES];
	if (!py_read(py->base.target->rm, addr, bytes, py_guard_bytes(&py->layout)))
		return false;
	*ret = py_guard_of(&py->layout, bytes);
	return true;
}

/* The heads as they are now; false: the guard is no longer this one. */
bool py_heads_now(struct py *py, uint64_t addr, uint64_t guard, uint64_t ret[PY_CODE_CONTENTS])
{
	uint8_t bytes[PY_CODE_GUARD_BYTES];
	if (!py_read(py->base.target->rm, addr, bytes, py_guard_bytes(&py->layout)) ||
	    py_guard_of(&py->layout, bytes) != guard)
		return false;
	py_heads_of(py, NULL, bytes, ret);
	return true;
}

/* Freed memory looks like the object it was, but for its first word: an allocator's link is there
 * now. Reference counts have 32 bits in practice; from 3.14 on flags lie in the upper 16 bits. */
bool py_is_freed(const struct py_layout *l, const uint8_t *bytes)
{
	uint64_t count;
	memcpy(&count, bytes, sizeof(count));
	return !l->free_threaded && (!(uint32_t)count || (count >> 32 & 0xffff));
}
