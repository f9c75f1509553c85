/* SPDX-License-Identifier: Apache-2.0 */
#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <csample/hash.h>
#include <csample/mem.h>
#include <csample/target.h>
#include <csample/vec.h>

#define MAX_GENERATIONS 1024

/* proc(5), stat: "pid (name) state ppid ..."; the name may hold anything. */
static pid_t parent_of(int proc_fd, long pid)
{
	char path[64], text[512];
	snprintf(path, sizeof(path), "%ld/stat", pid);
	_cleanup_close_ int fd = openat(proc_fd, path, O_RDONLY | O_CLOEXEC);
	ssize_t n = fd >= 0 ? read(fd, text, sizeof(text) - 1) : -1;
	text[n > 0 ? n : 0] = '\0';
	const char *p = strrchr(text, ')');
	return p && p[1] && p[2] ? (pid_t)strtol(p + 3, NULL, 10) : 0;
}

static size_t list_all(struct target_parent **ret)
{
	VEC(struct target_parent) all = {0};
	DIR *dir = opendir("/proc");
	for (struct dirent *entry; dir && (entry = readdir(dir));) {
		char *end;
		long pid = strtol(entry->d_name, &end, 10);
		if (pid > 0 && !*end)
			*vec_add(&all) =
			        (struct target_parent){(pid_t)pid, parent_of(dirfd(dir), pid)};
	}
	if (dir)
		closedir(dir);
	*ret = all.items;
	return all.n;
}

size_t target_descendants(const pid_t *pids, size_t n, struct target_parent **ret)
{
	struct map64 known = {0};
	VEC(struct target_parent) found = {0};
	for (size_t i = 0; i < n; i++)
		*map64_put(&known, (uint64_t)pids[i]) = 1;
	struct target_parent *all;
	size_t n_all = list_all(&all), before;
	for (int generation = 0; generation < MAX_GENERATIONS; generation++) {
		before = found.n;
		for (size_t i = 0; i < n_all; i++) {
			struct target_parent *one = &all[i];
			if (!one->pid || !map64_get(&known, (uint64_t)one->parent))
				continue;
			if (!map64_get(&known, (uint64_t)one->pid))
				*vec_add(&found) = (struct target_parent){one->pid, one->parent};
			*map64_put(&known, (uint64_t)one->pid) = 1;
			one->pid = 0;
		}
		if (found.n == before)
			break;
	}
	map64_free(&known);
	free(all);
	*ret = found.items;
	return found.n;
}
