/* SPDX-License-Identifier: Apache-2.0 */
#ifndef SERVING_H
#define SERVING_H

#include <microhttpd.h>
#include <netinet/in.h>
#include <stdbool.h>

#include <csample/serve.h>

/* The address a server listens on. */
struct listen_address {
	struct sockaddr_storage addr;
	socklen_t len;
	bool is_loopback;
};
/* "127.0.0.1:6060", "[::1]:6060", "localhost:6060", ":6060" (every address). ERR_USAGE. */
struct err *listen_address_parse(const char *text, struct listen_address *ret);

struct server {
	struct MHD_Daemon *daemon;
	struct desk *desk;
	char *token; /* NULL: none asked for */
	uint64_t max_seconds;
};

/* The body of a POST; bounded. */
struct request_body {
	struct strbuf text;
	bool too_long;
};

/* Answers a request that is complete and allowed. */
enum MHD_Result pages_answer(struct server *s, struct MHD_Connection *c, const char *path,
                             bool is_post, const struct request_body *body);
/* Plain text with a status. reason: a line. */
enum MHD_Result pages_error(struct MHD_Connection *c, unsigned status, const char *reason);

#endif
