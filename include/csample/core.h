/* SPDX-License-Identifier: Apache-2.0 */
/* A core file as a target: the threads with their registers, the memory, the mappings and the files
 * behind them. What is read of it goes through the same interfaces as a live process. */
#ifndef CSAMPLE_CORE_H
#define CSAMPLE_CORE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include <csample/err.h>
#include <csample/image.h>
#include <csample/snapshot.h>
#include <csample/target.h>

struct core_thread { /* of NT_PRSTATUS */
	pid_t tid;
	struct regs regs;
	int32_t syscall; /* number it was in; -1: none */
};

struct core {
	struct target *target;       /* owned; proc_fd, root_fd and pid_fd are -1 */
	struct core_thread *threads; /* in the order of target_threads(): the main one first */
	size_t n_threads;
	int signal;       /* that ended the process; 0: none, the core was made of a living one */
	pid_t signal_tid; /* the thread that was running when it did; 0: not known */
	bool is_cut;      /* the file ends before the memory it announces */
	struct core_file *file; /* private */
};

/* Opens a plain ELF core file of this machine. exe: the program, where it is not at the path the
 * core has, or NULL. Files that are mapped are opened by the paths in the core and used only if
 * they are the ones that were mapped (same build id as in the core's memory); what is missing or
 * has been replaced is warned of. Errors: not a core file, of another machine, compressed, cut
 * before its threads; exe is missing or not the program. */
struct err *core_open(const char *path, const char *exe, struct images *images,
                      struct strings *strings, struct core **ret);
/* The same of an open file, which is taken over, even on failure; path is for messages. */
struct err *core_open_fd(int fd, const char *path, const char *exe, struct images *images,
                         struct strings *strings, struct core **ret);
/* "SIGSEGV" for the thread that received the signal which wrote the core, else NULL. */
const char *core_signal_name(const struct core *c, pid_t tid);
void core_close(struct core *c); /* NULL is allowed; images stay */

#endif
