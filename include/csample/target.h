/* SPDX-License-Identifier: Apache-2.0 */
/* A process to look at: who it is, what it has mapped, which threads it has. Reads /proc only,
 * never stops anything. */
#ifndef CSAMPLE_TARGET_H
#define CSAMPLE_TARGET_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include <csample/err.h>
#include <csample/image.h>
#include <csample/rmem.h>

/* One line of /proc/PID/maps. */
struct mapping {
	uint64_t start, end, offset;
	uint64_t inode;
	uint32_t dev_major, dev_minor;
	bool readable, writable, executable;
	const char *name;    /* interned: path, "[heap]", "" for anonymous memory */
	struct image *image; /* NULL: not an ELF file, or it could not be opened */
	uint64_t bias;       /* address in the process less address as linked, when image is set */
};

struct maps {
	struct mapping *items; /* sorted by address, not overlapping */
	size_t n;
	uint64_t generation; /* rises with each change */
};

/* The mapping that holds addr, or NULL. */
const struct mapping *maps_find(const struct maps *maps, uint64_t addr);
/* Parses the text of a maps file (not NUL-terminated). Pure: images are left NULL. Lines that do
 * not parse are skipped. The caller frees with maps_deinit(). */
void maps_parse(const char *text, size_t len, struct strings *strings, struct maps *ret);
/* What was generated code in the old maps still is, though it may be written to at this moment:
 * such parts of fresh are marked executable. */
void maps_keep_code(struct maps *fresh, const struct maps *old);
void maps_deinit(struct maps *maps);

struct target {
	pid_t pid;           /* as csample sees it */
	pid_t ns_pid;        /* innermost NSpid: what the target itself takes for its pid */
	int proc_fd;         /* /proc/PID */
	int root_fd;         /* /proc/PID/root, O_PATH */
	int pid_fd;          /* readable once the process has ended; -1 on old kernels */
	uint64_t start_time; /* clock ticks after boot: with pid, the identity of the process */
	uid_t uid;
	char comm[64]; /* of the main thread */
	char name[64]; /* what people call it: see process_name() */
	char **argv;   /* NULL-terminated; from /proc, so possibly rewritten by the target */
	size_t argc;
	char *command; /* argv joined by blanks, bounded */
	char *exe;     /* as readlink says; "" if that is refused */
	struct maps maps;
	struct rmem *rm;      /* its memory: live, or of a core file */
	struct rmem_live mem; /* what rm is for a process */
	struct images *images;
	struct strings *strings;
	/* Of a core file or a recording, where proc_fd, root_fd and pid_fd are -1: its threads, the
	 * main one first, and maps are what they are. NULL for a process. Owned. */
	pid_t *tids;
	size_t n_tids;
};

/* Opens pid for looking. Errors say which: no such process, zombie, kernel thread, csample itself,
 * 32-bit, or which privilege is missing (ptrace access is checked by reading). */
struct err *target_open(pid_t pid, struct images *images, struct strings *strings,
                        struct target **ret);
/* A process that parent has forked and that has not execed since, as far as is known: what it has
 * mapped and runs is the parent's, whose maps it gets a copy of. ERR_GONE, ERR_PERM or ERR_SYS. */
struct err *target_open_fork(const struct target *parent, pid_t pid, struct target **ret);
void target_close(struct target *t);
/* After an exec of the target: comm, argv, exe and maps anew. */
struct err *target_reload(struct target *t);
/* Reads the maps again; ERR_GONE when the process has. Images are opened when first seen. A failure
 * leaves the old maps. */
struct err *target_refresh_maps(struct target *t);
/* All processes that descend from those of pids (none of which is among them, unless below
 * another), parents before their children. Returns how many; free *ret. Costs a few us for each
 * process of the machine. */
struct target_parent {
	pid_t pid, parent;
};
size_t target_descendants(const pid_t *pids, size_t n, struct target_parent **ret);
/* All thread ids, sorted with the main thread first. Free *ret. */
struct err *target_threads(struct target *t, pid_t **ret, size_t *n_ret);
/* A thread's id as the target itself knows it, in its innermost pid namespace; 0: it is gone. */
pid_t target_thread_ns_id(struct target *t, pid_t tid);
/* The name of a thread, at most 63 bytes; false when it is gone. */
bool target_thread_name(struct target *t, pid_t tid, char *buf, size_t len);
/* CPU time the kernel charged the whole process, ended threads included, ns; 0 when it is gone. */
uint64_t target_cpu_ns(struct target *t);
/* CPU time of the children it has waited for, and of those they have, ns, from clock ticks (two
 * numbers rounded down); false when it is gone. A zombie still has it. */
bool target_reaped_cpu_ns(struct target *t, uint64_t *ret);
bool target_alive(struct target *t);
/* It is not reaped yet: alive or a zombie. */
bool target_exists(struct target *t);

#endif
