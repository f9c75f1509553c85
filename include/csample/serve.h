/* SPDX-License-Identifier: Apache-2.0 */
/* The HTTP side of a recording: what Go's net/http/pprof serves, metrics, health. The server runs
 * on threads of its own and asks the thread that samples for windows of profile through a desk. */
#ifndef CSAMPLE_SERVE_H
#define CSAMPLE_SERVE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <csample/err.h>
#include <csample/profile.h>
#include <csample/strbuf.h>

enum desk_event { DESK_CPU, DESK_WALL };

/* What somebody wants to have. Several windows may be open at once: they share one sampling. */
struct desk_request {
	enum desk_event event;
	uint64_t duration_ns;
	/* Asked a few times a second: whoever wanted it is gone. NULL: never. */
	bool (*given_up)(void *arg);
	void *arg;
};

struct desk;
struct err *desk_create(struct desk **ret);
/* When nobody can ask any more. NULL is allowed. */
void desk_destroy(struct desk *d);

/* Server side, any thread: waits until the window is over (or early: sampling ended) and gives
 * gzip'd pprof; free *bytes_ret. ERR_GONE: nothing can be sampled any more; ERR_UNSUPPORTED: too
 * many ask at once. */
struct err *desk_ask(struct desk *d, const struct desk_request *r, void **bytes_ret,
                     size_t *len_ret);
/* The same of what the sampling side makes at once, appended to b: stacks of all threads (pprof;
 * text merged with counts; text one by one), the command line with NULs between the arguments,
 * metrics; names of addresses, of which b then holds the list, "0x1+0x2". */
enum desk_text {
	DESK_THREADS_PPROF,
	DESK_THREADS_1,
	DESK_THREADS_2,
	DESK_CMDLINE,
	DESK_METRICS,
	DESK_SYMBOLS,
};
struct err *desk_ask_text(struct desk *d, enum desk_text what, struct strbuf *b);
/* Whether the sampling side has been at the desk lately. */
bool desk_is_attended(struct desk *d);

/* Sampling side, the one thread that samples. Whether somebody waits for this event's samples. */
bool desk_wants(struct desk *d, enum desk_event event);
/* A descriptor that becomes readable when desk_attend() has something new to do. */
int desk_fd(struct desk *d);
/* When desk_attend() has to be called next, CLOCK_MONOTONIC; UINT64_MAX: no window is open. */
uint64_t desk_next_ns(struct desk *d);
struct desk_clerk {
	void *arg;
	/* The profile being filled; names all of it if asked to. NULL: none of this event (yet). */
	struct profile *(*profile)(void *arg, enum desk_event event, bool named);
	struct err *(*text)(void *arg, enum desk_text what, struct strbuf *b);
	/* Encodes as pprof in gzip; free *bytes_ret. */
	struct err *(*encode)(void *arg, const struct profile *p, void **bytes_ret,
	                      size_t *len_ret);
};
/* Opens and closes windows whose time has come, answers texts. Call it after each engine_poll(). */
void desk_attend(struct desk *d, const struct desk_clerk *clerk);
/* Right before the profile of this event is cut: what open windows need of it is taken. */
void desk_before_cut(struct desk *d, const struct desk_clerk *clerk, enum desk_event event);
/* At the end: all windows close with what they have, and who asks from now on gets ERR_GONE. */
void desk_finish(struct desk *d, const struct desk_clerk *clerk);

struct serve_config {
	const char *address;    /* "127.0.0.1:6060", "[::1]:6060", ":6060" */
	const char *token_file; /* NULL: none asked for */
	bool insecure;          /* a non-loopback address without a token is what the user wants */
	uint64_t max_seconds;   /* of a window; 0: 3600 */
};
struct server;
/* ERR_USAGE: a non-loopback address with neither token nor insecure. ERR_SYS: the address is in
 * use, ... */
struct err *server_start(const struct serve_config *config, struct desk *desk, struct server **ret);
/* The port it listens on, which for ":0" the kernel has chosen. */
unsigned server_port(const struct server *s);
/* After desk_finish(): waits until all answers are out. NULL is allowed. */
void server_stop(struct server *s);

#endif
