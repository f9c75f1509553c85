/* SPDX-License-Identifier: Apache-2.0 */
/* Asks HTTP servers on loopback for pages, as many as they give: bench_http COUNTERS SECONDS
 * CONNECTIONS PORT... The file's first word counts the answers; the one at byte 64 says which of
 * the servers is asked, by its place in the list. One thread; each connection waits for its answer.
 */
#include <arpa/inet.h>
#include <err.h>
#include <fcntl.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

#define MAX_CONNECTIONS 64
#define MAX_SERVERS     8
#define MAX_ANSWER      65536

static const char request[] = "GET /report?id=17 HTTP/1.1\r\nHost: localhost\r\n\r\n";

/* A connection to each server, of which one is waited for. */
struct asker {
	int fds[MAX_SERVERS];
	int waits_for; /* index */
	size_t len;
	char answer[MAX_ANSWER + 1];
};
static struct asker askers[MAX_CONNECTIONS];

static int connect_to(unsigned port)
{
	struct sockaddr_in sin = {.sin_family = AF_INET, .sin_port = htons((uint16_t)port)};
	int one = 1, fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	sin.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	if (fd < 0 || connect(fd, (struct sockaddr *)&sin, sizeof(sin)))
		err(1, "connect to port %u", port);
	setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
	return fd;
}

static void ask(struct asker *a, unsigned server)
{
	a->waits_for = (int)server;
	a->len = 0;
	if (send(a->fds[server], request, sizeof(request) - 1, MSG_NOSIGNAL) !=
	    (ssize_t)sizeof(request) - 1)
		err(1, "send");
}

static int is_whole(struct asker *a)
{
	static const char length[] = "Content-Length: ";
	a->answer[a->len] = '\0';
	const char *end = strstr(a->answer, "\r\n\r\n"), *at = strstr(a->answer, length);
	if (!end || !at || at > end)
		return 0;
	size_t body = strtoul(at + sizeof(length) - 1, NULL, 10);
	return a->len >= (size_t)(end + 4 - a->answer) + body;
}

int main(int argc, char **argv)
{
	if (argc < 5 || argc - 4 > MAX_SERVERS)
		errx(2, "bench_http COUNTERS SECONDS CONNECTIONS PORT...");
	int fd = open(argv[1], O_RDWR | O_CLOEXEC), n = atoi(argv[3]), n_servers = argc - 4;
	if (fd < 0 || n < 1 || n > MAX_CONNECTIONS)
		errx(1, "%s, %s connections", argv[1], argv[3]);
	_Atomic uint64_t *words = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	if (words == MAP_FAILED)
		err(1, "%s", argv[1]);
	alarm((unsigned)atoi(argv[2]));
	struct pollfd polled[MAX_CONNECTIONS];
	for (int i = 0; i < n; i++) {
		for (int k = 0; k < n_servers; k++)
			askers[i].fds[k] = connect_to((unsigned)atoi(argv[4 + k]));
		ask(&askers[i], 0);
	}
	for (;;) {
		for (int i = 0; i < n; i++)
			polled[i] = (struct pollfd){askers[i].fds[askers[i].waits_for], POLLIN, 0};
		if (poll(polled, (nfds_t)n, -1) < 0)
			err(1, "poll");
		for (int i = 0; i < n; i++) {
			struct asker *a = &askers[i];
			if (!polled[i].revents)
				continue;
			ssize_t got =
			        recv(polled[i].fd, a->answer + a->len, MAX_ANSWER - a->len, 0);
			if (got <= 0)
				errx(1, "a server went away");
			a->len += (size_t)got;
			if (!is_whole(a))
				continue;
			atomic_fetch_add(&words[0], 1);
			ask(a, (unsigned)atomic_load(&words[8]) % (unsigned)n_servers);
		}
	}
}
