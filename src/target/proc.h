/* SPDX-License-Identifier: Apache-2.0 */
/* Small files of /proc/PID, and the first question to a pid: may and can it be profiled? */
#ifndef TARGET_PROC_H
#define TARGET_PROC_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include <csample/err.h>

struct proc_status {
	pid_t tgid, ns_pid;
	uid_t uid; /* real */
	char state;
};

/* The whole file, at most max bytes, NUL-terminated; NULL and errno on failure. Free it. */
char *proc_read(int proc_fd, const char *name, size_t max, size_t *len_ret);
/* Clock ticks of the children waited for: cutime and cstime; false when it is gone. */
bool proc_reaped_ticks(int proc_fd, uint64_t *ret);
uint64_t proc_start_time(int proc_fd); /* clock ticks after boot; 0 when it is gone */
char proc_state(int proc_fd);          /* R S D T t Z X; 0 when it is gone */
/* The innermost number of a thread, which is that of its process's own pid namespace; 0: gone. */
pid_t proc_ns_tid(int proc_fd, pid_t tid);
/* What find.h tells of a process; proc_fd is that of /proc. False: gone, or hidden. */
struct process;
bool process_stat(int proc_fd, pid_t pid, struct process *p);
/* Why pid cannot be profiled: no such process, a thread, a zombie, a kernel thread, ourselves,
 * 32-bit, or which privilege is missing. */
struct err *proc_check(pid_t pid, struct proc_status *ret);

#endif
