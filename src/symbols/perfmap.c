/* SPDX-License-Identifier: Apache-2.0 */
#include "perfmap.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <csample/clock.h>
#include <csample/log.h>
#include <csample/mem.h>

#include "jitranges.h"
#include "safeopen.h"

#define MAX_FILE_BYTES  ((uint32_t)256 << 20)
#define MAX_ENTRIES     ((size_t)2 << 20)
#define MAX_LINE        16384
#define STEP            ((size_t)256 * 1024)
#define SEAM_BYTES      64
#define MIN_INTERVAL_NS 20000000u

struct perf_map {
	int root_fd;
	int32_t ns_pid, pid;
	uint32_t uid;
	int fd; /* -1: not there yet */
	struct stat st;
	uint32_t read_to;      /* all before this offset is known */
	char seam[SEAM_BYTES]; /* the bytes before read_to: the same if the file only grew */
	size_t seam_len;
	uint64_t looked_ns;
	bool full; /* said that it is too large */
	jit_ranges ranges;
	char line[MAX_LINE];
};

struct perf_map *perf_map_create(int root_fd, int32_t ns_pid, int32_t pid, uint32_t uid)
{
	struct perf_map *m = mem_zalloc(sizeof(*m));
	m->root_fd = root_fd >= 0 ? fcntl(root_fd, F_DUPFD_CLOEXEC, 0) : -1;
	m->ns_pid = ns_pid;
	m->pid = pid;
	m->uid = uid;
	m->fd = -1;
	return m;
}

static void forget(struct perf_map *m)
{
	m->ranges.n = 0;
	m->read_to = 0;
	m->seam_len = 0;
}

void perf_map_destroy(struct perf_map *m)
{
	if (!m)
		return;
	if (m->fd >= 0)
		close(m->fd);
	if (m->root_fd >= 0)
		close(m->root_fd);
	vec_free(&m->ranges);
	free(m);
}

static int open_checked(const struct perf_map *m, int root_fd, int32_t pid, struct stat *st)
{
	char path[64];
	snprintf(path, sizeof(path), "/tmp/perf-%d.map", pid);
	int fd = open_regular(root_fd, path, true);
	if (fd < 0)
		return -1;
	if (!fstat(fd, st) && (st->st_uid == m->uid || st->st_uid == 0))
		return fd;
	log_debug(LOG_SYMBOLS, "%s: of another user, not used", path);
	close(fd);
	return -1;
}

static int open_any(const struct perf_map *m, struct stat *st)
{
	int fd = m->root_fd >= 0 ? open_checked(m, m->root_fd, m->ns_pid, st) : -1;
	return fd >= 0 ? fd : open_checked(m, -1, m->pid, st);
}

/* The file may have been replaced by another of the name, or begun anew in place. */
static void reopen(struct perf_map *m)
{
	struct stat st;
	int fd = open_any(m, &st);
	if (fd < 0)
		return; /* gone from its directory: what we have open is still true */
	if (m->fd >= 0 && st.st_dev == m->st.st_dev && st.st_ino == m->st.st_ino) {
		close(fd);
		return;
	}
	if (m->fd >= 0)
		close(m->fd);
	forget(m);
	m->fd = fd;
	m->st = st;
	log_debug(LOG_SYMBOLS, "perf map of %d: opened", m->pid);
}

static bool only_grew(const struct perf_map *m, off_t size)
{
	char now[SEAM_BYTES];
	return size >= (off_t)m->read_to &&
	       pread(m->fd, now, m->seam_len, (off_t)(m->read_to - m->seam_len)) ==
	               (ssize_t)m->seam_len &&
	       !memcmp(now, m->seam, m->seam_len);
}

static void read_new(struct perf_map *m)
{
	_cleanup_free_ char *buf = mem_alloc(STEP);
	jit_ranges fresh = {0};
	ssize_t n;
	while (m->read_to < MAX_FILE_BYTES && m->ranges.n + fresh.n < MAX_ENTRIES &&
	       (n = pread(m->fd, buf, STEP, (off_t)m->read_to)) > 0) {
		size_t used = perf_map_parse(buf, (size_t)n, m->read_to, &fresh);
		if (!used && (size_t)n == STEP)
			used = (size_t)n; /* a line without an end: junk */
		if (!used)
			break; /* a line still being written */
		m->read_to += (uint32_t)used;
		m->seam_len = used < SEAM_BYTES ? used : SEAM_BYTES;
		memcpy(m->seam, buf + used - m->seam_len, m->seam_len);
		/* Each merge walks all that is there: not for a handful. */
		if (fresh.n > 4096 && fresh.n > m->ranges.n / 2)
			jit_ranges_add(&m->ranges, &fresh);
	}
	if (fresh.n)
		jit_ranges_add(&m->ranges, &fresh);
	vec_free(&fresh);
	if (!m->full && (m->read_to >= MAX_FILE_BYTES || m->ranges.n >= MAX_ENTRIES)) {
		log_warn("/tmp/perf-%d.map is too large: code compiled later has no names",
		         m->ns_pid);
		m->full = true;
	}
}

static void refresh(struct perf_map *m)
{
	uint64_t now = now_ns();
	if (m->looked_ns && now - m->looked_ns < MIN_INTERVAL_NS)
		return;
	m->looked_ns = now;
	reopen(m);
	struct stat st;
	if (m->fd < 0 || fstat(m->fd, &st))
		return;
	if (!only_grew(m, st.st_size))
		forget(m);
	if (st.st_size > (off_t)m->read_to)
		read_new(m);
}

bool perf_map_find(struct perf_map *m, uint64_t addr, const char **name_ret, size_t *len_ret)
{
	refresh(m);
	const struct jit_range *r = m->fd >= 0 ? jit_ranges_find(&m->ranges, addr) : NULL;
	ssize_t n = r ? pread(m->fd, m->line, sizeof(m->line), (off_t)r->at) : 0;
	if (n <= 0)
		return false;
	const char *nl = memchr(m->line, '\n', (size_t)n);
	size_t len = nl ? (size_t)(nl - m->line) : (size_t)n;
	uint64_t start;
	uint32_t size;
	size_t at = perf_map_parse_line(m->line, len, &start, &size);
	if (!at || addr - start >= size)
		return false; /* rewritten since */
	while (len > at && strchr(" \t\r", m->line[len - 1]))
		len--;
	*name_ret = m->line + at;
	*len_ret = len - at;
	return len > at;
}
