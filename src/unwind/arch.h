/* SPDX-License-Identifier: Apache-2.0 */
/* What unwinding must know of a machine: its psABI's register roles and the kernel's signal frame.
 */
#ifndef UNWIND_ARCH_H
#define UNWIND_ARCH_H

#include <stdint.h>

#include <csample/snapshot.h>

#define BIT(n) (1ULL << (n))

#if defined(__x86_64__)

#define ARCH_MACHINE 62 /* EM_X86_64 */
#define ARCH_REGS    17
/* Column of the return address in CFI; here it is the pc itself. */
#define ARCH_RA 16
/* rbx rbp r12-r15: what a function gives back as it found it (System V psABI, 3.2.1). */
#define ARCH_CALLEE_SAVED (BIT(3) | BIT(6) | BIT(12) | BIT(13) | BIT(14) | BIT(15))
/* The caller's stack pointer is above the return address, also for a leaf without a frame. */
#define ARCH_MIN_FRAME 8
#define ARCH_RED_ZONE  128

#elif defined(__aarch64__)

#define ARCH_MACHINE      183 /* EM_AARCH64 */
#define ARCH_REGS         33
#define ARCH_RA           30
/* x19-x29 (AAPCS64, 6.1.1). Not x30: once a call has returned, it holds that call's return address.
 */
#define ARCH_CALLEE_SAVED 0x3ff80000ULL
#define ARCH_MIN_FRAME    0
#define ARCH_RED_ZONE     0

#endif

/* A return address may carry a pointer authentication code above the 48 bits of a user address.
 * Neither key nor mask is in a snapshot, so it is cut off whether CFI says it is signed or not. */
static inline uint64_t arch_strip(uint64_t pc)
{
#if defined(__aarch64__)
	return pc & 0x0000ffffffffffffULL;
#else
	return pc;
#endif
}

#endif
