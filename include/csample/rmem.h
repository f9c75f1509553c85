/* SPDX-License-Identifier: Apache-2.0 */
/* Another address space: a live process, a snapshot, a core file or an image. */
#ifndef CSAMPLE_RMEM_H
#define CSAMPLE_RMEM_H

#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include <csample/err.h>

struct rmem_part {
	uint64_t addr;
	void *buf;
	size_t len;
};

struct rmem { /* embedded by its implementations */
	/* Exactly len bytes at addr; or &err_fault, &err_gone, and buf is garbage. */
	struct err *(*read)(struct rmem *rm, uint64_t addr, void *buf, size_t len);
	/* What rmem_read_many() does, at the cost of one read. Optional. */
	size_t (*read_many)(struct rmem *rm, const struct rmem_part *parts, size_t n);
};

static inline struct err *rmem_read(struct rmem *rm, uint64_t addr, void *buf, size_t len)
{
	return rm->read(rm, addr, buf, len);
}

/* Reads parts in their order up to the first that cannot be read whole; returns how many were. What
 * is in the others' buffers is garbage. */
static inline size_t rmem_read_many(struct rmem *rm, const struct rmem_part *parts, size_t n)
{
	size_t done = 0;
	if (rm->read_many)
		return rm->read_many(rm, parts, n);
	for (struct err *err = NULL; done < n && !err; done += !err) {
		err = rm->read(rm, parts[done].addr, parts[done].buf, parts[done].len);
		err_free(err);
	}
	return done;
}

/* The memory of a live process, by process_vm_readv, or /proc/PID/mem where that is refused.
 * Reading does not stop the process: only for data that does not change. */
struct rmem_live {
	struct rmem rm;
	pid_t pid;
	int mem_fd; /* -1 until process_vm_readv was refused with ENOSYS or EPERM */
};
void rmem_live_init(struct rmem_live *live, pid_t pid);
void rmem_live_deinit(struct rmem_live *live);

#endif
