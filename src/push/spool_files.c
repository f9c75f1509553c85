/* SPDX-License-Identifier: Apache-2.0 */
/* DIR/SLOT/KEY-SAMPLES-PIECES.profile. A process has a slot as long as it holds the lock on the
 * directory, so whatever way it ends its profiles find another owner. Files appear by rename,
 * whole; after a loss of power one may be torn all the same, which its checksum tells. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <csample/mem.h>

#include "spool.h"

#define MAX_SLOTS 256
#define NAME_MAX_ 96
#define MAX_FILE  ((off_t)1 << 30) /* far above what put() writes */
#define REJECTED  "rejected"

static void name_of(const struct spool_item *item, char name[static NAME_MAX_])
{
	snprintf(name, NAME_MAX_, "%020" PRIu64 "-%" PRIu64 "-%u.profile", item->key,
	         item->progress.samples, item->progress.pieces);
}

static bool parse_name(const char *name, struct spool_item *ret)
{
	struct spool_item item = {0};
	char *end;
	item.key = strtoull(name, &end, 10);
	if (*end == '-')
		item.progress.samples = strtoull(end + 1, &end, 10);
	if (*end == '-')
		item.progress.pieces = (unsigned)strtoul(end + 1, &end, 10);
	char again[NAME_MAX_];
	name_of(&item, again); /* whatever is not exactly as we write it is not ours */
	if (strcmp(name, again) != 0)
		return false;
	*ret = item;
	return true;
}

/* As mkdir -p, for us alone. */
static int make_directories(const char *path)
{
	_cleanup_free_ char *copy = mem_strdup(path);
	for (char *p = copy + 1;; p++) {
		char c = *p;
		if (c && c != '/')
			continue;
		*p = '\0';
		if (mkdir(copy, 0700) && errno != EEXIST && (errno != EROFS || !c))
			return errno;
		*p = c;
		if (!c)
			return 0;
	}
}

static int open_slot(int parent_fd, unsigned slot, bool make)
{
	char name[16];
	snprintf(name, sizeof(name), "%u", slot);
	if (make && mkdirat(parent_fd, name, 0700) && errno != EEXIST)
		return -1;
	return openat(parent_fd, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
}

int spool_files_lock(struct spool *sp)
{
	int errnum = make_directories(sp->dir);
	if (errnum)
		return errnum;
	sp->parent_fd = open(sp->dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (sp->parent_fd < 0)
		return errno;
	for (sp->slot = 0; sp->slot < MAX_SLOTS; sp->slot++) {
		sp->fd = open_slot(sp->parent_fd, sp->slot, true);
		if (sp->fd < 0)
			return errno;
		bool ours = !flock(sp->fd, LOCK_EX | LOCK_NB);
		if (!ours && errno != EWOULDBLOCK)
			return errno;
		if (ours)
			return faccessat(sp->fd, ".", W_OK | X_OK, AT_EACCESS) ? errno : 0;
		close(sp->fd);
		sp->fd = -1;
	}
	return EUSERS;
}

int spool_files_abandoned(const struct spool *sp, unsigned slot)
{
	int fd = slot < MAX_SLOTS ? open_slot(sp->parent_fd, slot, false) : -1;
	if (fd < 0)
		return -2;
	if (slot != sp->slot && !flock(fd, LOCK_EX | LOCK_NB))
		return fd;
	close(fd);
	return -1;
}

static int write_all(int fd, const void *bytes, size_t len)
{
	for (const char *p = bytes; len;) {
		ssize_t n = write(fd, p, len);
		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return n ? errno : EIO;
		p += n;
		len -= (size_t)n;
	}
	return 0;
}

/* Under a temporary name first. */
static int write_file(int dir_fd, const char *name, const void *bytes, size_t len)
{
	char temp[NAME_MAX_ + 8];
	snprintf(temp, sizeof(temp), ".%s", name);
	int fd = openat(dir_fd, temp, O_WRONLY | O_CREAT | O_TRUNC | O_NOFOLLOW | O_CLOEXEC, 0600);
	if (fd < 0)
		return errno;
	int errnum = write_all(fd, bytes, len);
	if (close(fd) && !errnum && errno != EINTR)
		errnum = errno; /* network file systems tell here that there is no room */
	if (!errnum && renameat(dir_fd, temp, dir_fd, name))
		errnum = errno;
	if (errnum)
		unlinkat(dir_fd, temp, 0);
	return errnum;
}

int spool_files_write(int fd, const struct spool_item *item, const void *bytes, size_t len)
{
	char name[NAME_MAX_];
	name_of(item, name);
	return write_file(fd, name, bytes, len);
}

int spool_files_read(int fd, const struct spool_item *item, void **bytes_ret, size_t *len_ret)
{
	char name[NAME_MAX_];
	name_of(item, name);
	_cleanup_close_ int file = openat(fd, name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
	struct stat st;
	if (file < 0 || fstat(file, &st))
		return errno;
	if (!S_ISREG(st.st_mode) || st.st_size > MAX_FILE)
		return EFBIG;
	_cleanup_free_ char *bytes = mem_alloc((size_t)st.st_size + 1);
	size_t len = 0;
	while (len < (size_t)st.st_size) {
		ssize_t n = read(file, bytes + len, (size_t)st.st_size - len);
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return errno;
		if (!n)
			break;
		len += (size_t)n;
	}
	*len_ret = len;
	*bytes_ret = bytes;
	bytes = NULL;
	return 0;
}

int spool_files_remove(int fd, const struct spool_item *item)
{
	char name[NAME_MAX_];
	name_of(item, name);
	return unlinkat(fd, name, 0) ? errno : 0;
}

int spool_files_rename(int from_fd, const struct spool_item *from, int to_fd,
                       const struct spool_item *to)
{
	char old[NAME_MAX_], new[NAME_MAX_];
	name_of(from, old);
	name_of(to, new);
	return renameat(from_fd, old, to_fd, new) ? errno : 0;
}

int spool_files_sync(int fd, const struct spool_item *item)
{
	char name[NAME_MAX_];
	name_of(item, name);
	_cleanup_close_ int file = openat(fd, name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
	return file < 0 || fsync(file) ? errno : 0;
}

int spool_files_list(int fd, void (*seen)(void *arg, const struct spool_item *item), void *arg)
{
	int copy = openat(fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	DIR *d = copy >= 0 ? fdopendir(copy) : NULL;
	if (!d) {
		int errnum = errno;
		if (copy >= 0)
			close(copy);
		return errnum;
	}
	for (struct dirent *entry; (entry = readdir(d));) {
		struct spool_item item;
		struct stat st;
		size_t len = strlen(entry->d_name);
		if (parse_name(entry->d_name, &item)) {
			if (fstatat(fd, entry->d_name, &st, AT_SYMLINK_NOFOLLOW) ||
			    !S_ISREG(st.st_mode))
				continue;
			item.bytes = (size_t)st.st_size;
			seen(arg, &item);
		} else if (entry->d_name[0] == '.' && len > 8 &&
		           !strcmp(entry->d_name + len - 8, ".profile")) {
			unlinkat(fd, entry->d_name, 0);
		}
	}
	closedir(d);
	return 0;
}

struct old_file {
	char *name;
	uint64_t bytes;
};

static int by_name(const void *a, const void *b)
{
	return strcmp(((const struct old_file *)a)->name, ((const struct old_file *)b)->name);
}

/* Removes the oldest until no more than max remain. */
static void trim_rejected(int fd, uint64_t max)
{
	DIR *d = fdopendir(openat(fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC));
	VEC(struct old_file) files = {0};
	uint64_t total = 0;
	if (!d)
		return;
	for (struct dirent *entry; (entry = readdir(d));) {
		struct stat st;
		if (fstatat(fd, entry->d_name, &st, AT_SYMLINK_NOFOLLOW) || !S_ISREG(st.st_mode))
			continue;
		/* A file takes blocks: the smallest of them must not be free. */
		uint64_t bytes = (uint64_t)st.st_size + 4096;
		*vec_add(&files) = (struct old_file){mem_strdup(entry->d_name), bytes};
		total += bytes;
	}
	closedir(d);
	if (files.n)
		qsort(files.items, files.n, sizeof(*files.items), by_name);
	for (size_t i = 0; i < files.n; i++) {
		if (total > max && !unlinkat(fd, files.items[i].name, 0))
			total -= files.items[i].bytes;
		free(files.items[i].name);
	}
	vec_free(&files);
}

void spool_files_aside(const struct spool *sp, const struct spool_item *item, const void *bytes,
                       size_t len, const char *suffix, const char *reason)
{
	if (mkdirat(sp->parent_fd, REJECTED, 0700) && errno != EEXIST)
		return;
	_cleanup_close_ int fd =
	        openat(sp->parent_fd, REJECTED, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (fd < 0)
		return;
	char name[NAME_MAX_];
	snprintf(name, sizeof(name), "%020" PRIu64 "-%u%s", item->key, sp->slot, suffix);
	if (write_file(fd, name, bytes, len))
		return;
	snprintf(name, sizeof(name), "%020" PRIu64 "-%u.reason", item->key, sp->slot);
	write_file(fd, name, reason, strlen(reason));
	trim_rejected(fd, sp->max_bytes / 4);
}
