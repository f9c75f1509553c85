/* SPDX-License-Identifier: Apache-2.0 */
#include "version.h"

#include <stdio.h>
#include <string.h>

bool py_version_plausible(uint64_t hexversion)
{
	unsigned level = hexversion >> 4 & 15, major = (unsigned)(hexversion >> 24);
	return (major == 2 || major == 3) && (level >= 10 && level != 13 && level != 14);
}

void py_version_text(uint32_t hexversion, bool free_threaded, char *buf, size_t len)
{
	unsigned level = hexversion >> 4 & 15, serial = hexversion & 15;
	unsigned major = hexversion >> 24, minor = hexversion >> 16 & 255,
	         micro = hexversion >> 8 & 255;
	const char *t = free_threaded ? "t" : "";
	if (!level)
		snprintf(buf, len, "%u.%u%s", major, minor, t);
	else if (level == PY_LEVEL_FINAL)
		snprintf(buf, len, "%u.%u.%u%s", major, minor, micro, t);
	else
		snprintf(buf, len, "%u.%u.%u%s%u%s", major, minor, micro,
		         level == 10   ? "a"
		         : level == 11 ? "b"
		                       : "rc",
		         serial, t);
}

/* A decimal number of at most three digits that fits a byte. */
static bool number(const uint8_t **p, const uint8_t *end, unsigned *ret)
{
	unsigned v = 0, digits = 0;
	for (; *p < end && **p >= '0' && **p <= '9' && digits < 4; ++*p, digits++)
		v = v * 10 + (unsigned)(**p - '0');
	*ret = v;
	return digits > 0 && digits < 4 && v < 256;
}

static bool skip(const uint8_t **p, const uint8_t *end, const char *text)
{
	size_t len = strlen(text);
	if ((size_t)(end - *p) < len || memcmp(*p, text, len) != 0)
		return false;
	*p += len;
	return true;
}

/* After the number: " (build) [compiler", all of it printable; conda's own adds a text before. */
static bool build_follows(const uint8_t *p, const uint8_t *end)
{
	bool parenthesis = false;
	if (!skip(&p, end, " "))
		return false;
	for (; p < end && *p; p++) {
		if (*p == '(')
			parenthesis = true;
		const uint8_t *after = p;
		if (parenthesis && (skip(&after, end, ") [") || skip(&after, end, ") \n[")))
			return true;
		if (*p < ' ' || *p > '~')
			return false;
	}
	return false;
}

static bool parse(const uint8_t *p, const uint8_t *end, uint32_t *ret)
{
	unsigned major, minor, micro, level = PY_LEVEL_FINAL, serial = 0;
	if (!number(&p, end, &major) || !skip(&p, end, ".") || !number(&p, end, &minor) ||
	    !skip(&p, end, ".") || !number(&p, end, &micro))
		return false;
	if (skip(&p, end, "rc") || skip(&p, end, "c"))
		level = 12;
	else if (skip(&p, end, "a"))
		level = 10;
	else if (skip(&p, end, "b"))
		level = 11;
	if (level != PY_LEVEL_FINAL && (!number(&p, end, &serial) || serial > 15))
		return false;
	skip(&p, end, "+");
	if (!build_follows(p, end))
		return false;
	*ret = major << 24 | minor << 16 | micro << 8 | level << 4 | serial;
	return py_version_plausible(*ret);
}

bool py_version_search(const uint8_t *bytes, size_t len, uint32_t *hexversion_ret)
{
	const uint8_t *end = bytes + len;
	for (const uint8_t *dot = bytes; dot < end && (dot = memchr(dot, '.', (size_t)(end - dot)));
	     dot++) {
		if (dot == bytes || (dot[-1] != '2' && dot[-1] != '3'))
			continue;
		const uint8_t *start = dot - 1;
		if (start > bytes && ((start[-1] >= '0' && start[-1] <= '9') || start[-1] == '.'))
			continue;
		const uint8_t *last =
		        end - start > PY_VERSION_TEXT_MAX ? start + PY_VERSION_TEXT_MAX : end;
		if (parse(start, last, hexversion_ret))
			return true;
	}
	return false;
}

bool py_version_of_path(const char *path, uint32_t *hexversion_ret)
{
	const char *name = strrchr(path, '/');
	const char *word = strstr(name ? name : path, "python");
	if (!word)
		return false;
	const uint8_t *p = (const uint8_t *)word + strlen("python");
	const uint8_t *end = p + strlen((const char *)p);
	unsigned major, minor;
	if (!number(&p, end, &major) || !skip(&p, end, ".") || !number(&p, end, &minor) ||
	    (major != 2 && major != 3))
		return false;
	*hexversion_ret = major << 24 | minor << 16;
	return true;
}
