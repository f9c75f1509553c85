/* SPDX-License-Identifier: Apache-2.0 */
/* SCHEME+http(s)://[user:password@]host[:port][/prefix] */
#include <curl/curl.h>
#include <stdlib.h>
#include <string.h>

#include <csample/mem.h>

#include "push.h"

static const struct backend *const backends[] = {&backend_pyroscope, &backend_parca, &backend_otlp};

const struct backend *backend_find(const char *name, size_t len)
{
	for (size_t i = 0; i < ARRAY_SIZE(backends); i++)
		if (strlen(backends[i]->name) == len && !memcmp(backends[i]->name, name, len))
			return backends[i];
	return NULL;
}

const char *push_features(void)
{
	return "Pyroscope (push.v1, else /ingest), Parca (WriteRaw), OTLP profiles v1development "
	       "(layout of opentelemetry-proto 1.10; experimental)";
}

static bool is_loopback(const char *host)
{
	return !strcmp(host, "localhost") || !strncmp(host, "127.", 4) || !strcmp(host, "[::1]");
}

/* NULL: it has none. Free with curl_free(). */
static char *part(CURLU *u, CURLUPart what, unsigned flags)
{
	char *s = NULL;
	return curl_url_get(u, what, &s, flags) == CURLUE_OK ? s : NULL;
}

/* The parts of it that we use, put together again. */
static struct err *take_apart(CURLU *u, struct push_url *ret)
{
	char *scheme = part(u, CURLUPART_SCHEME, 0), *host = part(u, CURLUPART_HOST, 0);
	char *port = part(u, CURLUPART_PORT, 0), *path = part(u, CURLUPART_PATH, 0);
	char *user = part(u, CURLUPART_USER, CURLU_URLDECODE);
	char *password = part(u, CURLUPART_PASSWORD, CURLU_URLDECODE);
	char *query = part(u, CURLUPART_QUERY, 0), *fragment = part(u, CURLUPART_FRAGMENT, 0);
	struct err *err = NULL;
	if (query || fragment) {
		err = err_new(ERR_USAGE, "it may not have a query ('?') or a fragment ('#')");
	} else if (!host || !*host) {
		err = err_new(ERR_USAGE, "it names no host");
	} else {
		size_t len = path ? strlen(path) : 0;
		while (len && path[len - 1] == '/')
			len--;
		ret->base = mem_asprintf("%s://%s%s%s%.*s", scheme, host, port ? ":" : "",
		                         port ? port : "", (int)len, path ? path : "");
		if (user)
			ret->user = mem_asprintf("%s:%s", user, password ? password : "");
		ret->secret_in_clear = !strcmp(scheme, "http") && !is_loopback(host);
	}
	char *parts[] = {scheme, host, port, path, user, password, query, fragment};
	for (size_t i = 0; i < ARRAY_SIZE(parts); i++)
		curl_free(parts[i]);
	return err;
}

/* The URL as far as it may be shown: nothing before an @. */
static const char *shown(const char *url)
{
	const char *at = strrchr(url, '@');
	return at ? at + 1 : url;
}

struct err *push_url_parse(const char *url, struct push_url *ret)
{
	struct push_url u = {0};
	const char *plus = strchr(url, '+');
	const char *rest = plus ? plus + 1 : "";
	if (plus)
		u.backend = backend_find(url, (size_t)(plus - url));
	if (!u.backend ||
	    (strncasecmp(rest, "http://", 7) != 0 && strncasecmp(rest, "https://", 8) != 0))
		return err_new(ERR_USAGE,
		               "cannot push to '%s': use pyroscope+http://HOST:4040, "
		               "parca+http://HOST:7070 or otlp+http://HOST:4318, or the same with "
		               "https",
		               shown(url));
	CURLU *curl = curl_url();
	if (!curl)
		return &err_nomem;
	CURLUcode code = curl_url_set(curl, CURLUPART_URL, rest, 0);
	struct err *err =
	        code ? err_new(ERR_USAGE, "%s", curl_url_strerror(code)) : take_apart(curl, &u);
	curl_url_cleanup(curl);
	if (err) {
		push_url_free(&u);
		return err_wrap(err, "cannot push to '%s'", shown(url));
	}
	*ret = u;
	return NULL;
}

void push_url_free(struct push_url *u)
{
	free(u->base);
	free(u->user);
	*u = (struct push_url){0};
}
