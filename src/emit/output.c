/* SPDX-License-Identifier: Apache-2.0 */
/* Output files that appear whole or not at all. The new content goes to a file without a name in
 * the same directory (O_TMPFILE), so that nothing is left behind however csample ends; where the
 * file system has none, to one with a temporary name. Where the directory cannot be written but the
 * file can (a file bind-mounted into a container), the content is held in memory and copied at the
 * end. */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <unistd.h>

#include <csample/format.h>
#include <csample/mem.h>

#define BUFFER_BYTES ((size_t)256 * 1024)

enum how {
	HOW_DIRECT, /* stdout, a pipe, a device */
	HOW_UNNAMED,
	HOW_NAMED,
	HOW_COPY,
};

struct output {
	enum how how;
	char *shown; /* as the user wrote it, for messages */
	int dir_fd;  /* -1 when direct */
	char *name;  /* in dir_fd: of the file to replace */
	char *temp;  /* in dir_fd: of the new content; NULL: none so far */
	int fd;      /* of the content; of the thing itself when direct */
	int errnum;  /* of the first write that failed */
	bool exists;
	FILE *stream;
};

static struct err *cannot(const char *path, int errnum, const char *what_to_do)
{
	enum err_kind kind = errnum == EACCES || errnum == EPERM ? ERR_PERM : ERR_SYS;
	return err_new(kind, "cannot write '%s': %s; %s", path, strerror(errnum), what_to_do);
}

static const char *advice(int errnum)
{
	switch (errnum) {
	case ENOENT:
	case ENOTDIR:
		return "create the directory first, or choose another file with -o";
	case EISDIR:
		return "name a file in it, with -o";
	case ENOSPC:
	case EDQUOT:
		return "free some space there, or choose another file with -o";
	case EPIPE:
		return "the reader ended before all was written";
	default:
		return "choose another file with -o";
	}
}

/* The stream's own writer: keeps the errno of the first failure, which stdio forgets. */
static ssize_t write_cookie(void *cookie, const char *buf, size_t len)
{
	struct output *o = cookie;
	size_t done = 0;
	while (done < len && !o->errnum) {
		ssize_t n = write(o->fd, buf + done, len - done);
		if (n >= 0)
			done += (size_t)n;
		else if (errno != EINTR)
			o->errnum = errno;
	}
	if (o->errnum)
		errno = o->errnum;
	return (ssize_t)done; /* less than asked is the error: 0 or more by the rules of cookies */
}

static void output_free(struct output *o)
{
	if (o->stream)
		fclose(o->stream);
	if (o->temp)
		unlinkat(o->dir_fd, o->temp, 0);
	if (o->dir_fd >= 0) { /* stdout is not ours to close */
		if (o->fd >= 0)
			close(o->fd);
		close(o->dir_fd);
	}
	free(o->shown);
	free(o->name);
	free(o->temp);
	free(o);
}

/* A name in o's directory that nobody has. The caller creates it. */
static char *temp_name(void)
{
	uint64_t random = 0;
	if (getrandom(&random, sizeof(random), GRND_NONBLOCK) != sizeof(random))
		random = (uint64_t)getpid() << 32 ^ (uintptr_t)&random;
	return mem_asprintf(".csample-%016" PRIx64, random);
}

/* Opens where the content goes to until it is complete. Returns 0 or errno. */
static int open_content(struct output *o)
{
	/* Through /proc it gets its name later, so there must be one. */
	if (!access("/proc/self/fd", X_OK))
		o->fd = openat(o->dir_fd, ".", O_TMPFILE | O_RDWR | O_CLOEXEC, 0666);
	o->how = HOW_UNNAMED;
	for (int tries = 0; o->fd < 0 && tries < 16; tries++) {
		o->how = HOW_NAMED;
		o->temp = temp_name();
		o->fd = openat(o->dir_fd, o->temp,
		               O_RDWR | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0666);
		if (o->fd >= 0)
			break;
		int errnum = errno;
		free(o->temp);
		o->temp = NULL;
		if (errnum != EEXIST)
			return errnum;
	}
	return o->fd >= 0 ? 0 : EEXIST;
}

/* Follows symbolic links, so that the file is replaced and not the link to it. Sets directory, name
 * and whether the file is there, in st. Returns 0 or errno. */
static int find_place(struct output *o, const char *path, struct stat *st)
{
	_cleanup_free_ char *real = realpath(path, NULL);
	if (!real && errno != ENOENT)
		return errno;
	o->exists = real;
	if (!real)
		real = mem_strdup(
		        path); /* or the target of a dangling link: the link is replaced */
	char *slash = strrchr(real, '/');
	const char *dir = slash == real ? "/" : slash ? real : ".";
	o->name = mem_strdup(slash ? slash + 1 : real);
	if (slash && slash != real)
		*slash = '\0';
	if (!o->name[0])
		return EISDIR;
	o->dir_fd = open(dir, O_PATH | O_DIRECTORY | O_CLOEXEC);
	if (o->dir_fd < 0)
		return errno;
	if (o->exists && fstatat(o->dir_fd, o->name, st, 0))
		return errno;
	return 0;
}

/* The new file is to be as the old one was, as far as we may. Who gets its group's rights must be
 * in that group. */
static void keep_owner_and_mode(int fd, const struct stat *old)
{
	bool same_group =
	        !fchown(fd, old->st_uid, old->st_gid) || !fchown(fd, (uid_t)-1, old->st_gid);
	fchmod(fd, old->st_mode & (same_group ? 0777 : 0707));
}

static int open_file(struct output *o, const char *path)
{
	struct stat st = {0};
	int errnum = find_place(o, path, &st);
	if (errnum)
		return errnum;
	if (o->exists && S_ISDIR(st.st_mode))
		return EISDIR;
	if (o->exists && !S_ISREG(st.st_mode)) {
		o->how = HOW_DIRECT;
		o->fd = openat(o->dir_fd, o->name, O_WRONLY | O_CLOEXEC | O_NOCTTY);
		return o->fd >= 0 ? 0 : errno;
	}
	if (o->exists && faccessat(o->dir_fd, o->name, W_OK, AT_EACCESS))
		return errno; /* a read-only file is meant to stay, even where rename could replace
		                 it */
	errnum = open_content(o);
	if ((errnum == EACCES || errnum == EPERM || errnum == EROFS) && o->exists) {
		o->how = HOW_COPY;
		o->fd = memfd_create("csample-output", MFD_CLOEXEC);
		return o->fd >= 0 ? 0 : errno;
	}
	if (!errnum && o->exists)
		keep_owner_and_mode(o->fd, &st);
	return errnum;
}

static bool is_stdout(const char *path)
{
	return !strcmp(path, "-") || !strcmp(path, "/dev/stdout") || !strcmp(path, "/dev/fd/1") ||
	       !strcmp(path, "/proc/self/fd/1");
}

struct err *output_open(const char *path, struct output **ret)
{
	struct output *o = mem_zalloc(sizeof(*o));
	o->fd = o->dir_fd = -1;
	int errnum = 0;
	if (is_stdout(path)) {
		o->fd = STDOUT_FILENO;
		o->shown = mem_strdup("stdout");
		if (fcntl(o->fd, F_GETFL) < 0)
			errnum = errno;
	} else {
		o->shown = mem_strdup(path);
		errnum = path[0] ? open_file(o, path) : ENOENT;
	}
	if (!errnum) {
		o->stream = fopencookie(o, "w", (cookie_io_functions_t){.write = write_cookie});
		errnum = o->stream ? 0 : ENOMEM;
	}
	if (errnum) {
		struct err *err = cannot(o->shown, errnum, advice(errnum));
		output_free(o);
		return err;
	}
	setvbuf(o->stream, NULL, _IOFBF, BUFFER_BYTES);
	*ret = o;
	return NULL;
}

FILE *output_stream(struct output *o)
{
	return o->stream;
}

/* Writes what was gathered into the file that is there, which is first made long enough: a full
 * disk shows before anything is overwritten. Or into a new one. Returns 0 or errno. */
static int copy_content(struct output *o)
{
	int flags = O_WRONLY | O_CREAT | O_CLOEXEC | O_NOFOLLOW;
	_cleanup_close_ int to = openat(o->dir_fd, o->name, flags, 0666);
	struct stat st;
	if (to < 0 || fstat(o->fd, &st) || lseek(o->fd, 0, SEEK_SET) < 0)
		return errno;
	if (st.st_size && fallocate(to, FALLOC_FL_KEEP_SIZE, 0, st.st_size) &&
	    (errno == ENOSPC || errno == EDQUOT || errno == EFBIG))
		return errno;
	_cleanup_free_ char *buf = mem_alloc(BUFFER_BYTES);
	ssize_t n;
	off_t at = 0;
	while ((n = pread(o->fd, buf, BUFFER_BYTES, at)) > 0) {
		n = pwrite(to, buf, (size_t)n, at);
		if (n < 0)
			break;
		at += n;
	}
	if (n < 0 || ftruncate(to, at) || fsync(to))
		return errno;
	return 0;
}

/* Gives the unnamed content a name: its own if that is free, else a temporary one. 0 or errno. */
static int link_content(struct output *o)
{
	char content[64];
	snprintf(content, sizeof(content), "/proc/self/fd/%d", o->fd);
	if (!o->exists && !linkat(AT_FDCWD, content, o->dir_fd, o->name, AT_SYMLINK_FOLLOW))
		return 0;
	for (int tries = 0; tries < 16; tries++) {
		char *name = temp_name();
		if (!linkat(AT_FDCWD, content, o->dir_fd, name, AT_SYMLINK_FOLLOW)) {
			o->temp = name;
			return 0;
		}
		free(name);
		if (errno != EEXIST)
			return errno;
	}
	return EEXIST;
}

static int replace(struct output *o)
{
	if (fsync(o->fd) && errno != EINVAL && errno != EROFS)
		return errno;
	int errnum = o->how == HOW_UNNAMED ? link_content(o) : 0;
	if (!errnum && o->temp) {
		errnum = renameat(o->dir_fd, o->temp, o->dir_fd, o->name) ? errno : 0;
		if (!errnum) {
			free(o->temp);
			o->temp = NULL;
		}
	}
	/* A mount point is busy, a sticky directory does not let go of another's file, a sandbox
	 * may forbid links: what was measured is not lost for that. */
	if (errnum && errnum != ENOSPC && errnum != EDQUOT)
		errnum = copy_content(o);
	return errnum;
}

struct err *output_commit(struct output *o)
{
	int errnum = 0;
	if (fflush(o->stream) || ferror(o->stream))
		errnum = o->errnum ? o->errnum : EIO;
	if (!errnum && o->how == HOW_COPY)
		errnum = copy_content(o);
	else if (!errnum && o->how != HOW_DIRECT)
		errnum = replace(o);
	if (!errnum && o->dir_fd >= 0) { /* a network file system may tell only now */
		errnum = close(o->fd) && errno != EINTR ? errno : 0;
		o->fd = -1;
	}
	struct err *err = errnum ? cannot(o->shown, errnum, advice(errnum)) : NULL;
	output_free(o);
	return err;
}

void output_abort(struct output *o)
{
	if (!o)
		return;
	o->errnum = ECANCELED; /* what is still buffered goes nowhere */
	output_free(o);
}
