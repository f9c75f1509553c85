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

void rmem_live_init(struct rmem_live *live, pid_t pid)
{
	*live = (struct rmem_live){.rm.read = read_live, .pid = pid, .mem_fd = -1};
}

void rmem_live_deinit(struct rmem_live *live)
{
	if (live->mem_fd >= 0)
		close(live->mem_fd);
	live->mem_fd = -1;
}
