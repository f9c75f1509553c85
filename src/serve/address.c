/* SPDX-License-Identifier: Apache-2.0 */
#include <arpa/inet.h>
#include <netdb.h>
#include <stdlib.h>
#include <string.h>

#include <csample/mem.h>

#include "serving.h"

static struct err *bad(const char *text)
{
	return err_new(ERR_USAGE,
	               "'%s' is no address to listen on: write ADDRESS:PORT, such as "
	               "127.0.0.1:6060, [::1]:6060 or :6060",
	               text);
}

static bool is_loopback(const struct sockaddr *sa)
{
	if (sa->sa_family == AF_INET)
		return (ntohl(((const struct sockaddr_in *)(const void *)sa)->sin_addr.s_addr) >>
		        24) == 127;
	return sa->sa_family == AF_INET6 &&
	       IN6_IS_ADDR_LOOPBACK(&((const struct sockaddr_in6 *)(const void *)sa)->sin6_addr);
}

struct err *listen_address_parse(const char *text, struct listen_address *ret)
{
	const char *colon = strrchr(text, ':');
	if (!colon || !colon[1] || strlen(colon + 1) > 5 ||
	    strspn(colon + 1, "0123456789") != strlen(colon + 1))
		return bad(text);
	_cleanup_free_ char *host = mem_strndup(text, (size_t)(colon - text));
	size_t len = strlen(host);
	bool bracketed = len >= 2 && host[0] == '[' && host[len - 1] == ']';
	if (bracketed) {
		host[len - 1] = '\0';
		memmove(host, host + 1, len - 1);
	}
	/* A colon in a bare host: whether ":1" is its end or a port cannot be told. */
	if (!bracketed && strchr(host, ':'))
		return bad(text);
	struct addrinfo hints = {.ai_socktype = SOCK_STREAM,
	                         .ai_flags = AI_PASSIVE | AI_NUMERICSERV};
	struct addrinfo *found;
	/* Without a host: all addresses, of both families where there are both. */
	int error = getaddrinfo(*host ? host : "::", colon + 1, &hints, &found);
	if (error && !*host)
		error = getaddrinfo("0.0.0.0", colon + 1, &hints, &found);
	if (error == EAI_SERVICE)
		return bad(text);
	if (error)
		return err_new(ERR_USAGE, "cannot listen on '%s': %s", text, gai_strerror(error));
	unsigned port = ntohs(((struct sockaddr_in *)(void *)found->ai_addr)->sin_port);
	bool fits = strtoul(colon + 1, NULL, 10) == port;
	memset(ret, 0, sizeof(*ret));
	memcpy(&ret->addr, found->ai_addr, found->ai_addrlen);
	ret->len = found->ai_addrlen;
	ret->is_loopback = is_loopback(found->ai_addr);
	freeaddrinfo(found);
	return fits ? NULL : bad(text);
}
