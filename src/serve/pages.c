/* SPDX-License-Identifier: Apache-2.0 */
/* What is served: the paths, parameters, headers and errors of Go's net/http/pprof, since its
 * readers (go tool pprof, Parca, Alloy) depend on them; metrics; health. */
#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>

#include <csample/mem.h>

#include "serving.h"

#define SECONDS_DEFAULT 30 /* as Go's */

static const char octets[] = "application/octet-stream", plain[] = "text/plain; charset=utf-8",
                  html[] = "text/html; charset=utf-8",
                  prometheus[] = "text/plain; version=0.0.4; charset=utf-8";

/* Takes over bytes, which were malloc'd. */
static struct MHD_Response *response_of(void *bytes, size_t len, const char *type)
{
	struct MHD_Response *r = MHD_create_response_from_buffer(len, bytes, MHD_RESPMEM_MUST_FREE);
	if (!r) {
		free(bytes);
		return NULL;
	}
	MHD_add_response_header(r, "Content-Type", type);
	MHD_add_response_header(r, "X-Content-Type-Options", "nosniff");
	MHD_add_response_header(r, "Cache-Control", "no-store");
	return r;
}

static enum MHD_Result send_response(struct MHD_Connection *c, unsigned status,
                                     struct MHD_Response *r)
{
	if (!r)
		return MHD_NO;
	enum MHD_Result result = MHD_queue_response(c, status, r);
	MHD_destroy_response(r);
	return result;
}

enum MHD_Result pages_error(struct MHD_Connection *c, unsigned status, const char *reason)
{
	char *text = mem_asprintf("%s\n", reason);
	struct MHD_Response *r = response_of(text, strlen(text), plain);
	if (!r)
		return MHD_NO;
	MHD_add_response_header(r, "X-Go-Pprof", "1"); /* then pprof shows the text */
	if (status == MHD_HTTP_UNAUTHORIZED)
		MHD_add_response_header(r, "WWW-Authenticate", "Bearer realm=\"csample\"");
	if (status == MHD_HTTP_METHOD_NOT_ALLOWED)
		MHD_add_response_header(r, "Allow", "GET, HEAD, POST");
	if (status == MHD_HTTP_SERVICE_UNAVAILABLE)
		MHD_add_response_header(r, "Retry-After", "10");
	return send_response(c, status, r);
}

static enum MHD_Result send_err(struct MHD_Connection *c, struct err *err)
{
	unsigned status = err->kind == ERR_USAGE ? MHD_HTTP_BAD_REQUEST
	                  : err->kind == ERR_GONE || err->kind == ERR_UNSUPPORTED
	                          ? MHD_HTTP_SERVICE_UNAVAILABLE
	                          : MHD_HTTP_INTERNAL_SERVER_ERROR;
	enum MHD_Result result = pages_error(c, status, err->msg);
	err_free(err);
	return result;
}

static enum MHD_Result send_bytes(struct MHD_Connection *c, void *bytes, size_t len,
                                  const char *name)
{
	struct MHD_Response *r = response_of(bytes, len, octets);
	_cleanup_free_ char *disposition = mem_asprintf("attachment; filename=\"%s\"", name);
	if (r)
		MHD_add_response_header(r, "Content-Disposition", disposition);
	return send_response(c, MHD_HTTP_OK, r);
}

static bool number(struct MHD_Connection *c, const char *name, long long *ret)
{
	char *end;
	const char *text = MHD_lookup_connection_value(c, MHD_GET_ARGUMENT_KIND, name);
	*ret = 0;
	if (!text || !*text)
		return false;
	errno = 0;
	*ret = strtoll(text, &end, 10);
	return !*end && !errno;
}

/* The client has hung up: its profile needs not be finished. */
static bool has_hung_up(void *arg)
{
	const union MHD_ConnectionInfo *info =
	        MHD_get_connection_info(arg, MHD_CONNECTION_INFO_CONNECTION_FD);
	if (!info)
		return false;
	struct pollfd p = {.fd = info->connect_fd, .events = POLLRDHUP};
	return poll(&p, 1, 0) == 1 && (p.revents & (POLLERR | POLLHUP | POLLRDHUP));
}

static enum MHD_Result profile_page(struct server *s, struct MHD_Connection *c,
                                    enum desk_event event, const char *name)
{
	long long seconds;
	if (!number(c, "seconds", &seconds) || seconds <= 0)
		seconds = SECONDS_DEFAULT;
	if ((uint64_t)seconds > s->max_seconds) {
		char reason[128];
		snprintf(reason, sizeof(reason),
		         "profile duration exceeds what csample serves: %llu seconds at most",
		         (unsigned long long)s->max_seconds);
		return pages_error(c, MHD_HTTP_BAD_REQUEST, reason);
	}
	struct desk_request request = {.event = event,
	                               .duration_ns = (uint64_t)seconds * 1000000000ULL,
	                               .given_up = has_hung_up,
	                               .arg = c};
	void *bytes;
	size_t len;
	struct err *err = desk_ask(s->desk, &request, &bytes, &len);
	return err ? send_err(c, err) : send_bytes(c, bytes, len, name);
}

static enum MHD_Result text_page(struct server *s, struct MHD_Connection *c, enum desk_text what,
                                 const char *type, struct strbuf *b)
{
	struct err *err = desk_ask_text(s->desk, what, b);
	if (err) {
		strbuf_free(b);
		return send_err(c, err);
	}
	if (!b->s)
		strbuf_add(b, "");
	return send_response(c, MHD_HTTP_OK, response_of(b->s, b->len, type));
}

static enum MHD_Result threads_page(struct server *s, struct MHD_Connection *c, const char *name)
{
	long long debug;
	struct strbuf b = {0};
	if (MHD_lookup_connection_value(c, MHD_GET_ARGUMENT_KIND, "seconds"))
		return pages_error(c, MHD_HTTP_BAD_REQUEST,
		                   "the threads of one moment have no duration: leave out seconds, "
		                   "or ask for wall");
	number(c, "debug", &debug);
	if (debug > 0)
		return text_page(s, c, debug == 1 ? DESK_THREADS_1 : DESK_THREADS_2, plain, &b);
	struct err *err = desk_ask_text(s->desk, DESK_THREADS_PPROF, &b);
	if (err) {
		strbuf_free(&b);
		return send_err(c, err);
	}
	return send_bytes(c, b.s, b.len, name);
}

static enum MHD_Result symbol_page(struct server *s, struct MHD_Connection *c, bool is_post,
                                   const struct request_body *body)
{
	struct strbuf b = {0}, asked = {0};
	if (is_post && body->text.s)
		strbuf_add(&asked, body->text.s);
	/* Any number but 0 says that names are to be had. */
	strbuf_add(&b, "num_symbols: 1\n");
	struct err *err = asked.len ? desk_ask_text(s->desk, DESK_SYMBOLS, &asked) : NULL;
	if (!err && asked.s)
		strbuf_add(&b, asked.s);
	strbuf_free(&asked);
	if (err) {
		strbuf_free(&b);
		return send_err(c, err);
	}
	return send_response(c, MHD_HTTP_OK, response_of(b.s, b.len, plain));
}

static const char index_page[] =
        "<!DOCTYPE html>\n<html lang=\"en\"><head><meta charset=\"utf-8\">\n"
        "<title>/debug/pprof/</title>\n"
        "<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n"
        "<style>:root{color-scheme:light dark}body{font:15px/1.5 system-ui,sans-serif;"
        "max-width:46em;margin:2em auto;padding:0 1em}dt{margin-top:.7em}"
        "dd{margin:0 0 0 1.5em}code{font-size:.95em}</style></head>\n"
        "<body><h1>csample</h1>\n<p>Profiles of the process that csample watches, as Go's "
        "net/http/pprof serves those of its own.</p>\n<dl>\n"
        "<dt><a href=\"profile?seconds=10\">profile</a></dt>"
        "<dd>CPU time over <code>seconds</code> (30), for go tool pprof, Parca, Alloy</dd>\n"
        "<dt><a href=\"wall?seconds=10\">wall</a></dt>"
        "<dd>time of all threads, waiting ones too, over <code>seconds</code> (30)</dd>\n"
        "<dt><a href=\"threads?debug=1\">threads</a></dt>"
        "<dd>the stacks of all threads now; as text, equal ones together "
        "(<code>debug=1</code>) or <a href=\"threads?debug=2\">one by one</a> "
        "(<code>debug=2</code>); also called goroutine</dd>\n"
        "<dt><a href=\"cmdline\">cmdline</a></dt><dd>the command line of the process</dd>\n"
        "<dt>symbol</dt><dd>POST: addresses to names</dd>\n"
        "<dt><a href=\"/metrics\">/metrics</a></dt><dd>csample's own, for Prometheus</dd>\n"
        "<dt><a href=\"/healthz\">/healthz</a></dt><dd>whether it samples</dd>\n"
        "</dl></body></html>\n";

static enum MHD_Result send_index(struct MHD_Connection *c)
{
	struct MHD_Response *r = response_of(mem_strdup(index_page), strlen(index_page), html);
	if (r)
		MHD_add_response_header(r, "Content-Security-Policy",
		                        "default-src 'none'; style-src 'unsafe-inline'");
	return send_response(c, MHD_HTTP_OK, r);
}

static enum MHD_Result redirect(struct MHD_Connection *c, const char *to)
{
	struct MHD_Response *r = response_of(mem_strdup(""), 0, plain);
	if (r)
		MHD_add_response_header(r, "Location", to);
	return send_response(c, MHD_HTTP_MOVED_PERMANENTLY, r);
}

static enum MHD_Result health_page(struct server *s, struct MHD_Connection *c)
{
	if (!desk_is_attended(s->desk))
		return pages_error(c, MHD_HTTP_SERVICE_UNAVAILABLE, "sampling does not go on");
	return send_response(c, MHD_HTTP_OK, response_of(mem_strdup("ok\n"), 3, plain));
}

enum MHD_Result pages_answer(struct server *s, struct MHD_Connection *c, const char *path,
                             bool is_post, const struct request_body *body)
{
	static const char prefix[] = "/debug/pprof/";
	struct strbuf b = {0};
	if (!strcmp(path, "/metrics"))
		return text_page(s, c, DESK_METRICS, prometheus, &b);
	if (!strcmp(path, "/healthz"))
		return health_page(s, c);
	if (!strcmp(path, "/") || !strcmp(path, "/debug/pprof"))
		return redirect(c, prefix);
	if (strncmp(path, prefix, sizeof(prefix) - 1) != 0)
		return pages_error(c, MHD_HTTP_NOT_FOUND, "not found; see /debug/pprof/");
	const char *name = path + sizeof(prefix) - 1;
	if (!*name)
		return send_index(c);
	if (!strcmp(name, "profile"))
		return profile_page(s, c, DESK_CPU, name);
	if (!strcmp(name, "wall"))
		return profile_page(s, c, DESK_WALL, name);
	if (!strcmp(name, "threads") || !strcmp(name, "goroutine"))
		return threads_page(s, c, name);
	if (!strcmp(name, "cmdline"))
		return text_page(s, c, DESK_CMDLINE, plain, &b);
	if (!strcmp(name, "symbol"))
		return symbol_page(s, c, is_post, body);
	return pages_error(c, MHD_HTTP_NOT_FOUND, "Unknown profile");
}
