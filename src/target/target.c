/* SPDX-License-Identifier: Apache-2.0 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/openat2.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>
#include <time.h>
#include <unistd.h>

#include <csample/log.h>
#include <csample/strbuf.h>
#include <csample/target.h>
#include <csample/vec.h>

#include "maps.h"
#include "name.h"
#include "proc.h"

#define MAX_CMDLINE    ((size_t)256 * 1024)
#define MAX_MAPS_BYTES ((size_t)64 << 20)

/* argv[0] \0 argv[1] \0 ...: split, and joined by blanks for people. */
static void read_command(struct target *t)
{
	for (size_t i = 0; i < t->argc; i++)
		free(t->argv[i]);
	free(t->argv);
	free(t->command);
	free(t->exe);
	size_t len = 0;
	_cleanup_free_ char *text = proc_read(t->proc_fd, "cmdline", MAX_CMDLINE, &len);
	VEC(char *) args = {0};
	struct strbuf joined = {0};
	for (size_t at = 0; text && at < len;) {
		size_t n = strnlen(text + at, len - at);
		*vec_add(&args) = mem_strndup(text + at, n);
		if (joined.len < 4096)
			strbuf_addf(&joined, "%s%s", joined.len ? " " : "", args.items[args.n - 1]);
		at += n + 1;
	}
	t->argc = args.n;
	*vec_add(&args) = NULL;
	t->argv = args.items;
	len = 0;
	_cleanup_free_ char *comm = proc_read(t->proc_fd, "comm", sizeof(t->comm) - 1, &len);
	snprintf(t->comm, sizeof(t->comm), "%.*s", comm ? (int)strcspn(comm, "\n") : 0,
	         comm ? comm : "");
	t->command = joined.len ? joined.s : mem_strdup(t->comm);
	char exe[4096];
	ssize_t n = readlinkat(t->proc_fd, "exe", exe, sizeof(exe) - 1);
	t->exe = mem_strndup(exe, n > 0 ? (size_t)n : 0);
	name_of_process(t->comm, t->exe, t->argv, t->name, sizeof(t->name));
}

struct err *target_reload(struct target *t)
{
	if (t->tids)
		return NULL;
	read_command(t);
	return target_refresh_maps(t);
}

static struct target *open_files(const struct proc_status *status, pid_t pid, struct images *images,
                                 struct strings *strings)
{
	struct target *t = mem_zalloc(sizeof(*t));
	t->pid = pid;
	t->ns_pid = status->ns_pid;
	t->uid = status->uid;
	t->images = images;
	t->strings = strings;
	rmem_live_init(&t->mem, pid);
	t->rm = &t->mem.rm;
	char path[64];
	snprintf(path, sizeof(path), "/proc/%d", (int)pid);
	t->proc_fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	t->root_fd = openat(t->proc_fd, "root", O_PATH | O_DIRECTORY | O_CLOEXEC);
	t->pid_fd = (int)syscall(SYS_pidfd_open, pid, 0);
	t->start_time = proc_start_time(t->proc_fd);
	return t;
}

struct err *target_open(pid_t pid, struct images *images, struct strings *strings,
                        struct target **ret)
{
	struct proc_status status;
	struct err *err = proc_check(pid, &status);
	if (err)
		return err;
	struct target *t = open_files(&status, pid, images, strings);
	read_command(t);
	err = !t->start_time ? err_new(ERR_GONE, "process %d has just ended", (int)pid) : NULL;
	if (!err)
		err = target_refresh_maps(t);
	if (err) {
		target_close(t);
		return err;
	}
	*ret = t;
	return NULL;
}

struct err *target_open_fork(const struct target *parent, pid_t pid, struct target **ret)
{
	struct proc_status status;
	struct err *err = proc_check(pid, &status);
	if (err)
		return err;
	struct target *t = open_files(&status, pid, parent->images, parent->strings);
	if (!t->start_time) { /* it has ended meanwhile */
		target_close(t);
		return &err_gone;
	}
	memcpy(t->comm, parent->comm, sizeof(t->comm));
	memcpy(t->name, parent->name, sizeof(t->name));
	VEC(char *) args = {0};
	for (size_t i = 0; i < parent->argc; i++)
		*vec_add(&args) = mem_strdup(parent->argv[i]);
	t->argc = args.n;
	*vec_add(&args) = NULL;
	t->argv = args.items;
	t->command = mem_strdup(parent->command);
	t->exe = mem_strdup(parent->exe);
	t->maps.n = parent->maps.n;
	t->maps.items = mem_realloc_array(NULL, t->maps.n + 1, sizeof(*t->maps.items));
	if (t->maps.n)
		memcpy(t->maps.items, parent->maps.items, t->maps.n * sizeof(*t->maps.items));
	t->maps.generation = 1;
	*ret = t;
	return NULL;
}

void target_close(struct target *t)
{
	if (!t)
		return;
	rmem_live_deinit(&t->mem);
	if (t->proc_fd >= 0)
		close(t->proc_fd);
	if (t->root_fd >= 0)
		close(t->root_fd);
	if (t->pid_fd >= 0)
		close(t->pid_fd);
	for (size_t i = 0; i < t->argc; i++)
		free(t->argv[i]);
	free(t->argv);
	free(t->command);
	free(t->exe);
	free(t->tids);
	maps_deinit(&t->maps);
	free(t);
}

/* Is fd the very file the mapping shows? Some file systems (btrfs, overlayfs) report another device
 * in maps than in stat, so the inode decides. */
static bool is_mapped_file(int fd, const struct mapping *m)
{
	struct stat st;
	return !fstat(fd, &st) && S_ISREG(st.st_mode) && st.st_ino == m->inode;
}

static int open_beneath(int root_fd, const char *path)
{
	/* O_NONBLOCK: a FIFO put in the file's place must not hold us. */
	struct open_how how = {.flags = O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY,
	                       .resolve = RESOLVE_IN_ROOT | RESOLVE_NO_MAGICLINKS};
	int fd = (int)syscall(SYS_openat2, root_fd, path, &how, sizeof(how));
	if (fd < 0 && errno == ENOSYS && *path == '/') /* before Linux 5.6 */
		fd = openat(root_fd, path + 1, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
	return fd;
}

/* The file behind a mapping: by the kernel's own link to it, which survives deletion and needs
 * CAP_SYS_ADMIN or CAP_CHECKPOINT_RESTORE; else by its path beneath the target's root; else, for
 * the main program, by /proc/PID/exe. */
static int open_mapping(const struct target *t, const struct mapping *m)
{
	char link[96];
	snprintf(link, sizeof(link), "map_files/%llx-%llx", (unsigned long long)m->start,
	         (unsigned long long)m->end);
	int fd = openat(t->proc_fd, link, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
	if (fd >= 0)
		return fd;
	fd = *m->name == '/' ? open_beneath(t->root_fd, m->name) : -1;
	if (fd >= 0 && is_mapped_file(fd, m))
		return fd;
	if (fd >= 0)
		close(fd);
	fd = openat(t->proc_fd, "exe", O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
	if (fd >= 0 && is_mapped_file(fd, m))
		return fd;
	if (fd >= 0)
		close(fd);
	return -1;
}

static struct image *open_image(struct target *t, const struct mapping *m)
{
	struct image *img = NULL;
	struct err *err;
	if (!strcmp(m->name, "[vdso]")) {
		size_t size = m->end - m->start;
		if (size > 1 << 20)
			return NULL;
		_cleanup_free_ void *bytes = mem_alloc(size);
		err = rmem_read(t->rm, m->start, bytes, size);
		if (!err)
			err = images_add_memory(t->images, bytes, size, m->name, &img);
	} else if (m->inode) {
		int fd = open_mapping(t, m);
		if (fd < 0) {
			log_debug(LOG_TARGET, "cannot open %s: %s", m->name, strerror(errno));
			return NULL;
		}
		size_t len = strlen(m->name);
		static const char gone[] = " (deleted)";
		if (len >= sizeof(gone) && !strcmp(m->name + len - sizeof(gone) + 1, gone))
			len -= sizeof(gone) - 1;
		err = images_add(t->images, fd, intern_n(t->strings, m->name, len), t->root_fd,
		                 &img);
	} else {
		return NULL;
	}
	if (err) {
		log_debug(LOG_TARGET, "%s", err->msg);
		err_free(err);
		return NULL;
	}
	return img;
}

static bool same_mapping(const struct mapping *a, const struct mapping *b)
{
	return a->start == b->start && a->offset == b->offset && a->inode == b->inode &&
	       a->dev_major == b->dev_major && a->dev_minor == b->dev_minor && a->name == b->name &&
	       a->executable == b->executable;
}

/* Gives the executable mappings their images, from the old maps where they are unchanged, and then
 * the other mappings of the same files. */
static void attach_images(struct target *t, struct maps *fresh)
{
	for (size_t i = 0; i < fresh->n; i++) {
		struct mapping *m = &fresh->items[i];
		if (!m->executable)
			continue;
		const struct mapping *old = maps_find(&t->maps, m->start);
		if (old && same_mapping(old, m) && old->image) {
			m->image = old->image;
			m->bias = old->bias;
			continue;
		}
		m->image = open_image(t, m);
		if (!m->image)
			continue;
		if (!strcmp(m->name, "[vdso]"))
			m->bias =
			        m->start - (m->image->n_segments ? m->image->segments[0].vaddr : 0);
		else if (!image_bias(m->image, m->start, m->offset, true, &m->bias))
			m->image = NULL;
	}
	maps_share_images(fresh);
}

struct err *target_refresh_maps(struct target *t)
{
	if (t->tids)
		return NULL;
	size_t len = 0;
	_cleanup_free_ char *text = proc_read(t->proc_fd, "maps", MAX_MAPS_BYTES, &len);
	if (!text)
		return errno == ESRCH || errno == ENOENT
		               ? &err_gone
		               : err_errno(errno, "read /proc/%d/maps", (int)t->pid);
	if (!len) /* the address space is gone already: a zombie, or in the middle of exec */
		return &err_gone;
	struct maps fresh;
	maps_parse(text, len, t->strings, &fresh);
	maps_keep_code(&fresh, &t->maps);
	attach_images(t, &fresh);
	fresh.generation = t->maps.generation + 1;
	maps_deinit(&t->maps);
	t->maps = fresh;
	return NULL;
}

static int compare_pids(const void *a, const void *b)
{
	pid_t x = *(const pid_t *)a, y = *(const pid_t *)b;
	return (x > y) - (x < y);
}

struct err *target_threads(struct target *t, pid_t **ret, size_t *n_ret)
{
	if (t->tids) {
		*ret = mem_realloc_array(NULL, t->n_tids, sizeof(**ret));
		memcpy(*ret, t->tids, t->n_tids * sizeof(**ret));
		*n_ret = t->n_tids;
		return NULL;
	}
	int fd = openat(t->proc_fd, "task", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	DIR *dir = fd >= 0 ? fdopendir(fd) : NULL;
	if (!dir) {
		int errnum = errno;
		if (fd >= 0)
			close(fd);
		return errnum == ENOENT || errnum == ESRCH
		               ? &err_gone
		               : err_errno(errnum, "list the threads of %d", (int)t->pid);
	}
	VEC(pid_t) tids = {0};
	for (struct dirent *entry; (entry = readdir(dir));) {
		char *end;
		long tid = strtol(entry->d_name, &end, 10);
		if (tid > 0 && !*end)
			*vec_add(&tids) = (pid_t)tid;
	}
	closedir(dir);
	if (!tids.n) {
		vec_free(&tids);
		return &err_gone;
	}
	qsort(tids.items, tids.n, sizeof(*tids.items), compare_pids);
	for (size_t i = 1; i < tids.n; i++) { /* the main thread first */
		if (tids.items[i] != t->pid)
			continue;
		memmove(tids.items + 1, tids.items, i * sizeof(*tids.items));
		tids.items[0] = t->pid;
		break;
	}
	*ret = tids.items;
	*n_ret = tids.n;
	return NULL;
}

pid_t target_thread_ns_id(struct target *t, pid_t tid)
{
	return t->ns_pid == t->pid || t->proc_fd < 0 ? tid : proc_ns_tid(t->proc_fd, tid);
}

bool target_thread_name(struct target *t, pid_t tid, char *buf, size_t len)
{
	char path[64], text[64];
	if (t->tids) { /* NT_PRSTATUS has none */
		snprintf(buf, len, "%s", tid == t->pid ? t->comm : "");
		return tid == t->pid;
	}
	snprintf(path, sizeof(path), "task/%d/comm", (int)tid);
	_cleanup_close_ int fd = openat(t->proc_fd, path, O_RDONLY | O_CLOEXEC);
	ssize_t n = fd >= 0 ? read(fd, text, sizeof(text) - 1) : -1;
	if (n <= 0)
		return false;
	text[n] = '\0';
	snprintf(buf, len, "%.*s", (int)strcspn(text, "\n"), text);
	return true;
}

uint64_t target_cpu_ns(struct target *t)
{
	/* CPUCLOCK_SCHED of a process, as the kernel's posix-timers.h encodes it: exact, and ended
	 * threads count; running ones are brought up to date at each tick. */
	clockid_t clock;
	struct timespec ts;
	if (t->tids)
		return 0;
	if (clock_getcpuclockid(t->pid, &clock) || clock_gettime(clock, &ts))
		return 0;
	return (uint64_t)ts.tv_sec * 1000000000ULL + (uint64_t)ts.tv_nsec;
}

bool target_reaped_cpu_ns(struct target *t, uint64_t *ret)
{
	uint64_t ticks = 0;
	if (t->tids || !proc_reaped_ticks(t->proc_fd, &ticks))
		return false;
	*ret = ticks * (1000000000ULL / (uint64_t)sysconf(_SC_CLK_TCK));
	return true;
}

bool target_exists(struct target *t)
{
	return t->start_time && proc_start_time(t->proc_fd) == t->start_time;
}

bool target_alive(struct target *t)
{
	return !t->tids && target_exists(t) && proc_state(t->proc_fd) != 'Z';
}
