/* SPDX-License-Identifier: Apache-2.0 */
/* Over real sockets: a client here, the server's threads, and this thread at the desk. */
#include <arpa/inet.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

#include <csample/clock.h>
#include <csample/mem.h>
#include <csample/serve.h>

#define LIMIT_NS 20000000000ULL

struct side {
	struct strings *strings;
	struct profile *profile; /* NULL: nothing is sampled */
	struct desk *desk;
	struct desk_clerk clerk;
	struct server *server;
	uint64_t encoded[PROFILE_VALUES]; /* totals of the last profile asked for */
	uint64_t encoded_duration_ns;
	unsigned n_encoded;
	bool named;
};

static size_t name_it(void *arg, const struct location *loc, struct frame *out, size_t max)
{
	(void)arg;
	(void)max;
	(void)loc;
	*out = (struct frame){.kind = FRAME_NATIVE, .function = "f"};
	return 1;
}

static struct profile *give_profile(void *arg, enum desk_event event, bool named)
{
	struct side *s = arg;
	s->named |= named;
	if (event != DESK_CPU || !s->profile)
		return NULL;
	if (named)
		profile_name(s->profile, name_it, NULL);
	return s->profile;
}

static struct err *give_text(void *arg, enum desk_text what, struct strbuf *b)
{
	(void)arg;
	if (what == DESK_METRICS)
		return err_new(ERR_SYS, "no metrics here");
	if (what == DESK_CMDLINE)
		strbuf_addn(b, "a\0b", 3);
	else
		strbuf_addf(b, ": text %d", what);
	return NULL;
}

static struct err *encode(void *arg, const struct profile *p, void **bytes_ret, size_t *len_ret)
{
	struct side *s = arg;
	memcpy(s->encoded, p->total, sizeof(s->encoded));
	s->encoded_duration_ns = p->meta.duration_ns;
	s->n_encoded++;
	*bytes_ret = mem_strdup("PROFILE");
	*len_ret = 7;
	return NULL;
}

static void sample(struct side *s, uint64_t at, uint64_t n)
{
	struct raw_frame frame = {.kind = RAW_ANON, .addr = at};
	profile_add(s->profile, &frame, 1, (const uint64_t[PROFILE_VALUES]){n, n * 10});
}

static void open_side(struct side *s, const char *token_file)
{
	*s = (struct side){.strings = strings_create()};
	s->profile = profile_create(s->strings);
	s->clerk = (struct desk_clerk){s, give_profile, give_text, encode};
	assert_null(desk_create(&s->desk));
	struct serve_config config = {.address = "127.0.0.1:0", .token_file = token_file};
	assert_null(server_start(&config, s->desk, &s->server));
}

static void close_side(struct side *s)
{
	desk_finish(s->desk, &s->clerk);
	server_stop(s->server);
	desk_destroy(s->desk);
	profile_destroy(s->profile);
	strings_destroy(s->strings);
}

/* A request under way. */
struct call {
	int fd;
	char answer[8192];
	size_t len;
	bool ended;
};

static void call(struct side *s, struct call *c, const char *request)
{
	struct sockaddr_in addr = {.sin_family = AF_INET,
	                           .sin_port = htons((uint16_t)server_port(s->server)),
	                           .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	*c = (struct call){.fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)};
	assert_int_equal(connect(c->fd, (struct sockaddr *)&addr, sizeof(addr)), 0);
	assert_int_equal(write(c->fd, request, strlen(request)), strlen(request));
}

static void read_some(struct call *c)
{
	ssize_t n = recv(c->fd, c->answer + c->len, sizeof(c->answer) - 1 - c->len, MSG_DONTWAIT);
	if (n > 0)
		c->len += (size_t)n;
	c->ended |= n == 0;
	c->answer[c->len] = '\0';
}

/* Works at the desk until the answer is there; the caller has asked for Connection: close. */
static const char *finish_call(struct side *s, struct call *c)
{
	uint64_t end = now_ns() + LIMIT_NS;
	while (!c->ended && now_ns() < end) {
		desk_attend(s->desk, &s->clerk);
		read_some(c);
		usleep(1000);
	}
	assert_true(c->ended);
	close(c->fd);
	return c->answer;
}

static const char *get(struct side *s, struct call *c, const char *path, const char *more)
{
	_cleanup_free_ char *request = mem_asprintf(
	        "GET %s HTTP/1.1\r\nHost: x\r\nConnection: close\r\n%s\r\n", path, more);
	call(s, c, request);
	return finish_call(s, c);
}

static void assert_starts(const char *s, const char *with)
{
	if (strncmp(s, with, strlen(with)) != 0)
		fail_msg("'%s' does not start with '%s'", s, with);
}

static void assert_has(const char *s, const char *part)
{
	if (!strcasestr(s, part))
		fail_msg("'%s' lacks '%s'", s, part);
}

/* The window has what came while it was open, before and after a cut, and nothing else. */
static void test_window(void **state)
{
	struct side s;
	struct call c;
	(void)state;
	open_side(&s, NULL);
	sample(&s, 1, 100);
	call(&s, &c,
	     "GET /debug/pprof/profile?seconds=1 HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n");
	uint64_t end = now_ns() + LIMIT_NS;
	while (desk_next_ns(s.desk) == UINT64_MAX && now_ns() < end) {
		desk_attend(s.desk, &s.clerk);
		usleep(1000);
	}
	assert_true(desk_next_ns(s.desk) <= now_ns() + 1000000000);
	assert_true(desk_wants(s.desk, DESK_CPU));
	assert_false(desk_wants(s.desk, DESK_WALL));
	sample(&s, 1, 3);
	sample(&s, 2, 4);
	desk_before_cut(s.desk, &s.clerk, DESK_CPU);
	profile_destroy(s.profile);
	s.profile = profile_create(s.strings);
	sample(&s, 2, 5);
	const char *answer = finish_call(&s, &c);
	assert_starts(answer, "HTTP/1.1 200");
	assert_has(answer, "application/octet-stream");
	assert_has(answer, "filename=\"profile\"");
	assert_has(answer, "\r\n\r\nPROFILE");
	assert_int_equal(s.encoded[0], 12);
	assert_int_equal(s.encoded[1], 120);
	assert_true(s.encoded_duration_ns >= 1000000000);
	assert_false(desk_wants(s.desk, DESK_CPU));
	assert_true(s.named);
	close_side(&s);
}

/* Two at once, over one sampling; the end of it gives both what there is. */
static void test_end_closes_windows(void **state)
{
	struct side s;
	struct call a, b;
	static const char request[] = "GET /debug/pprof/profile?seconds=3000 HTTP/1.1\r\nHost: "
	                              "x\r\nConnection: close\r\n\r\n";
	(void)state;
	open_side(&s, NULL);
	call(&s, &a, request);
	uint64_t end = now_ns() + LIMIT_NS;
	while (desk_next_ns(s.desk) == UINT64_MAX && now_ns() < end)
		desk_attend(s.desk, &s.clerk);
	sample(&s, 1, 7);
	call(&s, &b, request);
	/* A wall profile cannot be had here: it waits, and does not hold up the others. */
	struct call wall;
	call(&s, &wall, "GET /debug/pprof/wall HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n");
	while (!desk_wants(s.desk, DESK_WALL) && now_ns() < end)
		desk_attend(s.desk, &s.clerk);
	desk_finish(s.desk, &s.clerk);
	assert_has(finish_call(&s, &a), "PROFILE");
	finish_call(&s, &b); /* it may have come too late for a profile */
	assert_starts(finish_call(&s, &wall), "HTTP/1.1 503");
	assert_true(s.n_encoded >= 1);
	struct call after;
	assert_starts(get(&s, &after, "/debug/pprof/profile", ""), "HTTP/1.1 503");
	assert_starts(get(&s, &after, "/healthz", ""), "HTTP/1.1 503");
	close_side(&s);
}

/* Who hangs up is not waited for. */
static void test_hang_up(void **state)
{
	struct side s;
	struct call c;
	(void)state;
	open_side(&s, NULL);
	call(&s, &c, "GET /debug/pprof/profile?seconds=3000 HTTP/1.1\r\nHost: x\r\n\r\n");
	uint64_t end = now_ns() + LIMIT_NS;
	while (desk_next_ns(s.desk) == UINT64_MAX && now_ns() < end)
		desk_attend(s.desk, &s.clerk);
	assert_true(desk_wants(s.desk, DESK_CPU));
	close(c.fd);
	while (desk_wants(s.desk, DESK_CPU) && now_ns() < end) {
		desk_attend(s.desk, &s.clerk);
		usleep(1000);
	}
	assert_false(desk_wants(s.desk, DESK_CPU));
	assert_int_equal(s.n_encoded, 0);
	close_side(&s);
}

static void test_pages(void **state)
{
	struct side s;
	struct call c;
	(void)state;
	open_side(&s, NULL);
	const char *answer = get(&s, &c, "/debug/pprof/", "");
	assert_starts(answer, "HTTP/1.1 200");
	assert_has(answer, "text/html");
	assert_has(answer, "profile?seconds=");
	answer = get(&s, &c, "/debug/pprof", "");
	assert_starts(answer, "HTTP/1.1 301");
	assert_has(answer, "Location: /debug/pprof/");
	answer = get(&s, &c, "/debug/pprof/threads?debug=1", "");
	assert_has(answer, "text/plain");
	assert_has(answer, "\r\n\r\n: text 1");
	assert_has(get(&s, &c, "/debug/pprof/goroutine?debug=2", ""), "\r\n\r\n: text 2");
	assert_has(get(&s, &c, "/debug/pprof/threads", ""), "application/octet-stream");
	assert_starts(get(&s, &c, "/debug/pprof/threads?seconds=3", ""), "HTTP/1.1 400");
	get(&s, &c, "/debug/pprof/cmdline", "");
	assert_memory_equal(c.answer + c.len - 3, "a\0b", 3);
	answer = get(&s, &c, "/metrics", "");
	assert_starts(answer, "HTTP/1.1 500");
	assert_has(answer, "no metrics here");
	assert_has(get(&s, &c, "/healthz", ""), "\r\n\r\nok");
	for (size_t i = 0; i < 3; i++) {
		static const char *const unknown[] = {"/debug/pprof/heap", "/debug/pprof/trace",
		                                      "/etc/passwd"};
		answer = get(&s, &c, unknown[i], "");
		assert_starts(answer, "HTTP/1.1 404");
		assert_has(answer, "X-Go-Pprof: 1");
	}
	answer = get(&s, &c, "/debug/pprof/profile?seconds=99999", "");
	assert_starts(answer, "HTTP/1.1 400");
	assert_has(answer, "3600 seconds at most");
	call(&s, &c,
	     "POST /debug/pprof/symbol HTTP/1.1\r\nHost: x\r\nConnection: close\r\n"
	     "Content-Length: 7\r\n\r\n0x1+0x2");
	assert_has(finish_call(&s, &c), "num_symbols: 1\n0x1+0x2: text 5");
	call(&s, &c, "DELETE / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n");
	assert_starts(finish_call(&s, &c), "HTTP/1.1 405");
	close_side(&s);
}

static void test_token(void **state)
{
	struct side s;
	struct call c;
	char path[] = "/tmp/csample-token-XXXXXX";
	int fd = mkstemp(path);
	(void)state;
	assert_int_equal(write(fd, "geheimnis-123\n", 14), 14);
	close(fd);
	open_side(&s, path);
	static const char *const wrong[] = {"", "Authorization: Bearer geheimnis-12\r\n",
	                                    "Authorization: Bearer geheimnis-1234\r\n",
	                                    "Authorization: Basic geheimnis-123\r\n"};
	for (size_t i = 0; i < ARRAY_SIZE(wrong); i++)
		assert_starts(get(&s, &c, "/debug/pprof/cmdline", wrong[i]), "HTTP/1.1 401");
	assert_starts(
	        get(&s, &c, "/debug/pprof/cmdline", "Authorization: Bearer geheimnis-123\r\n"),
	        "HTTP/1.1 200");
	assert_starts(get(&s, &c, "/healthz", ""), "HTTP/1.1 200");
	close_side(&s);
	unlink(path);
}

static void refused(const char *address, bool insecure, enum err_kind kind, const char *says)
{
	struct desk *d;
	struct server *server = NULL;
	struct serve_config config = {.address = address, .insecure = insecure};
	assert_null(desk_create(&d));
	struct err *err = server_start(&config, d, &server);
	if (!err)
		fail_msg("'%s' was accepted", address);
	assert_int_equal(err->kind, kind);
	assert_has(err->msg, says);
	err_free(err);
	desk_destroy(d);
}

static void test_addresses(void **state)
{
	(void)state;
	refused("0.0.0.0:0", false, ERR_USAGE, "--token-file");
	refused(":0", false, ERR_USAGE, "--insecure");
	refused("[::]:0", false, ERR_USAGE, "not a loopback");
	refused("6060", false, ERR_USAGE, "ADDRESS:PORT");
	refused("::1:6060", false, ERR_USAGE, "ADDRESS:PORT");
	refused("127.0.0.1:", false, ERR_USAGE, "ADDRESS:PORT");
	refused("127.0.0.1:99999", false, ERR_USAGE, "ADDRESS:PORT");
	refused("127.0.0.1:http", false, ERR_USAGE, "ADDRESS:PORT");
	struct side s;
	open_side(&s, NULL);
	char taken[32];
	snprintf(taken, sizeof(taken), "127.0.0.1:%u", server_port(s.server));
	refused(taken, false, ERR_SYS, "another process does");
	close_side(&s);
	struct desk *d;
	struct server *server;
	struct serve_config config = {.address = ":0", .insecure = true};
	assert_null(desk_create(&d));
	assert_null(server_start(&config, d, &server));
	assert_true(server_port(server) > 0);
	server_stop(server);
	desk_destroy(d);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	        cmocka_unit_test(test_window),  cmocka_unit_test(test_end_closes_windows),
	        cmocka_unit_test(test_hang_up), cmocka_unit_test(test_pages),
	        cmocka_unit_test(test_token),   cmocka_unit_test(test_addresses),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
