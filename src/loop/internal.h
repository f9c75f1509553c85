/* SPDX-License-Identifier: Apache-2.0 */
/* The room from inside: loop.c is the loop, interval.c says when profiles end, rotate.c ends them,
 * courier.c takes them to the outlets that deliver.c knows, follow.c finds processes, clerk.c and
 * metrics.c answer a desk, budget.c chooses the rate, memory.c says when it is time to begin anew,
 * notify.c talks to the service manager. */
#ifndef LOOP_INTERNAL_H
#define LOOP_INTERNAL_H

#include <csample/hash.h>
#include <csample/loop.h>
#include <csample/profile.h>
#include <csample/stats.h>

/* ---- interval.c ---- */

/* When the interval that begins at now_unix_ns ends, the same clock: the first multiple of
 * interval_ns that is not near. An interval that follows another (first false) began at about a
 * multiple, before or after it, since clocks are set. */
int64_t interval_end(int64_t now_unix_ns, uint64_t interval_ns, bool first);

/* ---- budget.c ---- */

/* Totals so far, at a time. */
struct budget_reading {
	uint64_t now_ns;
	uint64_t held_ns;       /* threads of the target were kept from running */
	uint64_t target_cpu_ns; /* what the target used */
	uint64_t own_cpu_ns;
	uint64_t samples;
};
struct budget {
	double share;            /* 0: no budget */
	double asked_hz, min_hz; /* bounds of the rate */
	double rate_hz;
	struct budget_reading last;
	/* Lately, older ones counting less. */
	double held_ns, target_cpu_ns, own_ns, wall_ns, samples;
	/* Of our own time what does not depend on the rate, as a share of a core: from what was
	 * used before and after the rate changed. */
	double base, before_own, before_samples; /* before_samples 0: nothing to compare with */
	unsigned windows;                        /* since the rate last changed */
	unsigned calm;                           /* windows in a row with much room */
	bool started;
};
void budget_init(struct budget *b, double share, double asked_hz);
/* To be called now and then, in whatever time. True: rate_hz has changed. */
bool budget_update(struct budget *b, const struct budget_reading *reading);
/* The larger of what was held of the target's time and used of a core, lately. */
double budget_used(const struct budget *b);

/* ---- memory.c ---- */

/* Anonymous memory of this process, bytes; 0: not to be had. */
uint64_t memory_own_bytes(void);
struct memory {
	uint64_t max_growth_bytes;
	uint64_t base_bytes; /* when the line had settled; 0: not yet */
	unsigned rotations;  /* of the line */
};
/* At a rotation: has the line grown too much? */
bool memory_is_too_much(struct memory *m, uint64_t own_bytes, size_t images);

/* ---- notify.c ---- */

/* To the service manager: "READY=1", "STATUS=...". socket NULL: nothing is done. */
void notify_send(const char *socket, const char *text);

/* ---- deliver.c ---- */

struct deliverer {
	struct outlet *const *outlets;
	size_t n;
	char (*told)[256];        /* by outlet: the error it was last in trouble with; "": none */
	_Atomic uint64_t *errors; /* by outlet: put() that failed; read by others, too */
};
void deliverer_init(struct deliverer *d, struct outlet *const *outlets, size_t n);
void deliverer_deinit(struct deliverer *d);
/* To all of them; what fails is told when it begins, changes and ends. */
void deliverer_put(struct deliverer *d, const struct delivery *what);
void deliverer_reopen(struct deliverer *d);
/* pprof in gzip; free *bytes_ret. unpacked_ret may be NULL. */
struct err *encode_pprof(const struct profile *p, void **bytes_ret, size_t *len_ret,
                         size_t *unpacked_ret);

/* ---- courier.c ---- */

/* A finished profile on its way. All of it is owned. */
struct parcel {
	struct profile *profile; /* named, its meta complete; its table of strings lives on */
	struct passed_strings *strings; /* names that nothing else uses */
	uint64_t sequence;
	const char *type;            /* not owned */
	struct outlet_label *labels; /* names and values, too */
	size_t n_labels;
};
#define COURIER_ROOM 4 /* profiles */
struct courier;
/* notify_socket: told when outlets have been reopened; NULL: nobody. Both are the caller's. */
struct courier *courier_start(struct deliverer *d, const char *notify_socket);
/* Whether courier_put() will not wait. */
bool courier_has_room(struct courier *c);
/* Whether no profile is on its way. */
bool courier_is_idle(struct courier *c);
/* Takes over what is in *p. */
void courier_put(struct courier *c, struct parcel *p);
void courier_reopen(struct courier *c);
/* Until all profiles are delivered. */
void courier_wait(struct courier *c);
/* The same, and frees it. */
void courier_finish(struct courier *c);

/* ---- the loop ---- */

struct loop {
	const struct loop_config *config;
	const struct loop_ops *ops;
	void *arg;
	struct loop_line line;
	struct loop_line beside; /* of wall time, while somebody at the desk wants it */
	struct loop_line old;    /* the one before, until its last profile is delivered */
	struct deliverer deliverer;
	struct courier *courier;
	struct budget budget;
	struct memory memory;
	struct map64 refused;  /* pid: start time of processes that cannot be sampled, told once */
	struct stats gone;     /* counts of lines that were closed */
	uint64_t sequence;     /* of the last profile handed over */
	int64_t began_unix_ns; /* the present interval */
	uint64_t end_ns;       /* of it, CLOCK_MONOTONIC */
	uint64_t rebuilt_ns;   /* the line was made */
	uint64_t profile_cpu_ns, samples;
	uint64_t naming_max_ns, rotation_max_ns;
	uint64_t rebuilds, rate_changes;
	uint64_t looked_ns, away_max_ns; /* at the queues; the longest time without that */
	uint64_t pause_max_ns;           /* in which nothing was sampled, for a new line's sake */
	bool cutting;
	bool named;     /* all that has been sampled */
	bool slow_told; /* that profiles are delivered slower than intervals end */
	char note[256]; /* of the budget; "": none */
};

/* rotate.c */
/* Begins the first interval, or the next. */
void rotate_begin(struct loop *l, bool first);
/* Names what has come since, for at most some ms. True: nothing is without a name. */
bool rotate_prepare(struct loop *l);
/* Ends the interval. */
void rotate(struct loop *l);
/* The same with a new line in the place of the old one. An error: there is none any more. */
struct err *rotate_rebuild(struct loop *l);
/* Closes the line before, once that can be. */
void rotate_tidy(struct loop *l);
/* Ends sampling, and the last interval. */
void rotate_finish(struct loop *l);
/* Counts of all lines so far. */
void loop_stats(struct loop *l, struct stats *ret);

/* clerk.c: what those at the desk want */
void clerk_attend(struct loop *l);
void clerk_before_cut(struct loop *l);
void clerk_finish(struct loop *l);

/* metrics.c: in Prometheus' text format 0.0.4 */
void loop_metrics(struct loop *l, struct strbuf *b);

/* follow.c */
/* Opens the line once somebody is there to be sampled; adds who is new. */
struct err *follow(struct loop *l);

#endif
