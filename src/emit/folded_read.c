/* SPDX-License-Identifier: Apache-2.0 */
/* Collapsed stacks of any producer: "frame;frame count" a line, root first. What folded.c escapes
 * is had back, flamegraph.pl's suffixes are taken for kinds, and "name (file.py:12)" for a
 * function, its file and line. Counts are samples; how long one took the file does not say. */
#include <stdlib.h>
#include <string.h>

#include <csample/mem.h>

#include "emit.h"
#include "readers.h"

static bool hex(const char *s, size_t n, unsigned *ret)
{
	*ret = 0;
	for (size_t i = 0; i < n; i++) {
		static const char digits[] = "0123456789abcdef";
		const char *at = s[i] ? strchr(digits, s[i] | 0x20) : NULL;
		if (!at)
			return false;
		*ret = *ret << 4 | (unsigned)(at - digits);
	}
	return true;
}

/* Two or three bytes of UTF-8: what \uXXXX is written for. */
static void add_code_point(struct strbuf *b, unsigned cp)
{
	if (cp >= 0x800) {
		strbuf_addc(b, (char)(0xe0 | cp >> 12));
		strbuf_addc(b, (char)(0x80 | (cp >> 6 & 0x3f)));
	} else {
		strbuf_addc(b, (char)(0xc0 | cp >> 6));
	}
	strbuf_addc(b, (char)(0x80 | (cp & 0x3f)));
}

/* Other producers do not escape: what is no escape of ours stays as it is. */
static void unescape(const char *s, size_t len, struct strbuf *b)
{
	unsigned cp;
	for (size_t i = 0; i < len; i++) {
		size_t left = len - i - 1;
		char next = left && s[i] == '\\' ? s[i + 1] : 0;
		if (next == '\\' || next == 'n' || next == 't') {
			strbuf_addc(b, next == 'n' ? '\n' : next == 't' ? '\t' : '\\');
			i++;
		} else if (next == 'x' && left > 2 && hex(s + i + 2, 2, &cp) && cp && cp < 0x80) {
			strbuf_addc(b, (char)cp);
			i += 3;
		} else if (next == 'u' && left > 4 && hex(s + i + 2, 4, &cp) && cp >= 0x80 &&
		           (cp & 0xf800) != 0xd800) {
			add_code_point(b, cp);
			i += 5;
		} else {
			strbuf_addc(b, s[i]);
		}
	}
}

static void cut_suffix(char *text, struct frame *f)
{
	static const struct {
		const char *suffix;
		enum frame_kind kind;
	} suffixes[] = {
	        {"_[k]", FRAME_KERNEL}, {"_[i]", FRAME_INLINED}, {"_[j]", FRAME_JAVASCRIPT}};
	size_t len = strlen(text);
	for (size_t i = 0; i < ARRAY_SIZE(suffixes) && len > 4; i++) {
		if (strcmp(text + len - 4, suffixes[i].suffix) != 0)
			continue;
		text[len - 4] = '\0';
		f->kind = suffixes[i].kind;
		return;
	}
}

/* Equal texts are one location. */
static uint32_t location_of(struct profile *p, const char *s, size_t len)
{
	struct strbuf b = {0};
	strbuf_addn(&b, "", 0);
	unescape(s, len, &b);
	struct frame f = {.kind = FRAME_NATIVE};
	struct location loc = {.raw.kind = RAW_MARK, .n_frames = 1, .frames = &f};
	loc.raw.aux = (uintptr_t)intern_n(p->strings, s, len);
	if (b.len) {
		f.kind = guess_kind(b.s, NULL, NULL);
		cut_suffix(b.s, &f);
		split_place(p->strings, b.s, &f);
		f.function = intern(p->strings, b.s);
	}
	strbuf_free(&b);
	return profile_add_location(p, &loc);
}

/* Where the count begins; 0: it is no such line. */
static size_t count_at(struct line line, uint64_t *count)
{
	size_t at = line.len;
	while (at && line.s[at - 1] != ' ' && line.s[at - 1] != '\t')
		at--;
	return at > 1 && parse_number(line.s + at, line.len - at, count) ? at : 0;
}

bool folded_is_it(const char *bytes, size_t len)
{
	const char *at = bytes;
	uint64_t count;
	for (struct line line; (line = next_line(&at, bytes + len)).s;) {
		if (line.len && line.s[0] != '#')
			return count_at(line, &count) && !memchr(line.s, 0, line.len);
	}
	return false;
}

static struct err *read_line(struct profile *p, struct line line, size_t number)
{
	uint64_t values[PROFILE_VALUES] = {0};
	size_t len = count_at(line, &values[0]);
	if (!len)
		return err_new(ERR_FORMAT, "line %zu does not end in a count", number);
	if (p->total[0] + values[0] > INT64_MAX)
		return err_new(ERR_FORMAT, "line %zu: more samples than can be counted", number);
	const char *s = line.s, *end = line.s + len - 1;
	uint32_t node = 0;
	bool without = (size_t)(end - s) == sizeof(LABEL_NO_FRAMES) - 1 &&
	               !memcmp(s, LABEL_NO_FRAMES, (size_t)(end - s));
	while (s < end && !without) {
		const char *semicolon = memchr(s, ';', (size_t)(end - s));
		const char *stop = semicolon ? semicolon : end;
		if (p->n_nodes >= READ_MAX_NODES)
			return err_new(ERR_FORMAT, "more than %zu call paths", READ_MAX_NODES);
		if (stop > s) /* "a;;b": nothing is there */
			node = profile_child(p, node, location_of(p, s, (size_t)(stop - s)));
		s = stop + 1;
	}
	profile_add_to_node(p, node, values);
	return NULL;
}

struct err *folded_read(const char *bytes, size_t len, struct profile *p)
{
	const char *at = bytes;
	struct err *err = NULL;
	size_t number = 0;
	p->meta.value_type = "cpu";
	for (struct line line; !err && (line = next_line(&at, bytes + len)).s;) {
		number++;
		if (line.len && line.s[0] != '#')
			err = read_line(p, line, number);
	}
	return err;
}
