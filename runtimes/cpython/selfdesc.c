/* SPDX-License-Identifier: Apache-2.0 */
/* From 3.13 on _PyRuntime begins with _Py_DebugOffsets: sizes and offsets, 64 bits each, of the
 * very build that runs (CPython Include/internal/pycore_debug_offsets.h). Which word tells what
 * differs from release to release: layouts.c has the lists. */
#include <string.h>

#include <csample/err.h>

#include "layout.h"

#define COOKIE      "xdebugpy"
#define AT_VERSION  8
#define AT_FREE     16
#define HEAD_BYTES  24
#define MAX_OFFSET  (1u << 22) /* a free-threaded interpreter state has 250 KB */
#define LEVEL_FINAL 0xf

#define MEMBER(m) offsetof(struct py_layout, m)

/* What no word tells keeps its distance from a neighbour that is told. */
static const struct {
	uint16_t member, neighbour;
} followers[] = {
        {MEMBER(thread.datastack_top), MEMBER(thread.datastack_chunk)},
        {MEMBER(frame.locals), MEMBER(frame.previous)},
        {MEMBER(code.posonlyargcount), MEMBER(code.argcount)},
        {MEMBER(code.kwonlyargcount), MEMBER(code.argcount)},
        {MEMBER(code.flags), MEMBER(code.argcount)},
        {MEMBER(code.nlocals), MEMBER(code.localsplusnames)},
        {MEMBER(code.nlocalsplus), MEMBER(code.localsplusnames)},
        {MEMBER(code.firsttraceable), MEMBER(code.bytecode)},
};

static uint64_t word(const uint8_t *bytes, unsigned at)
{
	uint64_t v;
	memcpy(&v, bytes + at, sizeof(v));
	return v;
}

static struct field field_at(const struct py_layout *l, uint16_t member)
{
	struct field f;
	memcpy(&f, (const uint8_t *)l + member, sizeof(f));
	return f;
}

/* Of a field its first member, of a number itself. */
static uint32_t offset_at(const struct py_layout *l, uint16_t member)
{
	uint32_t at;
	memcpy(&at, (const uint8_t *)l + member, sizeof(at));
	return at;
}

static void set_offset(struct py_layout *l, uint16_t member, uint32_t at)
{
	memcpy((uint8_t *)l + member, &at, sizeof(at));
}

/* The fields of l from one member up to another lie side by side: the end of the last in the
 * struct they describe. */
static uint32_t end_of(const struct py_layout *l, size_t from, size_t to, uint32_t end)
{
	for (size_t member = from; member < to; member += sizeof(struct field)) {
		struct field f = field_at(l, (uint16_t)member);
		if (field_known(f) && f.at + f.width > end)
			end = f.at + f.width;
	}
	return (end + 7) / 8 * 8;
}

static void set_sizes(struct py_layout *l)
{
	l->thread.size = end_of(l, MEMBER(thread.prev), MEMBER(thread.asyncio_running_task), 0);
	l->frame.size = end_of(l, MEMBER(frame.code), MEMBER(frame.localsplus), 0);
	l->frame.size = end_of(l, MEMBER(frame.tlbc_index), MEMBER(chunk), l->frame.size);
	l->code.size = end_of(l, MEMBER(code.type), MEMBER(object), 0);
	l->object.size = end_of(l, MEMBER(object.type), MEMBER(str), 0);
}

/* Takes one told value into l; false: it is no offset within its struct. */
static bool take(const uint8_t *bytes, const struct py_told *t, struct py_layout *l)
{
	struct field f = {0, 8};
	if (t->is_field) {
		f = field_at(l, t->member);
		if (!field_known(f))
			return true; /* only in the other kind of build */
	}
	uint64_t v = word(bytes, t->told), size = t->size ? word(bytes, t->size) : MAX_OFFSET;
	uint64_t plus = t->plus ? word(bytes, t->plus) : 0;
	uint64_t minus = t->minus ? word(bytes, t->minus) : 0;
	if (size > MAX_OFFSET || v > size || plus >= MAX_OFFSET || minus > v)
		return false;
	if (t->is_field && !t->minus && f.width > size - v)
		return false;
	v += plus;
	v -= minus;
	if (f.width > 1 && v % f.width)
		return false;
	/* The offset of a first member is 0; any other that is 0 was not told. */
	if (!v && offset_at(l, t->member))
		return false;
	set_offset(l, t->member, (uint32_t)v);
	return true;
}

/* Fills *ret if this list of fields fits the bytes. */
static bool try_list(const struct py_self_description *d, const uint8_t *bytes, uint64_t len,
                     bool free_threaded, struct py_layout *ret)
{
	const struct py_layout *row = py_layout_find(d->version, free_threaded);
	if (!row || len < d->size)
		return false;
	struct py_layout l = *row;
	for (unsigned i = 0; i < d->n; i++)
		if (!take(bytes, &d->told[i], &l))
			return false;
	for (size_t i = 0; i < sizeof(followers) / sizeof(followers[0]); i++) {
		int64_t moved = (int64_t)offset_at(&l, followers[i].neighbour) -
		                (int64_t)offset_at(row, followers[i].neighbour);
		int64_t at = (int64_t)offset_at(row, followers[i].member) + moved;
		if (at < 0)
			return false;
		set_offset(&l, followers[i].member, (uint32_t)at);
	}
	set_sizes(&l);
	if (py_layout_missing(&l) || l.thread.size > PY_MAX_THREAD_BYTES ||
	    l.frame.size > PY_MAX_FRAME_BYTES || l.code.size > PY_MAX_CODE_BYTES)
		return false;
	*ret = l;
	return true;
}

struct err *py_describe_self(const uint8_t *bytes, uint64_t len, struct py_layout *l,
                             uint32_t *hexversion_ret, bool *known_ret)
{
	if (len < HEAD_BYTES || memcmp(bytes, COOKIE, strlen(COOKIE)) != 0)
		return err_new(ERR_FORMAT, "no _Py_DebugOffsets");
	uint64_t hex = word(bytes, AT_VERSION), free_threaded = word(bytes, AT_FREE);
	if (hex >> 24 != 3 || free_threaded > 1)
		return err_new(ERR_FORMAT, "_Py_DebugOffsets of no release: %#llx",
		               (unsigned long long)hex);
	*hexversion_ret = (uint32_t)hex;
	uint16_t version = (uint16_t)(hex >> 16), newest = 0;
	bool final = (hex >> 4 & 15) == LEVEL_FINAL;
	for (unsigned i = py_n_self_descriptions; i-- > 0;) {
		const struct py_self_description *d = &py_self_descriptions[i];
		if (d->version > newest)
			newest = d->version;
		/* A pre-release may still have the list of the release before it. */
		bool fits = d->version == version || version > newest ||
		            (!final && d->version < version);
		if (!fits || !try_list(d, bytes, len, free_threaded, l))
			continue;
		l->version = version;
		*known_ret = d->version == version && final;
		return NULL;
	}
	return err_new(ERR_UNSUPPORTED,
	               "its _Py_DebugOffsets are not laid out as those of any release "
	               "csample knows");
}

/* struct Py_AsyncioModuleDebugOffsets of Modules/_asynciomodule.c: 64-bit words. */
enum {
	TASK_SIZE,
	TASK_NAME,
	TASK_AWAITED_BY,
	TASK_IS_TASK,
	TASK_AWAITED_BY_IS_SET,
	TASK_CORO,
	TASK_NODE,
	INTERP_SIZE,
	INTERP_TASKS_HEAD,
	THREAD_SIZE,
	THREAD_RUNNING_LOOP,
	THREAD_RUNNING_TASK,
	THREAD_TASKS_HEAD,
	ASYNCIO_WORDS
};

bool py_describe_asyncio(const uint8_t *bytes, uint64_t len, struct py_layout *l)
{
	uint64_t v[ASYNCIO_WORDS];
	if (len < sizeof(v))
		return false;
	memcpy(v, bytes, sizeof(v));
	static const struct {
		uint8_t member, size, width;
	} checks[] = {
	        {TASK_NAME, TASK_SIZE, 8},
	        {TASK_AWAITED_BY, TASK_SIZE, 8},
	        {TASK_IS_TASK, TASK_SIZE, 1},
	        {TASK_AWAITED_BY_IS_SET, TASK_SIZE, 1},
	        {TASK_CORO, TASK_SIZE, 8},
	        {TASK_NODE, TASK_SIZE, 16},
	        {INTERP_TASKS_HEAD, INTERP_SIZE, 16},
	        {THREAD_RUNNING_LOOP, THREAD_SIZE, 8},
	        {THREAD_RUNNING_TASK, THREAD_SIZE, 8},
	        {THREAD_TASKS_HEAD, THREAD_SIZE, 16},
	};
	for (size_t i = 0; i < sizeof(checks) / sizeof(checks[0]); i++) {
		uint64_t at = v[checks[i].member], size = v[checks[i].size];
		if (!at || size > MAX_OFFSET || at > size || checks[i].width > size - at)
			return false;
	}
	l->asyncio.name = (struct field){(uint32_t)v[TASK_NAME], 8};
	l->asyncio.awaited_by = (struct field){(uint32_t)v[TASK_AWAITED_BY], 8};
	l->asyncio.is_task = (struct field){(uint32_t)v[TASK_IS_TASK], 1};
	l->asyncio.awaited_by_is_set = (struct field){(uint32_t)v[TASK_AWAITED_BY_IS_SET], 1};
	l->asyncio.coro = (struct field){(uint32_t)v[TASK_CORO], 8};
	l->asyncio.node = (uint32_t)v[TASK_NODE];
	l->asyncio.interp_tasks_head = (struct field){(uint32_t)v[INTERP_TASKS_HEAD], 8};
	l->asyncio.thread_running_loop = (struct field){(uint32_t)v[THREAD_RUNNING_LOOP], 8};
	l->asyncio.thread_running_task = (struct field){(uint32_t)v[THREAD_RUNNING_TASK], 8};
	l->asyncio.thread_tasks_head = (struct field){(uint32_t)v[THREAD_TASKS_HEAD], 8};
	return true;
}
