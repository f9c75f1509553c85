/* SPDX-License-Identifier: Apache-2.0 */
#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "emit.h"

const struct format *const formats[] = {&format_svg,     &format_html,       &format_collapsed,
                                        &format_pprof,   &format_speedscope, &format_chrometrace,
                                        &format_firefox, &format_json,       NULL};

const struct format *format_by_name(const char *name)
{
	for (const struct format *const *f = formats; *f; f++) {
		if (!strcasecmp((*f)->name, name))
			return *f;
		for (const char *const *alias = (*f)->aliases; alias && *alias; alias++)
			if (!strcasecmp(*alias, name))
				return *f;
	}
	return NULL;
}

const struct format *format_by_path(const char *path)
{
	size_t len = strlen(path);
	for (const struct format *const *f = formats; *f; f++) {
		for (const char *const *suffix = (*f)->suffixes; *suffix; suffix++) {
			size_t n = strlen(*suffix);
			if (len > n && !strcasecmp(path + len - n, *suffix))
				return *f;
		}
	}
	return NULL;
}

void format_list(char *buf, size_t len)
{
	size_t at = 0;
	for (const struct format *const *f = formats; *f; f++) {
		int n = snprintf(buf + at, len - at, "%s%s", at ? ", " : "", (*f)->name);
		if (n < 0 || (size_t)n >= len - at)
			return; /* cut, and terminated */
		at += (size_t)n;
	}
}
