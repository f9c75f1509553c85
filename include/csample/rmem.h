/* SPDX-License-Identifier: Apache-2.0 */
/* Another address space: a live process, a snapshot, a core file or an image. */
#ifndef CSAMPLE_RMEM_H
#define CSAMPLE_RMEM_H

#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include <csample/err.h>

struct rmem { /* embedded by its implementations */
	/* Exactly len bytes at addr; or &err_fault, &err_gone, and buf is garbage. */
	struct err *(*read)(struct rmem *rm, uint64_t addr, void *buf, size_t len);
};

static inline struct err *rmem_read(struct rmem *rm, uint64_t addr, void *buf, size_t len)
{
	return rm->read(rm, addr, buf, len);
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
