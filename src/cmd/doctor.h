/* SPDX-License-Identifier: Apache-2.0 */
/* What csample doctor finds: facts read and tried, judged as checks, and what they allow. */
#ifndef CMD_DOCTOR_H
#define CMD_DOCTOR_H

#include <sched.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <sys/types.h>

#include <csample/err.h>
#include <csample/trigger.h>
#include <csample/vec.h>

#include "inspect.h"

/* How to put something right; the texts are rows of doctor_fixes.c. */
enum fix {
	FIX_NONE,
	FIX_ACCESS,
	FIX_YAMA,
	FIX_YAMA_FOREVER,
	FIX_SECCOMP,
	FIX_PERF,
	FIX_REALTIME,
	FIX_USERNS,
	FIX_RT_GROUP,
	FIX_CPUSET,
	FIX_MLOCK,
	FIX_NOFILE,
	FIX_KALLSYMS,
	FIX_SYMBOLS,
	FIXES
};
struct fix_text {
	const char *what; /* "to read other processes" */
	const char *host, *docker, *kubernetes;
};
extern const struct fix_text fix_texts[FIXES];

enum level {
	LEVEL_OK,
	LEVEL_NOTE,     /* neither good nor bad */
	LEVEL_DEGRADED, /* csample works, but not as well as it could */
	LEVEL_MISSING,  /* something does not work at all */
	LEVELS
};
extern const char *const level_names[LEVELS];

struct check {
	const char *name;
	enum level level;
	char *found; /* owned */
	enum fix fix;
};

/* What a pipeline would do for one event or command. */
struct outlook {
	const char *name; /* "record -e cpu" */
	const char *key;  /* "cpu": in JSON */
	const char *way;  /* "preempt", "stop", "asleep", "none" */
	char *how;        /* owned: the way, in words */
};
enum { OUTLOOK_CPU, OUTLOOK_CYCLES, OUTLOOK_WALL, OUTLOOK_DUMP, OUTLOOKS };

struct diagnosis {
	pid_t pid;     /* 0: none was given, a child of ours was looked at */
	char *command; /* of the target, owned; NULL: none */
	bool usable;   /* csample can sample it, in some way */
	VEC(struct check) checks;
	struct outlook outlooks[OUTLOOKS];
	struct inspected runtimes[INSPECT_MAX]; /* of pid; their reasons are told in checks */
	size_t n_runtimes;
};

/* The capabilities that matter, and whether csample has each. */
enum { CAPA_PTRACE, CAPA_PERFMON, CAPA_NICE, CAPA_SYSLOG, CAPA_IPC_LOCK, CAPAS };
extern const char *const capa_names[CAPAS];

/* What /proc says, of csample and of the machine. */
struct facts {
	bool capa[CAPAS];
	bool initial_userns; /* as far as uid_map tells */
	int seccomp;         /* 0 none, 1 strict, 2 filter */
	int yama;            /* kernel.yama.ptrace_scope; -1: no yama */
	int paranoid;        /* kernel.perf_event_paranoid; -99: no perf */
	int kptr_restrict;
	bool kallsyms;      /* addresses are shown */
	long rt_runtime_us; /* kernel.sched_rt_runtime_us; -1: no limit */
	uint64_t rtprio_limit, memlock_limit, nofile_limit; /* hard limit for nofile */
	cpu_set_t online;
	char release[65], machine[65];
};
void facts_read(struct facts *f);

/* What was tried, on the target or a child of ours. */
struct tries {
	pid_t pid;          /* the process looked at */
	char *memory_error; /* owned; NULL: its memory can be read */
	bool memory;
	bool own_memory; /* process_vm_readv works on a child of ours: no seccomp filter */
	int own_memory_errno;
	int ptrace_errno;        /* of seizing a child of ours; 0: works */
	pid_t traced_by;         /* the target's tracer */
	bool schedstat, syscall; /* the thread's files say what they should */
	int rt_errno;            /* 0: real-time priority is to be had */
	int rt_priority;         /* that a sampler would have; 0: none is above the target's own */
	cpu_set_t pinned;        /* CPUs that a thread of ours can be bound to */
	cpu_set_t target_cpus;   /* that the target may run on */
	size_t n_threads;
	int perf_errno; /* of the humblest event; 0: works */
	bool perf;
	struct perf_access perf_access;
	char *perf_error; /* owned */
	bool cycles;
	char *cycles_error; /* owned */
	char *ring_error;   /* owned; NULL: a ring for each CPU was opened */
};
/* pid 0: on a child of ours. */
void tries_make(pid_t pid, struct tries *t);
void tries_free(struct tries *t);

/* The judgement. */
void diagnose(pid_t pid, struct diagnosis *d);
void diagnosis_free(struct diagnosis *d);
/* Adds checks of what runs in the target and of the names that its frames will have. */
void diagnose_program(pid_t pid, struct diagnosis *d);
/* The first part of it. */
void diagnose_runtimes(struct target *target, struct strings *strings, struct diagnosis *d);
void diagnosis_add(struct diagnosis *d, const char *name, enum level level, enum fix fix,
                   const char *fmt, ...) __attribute__((format(printf, 5, 6)));

void doctor_print_text(FILE *out, const struct diagnosis *d);
void doctor_print_json(FILE *out, const struct diagnosis *d);

/* A small file of /proc or /sys as text without its last newline; false if it cannot be read. */
bool read_small_file(const char *path, char *buf, size_t len);

#endif
