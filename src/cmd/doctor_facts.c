/* SPDX-License-Identifier: Apache-2.0 */
/* What /proc and /sys say about csample's privileges and the machine's settings. */
#include <fcntl.h>
#include <linux/capability.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/utsname.h>
#include <unistd.h>

#include <csample/mem.h>

#include "doctor.h"

#ifndef CAP_PERFMON /* Linux 5.8 */
#define CAP_PERFMON 38
#endif

const char *const capa_names[CAPAS] = {"SYS_PTRACE", "PERFMON", "SYS_NICE", "SYSLOG", "IPC_LOCK"};

bool read_small_file(const char *path, char *buf, size_t len)
{
	_cleanup_close_ int fd = open(path, O_RDONLY | O_CLOEXEC);
	ssize_t n = fd < 0 ? -1 : read(fd, buf, len - 1);
	if (n < 0) {
		buf[0] = '\0';
		return false;
	}
	buf[n] = '\0';
	if (n && buf[n - 1] == '\n')
		buf[n - 1] = '\0';
	return true;
}

static long read_number(const char *path, long otherwise)
{
	char text[64];
	return read_small_file(path, text, sizeof(text)) ? strtol(text, NULL, 10) : otherwise;
}

static const char *status_value(const char *status, const char *key)
{
	const char *p = strstr(status, key);
	return p ? p + strlen(key) : "";
}

static void read_status(struct facts *f)
{
	/* CAP_SYS_ADMIN stands in for PERFMON and SYSLOG as the kernel has it. */
	static const int numbers[CAPAS] = {CAP_SYS_PTRACE, CAP_PERFMON, CAP_SYS_NICE, CAP_SYSLOG,
	                                   CAP_IPC_LOCK};
	char status[8192];
	read_small_file("/proc/self/status", status, sizeof(status));
	uint64_t caps = strtoull(status_value(status, "\nCapEff:"), NULL, 16);
	bool admin = caps >> CAP_SYS_ADMIN & 1;
	for (size_t i = 0; i < CAPAS; i++)
		f->capa[i] = caps >> numbers[i] & 1;
	f->capa[CAPA_PERFMON] |= admin;
	f->capa[CAPA_SYSLOG] |= admin;
	f->seccomp = (int)strtol(status_value(status, "\nSeccomp:"), NULL, 10);
}

static bool in_initial_userns(void)
{
	char map[256];
	unsigned long inside, outside, count;
	if (!read_small_file("/proc/self/uid_map", map, sizeof(map)))
		return true;
	char *end;
	inside = strtoul(map, &end, 10);
	outside = strtoul(end, &end, 10);
	count = strtoul(end, &end, 10);
	return inside == 0 && outside == 0 && count == 4294967295UL;
}

/* With kptr_restrict in the way every address reads as zero. */
static bool kallsyms_shown(void)
{
	char text[4096];
	read_small_file("/proc/kallsyms", text, sizeof(text));
	for (const char *line = text; *line;) {
		if (strtoull(line, NULL, 16))
			return true;
		line = strchr(line, '\n');
		if (!line)
			break;
		line++;
	}
	return false;
}

/* "0-3,8" */
static void read_cpu_list(const char *path, cpu_set_t *ret)
{
	char text[4096];
	CPU_ZERO(ret);
	read_small_file(path, text, sizeof(text));
	for (char *p = text; *p;) {
		char *end;
		long from = strtol(p, &end, 10), to = from;
		if (end == p)
			break;
		if (*end == '-')
			to = strtol(end + 1, &end, 10);
		for (long cpu = from; cpu >= 0 && cpu <= to && cpu < CPU_SETSIZE; cpu++)
			CPU_SET(cpu, ret);
		p = *end == ',' ? end + 1 : end;
		if (p == end)
			break;
	}
	if (!CPU_COUNT(ret))
		sched_getaffinity(0, sizeof(*ret), ret);
}

static uint64_t limit_of(__rlimit_resource_t resource, bool hard)
{
	struct rlimit limit;
	if (getrlimit(resource, &limit))
		return 0;
	return hard ? limit.rlim_max : limit.rlim_cur;
}

void facts_read(struct facts *f)
{
	struct utsname name;
	*f = (struct facts){0};
	uname(&name);
	snprintf(f->release, sizeof(f->release), "%s", name.release);
	snprintf(f->machine, sizeof(f->machine), "%s", name.machine);
	read_status(f);
	f->initial_userns = in_initial_userns();
	f->yama = (int)read_number("/proc/sys/kernel/yama/ptrace_scope", -1);
	f->paranoid = (int)read_number("/proc/sys/kernel/perf_event_paranoid", -99);
	f->kptr_restrict = (int)read_number("/proc/sys/kernel/kptr_restrict", 0);
	f->kallsyms = kallsyms_shown();
	f->rt_runtime_us = read_number("/proc/sys/kernel/sched_rt_runtime_us", -1);
	f->rtprio_limit = limit_of(RLIMIT_RTPRIO, false);
	f->memlock_limit = limit_of(RLIMIT_MEMLOCK, false);
	f->nofile_limit = limit_of(RLIMIT_NOFILE, true);
	read_cpu_list("/sys/devices/system/cpu/online", &f->online);
}
