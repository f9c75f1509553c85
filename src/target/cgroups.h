/* SPDX-License-Identifier: Apache-2.0 */
/* What the names of a process's cgroups tell: pure functions over the text of /proc/PID/cgroup. */
#ifndef TARGET_CGROUPS_H
#define TARGET_CGROUPS_H

#include <stdbool.h>
#include <stddef.h>

#include <csample/find.h>

#define CONTAINER_NAME 128

struct container_search {
	const struct find_words *words;
	/* For each word the first container that fits it, and another if there is one. */
	char first[FIND_MAX_WORDS][CONTAINER_NAME], second[FIND_MAX_WORDS][CONTAINER_NAME];
};

/* The file's text; free it; NULL: gone or hidden. */
char *cgroups_read(pid_t pid);
/* One of the cgroups is, or is below, one of the words. */
bool cgroups_below(const char *text, const struct find_words *words);
/* One of the containers that the cgroups name is meant by one of the words. */
bool cgroups_contained(const char *text, struct container_search *search);
/* ERR_USAGE if a word turned out to mean several containers. */
struct err *container_search_check(const struct container_search *search);
/* The innermost container; false: none. */
bool cgroups_container(const char *text, char *buf, size_t len);

#endif
