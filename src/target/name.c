/* SPDX-License-Identifier: Apache-2.0 */
#include "name.h"

#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#define MAX_COMM 15 /* the kernel's, of what exec is given */
/* A script's name comes behind its interpreter and that one's option. */
#define MAX_ARGS 3

static const char *base_of(const char *path)
{
	const char *slash = strrchr(path, '/');
	return slash && slash[1] ? slash + 1 : path;
}

static bool begins(const char *text, const char *with)
{
	return !strncmp(text, with, strlen(with));
}

static bool is_file_name(const char *base, const char *comm)
{
	return !strcmp(base, comm) || (strlen(comm) == MAX_COMM && begins(base, comm));
}

/* Also where a process that gives itself a title wrote it over its arguments, and where python3 is
 * a link to python3.12. */
static bool is_known(const char *comm, const char *exe, char *const *argv)
{
	/* In the midst of an exec the arguments are not there yet, but the name is the new one. */
	if (!argv[0] || !strcmp(comm, "exe")) /* executed as /proc/self/exe */
		return true;
	if (begins(base_of(exe), comm) || (argv[0] && begins(argv[0], comm)))
		return true;
	for (size_t i = 0; i < MAX_ARGS && argv[i]; i++) {
		const char *base = base_of(argv[i]);
		if (is_file_name(base + (i == 0 && *base == '-'), comm)) /* a login shell */
			return true;
	}
	return false;
}

/* Up to a blank: of a core file all arguments are one. */
static size_t first_word(const char *arg, const char **ret)
{
	size_t len = strcspn(arg, " ");
	const char *start = arg;
	for (size_t i = 0; i + 1 < len; i++)
		if (arg[i] == '/')
			start = arg + i + 1;
	*ret = start;
	return len - (size_t)(start - arg);
}

void name_of_process(const char *comm, const char *exe, char *const *argv, char *buf, size_t len)
{
	static const char plain[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789"
	                            "._+-";
	const char *word = comm;
	size_t n = strlen(comm);
	if (!n || !is_known(comm, exe, argv)) {
		word = "";
		n = argv[0] ? first_word(argv[0], &word) : 0;
		if (!n || strspn(word, plain) < n) {
			word = base_of(exe);
			n = strcspn(word, " "); /* "(deleted)" */
		}
		if (!n) {
			word = comm;
			n = strlen(comm);
		}
	}
	snprintf(buf, len, "%.*s", (int)n, word);
}
