/* SPDX-License-Identifier: Apache-2.0 */
/* Ctrl-Z while sampling is under way. Its default action could hit us while a thread of the target
 * is stopped by ptrace, which would then be suspended with us. */
#ifndef CMD_SUSPEND_H
#define CMD_SUSPEND_H

#include <stdbool.h>

#include <csample/engine.h>

/* From now on we are not suspended by ourselves: suspend_asked() says when the user wants it. Where
 * SIGTSTP was ignored already it still is. */
void suspend_catch(void);
/* Once sampling has ended: as it was before. A suspension that was asked for happens now. */
void suspend_release(void);
bool suspend_asked(void);
/* True once after we were continued. */
bool suspend_is_over(void);
/* Suspends us; sampling by these engines (NULL among them is passed over) is held meanwhile.
 * Returns once we are continued, and, on_terminal, are in the foreground. False when one cannot be
 * held: nothing has happened, and the user is told. */
bool suspend_now(struct engine *const *engines, size_t n, bool on_terminal);
/* Before a screen is opened: waits, suspended, for the terminal to be ours. */
void suspend_until_foreground(void);

#endif
