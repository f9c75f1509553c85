/* SPDX-License-Identifier: Apache-2.0 */
/* Labels name a series. Each value that a label takes makes a series of its own, which backends
 * keep in memory: so what is different for each request or person is none. Lengths are below what
 * Pyroscope takes (1024 and 2048) and any Prometheus-like store is used to. */
#include <ctype.h>
#include <stdlib.h>
#include <string.h>

#include <csample/mem.h>
#include <csample/outlet.h>
#include <csample/strbuf.h>

#define MAX_NAME  128
#define MAX_VALUE 1024
#define MAX_WORDS 16

/* The ends of names, without "_", of what is another for each request or person. */
static const char *const identities[] = {
        "requestid",     "reqid",     "traceid",    "spanid",     "profileid",   "traceparent",
        "session",       "sessionid", "userid",     "email",      "mail",        "correlationid",
        "username",      "login",     "messageid",  "eventid",    "jobid",       "orderid",
        "transactionid", "phone",     "cookie",     "password",   "token",       "apikey",
        "secret",        "clientip",  "remoteaddr", "customerid", "emailaddr",   "ipaddress",
        "peerip",        "userip",    "clientaddr", "useragent",  "emailaddress"};
/* Ends of names that may be anything: their values tell. */
static const char *const suspects[] = {"id",       "uid",     "uuid",     "guid",    "user",
                                       "customer", "order",   "key",      "request", "client",
                                       "job",      "member",  "visitor",  "trace",   "span",
                                       "tx",       "message", "document", "nonce"};
/* Beginnings of names of what is there as long as the process, or longer, though a UUID may name
 * it. */
static const char *const resources[] = {"service", "container", "host",    "k8s",     "kube",
                                        "pod",     "cloud",     "process", "faas",    "machine",
                                        "node",    "cluster",   "region",  "zone",    "deployment",
                                        "build",   "image",     "device",  "account", "tenant",
                                        "project", "instance",  "vm",      "aws",     "gcp",
                                        "azure",   "commit",    "git",     "boot"};

/* A name's words in lower case: "x-Request_ID" and "xRequestId" are x, request, id. */
struct words {
	char text[MAX_NAME + 1]; /* all, one after the other */
	size_t starts[MAX_WORDS], n;
};

static void split(const char *name, struct words *ret)
{
	size_t len = 0;
	bool begins = true, was_lower = false;
	ret->n = 0;
	for (const char *p = name; *p && len < MAX_NAME; p++) {
		if (*p == '_') {
			begins = true;
			continue;
		}
		bool upper = isupper((unsigned char)*p);
		if ((begins || (upper && was_lower)) && ret->n < MAX_WORDS)
			ret->starts[ret->n++] = len;
		begins = false;
		was_lower = !upper;
		ret->text[len++] = (char)tolower((unsigned char)*p);
	}
	ret->text[len] = '\0';
}

static bool ends_in(const struct words *w, const char *const *ends, size_t n)
{
	for (size_t i = 0; i < w->n; i++)
		for (size_t j = 0; j < n; j++)
			if (!strcmp(w->text + w->starts[i], ends[j]))
				return true;
	return false;
}

static bool begins_with_resource(const struct words *w)
{
	for (size_t i = 0; i < ARRAY_SIZE(resources); i++) {
		size_t len = strlen(resources[i]);
		bool is_word = w->n < 2 || w->starts[1] == len;
		if (!strncmp(w->text, resources[i], len) && is_word)
			return true;
	}
	return false;
}

/* What a value looks like that is not one of a few; NULL: like nothing in particular. */
static const char *identity_like(const char *value)
{
	size_t len = strlen(value), digits = strspn(value, "0123456789");
	size_t hex = strspn(value, "0123456789abcdefABCDEF-");
	if (digits == len)
		return "a number";
	if (hex == len && len >= 32)
		return "a UUID or hash";
	const char *at = strchr(value, '@');
	return at && strchr(at, '.') ? "an address of e-mail" : NULL;
}

static bool is_utf8(const char *s)
{
	struct strbuf b = {0};
	strbuf_add_utf8(&b, s);
	bool same = b.s && !strcmp(b.s, s);
	strbuf_free(&b);
	return same;
}

static struct err *check_name(const char *name)
{
	static const char allowed[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
	                              "0123456789_";
	size_t len = strlen(name);
	if (!len)
		return err_new(ERR_USAGE, "a label has no name: write NAME=VALUE");
	if (len > MAX_NAME)
		return err_new(ERR_USAGE, "label '%.32s...': a name of %zu bytes; at most %d", name,
		               len, MAX_NAME);
	if (!strncmp(name, "__", 2))
		return err_new(ERR_USAGE,
		               "label '%s': names that begin with __ belong to the backends", name);
	if (name[strspn(name, allowed)] || (name[0] >= '0' && name[0] <= '9')) {
		char better[MAX_NAME + 2] = "_";
		size_t at = name[0] >= '0' && name[0] <= '9';
		for (size_t i = 0; i < len; i++)
			better[at++] = strchr(allowed, name[i]) ? name[i] : '_';
		better[at] = '\0';
		return err_new(ERR_USAGE,
		               "label '%s': a name is of letters, digits and _, and begins with no "
		               "digit; use '%s'",
		               name, better);
	}
	return NULL;
}

static struct err *check_value(const char *name, const char *value)
{
	size_t len = strlen(value);
	if (!len)
		return err_new(ERR_USAGE,
		               "label '%s' has no value, which backends take for no label", name);
	if (len > MAX_VALUE)
		return err_new(ERR_USAGE, "label '%s': a value of %zu bytes; at most %d", name, len,
		               MAX_VALUE);
	if (!is_utf8(value))
		return err_new(ERR_USAGE, "label '%s': the value is not UTF-8", name);
	for (const char *p = value; *p; p++)
		if ((unsigned char)*p < ' ' || *p == 0x7f)
			return err_new(ERR_USAGE, "label '%s': a control character in the value",
			               name);
	return NULL;
}

struct err *label_check(const char *name, const char *value)
{
	static const char why[] =
	        "each value would make a series of its own, which backends keep for ever";
	struct words words;
	struct err *err = check_name(name);
	if (!err)
		err = check_value(name, value);
	if (err)
		return err;
	split(name, &words);
	if (ends_in(&words, identities, ARRAY_SIZE(identities)))
		return err_new(
		        ERR_USAGE,
		        "label '%s' tells requests or people apart: %s; leave it out, or name "
		        "what there are few of (service_name, version, env)",
		        name, why);
	const char *like = identity_like(value);
	if (like && ends_in(&words, suspects, ARRAY_SIZE(suspects)) &&
	    !begins_with_resource(&words))
		return err_new(
		        ERR_USAGE,
		        "label '%s' looks like an identity, '%s' being %s: %s; leave it out, "
		        "or rename it if it does stay the same (service_..., host_...)",
		        name, value, like, why);
	return NULL;
}
