/* SPDX-License-Identifier: Apache-2.0 */
/* Diagnostics on stderr. Warnings are for users, debug lines for us; the sampling path does
 * neither. */
#ifndef CSAMPLE_LOG_H
#define CSAMPLE_LOG_H

#include <stdbool.h>

#include <csample/err.h>

enum log_subsystem {
	LOG_TARGET,
	LOG_TRIGGER,
	LOG_CAPTURE,
	LOG_UNWIND,
	LOG_DECODE,
	LOG_SYMBOLS,
	LOG_EMIT,
	LOG_SUBSYSTEMS
};

/* "csample: warning: ..." on stderr; control bytes are made visible, since names come from targets.
 */
void log_warn(const char *fmt, ...) __attribute__((format(printf, 1, 2)));
/* "csample: ...": what a user should see without it being a warning. */
void log_info(const char *fmt, ...) __attribute__((format(printf, 1, 2)));
void log_debug(enum log_subsystem subsystem, const char *fmt, ...)
        __attribute__((format(printf, 2, 3)));
/* Turns debug lines on for "unwind,symbols" or "all"; an unknown name is ERR_USAGE. */
struct err *log_enable(const char *subsystems);
bool log_enabled(enum log_subsystem subsystem);

#endif
