/* SPDX-License-Identifier: Apache-2.0 */
/* SIGINT, SIGTERM and SIGHUP ask a command to end and to keep what it has; the second one ends it
 * at once. */
#ifndef CMD_ENDING_H
#define CMD_ENDING_H

#include <signal.h>

extern volatile sig_atomic_t ending_asked;
/* From now on. Writing to who reads no more is an error instead of SIGPIPE. */
void ending_catch(void);

#endif
