/* SPDX-License-Identifier: Apache-2.0 */
/* Errors: one type that travels up, gains context, and is printed once, by main. */
#ifndef CSAMPLE_ERR_H
#define CSAMPLE_ERR_H

#include <stdbool.h>

enum err_kind {
	ERR_GONE,        /* the thread, process or mapping no longer exists */
	ERR_FAULT,       /* an address of the target that cannot be read */
	ERR_TORN,        /* what was read does not belong to one instant */
	ERR_PERM,        /* the kernel refused; the message names the privilege */
	ERR_UNSUPPORTED, /* ours, but a version or machine we do not know */
	ERR_FORMAT,      /* a file or object that is not what it claims to be */
	ERR_USAGE,       /* the command line; exit status 2 */
	ERR_SYS,         /* a system call failed for another reason */
	ERR_NOMEM,
};

struct err {
	enum err_kind kind;
	bool on_heap; /* err_free() has work to do */
	char *msg;    /* lower case, no newline: what failed, on what, why, what to do */
};

/* Shared errors for paths that must not allocate to fail. Never freed. */
extern struct err err_gone, err_fault, err_torn, err_nomem;

/* What can fail returns struct err *; NULL is success. The caller frees with err_free(). */
struct err *err_new(enum err_kind kind, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
/* The same with ": " and the text of errnum appended; EPERM and EACCES give ERR_PERM,
 * ESRCH gives ERR_GONE, the rest ERR_SYS. */
struct err *err_errno(int errnum, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
/* "context: old message"; takes ownership of err, keeps its kind. */
struct err *err_wrap(struct err *err, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
void err_free(struct err *err);

#endif
