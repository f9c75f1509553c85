/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/uio.h>
#include <unistd.h>

#include <csample/rmem.h>

static struct err *read_mem_file(struct rmem_live *live, uint64_t addr, void *buf, size_t len)
{
	if (live->mem_fd < 0) {
		char path[64];
		snprintf(path, sizeof(path), "/proc/%d/mem", (int)live->pid);
		live->mem_fd = open(path, O_RDONLY | O_CLOEXEC);
		if (live->mem_fd < 0)
			return errno == ENOENT ? &err_gone : &err_fault;
	}
	ssize_t n = pread(live->mem_fd, buf, len, (off_t)addr);
	/* mem of an ended process reads as empty. */
	return n == (ssize_t)len ? NULL : n == 0 ? &err_gone : &err_fault;
}

static struct err *read_live(struct rmem *rm, uint64_t addr, void *buf, size_t len)
{
	struct rmem_live *live = (struct rmem_live *)rm;
	if (live->mem_fd >= 0)
		return read_mem_file(live, addr, buf, len);
	struct iovec local = {buf, len};
	struct iovec remote = {(void *)(uintptr_t)addr, len};
	ssize_t n = process_vm_readv(live->pid, &local, 1, &remote, 1, 0);
	if (n == (ssize_t)len)
		return NULL;
	/* Absent in old kernels, refused by some containers' seccomp filters: the file may do. */
	if (n < 0 && (errno == ENOSYS || errno == EPERM))
		return read_mem_file(live, addr, buf, len);
	return n < 0 && errno == ESRCH ? &err_gone : &err_fault;
}

#define MANY 64 /* parts of one call */

static size_t read_some(struct rmem_live *live, const struct rmem_part *parts, size_t n)
{
	struct iovec local[MANY], remote[MANY];
	if (!n)
		return 0; /* said for the compiler */
	for (size_t i = 0; i < n; i++) {
		local[i] = (struct iovec){parts[i].buf, parts[i].len};
		remote[i] = (struct iovec){(void *)(uintptr_t)parts[i].addr, parts[i].len};
	}
	ssize_t got = process_vm_readv(live->pid, local, n, remote, n, 0);
	size_t done = 0, left = got > 0 ? (size_t)got : 0;
	for (; done < n && parts[done].len <= left; done++)
		left -= parts[done].len;
	return got > 0 ? done : 0;
}

/* A call ends with the page that cannot be read, so that the part it failed at is asked for once
 * more by itself: process_vm_readv may be what is refused. */
static size_t read_many_live(struct rmem *rm, const struct rmem_part *parts, size_t n)
{
	struct rmem_live *live = (struct rmem_live *)rm;
	size_t done = 0;
	while (done < n) {
		size_t some = n - done < MANY ? n - done : MANY, got = 0;
		if (live->mem_fd < 0)
			got = read_some(live, parts + done, some);
		done += got;
		if (got == some)
			continue;
		struct err *err = read_live(rm, parts[done].addr, parts[done].buf, parts[done].len);
		err_free(err);
		if (err)
			break;
		done++;
	}
	return done;
}

void rmem_live_init(struct rmem_live *live, pid_t pid)
{
	*live = (struct rmem_live){.rm = {read_live, read_many_live}, .pid = pid, .mem_fd = -1};
}

void rmem_live_deinit(struct rmem_live *live)
{
	if (live->mem_fd >= 0)
		close(live->mem_fd);
	live->mem_fd = -1;
}
