/* SPDX-License-Identifier: Apache-2.0 */
#include "secret.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include <csample/mem.h>

#define MAX_SECRET 65536
#define MIN_MASKED 4 /* shorter ones would blank out half a message, and are no secrets */

static void forget(char **secret)
{
	if (*secret)
		explicit_bzero(*secret, strlen(*secret));
	free(*secret);
	*secret = NULL;
}

static bool printable(const char *s)
{
	for (; *s; s++)
		if ((unsigned char)*s < 0x20 || *s == 0x7f)
			return false;
	return true;
}

/* The first line of a file. */
static struct err *read_line(const char *path, const char *what, char **ret)
{
	_cleanup_fclose_ FILE *f = fopen(path, "re");
	char *line = f ? mem_zalloc(MAX_SECRET) : NULL;
	if (!f || !fgets(line, MAX_SECRET, f)) {
		int errnum = f && !ferror(f) ? 0 : errno;
		free(line);
		return errnum ? err_errno(errnum, "cannot read %s from '%s'", what, path)
		              : err_new(ERR_USAGE, "'%s' is empty: its first line should be %s",
		                        path, what);
	}
	line[strcspn(line, "\r\n")] = '\0';
	if (!*line || !printable(line)) {
		forget(&line);
		return err_new(ERR_USAGE, "the first line of '%s' should be %s", path, what);
	}
	forget(ret);
	*ret = line;
	return NULL;
}

static char *from_environment(const char *name)
{
	const char *value = getenv(name);
	return value && *value && printable(value) ? mem_strdup(value) : NULL;
}

struct err *secrets_load(struct secrets *s)
{
	struct err *err = NULL;
	if (s->token_file)
		err = read_line(s->token_file, "a token", &s->token);
	if (!err && s->user_file)
		err = read_line(s->user_file, "USER:PASSWORD", &s->user);
	return err;
}

/* "NAME: VALUE", or "@FILE" that holds such a line: what is on the command line is everybody's. */
static struct err *add_header(struct secrets *s, const char *text, size_t number)
{
	char *header = NULL;
	if (text[0] == '@') {
		struct err *err = read_line(text + 1, "a header, as 'NAME: VALUE'", &header);
		if (err)
			return err;
	} else {
		header = mem_strdup(text);
	}
	const char *colon = header ? strchr(header, ':') : NULL;
	if (!colon || colon == header || !printable(header) ||
	    strcspn(header, " ") < (size_t)(colon - header)) {
		forget(&header);
		return err_new(ERR_USAGE, "header %zu is not of the form 'NAME: VALUE'", number);
	}
	s->headers[s->n_headers++] = header;
	return NULL;
}

struct err *secrets_init(struct secrets *s, const struct http_config *config)
{
	const struct push_config *push = config->push;
	if (push->token_file && push->user_file)
		return err_new(ERR_USAGE, "a token and a user with a password: use one of them");
	if (push->token_file)
		s->token_file = mem_strdup(push->token_file);
	else if (push->user_file)
		s->user_file = mem_strdup(push->user_file);
	else if (!(s->token = from_environment("CSAMPLE_PUSH_TOKEN")) &&
	         !(s->user = from_environment("CSAMPLE_PUSH_USER")) && config->user)
		s->user = mem_strdup(config->user);
	size_t n = 0;
	while (push->headers && push->headers[n])
		n++;
	s->headers = mem_zalloc((n + 1) * sizeof(*s->headers));
	struct err *err = NULL;
	for (size_t i = 0; i < n && !err; i++)
		err = add_header(s, push->headers[i], i + 1);
	return err ? err : secrets_load(s);
}

static void mask(const char *secret, char *text)
{
	size_t len = strlen(secret);
	if (len < MIN_MASKED)
		return;
	for (char *p = text; (p = strstr(p, secret)); p += len)
		memset(p, '*', len);
}

void secrets_mask(const struct secrets *s, char *text)
{
	if (!text)
		return;
	if (s->token)
		mask(s->token, text);
	if (s->user) {
		const char *colon = strchr(s->user, ':');
		struct strbuf encoded = {0}; /* as it is on the wire */
		base64_add(&encoded, s->user, strlen(s->user));
		mask(encoded.s, text);
		mask(s->user, text);
		if (colon)
			mask(colon + 1, text);
		strbuf_free(&encoded);
	}
	for (size_t i = 0; i < s->n_headers; i++) {
		const char *value = strchr(s->headers[i], ':') + 1;
		mask(value + strspn(value, " "), text);
	}
}

void secrets_deinit(struct secrets *s)
{
	forget(&s->user);
	forget(&s->token);
	for (size_t i = 0; i < s->n_headers; i++)
		forget(&s->headers[i]);
	free(s->headers);
	free(s->user_file);
	free(s->token_file);
}
