/* SPDX-License-Identifier: Apache-2.0 */
/* /proc/PID/maps as text, parsed without touching anything else: core files and tests use it too.
 */
#include "maps.h"

#include <stdlib.h>
#include <string.h>

#include <csample/target.h>
#include <csample/vec.h>

#define MAX_MAPPINGS ((size_t)1 << 20)

struct cursor {
	const char *p, *end;
	bool bad;
};

static uint64_t number(struct cursor *c, unsigned base, char stop)
{
	uint64_t v = 0;
	const char *begin = c->p;
	for (; c->p < c->end; c->p++) {
		char ch = *c->p;
		unsigned digit;
		if (ch >= '0' && ch <= '9')
			digit = (unsigned)(ch - '0');
		else if (ch >= 'a' && ch <= 'f')
			digit = (unsigned)(ch - 'a') + 10;
		else
			break;
		if (digit >= base)
			break;
		v = v * base + digit;
	}
	if (c->p == begin || c->p == c->end || *c->p != stop) {
		c->bad = true;
		return v;
	}
	c->p++;
	return v;
}

/* proc(5): start-end rwxp offset major:minor inode name; the last field padded and maybe absent. */
static bool parse_line(const char *line, const char *end, struct strings *strings,
                       struct mapping *ret)
{
	struct cursor c = {line, end, false};
	struct mapping m = {0};
	m.start = number(&c, 16, '-');
	m.end = number(&c, 16, ' ');
	if (c.bad || c.end - c.p < 5)
		return false;
	m.readable = c.p[0] == 'r';
	m.writable = c.p[1] == 'w';
	m.executable = c.p[2] == 'x';
	c.p += 5;
	m.offset = number(&c, 16, ' ');
	m.dev_major = (uint32_t)number(&c, 16, ':');
	m.dev_minor = (uint32_t)number(&c, 16, ' ');
	const char *inode = c.p;
	m.inode = 0;
	while (c.p < c.end && *c.p >= '0' && *c.p <= '9')
		m.inode = m.inode * 10 + (uint64_t)(*c.p++ - '0');
	if (c.bad || c.p == inode || m.start >= m.end)
		return false;
	while (c.p < c.end && *c.p == ' ')
		c.p++;
	m.name = intern_n(strings, c.p, (size_t)(c.end - c.p));
	*ret = m;
	return true;
}

void maps_parse(const char *text, size_t len, struct strings *strings, struct maps *ret)
{
	VEC(struct mapping) v = {0};
	const char *end = text + len;
	for (const char *line = text; line < end && v.n < MAX_MAPPINGS;) {
		const char *eol = memchr(line, '\n', (size_t)(end - line));
		if (!eol)
			eol = end;
		struct mapping m;
		/* Read in pieces while the target maps and unmaps, lines can overlap: the first
		 * counts. */
		if (parse_line(line, eol, strings, &m) && (!v.n || m.start >= v.items[v.n - 1].end))
			*vec_add(&v) = m;
		line = eol + 1;
	}
	*ret = (struct maps){.items = v.items, .n = v.n};
}

/* Generated code lies in memory without a file, and is not executable while its owner changes it,
 * or when it was given up since the snapshot that is unwound now. */
static bool may_be_code(const struct mapping *m)
{
	return !m->executable && !m->inode && !*m->name;
}

void maps_keep_code(struct maps *fresh, const struct maps *old)
{
	VEC(struct mapping) v = {0};
	size_t k = 0;
	for (size_t i = 0; i < fresh->n; i++) {
		struct mapping m = fresh->items[i];
		while (k < old->n && old->items[k].end <= m.start)
			k++;
		for (size_t j = k; may_be_code(&m) && j < old->n && old->items[j].start < m.end;
		     j++) {
			const struct mapping *o = &old->items[j];
			if (!o->executable || o->inode || *o->name || fresh->n + v.n > MAX_MAPPINGS)
				continue;
			struct mapping part = m;
			part.end = o->start;
			if (part.start < part.end)
				*vec_add(&v) = part;
			part.start = o->start > m.start ? o->start : m.start;
			part.end = o->end < m.end ? o->end : m.end;
			part.executable = true;
			*vec_add(&v) = part;
			m.start = part.end;
		}
		if (m.start < m.end)
			*vec_add(&v) = m;
	}
	free(fresh->items);
	fresh->items = v.items;
	fresh->n = v.n;
}

void maps_deinit(struct maps *maps)
{
	free(maps->items);
	*maps = (struct maps){0};
}

const struct mapping *maps_find(const struct maps *maps, uint64_t addr)
{
	size_t lo = 0, hi = maps->n;
	while (lo < hi) {
		size_t mid = lo + (hi - lo) / 2;
		if (maps->items[mid].end <= addr)
			lo = mid + 1;
		else
			hi = mid;
	}
	return lo < maps->n && maps->items[lo].start <= addr ? &maps->items[lo] : NULL;
}

void maps_share_images(struct maps *maps)
{
	for (size_t i = 0; i < maps->n; i++) {
		struct mapping *m = &maps->items[i];
		if (m->executable || !m->inode)
			continue;
		/* A file's mappings lie together. */
		for (size_t j = i > 8 ? i - 8 : 0; j < maps->n && j < i + 8; j++) {
			const struct mapping *x = &maps->items[j];
			if (x->executable && x->image && x->inode == m->inode &&
			    x->name == m->name) {
				m->image = x->image;
				m->bias = x->bias;
			}
		}
	}
}
