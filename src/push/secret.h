/* SPDX-License-Identifier: Apache-2.0 */
/* Passwords, tokens and headers of requests: where they come from, and that no message has them. */
#ifndef PUSH_SECRET_H
#define PUSH_SECRET_H

#include "push.h"

struct secrets {
	char *user_file, *token_file;
	char *user, *token; /* as loaded; NULL: none */
	char **headers;     /* "Name: value" */
	size_t n_headers;
};

/* From files, else the environment (CSAMPLE_PUSH_TOKEN, CSAMPLE_PUSH_USER), else the URL. Errors:
 * a file that cannot be read, a header that is none. */
struct err *secrets_init(struct secrets *s, const struct http_config *config);
/* Reads the files again. */
struct err *secrets_load(struct secrets *s);
/* Overwrites each of them in text with asterisks. text may be NULL. */
void secrets_mask(const struct secrets *s, char *text);
void secrets_deinit(struct secrets *s);

#endif
