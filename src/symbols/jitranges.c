/* SPDX-License-Identifier: Apache-2.0 */
#include "jitranges.h"

#include <ctype.h>
#include <stdbool.h>
#include <string.h>

#include <csample/mem.h>

static uint64_t end_of(const struct jit_range *r)
{
	return r->start + r->size;
}

/* Both are sorted and without overlaps of their own; where they meet, newer wins. */
static void overlay(const jit_ranges *older, const jit_ranges *newer, jit_ranges *ret)
{
	size_t k = 0;
	for (size_t i = 0; i < older->n; i++) {
		struct jit_range e = older->items[i];
		while (k < newer->n && end_of(&newer->items[k]) <= e.start)
			*vec_add(ret) = newer->items[k++];
		while (e.size && k < newer->n && newer->items[k].start < end_of(&e)) {
			struct jit_range n = newer->items[k];
			if (n.start > e.start)
				*vec_add(ret) = (struct jit_range){
				        e.start, (uint32_t)(n.start - e.start), e.at};
			if (end_of(&n) >= end_of(&e)) {
				e.size = 0; /* n may cover the next of the older as well */
				break;
			}
			*vec_add(ret) = n;
			k++;
			e.size = (uint32_t)(end_of(&e) - end_of(&n));
			e.start = end_of(&n);
		}
		if (e.size)
			*vec_add(ret) = e;
	}
	for (; k < newer->n; k++)
		*vec_add(ret) = newer->items[k];
}

/* Sorts ranges given in the order of writing: halves, then the later half over the earlier. */
static void resolve(const struct jit_range *items, size_t n, jit_ranges *ret)
{
	if (n == 1)
		*vec_add(ret) = items[0];
	if (n <= 1)
		return;
	jit_ranges older = {0}, newer = {0};
	resolve(items, n / 2, &older);
	resolve(items + n / 2, n - n / 2, &newer);
	overlay(&older, &newer, ret);
	vec_free(&older);
	vec_free(&newer);
}

void jit_ranges_add(jit_ranges *sorted, jit_ranges *newer)
{
	jit_ranges resolved = {0}, both = {0};
	resolve(newer->items, newer->n, &resolved);
	overlay(sorted, &resolved, &both);
	vec_free(&resolved);
	vec_free(sorted);
	*sorted = both;
	newer->n = 0;
}

const struct jit_range *jit_ranges_find(const jit_ranges *sorted, uint64_t addr)
{
	size_t lo = 0, hi = sorted->n;
	while (lo < hi) {
		size_t mid = lo + (hi - lo) / 2;
		if (sorted->items[mid].start <= addr)
			lo = mid + 1;
		else
			hi = mid;
	}
	if (!lo || addr - sorted->items[lo - 1].start >= sorted->items[lo - 1].size)
		return NULL;
	return &sorted->items[lo - 1];
}

/* A hexadecimal number, "0x" allowed, and the blank behind it. */
static bool take_hex(const char **p, const char *end, uint64_t *ret)
{
	const char *s = *p;
	if (end - s > 2 && s[0] == '0' && (s[1] == 'x' || s[1] == 'X'))
		s += 2;
	const char *digits = s;
	uint64_t value = 0;
	for (; s < end && isxdigit((unsigned char)*s); s++) {
		if (value >> 60)
			return false;
		int c = tolower((unsigned char)*s);
		value = value << 4 | (uint64_t)(c <= '9' ? c - '0' : c - 'a' + 10);
	}
	if (s == digits || s == end || (*s != ' ' && *s != '\t'))
		return false;
	*p = s + 1;
	*ret = value;
	return true;
}

size_t perf_map_parse_line(const char *line, size_t len, uint64_t *start_ret, uint32_t *size_ret)
{
	const char *p = line, *end = line + len;
	uint64_t size;
	if (!take_hex(&p, end, start_ret) || !take_hex(&p, end, &size))
		return 0;
	if (p == end || !size || size > UINT32_MAX || *start_ret + size < *start_ret)
		return 0;
	*size_ret = (uint32_t)size;
	return (size_t)(p - line);
}

size_t perf_map_parse(const char *text, size_t len, uint32_t base, jit_ranges *ret)
{
	size_t at = 0;
	const char *nl;
	while (at < len && (nl = memchr(text + at, '\n', len - at))) {
		struct jit_range r = {.at = base + (uint32_t)at};
		if (perf_map_parse_line(text + at, (size_t)(nl - text) - at, &r.start, &r.size))
			*vec_add(ret) = r;
		at = (size_t)(nl - text) + 1;
	}
	return at;
}
