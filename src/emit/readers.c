/* SPDX-License-Identifier: Apache-2.0 */
#include "readers.h"

#include <stdlib.h>
#include <string.h>

#include <csample/mem.h>

struct line next_line(const char **at, const char *end)
{
	if (*at >= end)
		return (struct line){0};
	const char *s = *at, *newline = memchr(s, '\n', (size_t)(end - s));
	const char *stop = newline ? newline : end;
	*at = newline ? newline + 1 : end;
	if (stop > s && stop[-1] == '\r')
		stop--;
	return (struct line){s, (size_t)(stop - s)};
}

bool parse_number(const char *s, size_t len, uint64_t *ret)
{
	uint64_t n = 0;
	if (!len || len > 18)
		return false;
	for (size_t i = 0; i < len; i++) {
		if (s[i] < '0' || s[i] > '9')
			return false;
		n = n * 10 + (uint64_t)(s[i] - '0');
	}
	*ret = n;
	return true;
}

static bool ends_in(const char *s, const char *const *ends)
{
	size_t len = strlen(s);
	for (; *ends; ends++) {
		size_t n = strlen(*ends);
		if (len > n && !strcmp(s + len - n, *ends))
			return true;
	}
	return false;
}

enum frame_kind guess_kind(const char *function, const char *module, const char *file)
{
	static const char *const python[] = {".py", NULL};
	static const char *const javascript[] = {".js", ".mjs", ".cjs", ".ts", NULL};
	if (module && !strncmp(module, "[kernel", 7))
		return FRAME_KERNEL;
	if (file && ends_in(file, python))
		return FRAME_PYTHON;
	if (file && ends_in(file, javascript))
		return FRAME_JAVASCRIPT;
	size_t len = function ? strlen(function) : 0;
	if (!module && !file && len > 1 && function[0] == '[' && function[len - 1] == ']')
		return FRAME_MARK;
	return FRAME_NATIVE;
}

void split_place(struct strings *strings, char *text, struct frame *f)
{
	size_t len = strlen(text);
	char *open = strrchr(text, '(');
	if (!open || open - text < 2 || open[-1] != ' ' || text[len - 1] != ')')
		return;
	_cleanup_free_ char *file = mem_strndup(open + 1, len - (size_t)(open + 1 - text) - 1);
	char *colon = strrchr(file, ':');
	uint64_t line = 0;
	if (colon && parse_number(colon + 1, strlen(colon + 1), &line))
		*colon = '\0';
	enum frame_kind kind = guess_kind(NULL, NULL, file);
	if (kind == FRAME_NATIVE || line > UINT32_MAX)
		return;
	open[-1] = '\0';
	f->kind = kind;
	f->file = intern(strings, file);
	f->line = (uint32_t)line;
}
