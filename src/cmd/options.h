/* SPDX-License-Identifier: Apache-2.0 */
/* What the command line said. Stops here: each stage takes a small config of its own. */
#ifndef CMD_OPTIONS_H
#define CMD_OPTIONS_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include <csample/err.h>

enum opt_event { OPT_CPU, OPT_CYCLES, OPT_WALL };
enum opt_capture { OPT_CAPTURE_AUTO, OPT_CAPTURE_PREEMPT, OPT_CAPTURE_STOP };

struct options {
	pid_t pid;      /* 0: not given */
	double rate_hz; /* default 100; 0 < rate <= 10000 checked */
	bool duration_set;
	uint64_t duration_ns; /* 0: unlimited */
	const char *output;   /* NULL: not given */
	const char *format;   /* NULL: not given; checked by the command */
	enum opt_event event;
	enum opt_capture capture;
	bool nonblocking;
	bool kernel;    /* --kernel */
	bool threads;   /* -t */
	bool functions; /* -F, --nolineno */
	bool full_filenames;
	bool annotate;
	bool inverted;
	bool json; /* -j */
	const char *stats_json;
	const char *debug; /* --debug SUBSYSTEMS */
	char **child_argv; /* after --, NULL-terminated; NULL: none */
};

/* One function per command, in a file of its own. The error is printed by main, which exits with 2
 * for ERR_USAGE and 1 for the rest; without an error with *status, preset to 0. */
struct err *cmd_record(const struct options *opt, int *status);
struct err *cmd_dump(const struct options *opt, int *status);
struct err *cmd_doctor(const struct options *opt, int *status);
struct err *cmd_version(const struct options *opt, int *status);

#endif
