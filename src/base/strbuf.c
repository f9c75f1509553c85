/* SPDX-License-Identifier: Apache-2.0 */
#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <csample/mem.h>
#include <csample/strbuf.h>

void strbuf_free(struct strbuf *b)
{
	free(b->s);
	*b = (struct strbuf){0};
}

void strbuf_clear(struct strbuf *b)
{
	b->len = 0;
	if (b->s)
		b->s[0] = '\0';
}

void strbuf_addn(struct strbuf *b, const char *s, size_t n)
{
	if (b->cap - b->len <= n) {
		size_t cap = b->cap ? b->cap * 2 : 64;
		while (cap - b->len <= n)
			cap *= 2;
		b->s = mem_realloc_array(b->s, cap, 1);
		b->cap = cap;
	}
	memcpy(b->s + b->len, s, n);
	b->len += n;
	b->s[b->len] = '\0';
}

void strbuf_add(struct strbuf *b, const char *s)
{
	strbuf_addn(b, s, strlen(s));
}

void strbuf_addc(struct strbuf *b, char c)
{
	strbuf_addn(b, &c, 1);
}

void strbuf_addf(struct strbuf *b, const char *fmt, ...)
{
	char *text = NULL;
	va_list ap;
	va_start(ap, fmt);
	int n = vasprintf(&text, fmt, ap);
	va_end(ap);
	if (n < 0)
		return;
	strbuf_addn(b, text, (size_t)n);
	free(text);
}

/* Decodes one code point of UTF-8 as RFC 3629 has it: no overlong forms, no surrogates, at most
 * U+10FFFF. Returns the bytes it took, and -1 in *cp for a byte that belongs to no sequence. */
static size_t decode_utf8(const unsigned char *s, int32_t *cp)
{
	static const struct {
		unsigned char mask, lead, lo;
		int32_t min;
	} forms[] = {
	        {0xe0, 0xc0, 0x1f, 0x80}, {0xf0, 0xe0, 0x0f, 0x800}, {0xf8, 0xf0, 0x07, 0x10000}};
	if (s[0] < 0x80) {
		*cp = s[0];
		return 1;
	}
	*cp = -1;
	for (size_t f = 0; f < ARRAY_SIZE(forms); f++) {
		if ((s[0] & forms[f].mask) != forms[f].lead)
			continue;
		int32_t value = s[0] & forms[f].lo;
		for (size_t i = 1; i <= f + 1; i++) {
			if ((s[i] & 0xc0) != 0x80) /* also stops at the NUL */
				return 1;
			value = value << 6 | (s[i] & 0x3f);
		}
		if (value < forms[f].min || value > 0x10ffff || (value >= 0xd800 && value < 0xe000))
			return 1;
		*cp = value;
		return f + 2;
	}
	return 1;
}

static const char replacement[] = "\xef\xbf\xbd"; /* U+FFFD */

/* Marks and overrides that reorder what is displayed, and line or paragraph separators. */
static bool is_display_control(int32_t cp)
{
	return (cp >= 0x80 && cp < 0xa0) || cp == 0x61c || (cp >= 0x200b && cp <= 0x200f) ||
	       (cp >= 0x2028 && cp <= 0x202e) || (cp >= 0x2066 && cp <= 0x2069) || cp == 0xfeff;
}

void strbuf_add_utf8(struct strbuf *b, const char *s)
{
	int32_t cp;
	for (size_t n; *s; s += n) {
		n = decode_utf8((const unsigned char *)s, &cp);
		if (cp < 0)
			strbuf_add(b, replacement);
		else
			strbuf_addn(b, s, n);
	}
}

void strbuf_add_terminal(struct strbuf *b, const char *s)
{
	int32_t cp;
	for (size_t n; *s; s += n) {
		n = decode_utf8((const unsigned char *)s, &cp);
		if (cp < 0)
			strbuf_add(b, replacement);
		else if (cp < 0x20 || cp == 0x7f)
			strbuf_addf(b, "^%c", (char)(cp ^ 0x40));
		else if (is_display_control(cp))
			strbuf_addf(b, "<U+%04X>", (unsigned)cp);
		else
			strbuf_addn(b, s, n);
	}
}

void strbuf_add_json(struct strbuf *b, const char *s)
{
	int32_t cp;
	strbuf_addc(b, '"');
	for (size_t n; *s; s += n) {
		n = decode_utf8((const unsigned char *)s, &cp);
		if (cp < 0)
			strbuf_add(b, replacement);
		else if (cp == '"' || cp == '\\')
			strbuf_addf(b, "\\%c", (char)cp);
		else if (cp == '\n')
			strbuf_add(b, "\\n");
		else if (cp < 0x20 || cp == 0x7f || cp == 0x2028 || cp == 0x2029)
			strbuf_addf(b, "\\u%04x", (unsigned)cp);
		else
			strbuf_addn(b, s, n);
	}
	strbuf_addc(b, '"');
}

static const char *xml_escape(int32_t cp)
{
	switch (cp) {
	case '&':
		return "&amp;";
	case '<':
		return "&lt;";
	case '>':
		return "&gt;";
	case '"':
		return "&quot;";
	case '\'':
		return "&#39;";
	case '\t':
		return "&#9;";
	case '\n':
		return "&#10;";
	case '\r':
		return "&#13;";
	default: /* XML 1.0, production Char */
		return cp < 0x20 || cp == 0xfffe || cp == 0xffff ? replacement : NULL;
	}
}

void strbuf_add_xml(struct strbuf *b, const char *s)
{
	int32_t cp;
	for (size_t n; *s; s += n) {
		n = decode_utf8((const unsigned char *)s, &cp);
		const char *escape = xml_escape(cp);
		if (escape)
			strbuf_add(b, escape);
		else
			strbuf_addn(b, s, n);
	}
}
