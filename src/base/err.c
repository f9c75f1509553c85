/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <csample/err.h>

struct err err_gone = {ERR_GONE, false, (char *)"it is gone"};
struct err err_fault = {ERR_FAULT, false, (char *)"address cannot be read"};
struct err err_torn = {ERR_TORN, false, (char *)"changed while it was read"};
struct err err_nomem = {ERR_NOMEM, false, (char *)"out of memory"};

static struct err *new_with(enum err_kind kind, char *msg)
{
	struct err *err = msg ? malloc(sizeof(*err)) : NULL;
	if (!err) {
		free(msg);
		return &err_nomem;
	}
	*err = (struct err){kind, true, msg};
	return err;
}

struct err *err_new(enum err_kind kind, const char *fmt, ...)
{
	char *msg = NULL;
	va_list ap;
	va_start(ap, fmt);
	if (vasprintf(&msg, fmt, ap) < 0)
		msg = NULL;
	va_end(ap);
	return new_with(kind, msg);
}

static enum err_kind kind_of_errno(int errnum)
{
	switch (errnum) {
	case EPERM:
	case EACCES:
		return ERR_PERM;
	case ESRCH:
		return ERR_GONE;
	case ENOMEM:
		return ERR_NOMEM;
	default:
		return ERR_SYS;
	}
}

struct err *err_errno(int errnum, const char *fmt, ...)
{
	char *head = NULL, *msg = NULL;
	va_list ap;
	va_start(ap, fmt);
	if (vasprintf(&head, fmt, ap) < 0)
		head = NULL;
	va_end(ap);
	if (head && asprintf(&msg, "%s: %s", head, strerror(errnum)) < 0)
		msg = NULL;
	free(head);
	return new_with(kind_of_errno(errnum), msg);
}

struct err *err_wrap(struct err *err, const char *fmt, ...)
{
	char *head = NULL, *msg = NULL;
	va_list ap;
	va_start(ap, fmt);
	if (vasprintf(&head, fmt, ap) < 0)
		head = NULL;
	va_end(ap);
	if (head && asprintf(&msg, "%s: %s", head, err->msg) < 0)
		msg = NULL;
	free(head);
	if (!msg)
		return err;
	struct err *ret = new_with(err->kind, msg);
	err_free(err);
	return ret;
}

void err_free(struct err *err)
{
	if (!err || !err->on_heap)
		return;
	free(err->msg);
	free(err);
}
