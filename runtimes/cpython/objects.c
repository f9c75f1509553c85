/* SPDX-License-Identifier: Apache-2.0 */
/* Containers, instances and types, as raw addresses of what is in them. Sources:
 * Objects/dictobject.c and Include/internal/pycore_dict.h for the three shapes of a dict,
 * Objects/setobject.c, and facts in layout.h. */
#include "objects.h"

#include <stdlib.h>

#include <csample/mem.h>

#define PAGE \
	4096u /* the smallest there is: what lies in one is readable as a whole or not at all */
#define MAX_SLOTS (1u << 20) /* of a table that is read through */
#define BLOCK     4096       /* bytes of a table read at once */

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

bool py_read_field(struct rmem *rm, uint64_t addr, struct field f, uint64_t *ret)
{
	uint64_t value = 0;
	if (!field_known(f) || f.width > 8 || !py_read(rm, addr + f.at, &value, f.width))
		return false;
	*ret = value;
	return true;
}

static struct err *read_budget(struct rmem *rm, uint64_t addr, void *buf, size_t len)
{
	struct rmem_budget *m = (struct rmem_budget *)rm;
	const uint8_t *copied = m->snap ? snapshot_at(m->snap, addr, len) : NULL;
	if (copied) {
		memcpy(buf, copied, len);
		return NULL;
	}
	if (!m->reads_left)
		return &err_fault;
	m->reads_left--;
	return rmem_read(m->of, addr, buf, len);
}

void rmem_budget_init(struct rmem_budget *m, struct rmem *of, const struct snapshot *snap,
                      unsigned reads)
{
	*m = (struct rmem_budget){
	        .rm = {.read = read_budget}, .of = of, .snap = snap, .reads_left = reads};
}

/* ---- types ---- */

bool py_read_type(struct py *py, struct rmem *rm, uint64_t addr, struct py_type *ret)
{
	const struct py_layout *l = &py->layout;
	uint8_t bytes[512];
	uint64_t name;
	struct obj o = {bytes, py_read_upto(rm, addr, bytes, sizeof(bytes))};
	*ret = (struct py_type){.addr = addr};
	if (!obj_get(o, l->type.flags, &ret->flags) || !obj_get(o, l->type.name, &name))
		return false;
	obj_get(o, l->type.basicsize, &ret->basicsize);
	obj_get(o, l->type.dictoffset, &ret->dictoffset);
	py_read_upto(rm, name, ret->name, sizeof(ret->name) - 1);
	return ret->name[0] != '\0';
}

bool py_type_of(struct py *py, struct rmem *rm, uint64_t object, struct py_type *ret)
{
	uint64_t type;
	return py_read_field(rm, object, py->layout.object.type, &type) &&
	       py_read_type(py, rm, type, ret);
}

bool py_is_builtin(const struct py_type *t, const char *name)
{
	return !(t->flags & TYPE_HEAP) && !strcmp(t->name, name);
}

bool py_is_str(struct py *py, struct rmem *rm, uint64_t object)
{
	struct py_type t;
	return py_type_of(py, rm, object, &t) && (t.flags & TYPE_STR);
}

/* ---- dicts ---- */

struct keys {
	uint64_t entries;    /* address of the first */
	uint64_t n;          /* entries in use, deleted ones included */
	unsigned size;       /* bytes of an entry */
	unsigned key, value; /* where in it they are */
};

static bool read_keys(struct py *py, struct rmem *rm, uint64_t addr, struct keys *ret)
{
	const struct py_layout *l = &py->layout;
	uint8_t bytes[64];
	uint64_t size, index_bytes, kind = 0;
	struct obj o = {bytes, py_read_upto(rm, addr, bytes, sizeof(bytes))};
	if (!obj_get(o, l->dictkeys.nentries, &ret->n))
		return false;
	if (field_known(l->dictkeys.log2_index_bytes)) {
		if (!obj_get(o, l->dictkeys.log2_index_bytes, &size) || size > 40 ||
		    !obj_get(o, l->dictkeys.kind, &kind))
			return false;
		index_bytes = 1ull << size;
	} else {
		if (!obj_get(o, l->dictkeys.size, &size) || size > 1ull << 40)
			return false;
		index_bytes = size * (size <= 0xff         ? 1
		                      : size <= 0xffff     ? 2
		                      : size <= UINT32_MAX ? 4
		                                           : 8);
	}
	ret->entries = addr + l->dictkeys.indices + index_bytes;
	ret->size = kind ? 16 : 24; /* those of str keys have no hash */
	ret->key = kind ? 0 : 8;
	ret->value = kind ? 8 : 16;
	return true;
}

/* The pairs of keys; values: address of the values where they are apart, else 0. */
static bool each_pair(struct py *py, struct rmem *rm, uint64_t keys_addr, uint64_t values,
                      size_t max, py_visit_pair *visit, void *arg)
{
	struct keys keys;
	uint8_t entries[BLOCK];
	uint64_t apart[BLOCK / 16];
	if (!read_keys(py, rm, keys_addr, &keys))
		return false;
	if (max > MAX_SLOTS)
		max = MAX_SLOTS;
	uint64_t n = keys.n < max ? keys.n : max;
	unsigned in_block = BLOCK / keys.size;
	for (uint64_t i = 0; i < n; i += in_block) {
		size_t some = n - i < in_block ? (size_t)(n - i) : in_block;
		if (!py_read(rm, keys.entries + i * keys.size, entries, some * keys.size) ||
		    (values && !py_read(rm, values + i * 8, apart, some * 8)))
			return false;
		for (size_t j = 0; j < some; j++) {
			uint64_t key, value;
			memcpy(&key, entries + j * keys.size + keys.key, 8);
			memcpy(&value, entries + j * keys.size + keys.value, 8);
			if (values)
				value = apart[j];
			if (key && value && !visit(arg, key, value))
				return true;
		}
	}
	return true;
}

bool py_dict_each(struct py *py, struct rmem *rm, uint64_t addr, size_t max, py_visit_pair *visit,
                  void *arg)
{
	const struct py_layout *l = &py->layout;
	uint8_t bytes[80];
	uint64_t keys, values;
	struct obj o = {bytes, py_read_upto(rm, addr, bytes, sizeof(bytes))};
	if (!obj_get(o, l->dict.keys, &keys) || !obj_get(o, l->dict.values, &values))
		return false;
	return each_pair(py, rm, keys, values ? values + l->dictvalues : 0, max, visit, arg);
}

struct search {
	struct py *py;
	struct rmem *rm;
	const char *name;
	uint64_t wanted; /* address of the key; 0: compare texts */
	uint64_t key, value;
};

static bool compare_key(void *arg, uint64_t key, uint64_t value)
{
	struct search *s = arg;
	if (s->wanted ? key != s->wanted : !py_str_is(s->py, s->rm, key, s->name))
		return true;
	s->key = key;
	s->value = value;
	return false;
}

typedef bool each_fn(struct py *py, struct rmem *rm, uint64_t a, uint64_t b, void *search);

static bool each_of_dict(struct py *py, struct rmem *rm, uint64_t addr, uint64_t unused,
                         void *search)
{
	(void)unused;
	return py_dict_each(py, rm, addr, MAX_SLOTS, compare_key, search);
}

static bool each_of_values(struct py *py, struct rmem *rm, uint64_t keys, uint64_t values,
                           void *search)
{
	return each_pair(py, rm, keys, values, 64, compare_key, search);
}

/* First by the address of the key, if it is known from last time, then by its text. */
static bool find_pair(struct py *py, struct rmem *rm, each_fn *each, uint64_t a, uint64_t b,
                      const char *name, uint64_t *key_cache, uint64_t *ret)
{
	struct search s = {py, rm, name, key_cache ? *key_cache : 0, 0, 0};
	if (s.wanted && each(py, rm, a, b, &s) && s.key && py_str_is(py, rm, s.key, name)) {
		*ret = s.value;
		return true;
	}
	s = (struct search){py, rm, name, 0, 0, 0};
	if (!each(py, rm, a, b, &s) || !s.key)
		return false;
	if (key_cache)
		*key_cache = s.key;
	*ret = s.value;
	return true;
}

bool py_dict_find(struct py *py, struct rmem *rm, uint64_t addr, const char *key,
                  uint64_t *key_cache, uint64_t *ret)
{
	return find_pair(py, rm, each_of_dict, addr, 0, key, key_cache, ret);
}

bool py_dict_find_key(struct py *py, struct rmem *rm, uint64_t addr, uint64_t key, uint64_t *ret)
{
	struct search s = {py, rm, NULL, key, 0, 0};
	if (!key || !each_of_dict(py, rm, addr, 0, &s) || !s.key)
		return false;
	*ret = s.value;
	return true;
}

/* ---- instances ---- */

/* Where an instance has its attributes: *dict, or *values with *keys. */
static bool find_attributes(struct py *py, struct rmem *rm, uint64_t object,
                            const struct py_type *t, uint64_t *dict, uint64_t *values)
{
	const struct py_layout *l = &py->layout;
	uint64_t words[2] = {0, 0};
	*dict = *values = 0;
	if (l->instance == INSTANCE_DICTOFFSET || !(t->flags & TYPE_MANAGED_DICT)) {
		if (!t->dictoffset || t->dictoffset > 1u << 20)
			return false;
		return py_read(rm, object + t->dictoffset, dict, 8);
	}
	switch (l->instance) {
	case INSTANCE_DICTOFFSET:
		break;
	case INSTANCE_MANAGED_PAIR:
		if (!py_read(rm, object - 32, words, sizeof(words)))
			return false;
		*values = words[0] ? words[0] + l->dictvalues : 0;
		*dict = words[1];
		break;
	case INSTANCE_MANAGED_TAG:
		if (!py_read(rm, object - 24, words, 8))
			return false;
		if (words[0] & 1)
			*values = words[0] + 1 + l->dictvalues;
		else
			*dict = words[0];
		break;
	case INSTANCE_MANAGED_INLINE:
		if (!py_read(rm, object + (int64_t)l->managed_dict, dict, 8))
			return false;
		if (!*dict && (t->flags & TYPE_INLINE_VALUES) && t->basicsize < 1u << 20)
			*values = object + t->basicsize + l->dictvalues;
		break;
	}
	return *dict || *values;
}

bool py_attribute(struct py *py, struct rmem *rm, uint64_t object, const char *name,
                  uint64_t *key_cache, uint64_t *ret)
{
	struct py_type t;
	uint64_t dict, values, keys;
	if (!py_type_of(py, rm, object, &t) || !find_attributes(py, rm, object, &t, &dict, &values))
		return false;
	if (dict)
		return py_dict_find(py, rm, dict, name, key_cache, ret);
	return py_read_field(rm, t.addr, py->layout.type.cached_keys, &keys) && keys &&
	       find_pair(py, rm, each_of_values, keys, values, name, key_cache, ret);
}

bool py_find_module(struct py *py, struct rmem *rm, uint64_t interp, const char *name,
                    uint64_t *key_cache, uint64_t *dict_ret)
{
	uint64_t modules, module;
	return py_read_field(rm, interp, py->layout.interp.modules, &modules) && modules &&
	       py_dict_find(py, rm, modules, name, key_cache, &module) &&
	       py_read_field(rm, module, py->layout.module_dict, dict_ret) && *dict_ret;
}

/* ---- sequences and sets ---- */

static bool read_items(struct rmem *rm, uint64_t addr, uint64_t claimed, uint64_t *items,
                       size_t max, size_t *n_ret, uint64_t *claimed_ret)
{
	size_t n = claimed < max ? (size_t)claimed : max;
	if (claimed > INT64_MAX || (n && !py_read(rm, addr, items, n * 8)))
		return false;
	*n_ret = n;
	*claimed_ret = claimed;
	return true;
}

bool py_read_tuple(struct py *py, struct rmem *rm, uint64_t addr, uint64_t *items, size_t max,
                   size_t *n_ret, uint64_t *claimed_ret)
{
	uint64_t size;
	return py_read_field(rm, addr, py->layout.tuple.size, &size) &&
	       read_items(rm, addr + py->layout.tuple.data, size, items, max, n_ret, claimed_ret);
}

bool py_read_list(struct py *py, struct rmem *rm, uint64_t addr, uint64_t *items, size_t max,
                  size_t *n_ret, uint64_t *claimed_ret)
{
	uint64_t size, at;
	return py_read_field(rm, addr, py->layout.list.size, &size) &&
	       py_read_field(rm, addr, py->layout.list.items, &at) &&
	       read_items(rm, at, size, items, max, n_ret, claimed_ret);
}

bool py_read_set(struct py *py, struct rmem *rm, uint64_t addr, uint64_t *items, size_t max,
                 size_t *n_ret, uint64_t *claimed_ret)
{
	struct {
		uint64_t key;
		int64_t hash;
	} entries[BLOCK / 16];
	uint64_t used, mask, table;
	size_t n = 0;
	if (!py_read_field(rm, addr, py->layout.set.used, &used) ||
	    !py_read_field(rm, addr, py->layout.set.mask, &mask) ||
	    !py_read_field(rm, addr, py->layout.set.table, &table) || used > INT64_MAX)
		return false;
	uint64_t slots = mask < MAX_SLOTS ? mask + 1 : MAX_SLOTS;
	for (uint64_t i = 0; i < slots && n < max && n < used; i += ARRAY_SIZE(entries)) {
		size_t some =
		        slots - i < ARRAY_SIZE(entries) ? (size_t)(slots - i) : ARRAY_SIZE(entries);
		if (!py_read(rm, table + i * 16, entries, some * 16))
			return false;
		for (size_t j = 0; j < some && n < max; j++)
			if (entries[j].key && entries[j].hash != -1) /* -1: was removed */
				items[n++] = entries[j].key;
	}
	*n_ret = n;
	*claimed_ret = used;
	return true;
}

/* From 3.12 on the sign is in the two low bits of a tag, 0, 1 (zero) or 2, above a reserved one. */
bool py_int_digits(struct py *py, struct rmem *rm, uint64_t addr, uint64_t *n_ret,
                   bool *negative_ret)
{
	const struct py_layout *l = &py->layout;
	uint64_t size;
	if (field_known(l->integer.tag)) {
		if (!py_read_field(rm, addr, l->integer.tag, &size))
			return false;
		*negative_ret = (size & 3) == 2;
		*n_ret = (size & 3) == 1 ? 0 : size >> 3;
		return true;
	}
	if (!py_read_field(rm, addr, l->integer.size, &size))
		return false;
	*negative_ret = (int64_t)size < 0;
	*n_ret = *negative_ret ? 0 - size : size;
	return true;
}

bool py_read_int(struct py *py, struct rmem *rm, uint64_t addr, int64_t *ret)
{
	uint64_t n, value = 0;
	uint32_t digits[3] = {0};
	bool negative;
	if (!py_int_digits(py, rm, addr, &n, &negative) || n > 3 ||
	    (n && !py_read(rm, addr + py->layout.integer.digits, digits, (size_t)n * 4)))
		return false;
	if (digits[2] > 3) /* 2^62 and more: identities of threads are addresses, below that */
		return false;
	for (size_t i = 0; i < n; i++)
		value |= (uint64_t)(digits[i] & 0x3fffffff) << 30 * i;
	*ret = negative ? -(int64_t)value : (int64_t)value;
	return true;
}
