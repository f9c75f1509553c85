/* SPDX-License-Identifier: Apache-2.0 */
#include "cgroups.h"

#include <ctype.h>
#include <stdio.h>
#include <string.h>

#include <csample/mem.h>

#define ID_LENGTH   64 /* hexadecimal digits of an OCI container's id */
#define CGROUP_ROOT "/sys/fs/cgroup"

struct span {
	const char *s;
	size_t len;
};

/* The next line "number:controllers:path"; false at the end. */
static bool next_line(const char **text, struct span *controllers, struct span *path)
{
	while (**text) {
		const char *line = *text, *end = line + strcspn(line, "\n");
		*text = *end ? end + 1 : end;
		const char *one = memchr(line, ':', (size_t)(end - line));
		const char *two = one ? memchr(one + 1, ':', (size_t)(end - one - 1)) : NULL;
		if (!two)
			continue;
		*controllers = (struct span){one + 1, (size_t)(two - one - 1)};
		*path = (struct span){two + 1, (size_t)(end - two - 1)};
		return true;
	}
	return false;
}

/* Whole components of path, from its beginning or, with anywhere, from that of any component. */
static bool has_components(struct span path, struct span part, bool anywhere)
{
	for (size_t at = 0; at + part.len <= path.len; at++) {
		bool begins = at == 0 || path.s[at - 1] == '/';
		bool ends = at + part.len == path.len || path.s[at + part.len] == '/';
		if (begins && ends && !memcmp(path.s + at, part.s, part.len))
			return true;
		if (!anywhere)
			return false;
	}
	return false;
}

static bool cut_prefix(struct span *s, const char *prefix)
{
	size_t len = strlen(prefix);
	if (s->len <= len || memcmp(s->s, prefix, len) != 0)
		return false;
	s->s += len;
	s->len -= len;
	return true;
}

static bool path_below(struct span controllers, struct span path, const char *word)
{
	bool absolute = word[0] == '/';
	size_t root = strlen(CGROUP_ROOT);
	if (!strncmp(word, CGROUP_ROOT, root) && (word[root] == '/' || !word[root])) {
		word += root;
		/* Version 1 has a directory for each hierarchy; beside them version 2 is "unified".
		 */
		struct span hierarchy = controllers;
		cut_prefix(&hierarchy, "name=");
		if (!hierarchy.len)
			hierarchy = (struct span){"unified", 7};
		const char *rest = word + (*word == '/');
		if (!strncmp(rest, hierarchy.s, hierarchy.len) &&
		    (!rest[hierarchy.len] || rest[hierarchy.len] == '/'))
			word = rest + hierarchy.len;
	}
	word += strspn(word, "/");
	struct span part = {word, strlen(word)};
	while (part.len && part.s[part.len - 1] == '/')
		part.len--;
	if (!part.len)
		return absolute;
	struct span inside = {path.s + (path.len && *path.s == '/'),
	                      path.len - (path.len && *path.s == '/')};
	return has_components(inside, part, !absolute);
}

bool cgroups_below(const char *text, const struct find_words *words)
{
	struct span controllers, path;
	while (next_line(&text, &controllers, &path))
		for (size_t i = 0; i < words->n; i++)
			if (path_below(controllers, path, words->items[i]))
				return true;
	return false;
}

static void cut_suffix(struct span *s, const char *suffix)
{
	size_t len = strlen(suffix);
	if (s->len > len && !memcmp(s->s + s->len - len, suffix, len))
		s->len -= len;
}

/* The container that a component names: docker-ID.scope, cri-containerd-ID.scope, crio-ID.scope,
 * libpod-ID.scope, kubepods-...:cri-containerd:ID, ID itself; lxc.payload.NAME, machine-NAME.scope,
 * NAME below lxc. Not conmon's, which watches over a container from outside. */
static bool component_container(struct span component, struct span parent, struct span *ret)
{
	struct span s = component;
	cut_suffix(&s, ".scope");
	cut_suffix(&s, ".service");
	if (memmem(s.s, s.len, "conmon-", 7))
		return false;
	if (s.len >= ID_LENGTH) {
		struct span id = {s.s + s.len - ID_LENGTH, ID_LENGTH};
		size_t digits = 0;
		while (digits < ID_LENGTH && isxdigit((unsigned char)id.s[digits]))
			digits++;
		if (digits == ID_LENGTH && (s.len == ID_LENGTH || strchr("-:", id.s[-1]))) {
			*ret = id;
			return true;
		}
	}
	*ret = s;
	if (cut_prefix(ret, "lxc.payload.") || cut_prefix(ret, "machine-"))
		return true;
	return parent.len == 3 && !memcmp(parent.s, "lxc", 3);
}

/* The next component of a path with a container in it; rest is what follows. */
static bool next_container(struct span *rest, struct span *parent, struct span *ret)
{
	while (rest->len) {
		const char *slash = memchr(rest->s, '/', rest->len);
		struct span component = {rest->s, slash ? (size_t)(slash - rest->s) : rest->len};
		size_t used = component.len + (slash != NULL);
		rest->s += used;
		rest->len -= used;
		bool found = component.len && component_container(component, *parent, ret);
		*parent = component;
		if (found)
			return true;
	}
	return false;
}

static bool is_meant(struct span container, const char *word)
{
	const char *scheme = strstr(word, "://"); /* as kubectl prints ids */
	word = scheme ? scheme + 3 : word;
	size_t len = strlen(word);
	if (!len || len > container.len || strncasecmp(word, container.s, len) != 0)
		return false;
	return container.len == ID_LENGTH || len == container.len;
}

static void note(struct container_search *search, size_t word, struct span container)
{
	char name[CONTAINER_NAME];
	snprintf(name, sizeof(name), "%.*s", (int)container.len, container.s);
	if (!*search->first[word])
		memcpy(search->first[word], name, sizeof(name));
	else if (strcmp(search->first[word], name) != 0)
		memcpy(search->second[word], name, sizeof(name));
}

bool cgroups_contained(const char *text, struct container_search *search)
{
	struct span controllers, path, container;
	bool found = false;
	while (next_line(&text, &controllers, &path)) {
		struct span parent = {"", 0};
		while (next_container(&path, &parent, &container)) {
			for (size_t i = 0; i < search->words->n; i++) {
				if (!is_meant(container, search->words->items[i]))
					continue;
				note(search, i, container);
				found = true;
			}
		}
	}
	return found;
}

struct err *container_search_check(const struct container_search *search)
{
	for (size_t i = 0; i < search->words->n; i++)
		if (*search->second[i])
			return err_new(ERR_USAGE,
			               "'%s' is the beginning of several container ids: %.20s, "
			               "%.20s; give more of it",
			               search->words->items[i], search->first[i],
			               search->second[i]);
	return NULL;
}

bool cgroups_container(const char *text, char *buf, size_t len)
{
	struct span controllers, path, container, last = {NULL, 0};
	while (!last.s && next_line(&text, &controllers, &path)) {
		struct span parent = {"", 0};
		while (next_container(&path, &parent, &container))
			last = container;
	}
	if (!last.s)
		return false;
	snprintf(buf, len, "%.*s", (int)last.len, last.s);
	return true;
}

bool process_container(pid_t pid, char *buf, size_t len)
{
	_cleanup_free_ char *text = cgroups_read(pid);
	return text && cgroups_container(text, buf, len);
}
