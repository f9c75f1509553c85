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
};

struct desk;
struct desk *desk_create(void);
void desk_destroy(struct desk *d); /* answers those who still wait with "it ended" */

/* Server side, any thread: waits until the window is over (or early: the target or the recording
 * ended) and gives gzip'd pprof. ERR_GONE: nothing can be sampled any more. Free *bytes_ret. */
struct err *desk_ask(struct desk *d, const struct desk_request *r, void **bytes_ret,
                     size_t *len_ret);
/* The same of text that the sampling side makes at once: stacks of all threads (debug 1: merged
 * with counts, 2: one by one), the command line, metrics. b is the asker's. */
enum desk_text { DESK_THREADS_1, DESK_THREADS_2, DESK_THREADS_PPROF, DESK_CMDLINE, DESK_METRICS };
struct err *desk_ask_text(struct desk *d, enum desk_text what, struct strbuf *b);

/* Sampling side, the one thread that samples. Whether somebody waits for this event's samples. */
bool desk_wants(struct desk *d, enum desk_event event);
/* A descriptor that becomes readable when desk_attend() has something to do. */
int desk_fd(struct desk *d);
struct desk_clerk {
	void *arg;
	/* The profile being filled; names all of it if asked to. NULL: none of this event. */
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
/* The port that was given, for ":0". */
unsigned server_port(const struct server *s);
void server_stop(struct server *s);

#endif
