/* SPDX-License-Identifier: Apache-2.0 */
/* csample doctor: what was read and tried, judged: which privilege or setting is in the way, and
 * which way of capture is left. */
#include "doctor.h"

#include <errno.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include <csample/mem.h>
#include <csample/strbuf.h>

#include "options.h"

void diagnosis_add(struct diagnosis *d, const char *name, enum level level, enum fix fix,
                   const char *fmt, ...)
{
	va_list ap;
	char *found = NULL;
	va_start(ap, fmt);
	if (vasprintf(&found, fmt, ap) < 0)
		found = NULL;
	va_end(ap);
	*vec_add(&d->checks) = (struct check){name, level, found ? found : mem_strdup("?"), fix};
}

void diagnosis_free(struct diagnosis *d)
{
	for (size_t i = 0; i < d->checks.n; i++)
		free(d->checks.items[i].found);
	vec_free(&d->checks);
	for (size_t i = 0; i < OUTLOOKS; i++)
		free(d->outlooks[i].how);
	free(d->command);
}

static void judge_privileges(const struct facts *f, struct diagnosis *d)
{
	struct strbuf held = {0}, lacking = {0};
	for (size_t i = 0; i < CAPAS; i++)
		strbuf_addf(f->capa[i] ? &held : &lacking, " %s", capa_names[i]);
	diagnosis_add(d, "privileges", LEVEL_NOTE, FIX_NONE, "uid %u; capabilities:%s%s%s%s",
	              geteuid(), held.len ? held.s : " none", lacking.len ? "; without:" : "",
	              lacking.len ? lacking.s : "",
	              f->initial_userns ? ""
	                                : "; in a user namespace, where they count only inside");
	strbuf_free(&held);
	strbuf_free(&lacking);
	if (f->seccomp)
		diagnosis_add(d, "seccomp", LEVEL_NOTE, FIX_NONE,
		              "csample runs under a seccomp filter; what it refuses shows below");
}

/* EPERM or ENOSYS without the kernel's own reason: a filter, or else a security module. */
static enum fix refused_by(const struct facts *f, enum fix otherwise)
{
	return f->seccomp ? FIX_SECCOMP : otherwise;
}

static void judge_memory(const struct facts *f, const struct tries *t, struct diagnosis *d)
{
	enum fix fix = FIX_ACCESS;
	if (!t->own_memory)
		fix = refused_by(f, FIX_ACCESS);
	else if (!f->capa[CAPA_PTRACE] && f->yama > 0)
		fix = f->yama > 2 ? FIX_YAMA_FOREVER : FIX_YAMA;
	if (!t->memory)
		diagnosis_add(d, "memory", LEVEL_MISSING, fix, "%s", t->memory_error);
	else if (!t->own_memory)
		diagnosis_add(
		        d, "memory", LEVEL_DEGRADED, fix,
		        "process_vm_readv is refused (%s); /proc/PID/mem is read instead, slower",
		        strerror(t->own_memory_errno));
	else
		diagnosis_add(d, "memory", LEVEL_OK, FIX_NONE, "%s can be read",
		              d->pid ? "the process" : "a process of this user");
	if (d->pid || !t->memory)
		return;
	if (!f->capa[CAPA_PTRACE] && f->yama > 0)
		diagnosis_add(
		        d, "yama", LEVEL_DEGRADED, fix,
		        "kernel.yama.ptrace_scope is %d: only what csample starts itself can be "
		        "read (record -- COMMAND)",
		        f->yama);
	else if (!f->capa[CAPA_PTRACE])
		diagnosis_add(d, "other users", LEVEL_NOTE, FIX_ACCESS,
		              "their processes cannot be read without CAP_SYS_PTRACE");
}

static void judge_ptrace(const struct facts *f, const struct tries *t, struct diagnosis *d)
{
	if (t->ptrace_errno)
		diagnosis_add(d, "ptrace", LEVEL_DEGRADED, refused_by(f, FIX_ACCESS),
		              "a thread cannot be stopped: %s", strerror(t->ptrace_errno));
	else if (t->traced_by)
		diagnosis_add(d, "ptrace", LEVEL_DEGRADED, FIX_NONE,
		              "process %d (a debugger?) traces the target: what only a stop could "
		              "read is skipped",
		              (int)t->traced_by);
	else
		diagnosis_add(d, "ptrace", LEVEL_OK, FIX_NONE,
		              "a thread can be stopped if it must be");
}

static void judge_perf(const struct facts *f, const struct tries *t, struct diagnosis *d)
{
	const char *name = "perf events";
	enum fix more = f->capa[CAPA_PERFMON] && !f->initial_userns ? FIX_USERNS : FIX_PERF;
	if (!t->perf) {
		bool own_reason = t->perf_errno == EACCES; /* the kernel's; filters say EPERM */
		diagnosis_add(d, name, LEVEL_DEGRADED, own_reason ? more : refused_by(f, more),
		              "%s (kernel.perf_event_paranoid is %d): a timer finds out who ran",
		              t->perf_error, f->paranoid);
	} else if (t->perf_access.exclude_kernel) {
		diagnosis_add(
		        d, name, LEVEL_DEGRADED, more,
		        "per thread and in user code only (kernel.perf_event_paranoid is %d): time "
		        "in the kernel gives no samples of its own",
		        f->paranoid);
	} else if (t->perf_access.scope == PERF_PER_THREAD) {
		diagnosis_add(
		        d, name, LEVEL_DEGRADED, more,
		        "per thread (kernel.perf_event_paranoid is %d): context switches of the "
		        "target cost more than with CPU-wide ones",
		        f->paranoid);
	} else {
		diagnosis_add(d, name, LEVEL_OK, FIX_NONE, "of whole CPUs, with the kernel");
	}
	if (t->ring_error)
		diagnosis_add(d, "perf rings", LEVEL_DEGRADED, FIX_MLOCK,
		              "%s (mlock limit: %llu KiB)", t->ring_error,
		              (unsigned long long)(f->memlock_limit / 1024));
	if (t->cycles)
		diagnosis_add(d, "hardware cycles", LEVEL_OK, FIX_NONE, "are counted (-e cycles)");
	else
		diagnosis_add(d, "hardware cycles", LEVEL_NOTE, FIX_NONE, "%s", t->cycles_error);
}

static void judge_realtime(const struct facts *f, const struct tries *t, struct diagnosis *d)
{
	const char *name = "real-time priority";
	if (!t->rt_errno && !t->rt_priority)
		diagnosis_add(d, name, LEVEL_DEGRADED, FIX_NONE,
		              "the target has the highest there is; it must be stopped to be read");
	else if (!t->rt_errno)
		diagnosis_add(d, name, LEVEL_OK, FIX_NONE, "SCHED_FIFO %d is granted",
		              t->rt_priority);
	else if (f->capa[CAPA_NICE] && !f->initial_userns)
		diagnosis_add(
		        d, name, LEVEL_DEGRADED, FIX_USERNS,
		        "SCHED_FIFO is refused: CAP_SYS_NICE of a user namespace does not count");
	else if (f->capa[CAPA_NICE])
		diagnosis_add(d, name, LEVEL_DEGRADED, refused_by(f, FIX_RT_GROUP),
		              "SCHED_FIFO is refused (%s) although CAP_SYS_NICE is held%s",
		              strerror(t->rt_errno),
		              f->rt_runtime_us ? "" : ": kernel.sched_rt_runtime_us is 0");
	else
		diagnosis_add(d, name, LEVEL_DEGRADED, FIX_REALTIME,
		              "SCHED_FIFO is refused: neither CAP_SYS_NICE nor a limit (ulimit -r "
		              "is %llu)",
		              (unsigned long long)f->rtprio_limit);
}

/* CPUs the target may use and we cannot. */
static int unreachable(const struct facts *f, const struct tries *t)
{
	int n = 0;
	for (int cpu = 0; cpu < CPU_SETSIZE; cpu++)
		n += CPU_ISSET(cpu, &t->target_cpus) && CPU_ISSET(cpu, &f->online) &&
		     !CPU_ISSET(cpu, &t->pinned);
	return n;
}

static void judge_cpus(const struct facts *f, const struct tries *t, struct diagnosis *d)
{
	int beyond = unreachable(f, t);
	if (beyond)
		diagnosis_add(
		        d, "CPUs", LEVEL_DEGRADED, FIX_CPUSET,
		        "the target may run on %d of which csample may not: threads there must be "
		        "stopped",
		        beyond);
	else
		diagnosis_add(d, "CPUs", LEVEL_OK, FIX_NONE, "%d of %d online",
		              CPU_COUNT(&t->pinned), CPU_COUNT(&f->online));
}

static void judge_files(const struct facts *f, const struct tries *t, struct diagnosis *d)
{
	/* Three files for each thread, two rings for each CPU, events for each thread unless
	 * CPU-wide. */
	uint64_t cpus = (uint64_t)CPU_COUNT(&t->pinned);
	uint64_t need = 64 + 3 * t->n_threads + 2 * cpus;
	if (t->perf && t->perf_access.scope == PERF_PER_THREAD)
		need += t->n_threads * cpus;
	if (need > f->nofile_limit)
		diagnosis_add(d, "open files", LEVEL_DEGRADED, FIX_NOFILE,
		              "%zu threads on %llu CPUs need %llu, the limit is %llu", t->n_threads,
		              (unsigned long long)cpus, (unsigned long long)need,
		              (unsigned long long)f->nofile_limit);
	if (t->memory && !t->schedstat)
		diagnosis_add(d, "schedstat", LEVEL_DEGRADED, FIX_NONE,
		              "the kernel does not say how long a thread ran (CONFIG_SCHED_INFO): "
		              "threads must be stopped");
	if (t->memory && !t->syscall)
		diagnosis_add(d, "waiting threads", LEVEL_DEGRADED, FIX_ACCESS,
		              "/proc/PID/task/TID/syscall cannot be read: they must be stopped");
	if (f->kallsyms)
		diagnosis_add(d, "kernel symbols", LEVEL_OK, FIX_NONE,
		              "/proc/kallsyms tells addresses");
	else
		diagnosis_add(d, "kernel symbols", LEVEL_NOTE, FIX_KALLSYMS,
		              "/proc/kallsyms hides addresses (kernel.kptr_restrict is %d)",
		              f->kptr_restrict);
}

static bool may_stop(const struct tries *t)
{
	return !t->ptrace_errno && !t->traced_by;
}

/* How a running thread is read when its event ticks; NULL: it cannot be. */
static const char *running_way(const struct facts *f, const struct tries *t)
{
	bool exact = t->perf && !t->ring_error && !t->rt_errno && t->rt_priority && t->schedstat;
	if (exact && unreachable(f, t) < CPU_COUNT(&t->target_cpus))
		return "preempt";
	return may_stop(t) ? "stop" : NULL;
}

static char *running_how(const char *way, const struct tries *t)
{
	if (!way)
		return mem_strdup("neither held off its CPU nor stopped: see above");
	return mem_asprintf("%s%s",
	                    strcmp(way, "stop") == 0
	                            ? "each sample stops the running thread for some 50 us"
	                            : "threads are held off their CPU; exact, nothing is stopped",
	                    t->perf && !t->ring_error ? "" : "; a timer in place of perf events");
}

/* Of an event or command that looks at all threads. */
static struct outlook look_at_all(const char *name, const char *key, const struct tries *t,
                                  const char *running)
{
	bool asleep = t->memory && t->syscall && t->schedstat;
	if (!t->memory)
		return (struct outlook){name, key, "none",
		                        mem_strdup("the process cannot be read")};
	const char *then = !running                       ? "lost"
	                   : strcmp(running, "stop") == 0 ? "stopped"
	                                                  : "held off their CPU";
	return (struct outlook){name, key,
	                        asleep    ? "asleep"
	                        : running ? running
	                                  : "none",
	                        mem_asprintf("waiting threads are %s, running ones are %s",
	                                     asleep        ? "read as they are"
	                                     : may_stop(t) ? "stopped"
	                                                   : "lost",
	                                     then)};
}

static void conclude(const struct facts *f, const struct tries *t, struct diagnosis *d)
{
	static const char unreadable[] = "the process cannot be read";
	const char *running = t->memory ? running_way(f, t) : NULL;
	const char *cycles = t->cycles ? running : NULL;
	d->outlooks[OUTLOOK_CPU] =
	        (struct outlook){"record -e cpu", "cpu", running ? running : "none",
	                         t->memory ? running_how(running, t) : mem_strdup(unreadable)};
	d->outlooks[OUTLOOK_CYCLES] = (struct outlook){
	        "record -e cycles", "cycles", cycles ? cycles : "none",
	        !t->memory   ? mem_strdup(unreadable)
	        : !t->cycles ? mem_strdup("this machine does not count them, or not for us")
	                     : running_how(running, t)};
	d->outlooks[OUTLOOK_WALL] = look_at_all("record -e wall", "wall", t, running);
	d->outlooks[OUTLOOK_DUMP] = look_at_all("dump", "dump", t, running);
	d->usable = strcmp(d->outlooks[OUTLOOK_WALL].way, "none") != 0;
}

void diagnose(pid_t pid, struct diagnosis *d)
{
	*d = (struct diagnosis){.pid = pid};
	struct facts f;
	struct tries t;
	facts_read(&f);
	tries_make(pid, &t);
	diagnosis_add(d, "system", LEVEL_NOTE, FIX_NONE, "Linux %s, %s", f.release, f.machine);
	judge_privileges(&f, d);
	judge_memory(&f, &t, d);
	judge_ptrace(&f, &t, d);
	judge_perf(&f, &t, d);
	judge_realtime(&f, &t, d);
	judge_cpus(&f, &t, d);
	judge_files(&f, &t, d);
	if (pid && t.memory)
		diagnose_program(pid, d);
	conclude(&f, &t, d);
	tries_free(&t);
}

/* One after the other; JSON: an array. */
static bool doctor_several(const struct options *opt)
{
	bool usable = true;
	for (size_t i = 0; i < opt->n_pids; i++) {
		struct diagnosis d;
		diagnose(opt->pids[i], &d);
		fputs(opt->json ? i ? "," : "[" : i ? "\n" : "", stdout);
		if (opt->json)
			doctor_print_json(stdout, &d);
		else
			doctor_print_text(stdout, &d);
		usable &= d.usable;
		diagnosis_free(&d);
	}
	if (opt->json)
		puts("]");
	return usable;
}

struct err *cmd_doctor(const struct options *opt, int *status)
{
	if (opt->n_pids > 1) {
		*status = doctor_several(opt) ? 0 : 1;
		return NULL;
	}
	struct diagnosis d;
	diagnose(opt->pid, &d);
	if (opt->json)
		doctor_print_json(stdout, &d);
	else
		doctor_print_text(stdout, &d);
	*status = d.usable ? 0 : 1;
	diagnosis_free(&d);
	return NULL;
}
