/* SPDX-License-Identifier: Apache-2.0 */
/* One connection to a backend, by libcurl. Whatever the other side does, a request ends:
 * connecting, the whole of it and the size of an answer are limited. */
#include <curl/curl.h>
#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <csample/clock.h>
#include <csample/mem.h>
#include <csample/vec.h>

#include "push.h"
#include "secret.h"

#define CONNECT_MS   5000
#define REQUEST_MS   30000
#define BYTES_PER_MS 64         /* a larger body may take longer */
#define MAX_ANSWER   (1L << 20) /* of a body: then the request is given up */

struct http {
	pthread_mutex_t lock; /* http_stop() looks at multi */
	CURLM *multi;
	CURL *easy;
	char *base, *agent, *tenant, *ca, *cert, *key;
	bool insecure;
	long timeout_ms; /* 0: by size */
	struct secrets secrets;
	_Atomic uint64_t deadline_ns; /* 0: none */
	char error[CURL_ERROR_SIZE];
};

/* What of an answer is kept. */
struct receiving {
	struct http_answer *answer;
	size_t seen;
};

static size_t receive(char *data, size_t one, size_t len, void *arg)
{
	(void)one;
	struct receiving *r = arg;
	size_t room = sizeof(r->answer->body) - 1 - r->answer->body_len;
	size_t n = len < room ? len : room;
	memcpy(r->answer->body + r->answer->body_len, data, n);
	r->answer->body_len += n;
	r->seen += len;
	return r->seen > MAX_ANSWER ? 0 : len;
}

static struct err *check_file(const char *path, const char *what)
{
	return path && access(path, R_OK) ? err_errno(errno, "cannot read %s '%s'", what, path)
	                                  : NULL;
}

static void set_up(struct http *h)
{
	CURLM *multi = curl_multi_init();
	CURL *c = h->easy = curl_easy_init();
	pthread_mutex_lock(&h->lock);
	h->multi = multi;
	pthread_mutex_unlock(&h->lock);
	if (!c || !multi)
		return;
	curl_easy_setopt(c, CURLOPT_NOSIGNAL, 1L);
#if LIBCURL_VERSION_NUM >= 0x075500
	curl_easy_setopt(c, CURLOPT_PROTOCOLS_STR, "http,https");
#else
	curl_easy_setopt(c, CURLOPT_PROTOCOLS, (long)(CURLPROTO_HTTP | CURLPROTO_HTTPS));
#endif
	curl_easy_setopt(c, CURLOPT_FOLLOWLOCATION, 0L);
	curl_easy_setopt(c, CURLOPT_USERAGENT, h->agent);
	curl_easy_setopt(c, CURLOPT_CONNECTTIMEOUT_MS, (long)CONNECT_MS);
	curl_easy_setopt(c, CURLOPT_TCP_KEEPALIVE, 1L);
	curl_easy_setopt(c, CURLOPT_ERRORBUFFER, h->error);
	curl_easy_setopt(c, CURLOPT_WRITEFUNCTION, receive);
#if LIBCURL_VERSION_NUM >= 0x075700
	curl_easy_setopt(c, CURLOPT_QUICK_EXIT, 1L); /* no waiting for a name server at the end */
#endif
	if (h->ca)
		curl_easy_setopt(c, CURLOPT_CAINFO, h->ca);
	if (h->cert)
		curl_easy_setopt(c, CURLOPT_SSLCERT, h->cert);
	if (h->key)
		curl_easy_setopt(c, CURLOPT_SSLKEY, h->key);
	if (h->insecure) {
		curl_easy_setopt(c, CURLOPT_SSL_VERIFYPEER, 0L);
		curl_easy_setopt(c, CURLOPT_SSL_VERIFYHOST, 0L);
	}
}

static void tear_down(struct http *h)
{
	pthread_mutex_lock(&h->lock);
	curl_easy_cleanup(h->easy);
	curl_multi_cleanup(h->multi);
	h->easy = NULL;
	h->multi = NULL;
	pthread_mutex_unlock(&h->lock);
}

static void init_curl(void)
{
	curl_global_init(CURL_GLOBAL_DEFAULT);
}

static char *copy(const char *s)
{
	return s ? mem_strdup(s) : NULL;
}

struct err *http_create(const struct http_config *config, struct http **ret)
{
	static pthread_once_t once = PTHREAD_ONCE_INIT;
	const struct push_config *push = config->push;
	pthread_once(&once, init_curl);
	struct http *h = mem_zalloc(sizeof(*h));
	pthread_mutex_init(&h->lock, NULL);
	h->base = mem_strdup(config->base);
	h->agent = mem_asprintf("csample/%s", push->version ? push->version : "?");
	h->tenant = copy(push->tenant);
	h->ca = copy(push->ca_file);
	h->cert = copy(push->cert_file);
	h->key = copy(push->key_file);
	h->insecure = push->insecure;
	h->timeout_ms = (long)((push->timeout_ns + 999999) / 1000000);
	struct err *err = check_file(h->ca, "the certificates of authorities");
	if (!err)
		err = check_file(h->cert, "the client's certificate");
	if (!err)
		err = check_file(h->key, "the key of the client's certificate");
	if (!err)
		err = secrets_init(&h->secrets, config);
	if (!err) {
		set_up(h);
		if (!h->easy || !h->multi)
			err = err_new(ERR_SYS, "libcurl cannot be initialised");
	}
	if (err) {
		http_destroy(h);
		return err;
	}
	*ret = h;
	return NULL;
}

static void add_header(struct curl_slist **list, const char *name, const char *value)
{
	_cleanup_free_ char *line = mem_asprintf("%s: %s", name, value);
	struct curl_slist *longer = curl_slist_append(*list, line);
	*list = longer ? longer : *list;
}

static struct curl_slist *headers_of(const struct http *h, const struct http_request *r)
{
	struct curl_slist *list = curl_slist_append(NULL, "Expect:");
	add_header(&list, "Content-Type", r->content_type);
	if (r->content_encoding)
		add_header(&list, "Content-Encoding", r->content_encoding);
	if (h->tenant)
		add_header(&list, "X-Scope-OrgID", h->tenant);
	for (size_t i = 0; i < h->secrets.n_headers; i++) {
		struct curl_slist *longer = curl_slist_append(list, h->secrets.headers[i]);
		list = longer ? longer : list;
	}
	return list;
}

static void authenticate(struct http *h)
{
	CURL *c = h->easy;
	curl_easy_setopt(c, CURLOPT_USERPWD, NULL);
	curl_easy_setopt(c, CURLOPT_XOAUTH2_BEARER, NULL);
	if (h->secrets.token) {
		curl_easy_setopt(c, CURLOPT_HTTPAUTH, (long)CURLAUTH_BEARER);
		curl_easy_setopt(c, CURLOPT_XOAUTH2_BEARER, h->secrets.token);
	} else if (h->secrets.user) {
		curl_easy_setopt(c, CURLOPT_HTTPAUTH, (long)CURLAUTH_BASIC);
		curl_easy_setopt(c, CURLOPT_USERPWD, h->secrets.user);
	}
}

/* Until it is over or http_stop()'s time has come. False: that. */
static bool perform(struct http *h, CURLcode *ret)
{
	*ret = CURLE_FAILED_INIT;
	if (curl_multi_add_handle(h->multi, h->easy))
		return true;
	bool over = false, stopped = false;
	while (!over && !stopped) {
		int running = 0, left;
		if (curl_multi_perform(h->multi, &running))
			break;
		for (CURLMsg *m; (m = curl_multi_info_read(h->multi, &left));) {
			if (m->msg == CURLMSG_DONE) {
				*ret = m->data.result;
				over = true;
			}
		}
		uint64_t deadline = h->deadline_ns, now = now_ns(), wait_ms = 1000;
		if (deadline && deadline < now + wait_ms * 1000000)
			wait_ms = deadline > now ? (deadline - now) / 1000000 + 1 : 0;
		stopped = !over && !wait_ms;
		if (!over && !stopped)
			curl_multi_poll(h->multi, NULL, 0, (int)wait_ms, NULL);
	}
	curl_multi_remove_handle(h->multi, h->easy);
	return !stopped;
}

/* The first line of what the server says, for messages. */
static void set_text(struct http *h, CURLcode code, struct http_answer *a)
{
	struct strbuf b = {0};
	if (a->aborted) {
		strbuf_add(&b, "no answer until the end");
	} else if (!a->status) {
		strbuf_add_terminal(&b, h->error[0] ? h->error : curl_easy_strerror(code));
	} else {
		char body[301];
		secrets_mask(&h->secrets, a->body);
		snprintf(body, sizeof(body), "%.300s", a->body);
		size_t len = strcspn(body, "\r\n");
		body[len] = '\0';
		strbuf_addf(&b, "it answered %ld%s", a->status, len ? ": " : "");
		strbuf_add_terminal(&b, body);
	}
	snprintf(a->text, sizeof(a->text), "%s", b.s);
	strbuf_free(&b);
}

void http_post(struct http *h, const struct http_request *r, struct http_answer *ret)
{
	memset(ret, 0, sizeof(*ret));
	if (!h->easy || !h->multi) {
		snprintf(ret->text, sizeof(ret->text), "libcurl cannot be initialised");
		return;
	}
	/* Anew each time: files with passwords and tokens are renewed by others. */
	struct err *err = secrets_load(&h->secrets);
	if (err) {
		snprintf(ret->text, sizeof(ret->text), "%s", err->msg);
		err_free(err);
		return;
	}
	struct receiving receiving = {.answer = ret};
	_cleanup_free_ char *url = mem_asprintf("%s%s", h->base, r->path);
	struct curl_slist *headers = headers_of(h, r);
	CURL *c = h->easy;
	h->error[0] = '\0';
	authenticate(h);
	curl_easy_setopt(c, CURLOPT_URL, url);
	curl_easy_setopt(c, CURLOPT_POST, 1L);
	curl_easy_setopt(c, CURLOPT_POSTFIELDS, r->body ? r->body : "");
	curl_easy_setopt(c, CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)r->body_len);
	curl_easy_setopt(c, CURLOPT_HTTPHEADER, headers);
	curl_easy_setopt(c, CURLOPT_WRITEDATA, &receiving);
	long timeout_ms = (long)(REQUEST_MS + r->body_len / BYTES_PER_MS);
	curl_easy_setopt(c, CURLOPT_TIMEOUT_MS, h->timeout_ms ? h->timeout_ms : timeout_ms);
	CURLcode code = CURLE_OK;
	ret->aborted = !perform(h, &code);
	long status = 0;
	curl_off_t retry_after = 0;
	if (!ret->aborted) {
		curl_easy_getinfo(c, CURLINFO_RESPONSE_CODE, &status);
		curl_easy_getinfo(c, CURLINFO_RETRY_AFTER, &retry_after);
	}
	/* One that broke off after its first line has said what matters. */
	ret->status = status >= 200 ? status : 0;
	ret->retry_after_s = retry_after > 0 ? (uint64_t)retry_after : 0;
	set_text(h, code, ret);
	curl_easy_setopt(c, CURLOPT_HTTPHEADER, NULL);
	curl_easy_setopt(c, CURLOPT_POSTFIELDS, NULL);
	curl_slist_free_all(headers);
}

bool http_has_secrets(const struct http *h)
{
	return h->secrets.token || h->secrets.user || h->secrets.n_headers;
}

void http_reopen(struct http *h)
{
	tear_down(h);
	set_up(h);
}

void http_stop(struct http *h, uint64_t deadline_ns)
{
	h->deadline_ns = deadline_ns ? deadline_ns : 1;
	pthread_mutex_lock(&h->lock);
	if (h->multi)
		curl_multi_wakeup(h->multi);
	pthread_mutex_unlock(&h->lock);
}

void http_destroy(struct http *h)
{
	tear_down(h);
	secrets_deinit(&h->secrets);
	pthread_mutex_destroy(&h->lock);
	free(h->base);
	free(h->agent);
	free(h->tenant);
	free(h->ca);
	free(h->cert);
	free(h->key);
	free(h);
}

void http_request_free(struct http_request *r)
{
	free(r->path);
	free(r->body);
	*r = (struct http_request){0};
}
