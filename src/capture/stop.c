/* SPDX-License-Identifier: Apache-2.0 */
/* One thread stopped by ptrace. Seized anew each time: staying attached would make every signal of
 * the target stop at us first, and keep debuggers out. If we die, the kernel lets the thread go. */
#include <elf.h>
#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ptrace.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/user.h>
#include <sys/wait.h>
#include <unistd.h>

#include "copy.h"

#define STOP_TIMEOUT_NS 20000000L

static void interrupt_waitpid(int sig)
{
	(void)sig; /* its arrival is all: waitpid returns EINTR */
}

void capture_init(struct capture *c)
{
	*c = (struct capture){.mem_fd = -1};
}

struct err *capture_prepare_stop(struct capture *c)
{
	struct sigaction sa = {.sa_handler = interrupt_waitpid};
	sigemptyset(&sa.sa_mask);
	sigaction(CAPTURE_SIGNAL, &sa, NULL);
	sigset_t set;
	sigemptyset(&set);
	sigaddset(&set, CAPTURE_SIGNAL);
	pthread_sigmask(SIG_UNBLOCK, &set, NULL);
	struct sigevent ev = {.sigev_notify = SIGEV_THREAD_ID, .sigev_signo = CAPTURE_SIGNAL};
	ev._sigev_un._tid = (pid_t)syscall(SYS_gettid);
	if (timer_create(CLOCK_MONOTONIC, &ev, &c->stop_timer))
		return err_errno(errno, "create a timer");
	c->has_stop_timer = true;
	return NULL;
}

void capture_deinit(struct capture *c)
{
	for (int tries = 0; c->n_pending && tries < 50; tries++) {
		capture_release_pending(c);
		if (c->n_pending)
			usleep(1000);
	}
	if (c->has_stop_timer)
		timer_delete(c->stop_timer);
	c->has_stop_timer = false;
}

/* Lets the thread go on, with the signal it was about to receive when it stopped for one. */
static void detach(pid_t tid, int status)
{
	/* PTRACE_EVENT_STOP in the upper bits: our interrupt, or a group stop, which goes on. */
	long sig = status >> 16 ? 0 : WSTOPSIG(status);
	ptrace(PTRACE_DETACH, tid, NULL, (void *)sig);
}

/* Waits for the stop; false when the time is over or the thread is gone (*gone). */
static bool wait_for_stop(struct capture *c, pid_t tid, int *status, bool *gone)
{
	/* Repeating, so that one that comes before waitpid sleeps does not leave it there for ever.
	 */
	*status = 0;
	struct itimerspec on = {{0, STOP_TIMEOUT_NS}, {0, STOP_TIMEOUT_NS}}, off = {0};
	timer_settime(c->stop_timer, 0, &on, NULL);
	siginfo_t info = {0};
	pid_t got = waitid(P_PID, (id_t)tid, &info, WEXITED | WSTOPPED | __WALL | WNOWAIT);
	int errnum = errno;
	bool ended = info.si_code == CLD_EXITED || info.si_code == CLD_KILLED ||
	             info.si_code == CLD_DUMPED;
	/* The exit status of a command of ours is for whoever started it. */
	if (got == 0 && !(ended && tid == c->own_child)) {
		got = waitpid(tid, status, __WALL | WNOHANG);
		errnum = errno;
	} else if (got == 0) {
		got = -1;
		errnum = ECHILD;
	}
	timer_settime(c->stop_timer, 0, &off, NULL);
	*gone = (got < 0 && errnum != EINTR) || (got == tid && !WIFSTOPPED(*status));
	return got == tid && WIFSTOPPED(*status);
}

void capture_release_pending(struct capture *c)
{
	for (unsigned i = 0; i < c->n_pending;) {
		int status;
		siginfo_t info = {0};
		/* Of a command of ours only stops: its exit status is waited for elsewhere. */
		bool keep = c->pending[i] == c->own_child;
		if (keep &&
		    !waitid(P_PID, (id_t)c->pending[i], &info,
		            WEXITED | WSTOPPED | __WALL | WNOWAIT | WNOHANG) &&
		    info.si_pid && info.si_code != CLD_TRAPPED && info.si_code != CLD_STOPPED) {
			c->pending[i] = c->pending[--c->n_pending];
			continue;
		}
		pid_t got = waitpid(c->pending[i], &status, __WALL | WNOHANG);
		if (got == 0) {
			i++;
			continue;
		}
		if (got > 0 && WIFSTOPPED(status))
			detach(c->pending[i], status);
		c->pending[i] = c->pending[--c->n_pending];
	}
}

/* Whether it was asked to stop before, and did not in time: it may have by now. */
static bool take_pending(struct capture *c, pid_t tid)
{
	for (unsigned i = 0; i < c->n_pending; i++) {
		if (c->pending[i] != tid)
			continue;
		c->pending[i] = c->pending[--c->n_pending];
		return true;
	}
	return false;
}

static bool read_registers(pid_t tid, struct regs *regs)
{
	struct user_regs_struct u;
	struct iovec iov = {&u, sizeof(u)};
	if (ptrace(PTRACE_GETREGSET, tid, (void *)NT_PRSTATUS, &iov) || iov.iov_len < sizeof(u))
		return false;
	regs->valid = 0;
#if defined(__x86_64__)
	const uint64_t by_number[] = {u.rax, u.rdx, u.rcx, u.rbx, u.rsi, u.rdi, u.rbp, u.rsp, u.r8,
	                              u.r9,  u.r10, u.r11, u.r12, u.r13, u.r14, u.r15, u.rip};
	for (unsigned i = 0; i < sizeof(by_number) / sizeof(*by_number); i++)
		regs_set(regs, i, by_number[i]);
#else
	for (unsigned i = 0; i < 31; i++)
		regs_set(regs, i, u.regs[i]);
	regs_set(regs, REG_SP, u.sp);
	regs_set(regs, REG_PC, u.pc);
#endif
	return true;
}

/* With the thread stopped. */
static int copy_stopped(struct capture *c, pid_t tid, struct thread *th, struct snapshot *snap,
                        uint32_t capacity)
{
	char schedstat[SCHEDSTAT_TEXT];
	if (!read_registers(tid, &snap->regs))
		return LOSS_GONE;
	int result = copy_memory(c, th, snap, capacity);
	if (result != CAPTURED)
		return result;
	snap->cpu_ns = 0;
	if (th && read_kept(th->schedstat_fd, schedstat, sizeof(schedstat))) {
		uint64_t cpu_ns = schedstat_cpu_ns(schedstat);
		snap->cpu_ns = cpu_ns > th->credited_ns ? cpu_ns - th->credited_ns : 0;
		th->credited_ns += snap->cpu_ns;
	}
	return CAPTURED;
}

int capture_stop(struct capture *c, pid_t tid, struct thread *th, struct snapshot *snap,
                 uint32_t capacity)
{
	int status;
	bool gone;
	if (!c->has_stop_timer)
		return LOSS_REFUSED; /* nothing would end a wait for a thread that does not stop */
	if (c->n_pending == sizeof(c->pending) / sizeof(*c->pending))
		return LOSS_TIMEOUT;
	bool is_seized = take_pending(c, tid);
	if (!is_seized && ptrace(PTRACE_SEIZE, tid, NULL, NULL))
		return errno == ESRCH ? LOSS_GONE : errno == EPERM ? LOSS_TRACED : LOSS_REFUSED;
	snap->time_ns = now_ns();
	snap->pid = c->pid;
	snap->tid = tid;
	if (!is_seized && ptrace(PTRACE_INTERRUPT, tid, NULL, NULL))
		return LOSS_GONE; /* only a thread that is gone cannot be interrupted, or let go */
	if (!wait_for_stop(c, tid, &status, &gone)) {
		if (gone)
			return LOSS_GONE;
		c->pending[c->n_pending++] = tid;
		return LOSS_TIMEOUT;
	}
	int result = copy_stopped(c, tid, th, snap, capacity);
	if (result == CAPTURED && c->while_held)
		c->while_held(c->while_held_arg, snap);
	detach(tid, status);
	snap->pause_ns = now_ns() - snap->time_ns;
	snap->by = BY_STOP;
	snap->state = 'R';
	snap->syscall = -1;
	snap->n_kernel = 0;
	if (th)
		th->asleep_text[0] = '\0';
	return result;
}
