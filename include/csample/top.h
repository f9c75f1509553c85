/* SPDX-License-Identifier: Apache-2.0 */
/* The live view of a growing profile: tables that are brought up to date at each interval, on a
 * terminal, as text or as JSON. It sees no process: what is known of one comes as top_facts. */
#ifndef CSAMPLE_TOP_H
#define CSAMPLE_TOP_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

#include <csample/err.h>
#include <csample/profile.h>
#include <csample/view.h>

#define TOP_MAX_RUNTIMES 4

/* Lock (GIL) of a thread, ns in which it was held: in the last interval, and since counting began.
 */
struct top_thread {
	int32_t tid;
	uint64_t recent_locked_ns, locked_ns;
};

/* What is known of the target as of now. Strings and arrays are borrowed for the call. Shares are
 * in percent of the last interval, below 0 where the target has no such thing. */
struct top_facts {
	int32_t pid;
	const char *command;
	uint64_t processes; /* sampled in all */
	struct {
		const char *name, *title; /* "python", "CPython" */
		char version[48];
	} runtimes[TOP_MAX_RUNTIMES];
	size_t n_runtimes;
	uint64_t threads, threads_running;
	uint64_t interval_ns, run_ns; /* the last interval; since counting began */
	int64_t unix_ns;              /* now */
	double cpu;                   /* 100: one CPU */
	double lock, loop_idle;       /* GIL held; main event loop waiting */
	double gc, gc_run; /* garbage collected, in the last interval and since counting began, as
	                      far as runtimes tell that: it may be among the frames too */
	uint64_t samples, lost; /* since counting began */
	double rate_asked, rate_reached;
	uint64_t pause_ns; /* median; 0: none yet */
	bool wall;         /* wall time is counted, waiting threads included */
	bool ended;
	const char *note; /* how samples are taken, if not as asked for; NULL: as asked */
	const struct top_thread *by_thread;
	size_t n_by_thread;
};

struct top_config {
	enum view_kind kind;
	bool by_total, no_native, full_filenames;
	size_t rows; /* of text and JSON, at most; 0: all */
};

struct top;
struct top *top_create(const struct top_config *config);
void top_destroy(struct top *t);
/* Looks at p from now on, which must outlive t or the next call; all of it is named at each
 * top_refresh(). Counting begins anew; what is shown stays as chosen, but that a pause is over. */
void top_set_profile(struct top *t, const struct profile *p);
/* Takes in what p has got since the last time. */
void top_refresh(struct top *t, const struct top_facts *facts);
/* The picture stands still by the user's wish: what comes until it goes on is one interval. */
bool top_is_paused(const struct top *t);

/* A terminal to show it on, and the keys from there. What is written to stderr meanwhile shows in
 * the last line, and is written out when the screen is left. */
struct screen;
/* ERR_UNSUPPORTED: there is no terminal that can place text, and why. */
struct err *screen_check(void);
/* After screen_check(). */
struct err *screen_open(struct top *t, struct screen **ret);
/* The terminal is as it was before. NULL is allowed. */
void screen_close(struct screen *s);
void screen_draw(struct screen *s);
/* Shown in the last line until the next key. */
void screen_say(struct screen *s, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
enum screen_action {
	SCREEN_NOTHING,
	SCREEN_QUIT,
	SCREEN_RESET, /* counting is to begin anew */
	SCREEN_IDLE,  /* the same, with the other of CPU and wall time */
};
/* Takes the keys that have come, up to one that the caller must act upon, and draws what they
 * change. Waits for none. */
enum screen_action screen_keys(struct screen *s);
/* The terminal as it was before, for as long as we are stopped (Ctrl-Z), and back. */
void screen_leave(struct screen *s);
void screen_return(struct screen *s);

/* The table as lines of text, fit for a terminal, and as one line of JSON (README has its members).
 */
void top_print(struct top *t, FILE *out);
void top_print_json(struct top *t, FILE *out);

#endif
