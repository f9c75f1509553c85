/* SPDX-License-Identifier: Apache-2.0 */
/* The least that `stop` can be: the overflow wakes a sampler, which seizes the thread, interrupts
 * it, waits, reads its registers and 16 KiB of its stack and detaches. A signal that arrives
 * between is put back; nothing else is looked after. */
#include <elf.h>
#include <signal.h>
#include <string.h>
#include <sys/ptrace.h>
#include <sys/uio.h>
#include <sys/user.h>
#include <sys/wait.h>

#include "floor.h"

#if defined(__x86_64__)
static void by_dwarf(const struct user_regs_struct *u, uint64_t regs[RING_REGS])
{
	const uint64_t all[RING_REGS] = {u->rax, u->rdx, u->rcx, u->rbx, u->rsi, u->rdi,
	                                 u->rbp, u->rsp, u->r8,  u->r9,  u->r10, u->r11,
	                                 u->r12, u->r13, u->r14, u->r15, u->rip};
	memcpy(regs, all, sizeof(all));
}
#else
static void by_dwarf(const struct user_regs_struct *u, uint64_t regs[RING_REGS])
{
	memcpy(regs, u, RING_REGS * sizeof(uint64_t)); /* x0-x30, sp, pc */
}
#endif

static bool capture(const struct floor *f, const struct ring_sample *sample,
                    uint64_t regs[RING_REGS], void *copy, size_t *copied_ret,
                    uint64_t *released_ns_ret)
{
	struct user_regs_struct user;
	struct iovec iov = {&user, sizeof(user)};
	pid_t tid = sample->tid;
	int status, signal = 0;

	if (ptrace(PTRACE_SEIZE, tid, NULL, NULL))
		return false;
	if (ptrace(PTRACE_INTERRUPT, tid, NULL, NULL) || waitpid(tid, &status, __WALL) != tid ||
	    !WIFSTOPPED(status))
		return false;
	if (!(status >> 16))
		signal = WSTOPSIG(status);
	if (ptrace(PTRACE_GETREGSET, tid, NT_PRSTATUS, &iov)) // NOLINT(performance-no-int-to-ptr)
		memset(&user, 0, sizeof(user));
	by_dwarf(&user, regs);
	*copied_ret = floor_copy(f->pid, regs[RING_SP], copy);
	ptrace(PTRACE_DETACH, tid, NULL, signal);
	*released_ns_ret = floor_now_ns();
	return true;
}

int main(int argc, char **argv)
{
	struct floor f = {.rate_hz = 1000, .seconds = 3, .capture = capture};
	return floor_main(&f, argc, argv);
}
