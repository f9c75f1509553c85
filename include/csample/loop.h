/* SPDX-License-Identifier: Apache-2.0 */
/* Continuous recordings: one profile for each interval, handed to outlets, for months. Sampling
 * goes on across intervals; what the run keeps in memory is bounded. */
#ifndef CSAMPLE_LOOP_H
#define CSAMPLE_LOOP_H

#include <signal.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include <csample/decode.h>
#include <csample/engine.h>
#include <csample/err.h>
#include <csample/find.h>
#include <csample/ledger.h>
#include <csample/outlet.h>
#include <csample/serve.h>
#include <csample/strbuf.h>
#include <csample/symbols.h>

/* What samples, and what names it: made and closed together. All of it is made anew when it has
 * grown too much. */
struct loop_line {
	struct strings *strings;
	struct images *images;
	struct symbols *symbols;
	struct decoder *decoder;
	struct profile *profile; /* the ledger fills it */
	struct ledger *ledger;
	struct engine *engine; /* NULL: there is no line */
	void *maker;           /* whatever loop_ops.open() wants to keep */
};

/* What the command line knows. All are called on the thread that samples. */
struct loop_ops {
	/* A line on these processes, not started; beside: of wall time, for a desk, beside one that
	 * counts something else. ERR_GONE: none of them is there any more. */
	struct err *(*open)(void *arg, const pid_t *pids, size_t n, double rate_hz, bool beside,
	                    struct loop_line *ret);
	void (*close)(void *arg, struct loop_line *line);
	/* The first line samples from now on. NULL: nothing to do. */
	struct err *(*started)(void *arg);
	/* Who should be sampled now, also those who are already; free *ret. NULL: those it began
	 * with, until the last of them ends. */
	struct err *(*find)(void *arg, struct process **ret, size_t *n_ret);
	/* What p says of itself, but for its times, losses, rate and note. */
	void (*describe)(void *arg, const struct loop_line *line, const struct stats *stats,
	                 struct profile *p);
	/* Sorted by name; valid until the next call. */
	size_t (*labels)(void *arg, const struct outlet_label **ret);
	/* What a desk asks of the processes of line, but for metrics. NULL: no desk. */
	struct err *(*text)(void *arg, struct loop_line *line, enum desk_text what,
	                    struct strbuf *b);
	/* Between two turns, with the engines that sample now (NULL: none): it may hold them for a
	 * while. NULL: nothing to do. */
	void (*between)(void *arg, struct engine *of_line, struct engine *beside);
};

struct loop_config {
	uint64_t interval_ns; /* profiles begin at multiples of it since 1970 */
	uint64_t duration_ns; /* then it ends; 0: unlimited */
	double rate_hz;       /* the most */
	double max_overhead;  /* of the target's CPU time held, of a core used; 0: whatever it takes
	                       */
	const char *type;     /* of the profiles: "process_cpu", "wall" */
	const pid_t *pids;    /* it begins with, if loop_ops.find is NULL */
	size_t n_pids;
	struct outlet *const *outlets; /* the caller closes them */
	size_t n_outlets;
	struct desk *desk;         /* NULL: none */
	bool wall;                 /* what is sampled is wall time */
	uint64_t max_growth_bytes; /* then the line is made anew; 0: 64 MiB */
	uint64_t rebuild_ns;       /* at most so often; 0: ten minutes */
	const char *notify_socket; /* $NOTIFY_SOCKET; NULL: nobody wants to be told */
	uint64_t watchdog_ns;      /* half of what the service manager waits; 0: it does not */
	const volatile sig_atomic_t *stop; /* set by SIGTERM, SIGINT */
	volatile sig_atomic_t *reopen;     /* set by SIGHUP, cleared here */
};

/* What there is to tell of a loop so far. */
struct loop_summary {
	uint64_t profiles, samples, lost;
	uint64_t target_cpu_ns, profile_cpu_ns; /* of all profiles */
	uint64_t outlet_errors, rebuilds, rate_changes;
	double rate_hz;     /* now */
	struct stats stats; /* of all engines there were */
};

/* Samples until *stop, the end of the duration, or of the last process of those it began with; each
 * interval's profile, the last one too, has then been handed to each outlet. */
struct err *loop_run(const struct loop_config *config, const struct loop_ops *ops, void *arg,
                     struct loop_summary *ret);

/* Gives up, for good and for all programs that are started from now on, what sampling does not
 * need. To be called while there is one thread. writes_anywhere: also into directories of other
 * users; low_port: a port below 1024 will be listened on. */
void loop_drop_privileges(bool writes_anywhere, bool low_port);

#endif
