/* SPDX-License-Identifier: Apache-2.0 */
/* What every command that samples opens first and closes last: the processes, or the command it
 * starts, and what their files and names are kept in. */
#ifndef CMD_SESSION_H
#define CMD_SESSION_H

#include <csample/engine.h>
#include <csample/ledger.h>

#include "child.h"
#include "options.h"

struct session {
	const struct options *opt;
	uint64_t launched_ns;             /* when the user asked */
	struct child child;               /* of -- COMMAND; pid 0: none */
	struct child_config child_config; /* to be changed before session_open() */
	struct strings *strings;
	struct images *images;
	struct symbols *symbols;
	struct decoder *decoder;
	struct target *target; /* the first of these */
	struct target *targets[OPT_MAX_PIDS];
	size_t n_targets;
};

/* Nothing is opened yet. opt is borrowed. */
void session_init(struct session *s, const struct options *opt);
/* Starts the command, which waits for session_go(), or opens the processes. */
struct err *session_open(struct session *s);
/* Forgets all runtimes that were met. What named frames of them is gone: no profile has any. */
void session_renew_decoder(struct session *s);
/* The same of these processes, whatever the command line says; all false: of those that can be
 * opened, if there is one. At most OPT_MAX_PIDS. */
struct err *session_open_pids(struct session *s, const pid_t *pids, size_t n, bool all);
/* NULL is success too where no command was asked for. After engine_start(). */
struct err *session_go(struct session *s);
/* Waits for the command if there is one, since its output and exit code are what the user waits
 * for; *status is set to it if that is said. */
void session_wait(struct session *s, int *status, bool set_status);
/* After what uses it is gone. */
void session_close(struct session *s);

/* Frames tell which process they are of. */
bool session_is_several(const struct session *s);
/* --gil needs a runtime that has one. A command's is not known before it has run, nor a child's:
 * NULL then, as without --gil. */
struct err *session_check_gil(const struct session *s);
/* That this runtime has no lock. */
struct err *session_no_lock(const struct runtime *rt);
/* As the command line says. */
struct engine_config session_engine_config(const struct session *s);
struct ledger_config session_ledger_config(const struct session *s);
/* What p says of itself but for what ledger_settle() fills in, and start_unix_ns. */
void session_fill_meta(const struct session *s, const struct engine *engine,
                       const struct stats *stats, struct profile *p);
/* Of CLOCK_REALTIME. */
int64_t session_unix_ns(void);

#endif
