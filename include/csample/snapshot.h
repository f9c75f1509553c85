/* SPDX-License-Identifier: Apache-2.0 */
/* One thread at one instant: registers, stack bytes, whatever a runtime asked for. Lives in a slot
 * of the queue or in a file; everything after capture works on this alone. */
#ifndef CSAMPLE_SNAPSHOT_H
#define CSAMPLE_SNAPSHOT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include <csample/rmem.h>

#define SNAPSHOT_MAX_REGIONS 256
#define SNAPSHOT_MAX_KERNEL  128
#define STACK_MAX_COPY       1048576u
#define GATHER_MAX_COPY      524288u /* regions of runtimes */

/* General registers by DWARF number. x86_64: rax rdx rcx rbx rsi rdi rbp rsp r8-r15, 16 = pc.
 * aarch64: x0-x30, 31 = sp, 32 = pc. */
#define REGS_MAX 33
struct regs {
	uint64_t r[REGS_MAX];
	uint64_t valid; /* bit i: r[i] is known; of a sleeping thread only pc and sp are */
};
#if defined(__x86_64__)
#define REG_SP 7
#define REG_FP 6
#define REG_PC 16
#elif defined(__aarch64__)
#define REG_SP 31
#define REG_FP 29
#define REG_LR 30
#define REG_PC 32
#else
#error "csample knows x86_64 and aarch64"
#endif
static inline bool regs_known(const struct regs *regs, unsigned reg)
{
	return reg < REGS_MAX && (regs->valid >> reg & 1);
}
static inline void regs_set(struct regs *regs, unsigned reg, uint64_t value)
{
	regs->r[reg] = value;
	regs->valid |= 1ULL << reg;
}

enum captured_by { BY_PREEMPT, BY_ASLEEP, BY_STOP, CAPTURED_WAYS };
extern const char *const captured_by_names[CAPTURED_WAYS];

struct region {
	uint64_t addr;
	uint32_t len;
	uint32_t at; /* where its bytes are in the snapshot's bytes */
};

struct snapshot {
	pid_t pid, tid;
	uint64_t time_ns;  /* CLOCK_MONOTONIC of the trigger */
	uint64_t pause_ns; /* trigger to release; 0 when nothing was held */
	uint64_t cpu_ns;   /* CPU time of the thread since its previous snapshot */
	bool guessed;      /* cpu_ns is what a tick stands for: the thread was not known */
	uint64_t wall_ns;  /* wall time since its previous observation (wall only) */
	/* Before it, the thread was seen to sleep on as in its previous snapshot so often, so long.
	 */
	uint64_t prior_repeats, prior_wall_ns;
	enum captured_by by;
	char state;         /* R S D ..., as /proc has it */
	int32_t syscall;    /* number it blocks in; -1: none or not known */
	uint16_t n_kernel;  /* kernel callchain, leaf first */
	uint16_t n_regions; /* regions[0] is the stack, from the red zone up */
	uint32_t n_bytes;
	uint32_t reads; /* process_vm_readv calls it took */
	struct regs regs;
	struct region regions[SNAPSHOT_MAX_REGIONS];
	uint64_t kernel[SNAPSHOT_MAX_KERNEL];
	uint8_t *bytes;
};

/* Address of the copy of [addr, addr + len), or NULL if no region holds it whole. */
const uint8_t *snapshot_at(const struct snapshot *snap, uint64_t addr, size_t len);

/* The snapshot as an address space: only what was copied. */
struct rmem_snapshot {
	struct rmem rm;
	const struct snapshot *snap;
};
void rmem_snapshot_init(struct rmem_snapshot *m, const struct snapshot *snap);

#endif
