/* SPDX-License-Identifier: Apache-2.0 */
/* A blob is the pprof file as it was delivered, but for an extra field in its gzip header (RFC
 * 1952, 2.3.1.1), of the subfield "CS": a line of JSON that says what the index knows of it. */
#include "blob.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>
#include <zlib.h>

#include <csample/mem.h>
#include <csample/vec.h>

#define TEMP_PREFIX ".new-"
#define STALE_SEC   600 /* no write takes that long */
#define MAX_NAMES   ((size_t)16 << 20)

enum { GZIP_HEADER = 10, FLAG_CRC = 2, FLAG_EXTRA = 4, FLAG_NAME = 8, FLAG_COMMENT = 16 };

/* The length of a gzip header; 0: it is none, or longer than len. */
static size_t header_length(const uint8_t *s, size_t len)
{
	if (len < GZIP_HEADER || s[0] != 0x1f || s[1] != 0x8b || s[2] != 8)
		return 0;
	size_t at = GZIP_HEADER;
	if (s[3] & FLAG_EXTRA) {
		if (at + 2 > len)
			return 0;
		at += 2 + s[at] + ((size_t)s[at + 1] << 8);
	}
	for (int flag = FLAG_NAME; flag <= FLAG_COMMENT; flag *= 2) {
		if (!(s[3] & flag) || at >= len)
			continue;
		const uint8_t *end = memchr(s + at, 0, len - at);
		if (!end)
			return 0;
		at = (size_t)(end - s) + 1;
	}
	at += s[3] & FLAG_CRC ? 2 : 0;
	return at < len ? at : 0;
}

static struct err *make_head(const struct store_profile *p, struct strbuf *b)
{
	static const char fixed[GZIP_HEADER] = {0x1f, (char)0x8b, 8, FLAG_EXTRA, 0, 0, 0, 0, 0, 3};
	struct strbuf json = {0};
	strbuf_add(&json, "{\"csample\":1,\"type\":");
	strbuf_add_json(&json, p->type);
	strbuf_addf(&json,
	            ",\"start_unix_ns\":%" PRId64 ",\"duration_ns\":%" PRIu64
	            ",\"samples\":%" PRIu64 ",\"total\":%" PRIu64 ",\"labels\":",
	            p->start_unix_ns, p->duration_ns, p->samples, p->total);
	facts_labels_json(p, &json);
	strbuf_addc(&json, '}');
	struct err *err = NULL;
	if (json.len > BLOB_MAX_LABELS || p->n_labels > STORE_MAX_LABELS) {
		err = err_new(ERR_USAGE, "too many or too long labels for the store");
	} else {
		size_t field = json.len + 4;
		strbuf_addn(b, fixed, sizeof(fixed));
		strbuf_addc(b, (char)(field & 0xff));
		strbuf_addc(b, (char)(field >> 8));
		strbuf_addn(b, "CS", 2);
		strbuf_addc(b, (char)(json.len & 0xff));
		strbuf_addc(b, (char)(json.len >> 8));
		strbuf_addn(b, json.s, json.len);
	}
	strbuf_free(&json);
	return err;
}

static void choose_names(const struct store_profile *p, struct blob *ret)
{
	uint32_t random = 0;
	if (getrandom(&random, sizeof(random), GRND_NONBLOCK) != sizeof(random))
		random = (uint32_t)getpid() ^ (uint32_t)clock();
	int64_t ns = p->start_unix_ns > 0 ? p->start_unix_ns : 0;
	time_t seconds = (time_t)(ns / 1000000000);
	struct tm tm;
	char day[16], clock_text[16];
	gmtime_r(&seconds, &tm);
	strftime(day, sizeof(day), "%Y-%m-%d", &tm);
	strftime(clock_text, sizeof(clock_text), "%H%M%S", &tm);
	snprintf(ret->name, sizeof(ret->name), "%s/%s.%03d-%08" PRIx32 ".pb.gz", day, clock_text,
	         (int)(ns / 1000000 % 1000), random);
	snprintf(ret->temp, sizeof(ret->temp), "%s/" TEMP_PREFIX "%08" PRIx32, day, random);
}

static int write_all(int fd, const void *bytes, size_t len)
{
	const char *p = bytes;
	while (len) {
		ssize_t n = write(fd, p, len);
		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return n ? errno : EIO;
		p += n;
		len -= (size_t)n;
	}
	return 0;
}

/* The day's directory may go the moment it is empty: retention takes it. */
static int create(int dir_fd, const struct blob *b)
{
	int flags = O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, fd = -1;
	for (int tries = 0; tries < 8 && fd < 0; tries++) {
		fd = openat(dir_fd, b->temp, flags, 0666);
		if (fd >= 0 || errno != ENOENT)
			break;
		char day[BLOB_MAX_NAME];
		snprintf(day, sizeof(day), "%.10s", b->temp);
		if (mkdirat(dir_fd, day, 0777) && errno != EEXIST)
			break;
	}
	return fd;
}

struct err *blob_write(int dir_fd, const struct store_profile *p, const void *pprof, size_t len,
                       struct blob *ret)
{
	size_t skip = header_length(pprof, len);
	if (!skip)
		return err_new(ERR_FORMAT, "what is to be stored is not pprof in gzip");
	struct strbuf head = {0};
	struct err *err = make_head(p, &head);
	if (err)
		return err;
	choose_names(p, ret);
	int fd = create(dir_fd, ret), errnum = fd < 0 ? errno : 0;
	if (!errnum)
		errnum = write_all(fd, head.s, head.len);
	if (!errnum)
		errnum = write_all(fd, (const char *)pprof + skip, len - skip);
	if (!errnum && fsync(fd) && errno != EINVAL)
		errnum = errno;
	if (fd >= 0 && close(fd) && !errnum)
		errnum = errno;
	ret->bytes = head.len + len - skip;
	strbuf_free(&head);
	if (!errnum)
		return NULL;
	if (fd >= 0)
		unlinkat(dir_fd, ret->temp, 0);
	return err_errno(errnum, "cannot write a profile of %zu bytes", len);
}

struct err *blob_publish(int dir_fd, const struct blob *b)
{
	char day[16];
	snprintf(day, sizeof(day), "%.10s", b->name);
	if (renameat(dir_fd, b->temp, dir_fd, b->name))
		return err_errno(errno, "cannot name a profile '%s'", b->name);
	_cleanup_close_ int fd = openat(dir_fd, day, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (fd < 0 || (fsync(fd) && errno != EINVAL))
		return err_errno(errno, "cannot make the name '%s' last", b->name);
	return NULL;
}

void blob_discard(int dir_fd, const struct blob *b)
{
	unlinkat(dir_fd, b->temp, 0);
	unlinkat(dir_fd, b->name, 0);
}

/* 0 where it is none. */
static int64_t number(const json_t *object, const char *key)
{
	json_int_t n = json_integer_value(json_object_get(object, key));
	return n > 0 ? n : 0;
}

static struct err *parse_head(const char *text, size_t len, struct facts *ret)
{
	json_error_t why;
	json_t *root = json_loadb(text, len, JSON_REJECT_DUPLICATES, &why);
	json_t *labels = json_object_get(root, "labels");
	const char *type = json_string_value(json_object_get(root, "type"));
	struct err *err = NULL;
	if (!type || !json_is_object(labels) ||
	    json_integer_value(json_object_get(root, "csample")) != 1)
		err = err_new(ERR_FORMAT, "its head is not one of csample's");
	_cleanup_free_ char *labels_text =
	        err ? NULL : json_dumps(labels, JSON_COMPACT | JSON_SORT_KEYS);
	if (!err)
		err = facts_parse_labels(labels_text, ret);
	if (!err) {
		ret->p.start_unix_ns = number(root, "start_unix_ns");
		ret->p.duration_ns = (uint64_t)number(root, "duration_ns");
		ret->p.samples = (uint64_t)number(root, "samples");
		ret->p.total = (uint64_t)number(root, "total");
		/* One owner for all strings. */
		json_object_set_new(ret->root, "", json_string(type));
		ret->p.type = json_string_value(json_object_get(ret->root, ""));
	}
	json_decref(root);
	return err;
}

static struct err *open_blob(int dir_fd, const char *name, int *ret)
{
	int fd = openat(dir_fd, name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
	if (fd < 0 && (errno == ENOENT || errno == ENOTDIR))
		return err_new(ERR_GONE, "there is no such file");
	if (fd < 0)
		return err_errno(errno, "cannot be opened");
	*ret = fd;
	return NULL;
}

struct err *blob_facts(int dir_fd, const char *name, struct facts *ret, uint64_t *bytes_ret)
{
	_cleanup_close_ int fd = -1;
	struct err *err = open_blob(dir_fd, name, &fd);
	if (err)
		return err;
	struct stat st;
	_cleanup_free_ uint8_t *head = mem_alloc(GZIP_HEADER + 2 + UINT16_MAX);
	ssize_t n = read(fd, head, GZIP_HEADER + 2 + UINT16_MAX);
	if (n < 0 || fstat(fd, &st))
		return err_errno(errno, "cannot be read");
	size_t len = (size_t)n, at = GZIP_HEADER + 2;
	if (!S_ISREG(st.st_mode) || !header_length(head, len) || !(head[3] & FLAG_EXTRA))
		return err_new(ERR_FORMAT, "not a profile that csample stored");
	size_t end = at + head[at - 2] + ((size_t)head[at - 1] << 8);
	*bytes_ret = (uint64_t)st.st_size;
	while (at + 4 <= end && end <= len) {
		size_t size = head[at + 2] + ((size_t)head[at + 3] << 8);
		if (at + 4 + size > end)
			break;
		if (!memcmp(head + at, "CS", 2))
			return parse_head((const char *)head + at + 4, size, ret);
		at += 4 + size;
	}
	return err_new(ERR_FORMAT, "not a profile that csample stored");
}

struct err *blob_verify(int dir_fd, const char *name)
{
	int fd = -1;
	struct err *err = open_blob(dir_fd, name, &fd);
	if (err)
		return err;
	gzFile in = gzdopen(fd, "rb");
	if (!in) {
		close(fd);
		return err_new(ERR_NOMEM, "out of memory for gzip");
	}
	_cleanup_free_ char *buf = mem_alloc((size_t)64 << 10);
	int n;
	while ((n = gzread(in, buf, 64 << 10)) > 0)
		;
	/* Zero too when the file is cut: only closing says so. */
	bool cut = gzdirect(in);
	int closed = gzclose(in);
	return n < 0 || cut || closed != Z_OK ? err_new(ERR_FORMAT, "damaged or cut gzip data")
	                                      : NULL;
}

static int compare_names(const void *a, const void *b)
{
	return strcmp(*(char *const *)a, *(char *const *)b);
}

static bool is_form(const char *s, const char *form)
{
	for (; *form; form++, s++)
		if (*form == 'd'   ? *s < '0' || *s > '9'
		    : *form == 'x' ? !*s || !strchr("0123456789abcdef", *s)
		                   : *s != *form)
			return false;
	return !*s;
}

/* Of a directory below dir_fd, those of a form, with prefix before them. */
static struct err *list(int dir_fd, const char *dir, const char *prefix, const char *form,
                        struct names *ret)
{
	int fd = openat(dir_fd, dir, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	DIR *d = fd >= 0 ? fdopendir(fd) : NULL;
	*ret = (struct names){0};
	if (!d) {
		int errnum = errno;
		if (fd >= 0)
			close(fd);
		return errnum == ENOENT ? NULL : err_errno(errnum, "cannot list '%s'", dir);
	}
	VEC(char *) names = {0};
	const struct dirent *entry;
	while (names.n < MAX_NAMES && (entry = readdir(d)))
		if (is_form(entry->d_name, form))
			*vec_add(&names) = mem_asprintf("%s%s", prefix, entry->d_name);
	closedir(d);
	if (names.n)
		qsort(names.items, names.n, sizeof(*names.items), compare_names);
	ret->items = names.items;
	ret->n = names.n;
	return NULL;
}

struct err *blob_days(int dir_fd, struct names *ret)
{
	return list(dir_fd, ".", "", "dddd-dd-dd", ret);
}

struct err *blob_names(int dir_fd, const char *day, bool temps, struct names *ret)
{
	char prefix[16];
	snprintf(prefix, sizeof(prefix), "%.10s/", day);
	return list(dir_fd, day, prefix,
	            temps ? TEMP_PREFIX "xxxxxxxx" : "dddddd.ddd-xxxxxxxx.pb.gz", ret);
}

void names_free(struct names *n)
{
	for (size_t i = 0; i < n->n; i++)
		free(n->items[i]);
	free(n->items);
	*n = (struct names){0};
}

bool blob_is_stale(int dir_fd, const char *name)
{
	struct stat st;
	return !fstatat(dir_fd, name, &st, AT_SYMLINK_NOFOLLOW) && S_ISREG(st.st_mode) &&
	       time(NULL) - st.st_mtime > STALE_SEC;
}
