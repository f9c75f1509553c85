/* SPDX-License-Identifier: Apache-2.0 */
#ifndef CMD_DESK_TEXTS_H
#define CMD_DESK_TEXTS_H

#include <csample/serve.h>

#include "session.h"

/* What a desk asks of the processes that are sampled now, n of them; appended to b, see enum
 * desk_text. Threads are of all of them, 64 processes at most; the command line and addresses are
 * of the first. Each is opened anew: those that the session was opened with may have ended. Files
 * and names are the session's. ERR_GONE: none is there. */
struct err *desk_text_of(const struct session *s, const pid_t *pids, size_t n, enum desk_text what,
                         struct strbuf *b);

#endif
