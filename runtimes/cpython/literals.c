/* SPDX-License-Identifier: Apache-2.0 */
/* Numbers and strings as Python's repr() writes them. Sources: Python/pystrtod.c (format code r)
 * and Objects/unicodeobject.c (unicode_repr) of CPython. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <csample/mem.h>

#include "objects.h"

/* Fewest digits are wanted. Below a power of two numbers lie closer than above it: there one more
 * in the last place may read back when the nearest does not. */
static bool reads_back(char *text, size_t size, int precision, double value)
{
	int n = snprintf(text, size, "%.*e", precision, value);
	if (n < 0 || (size_t)n >= size)
		return false;
	if (strtod(text, NULL) == value)
		return true;
	char *last = strchr(text, 'e');
	if (!last || last == text || last[-1] == '9')
		return false;
	last[-1]++;
	return strtod(text, NULL) == value;
}

void py_add_float(struct strbuf *b, double value)
{
	char text[40], digits[20] = "0";
	if (isnan(value) || isinf(value)) {
		strbuf_add(b, isnan(value) ? "nan" : value < 0 ? "-inf" : "inf");
		return;
	}
	for (int precision = 0; precision <= 16; precision++)
		if (reads_back(text, sizeof(text), precision, value))
			break;
	const char *p = text;
	size_t n = 0;
	if (*p == '-') {
		strbuf_addc(b, '-');
		p++;
	}
	for (; *p && *p != 'e'; p++)
		if (*p >= '0' && *p <= '9' && n < sizeof(digits))
			digits[n++] = *p;
	int exponent = *p ? (int)strtol(p + 1, NULL, 10) : 0; /* of the first digit */
	while (n > 1 && digits[n - 1] == '0')
		n--;
	if (exponent < -4 || exponent >= 16) {
		strbuf_addc(b, digits[0]);
		if (n > 1) {
			strbuf_addc(b, '.');
			strbuf_addn(b, digits + 1, n - 1);
		}
		strbuf_addf(b, "e%c%02d", exponent < 0 ? '-' : '+', abs(exponent));
		return;
	}
	if (exponent < 0) {
		strbuf_add(b, "0.");
		strbuf_addn(b, "0000", (size_t)-exponent - 1);
		strbuf_addn(b, digits, n);
		return;
	}
	for (size_t i = 0; i <= (size_t)exponent; i++)
		strbuf_addc(b, i < n ? digits[i] : '0');
	strbuf_addc(b, '.');
	if (n > (size_t)exponent + 1)
		strbuf_addn(b, digits + exponent + 1, n - (size_t)exponent - 1);
	else
		strbuf_addc(b, '0');
}

#define MAX_DIGITS 64 /* of 30 bits: 578 decimal ones */

void py_add_int(struct strbuf *b, const uint32_t *digits, size_t n, bool negative)
{
	uint32_t work[MAX_DIGITS], groups[MAX_DIGITS * 2];
	size_t n_groups = 0;
	if (n > MAX_DIGITS) {
		strbuf_addf(b, "<int of about %zu bits>", n * 30);
		return;
	}
	for (size_t i = 0; i < n; i++)
		work[i] = digits[i] & 0x3fffffff;
	while (n) { /* divides by 10^9 until nothing is left */
		uint64_t rest = 0;
		for (size_t i = n; i-- > 0;) {
			rest = rest << 30 | work[i];
			work[i] = (uint32_t)(rest / 1000000000);
			rest %= 1000000000;
		}
		groups[n_groups++] = (uint32_t)rest;
		while (n && !work[n - 1])
			n--;
	}
	if (negative)
		strbuf_addc(b, '-');
	strbuf_addf(b, "%u", n_groups ? groups[n_groups - 1] : 0);
	for (size_t i = n_groups; i-- > 1;)
		strbuf_addf(b, "%09u", groups[i - 1]);
}

/* What str.isprintable() denies, as far as it matters on a screen: controls, separators other than
 * the blank, format characters, surrogates, private use. */
static bool is_unprintable(uint32_t c)
{
	static const struct {
		uint32_t first, last;
	} ranges[] = {{0x7f, 0xa0},     {0xad, 0xad},       {0x600, 0x605},       {0x61c, 0x61c},
	              {0x6dd, 0x6dd},   {0x70f, 0x70f},     {0x1680, 0x1680},     {0x180e, 0x180e},
	              {0x2000, 0x200f}, {0x2028, 0x202f},   {0x205f, 0x206f},     {0x3000, 0x3000},
	              {0xd800, 0xf8ff}, {0xfdd0, 0xfdef},   {0xfeff, 0xfeff},     {0xfff0, 0xfffb},
	              {0xfffe, 0xffff}, {0xe0000, 0xe00ff}, {0xe01f0, UINT32_MAX}};
	for (size_t i = 0; i < ARRAY_SIZE(ranges); i++)
		if (c >= ranges[i].first && c <= ranges[i].last)
			return true;
	return c < 0x20;
}

static void add_escaped(struct strbuf *b, uint32_t c, char quote, bool is_bytes)
{
	if (c == (uint32_t)quote || c == '\\')
		strbuf_addf(b, "\\%c", (char)c);
	else if (c == '\n')
		strbuf_add(b, "\\n");
	else if (c == '\r')
		strbuf_add(b, "\\r");
	else if (c == '\t')
		strbuf_add(b, "\\t");
	else if (!is_unprintable(c) && !(is_bytes && c >= 0x80))
		py_add_codepoint(b, c);
	else if (c <= 0xff)
		strbuf_addf(b, "\\x%02x", (unsigned)c);
	else if (c <= 0xffff)
		strbuf_addf(b, "\\u%04x", (unsigned)c);
	else
		strbuf_addf(b, "\\U%08x", (unsigned)c);
}

void py_add_quoted(struct strbuf *b, const uint8_t *data, unsigned kind, size_t n, bool is_bytes)
{
	bool single = false, twice = false;
	for (size_t i = 0; i < n; i++) {
		uint32_t c = py_char_at(data, kind, i);
		single |= c == '\'';
		twice |= c == '"';
	}
	char quote = single && !twice ? '"' : '\'';
	if (is_bytes)
		strbuf_addc(b, 'b');
	strbuf_addc(b, quote);
	for (size_t i = 0; i < n; i++)
		add_escaped(b, py_char_at(data, kind, i), quote, is_bytes);
	strbuf_addc(b, quote);
}
