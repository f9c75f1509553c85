/* SPDX-License-Identifier: Apache-2.0 */
/* The directory is read once; from then on what was written is known. Of several recordings with
 * one pattern each keeps its own, and what was there when it began. */
#include "retention.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <csample/mem.h>
#include <csample/vec.h>

struct kept {
	char *name;
	int64_t written_ns;
	uint64_t bytes;
};

struct keeper {
	const struct pattern *pattern;
	struct retention keep;
	int dir_fd;
	VEC(struct kept) files; /* oldest first */
	uint64_t bytes;         /* of all */
};

static int older(const void *a, const void *b)
{
	const struct kept *x = a, *y = b;
	if (x->written_ns != y->written_ns)
		return x->written_ns < y->written_ns ? -1 : 1;
	return strcmp(x->name, y->name);
}

static void forget(struct keeper *k, size_t i)
{
	k->bytes -= k->files.items[i].bytes;
	free(k->files.items[i].name);
	k->files.n--;
	memmove(&k->files.items[i], &k->files.items[i + 1],
	        (k->files.n - i) * sizeof(*k->files.items));
}

static void add(struct keeper *k, const char *name)
{
	struct stat st;
	if (fstatat(k->dir_fd, name, &st, AT_SYMLINK_NOFOLLOW) || !S_ISREG(st.st_mode))
		return;
	*vec_add(&k->files) = (struct kept){
	        .name = mem_strdup(name),
	        .written_ns = (int64_t)st.st_mtim.tv_sec * 1000000000 + st.st_mtim.tv_nsec,
	        .bytes = (uint64_t)st.st_size,
	};
	k->bytes += (uint64_t)st.st_size;
}

struct err *keeper_scan(struct keeper *k)
{
	int fd = openat(k->dir_fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	DIR *dir = fd >= 0 ? fdopendir(fd) : NULL;
	if (!dir) {
		struct err *err = err_errno(errno, "cannot look for old files in '%s'",
		                            pattern_dir(k->pattern));
		if (fd >= 0)
			close(fd);
		return err;
	}
	while (k->files.n)
		forget(k, k->files.n - 1);
	const struct dirent *entry;
	while ((entry = readdir(dir)))
		if (pattern_matches(k->pattern, entry->d_name))
			add(k, entry->d_name);
	closedir(dir);
	if (k->files.n)
		qsort(k->files.items, k->files.n, sizeof(*k->files.items), older);
	return NULL;
}

struct err *keeper_create(const struct pattern *pattern, const struct retention *keep,
                          struct keeper **ret)
{
	const char *dir = pattern_dir(pattern)[0] ? pattern_dir(pattern) : ".";
	struct keeper *k = mem_zalloc(sizeof(*k));
	k->pattern = pattern;
	k->keep = *keep;
	k->dir_fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	struct err *err = k->dir_fd < 0 ? err_errno(errno, "cannot read the directory '%s'", dir)
	                                : keeper_scan(k);
	if (err) {
		keeper_destroy(k);
		return err;
	}
	*ret = k;
	return NULL;
}

void keeper_destroy(struct keeper *k)
{
	if (!k)
		return;
	while (k->files.n)
		forget(k, k->files.n - 1);
	vec_free(&k->files);
	if (k->dir_fd >= 0)
		close(k->dir_fd);
	free(k);
}

static bool too_much(const struct keeper *k, int64_t now_unix_ns)
{
	const struct retention *keep = &k->keep;
	int64_t age = now_unix_ns - k->files.items[0].written_ns;
	return (keep->count && k->files.n > keep->count) ||
	       (keep->bytes && k->bytes > keep->bytes) ||
	       (keep->age_ns && age > 0 && (uint64_t)age > keep->age_ns);
}

struct err *keeper_wrote(struct keeper *k, const char *name, int64_t now_unix_ns)
{
	struct err *err = NULL;
	for (size_t i = k->files.n; i-- > 0;) {
		if (!strcmp(k->files.items[i].name, name)) {
			forget(k, i);
			break;
		}
	}
	size_t before = k->files.n;
	add(k, name);
	if (k->files.n == before) /* it has gone already: somebody else's retention */
		return NULL;
	while (k->files.n > 1 && too_much(k, now_unix_ns)) {
		const char *old = k->files.items[0].name;
		struct stat st;
		bool regular =
		        !fstatat(k->dir_fd, old, &st, AT_SYMLINK_NOFOLLOW) && S_ISREG(st.st_mode);
		if (regular && unlinkat(k->dir_fd, old, 0) && errno != ENOENT && !err)
			err = err_errno(errno, "cannot delete '%s%s', which is too old or too much",
			                pattern_dir(k->pattern), old);
		forget(k, 0);
	}
	return err;
}
