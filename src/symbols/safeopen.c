/* SPDX-License-Identifier: Apache-2.0 */
#include "safeopen.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/openat2.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <csample/mem.h>

#define MAX_PATH 4096

/* Is that directory the root of this very process? */
static bool is_own_root(int root_fd)
{
	struct stat a, b;
	return !fstat(root_fd, &a) && !stat("/", &b) && a.st_dev == b.st_dev &&
	       a.st_ino == b.st_ino;
}

/* For kernels before 5.6: one component after the other, links refused. */
static int walk(int root_fd, const char *path)
{
	_cleanup_close_ int dir = fcntl(root_fd, F_DUPFD_CLOEXEC, 0);
	while (dir >= 0) {
		path += strspn(path, "/");
		size_t len = strcspn(path, "/");
		char name[256];
		if (!len || len >= sizeof(name) || (len == 2 && !memcmp(path, "..", 2)))
			return -1;
		memcpy(name, path, len);
		name[len] = '\0';
		path += len;
		bool last = !path[strspn(path, "/")];
		int fd = openat(dir, name,
		                O_PATH | O_NOFOLLOW | O_CLOEXEC | (last ? 0 : O_DIRECTORY));
		if (last || fd < 0)
			return fd;
		close(dir);
		dir = fd;
	}
	return -1;
}

static int open_path(int root_fd, const char *path, int flags)
{
	struct open_how how = {.flags = (unsigned)flags,
	                       .resolve = RESOLVE_IN_ROOT | RESOLVE_NO_MAGICLINKS};
	int fd = (int)syscall(SYS_openat2, root_fd, path, &how, sizeof(how));
	/* Old kernels do not know it, old container run-times forbid it. */
	if (fd >= 0 || (errno != ENOSYS && errno != EPERM))
		return fd;
	return is_own_root(root_fd) ? open(path, flags) : walk(root_fd, path);
}

int open_regular(int root_fd, const char *path, bool no_symlink)
{
	int flags = O_PATH | O_CLOEXEC | (no_symlink ? O_NOFOLLOW : 0);
	if (strlen(path) >= MAX_PATH)
		return -1;
	_cleanup_close_ int fd = root_fd < 0 ? open(path, flags) : open_path(root_fd, path, flags);
	struct stat st;
	if (fd < 0 || fstat(fd, &st) || !S_ISREG(st.st_mode))
		return -1;
	/* The very file that was looked at, not what its name means by now. */
	char self[64];
	snprintf(self, sizeof(self), "/proc/self/fd/%d", fd);
	return open(self, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
}
