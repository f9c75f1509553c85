/* SPDX-License-Identifier: Apache-2.0 */
/* The HTTP server: libmicrohttpd, a thread per connection, since one that asks for a profile waits
 * for as long as the profile lasts. */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <csample/clock.h>
#include <csample/log.h>
#include <csample/mem.h>

#include "serving.h"

#define MAX_CONNECTIONS 64
#define MAX_BODY        ((size_t)1 << 20)
#define IDLE_SECONDS    30U
#define TOKEN_MAX       4096
#define GOODBYE_NS      1000000000ULL
#define STACK_BYTES     ((size_t)512 * 1024)

/* One line of a file that no other user can read. */
static struct err *read_token(const char *path, char **ret)
{
	char buf[TOKEN_MAX + 2];
	_cleanup_close_ int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY);
	if (fd < 0)
		return err_errno(errno, "read the token in %s", path);
	ssize_t n = read(fd, buf, sizeof(buf) - 1);
	if (n < 0)
		return err_errno(errno, "read the token in %s", path);
	buf[n] = '\0';
	buf[strcspn(buf, "\r\n")] = '\0';
	size_t len = strlen(buf);
	if (len < 8 || len > TOKEN_MAX || strpbrk(buf, " \t"))
		return err_new(ERR_USAGE,
		               "the token in %s must be one line of 8 to %d characters without "
		               "blanks",
		               path, TOKEN_MAX);
	*ret = mem_strdup(buf);
	return NULL;
}

/* In time that does not tell how much of it was right. */
static bool is_token(const char *token, const char *given)
{
	size_t len = strlen(token), given_len = strlen(given);
	unsigned differs = len != given_len;
	for (size_t i = 0; i < len; i++)
		differs |= (unsigned char)token[i] ^ (unsigned char)(i < given_len ? given[i] : 0);
	return !differs;
}

/* Who asks for health only (a load balancer, the kubelet) has no token. */
static bool is_allowed(const struct server *s, struct MHD_Connection *c, const char *path)
{
	if (!s->token || !strcmp(path, "/healthz"))
		return true;
	const char *given = MHD_lookup_connection_value(c, MHD_HEADER_KIND, "Authorization");
	return given && !strncasecmp(given, "Bearer ", 7) &&
	       is_token(s->token, given + 7 + strspn(given + 7, " "));
}

static enum MHD_Result on_request(void *arg, struct MHD_Connection *c, const char *path,
                                  const char *method, const char *version, const char *data,
                                  size_t *len, void **state)
{
	struct server *s = arg;
	(void)version;
	bool is_post = !strcmp(method, "POST");
	if (!*state) {
		*state = mem_zalloc(sizeof(struct request_body));
		return MHD_YES;
	}
	struct request_body *body = *state;
	if (*len) {
		if (body->text.len + *len > MAX_BODY)
			body->too_long = true;
		else
			strbuf_addn(&body->text, data, *len);
		*len = 0;
		return MHD_YES;
	}
	if (!is_allowed(s, c, path))
		return pages_error(c, MHD_HTTP_UNAUTHORIZED,
		                   "a bearer token is needed: Authorization: Bearer TOKEN, with "
		                   "what is in csample's --token-file");
	if (!is_post && strcmp(method, "GET") != 0 && strcmp(method, "HEAD") != 0)
		return pages_error(c, MHD_HTTP_METHOD_NOT_ALLOWED, "only GET and POST");
	if (body->too_long)
		return pages_error(c, MHD_HTTP_CONTENT_TOO_LARGE, "the request is too long");
	return pages_answer(s, c, path, is_post, body);
}

static void on_completed(void *arg, struct MHD_Connection *c, void **state,
                         enum MHD_RequestTerminationCode why)
{
	struct request_body *body = *state;
	(void)arg;
	(void)c;
	(void)why;
	if (body)
		strbuf_free(&body->text);
	free(body);
	*state = NULL;
}

/* Ours, so that errors can be told apart, and restarts do not wait for old connections. */
static struct err *listen_on(const char *text, const struct listen_address *a, int *fd_ret)
{
	int one = 1, zero = 0;
	int fd = socket(a->addr.ss_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (fd < 0)
		return err_errno(errno, "listen on %s", text);
	setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one));
	if (a->addr.ss_family == AF_INET6)
		setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &zero, sizeof(zero));
	if (bind(fd, (const struct sockaddr *)&a->addr, a->len) || listen(fd, 64)) {
		int errnum = errno;
		close(fd);
		return errnum == EADDRINUSE
		               ? err_new(ERR_SYS,
		                         "cannot listen on %s: another process does; choose "
		                         "another port with --listen",
		                         text)
		               : err_errno(errnum, "listen on %s", text);
	}
	*fd_ret = fd;
	return NULL;
}

static struct err *refuse_open(const char *address)
{
	return err_new(ERR_USAGE,
	               "--listen %s is not a loopback address: whoever reaches it sees what the "
	               "process runs, its command line too; demand a token with --token-file "
	               "FILE, or allow it with --insecure",
	               address);
}

struct err *server_start(const struct serve_config *config, struct desk *desk, struct server **ret)
{
	struct listen_address address;
	int fd = -1;
	struct err *err = listen_address_parse(config->address, &address);
	if (err)
		return err;
	if (!address.is_loopback && !config->token_file && !config->insecure)
		return refuse_open(config->address);
	struct server *s = mem_zalloc(sizeof(*s));
	s->desk = desk;
	s->max_seconds = config->max_seconds ? config->max_seconds : 3600;
	if (config->token_file)
		err = read_token(config->token_file, &s->token);
	if (!err)
		err = listen_on(config->address, &address, &fd);
	/* Signals are for the thread that samples. */
	sigset_t all, old;
	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &old);
	if (!err) {
		s->daemon = MHD_start_daemon(
		        MHD_USE_THREAD_PER_CONNECTION | MHD_USE_INTERNAL_POLLING_THREAD |
		                MHD_USE_POLL | MHD_USE_ITC,
		        0, NULL, NULL, on_request, s, MHD_OPTION_LISTEN_SOCKET, fd,
		        MHD_OPTION_CONNECTION_LIMIT, MAX_CONNECTIONS, MHD_OPTION_CONNECTION_TIMEOUT,
		        IDLE_SECONDS, MHD_OPTION_THREAD_STACK_SIZE, STACK_BYTES,
		        MHD_OPTION_NOTIFY_COMPLETED, on_completed, NULL, MHD_OPTION_END);
		if (!s->daemon)
			err = err_new(ERR_SYS, "cannot start the HTTP server on %s",
			              config->address);
	}
	pthread_sigmask(SIG_SETMASK, &old, NULL);
	if (err) {
		if (fd >= 0)
			close(fd);
		free(s->token);
		free(s);
		return err;
	}
	*ret = s;
	return NULL;
}

unsigned server_port(const struct server *s)
{
	struct sockaddr_storage addr;
	socklen_t len = sizeof(addr);
	const union MHD_DaemonInfo *info =
	        MHD_get_daemon_info(s->daemon, MHD_DAEMON_INFO_LISTEN_FD);
	if (!info || getsockname(info->listen_fd, (struct sockaddr *)&addr, &len))
		return 0;
	return ntohs(((struct sockaddr_in *)(void *)&addr)->sin_port);
}

/* Stopping the daemon closes connections whatever is still to be sent on them. */
static void let_answers_out(struct server *s)
{
	MHD_socket fd = MHD_quiesce_daemon(s->daemon);
	uint64_t end = now_ns() + GOODBYE_NS;
	while (now_ns() < end) {
		const union MHD_DaemonInfo *info =
		        MHD_get_daemon_info(s->daemon, MHD_DAEMON_INFO_CURRENT_CONNECTIONS);
		if (!info || !info->num_connections)
			break;
		usleep(2000);
	}
	if (fd != MHD_INVALID_SOCKET)
		close(fd);
}

void server_stop(struct server *s)
{
	if (!s)
		return;
	let_answers_out(s);
	MHD_stop_daemon(s->daemon);
	free(s->token);
	free(s);
}
