/* SPDX-License-Identifier: Apache-2.0 */
/* What the command line said. Stops here: each stage takes a small config of its own. */
#ifndef CMD_OPTIONS_H
#define CMD_OPTIONS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <sys/types.h>

#include <csample/err.h>
#include <csample/find.h>
#include <csample/outlet.h>

enum opt_event { OPT_CPU, OPT_CYCLES, OPT_WALL };
enum opt_native { OPT_NATIVE_OWN, OPT_NATIVE_ALL, OPT_NATIVE_NONE };
enum opt_capture { OPT_CAPTURE_AUTO, OPT_CAPTURE_PREEMPT, OPT_CAPTURE_STOP };

enum opt_by { OPT_BY_FUNCTIONS, OPT_BY_LINES, OPT_BY_MODULES, OPT_BY_THREADS };

#define OPT_MAX_PUSH   16
#define OPT_MAX_PIDS   256
#define OPT_MAX_LABELS 32

enum {
	OPT_LABEL_COMM = 1 << 0,
	OPT_LABEL_PID = 1 << 1,
	OPT_LABEL_CGROUP = 1 << 2,
	OPT_LABEL_CONTAINER = 1 << 3,
	OPT_LABEL_HOSTNAME = 1 << 4,
};

struct options {
	pid_t pid; /* the first of these; 0: none */
	pid_t pids[OPT_MAX_PIDS];
	size_t n_pids;
	struct selection select; /* who else; its pids are not set here: see select_of() */
	pid_t tid;               /* snapshot: this thread only; 0: all */
	bool subprocesses;       /* -s */
	double rate_hz;          /* default 100; 0 < rate <= 10000 checked */
	bool duration_set;
	uint64_t duration_ns; /* 0: unlimited */
	const char *output;   /* NULL: not given */
	const char *format;   /* NULL: not given; else the name of a format */
	bool event_set;
	enum opt_event event;
	enum opt_native native;
	enum opt_capture capture;
	bool nonblocking;
	bool kernel;  /* --kernel */
	bool threads; /* -t */
	bool timeline;
	bool functions; /* -F, --nolineno */
	bool full_filenames;
	bool gil;    /* -g */
	bool idle;   /* -i; event is then OPT_WALL */
	bool locals; /* -l */
	bool annotate;
	bool inverted;
	bool json;     /* -j */
	bool help;     /* --help: parsing stops there */
	bool help_all; /* --help=all; help --all */
	bool no_config;
	char *config;        /* owned: what strings of the config file point into; NULL: none */
	uint64_t loop_ns;    /* --loop; 0: not given */
	double max_overhead; /* of 1; 0: no budget; < 0: not given */
	const char *labels[OPT_MAX_LABELS]; /* NAME=VALUE */
	size_t n_labels;
	unsigned label_from;   /* OPT_LABEL_... */
	struct retention keep; /* --keep */
	const char *store;     /* --store DIR; NULL: not given */
	const char *listen;    /* --listen ADDRESS; NULL: not given */
	const char *token_file;
	bool insecure;
	uint64_t loop_memory;           /* --loop-memory, for tests: bytes; 0: not given */
	const char *push[OPT_MAX_PUSH]; /* --push URL */
	size_t n_push;
	const char *push_headers[OPT_MAX_PUSH + 1]; /* NULL-terminated */
	size_t n_push_headers;
	struct push_config push_config; /* of the other --push-...; no headers, no version */
	const char *stats_json;
	const char *debug;     /* --debug SUBSYSTEMS */
	const char *snapshots; /* --snapshots FILE: each snapshot, for tests */
	const char *core;      /* --core FILE; NULL: not given */
	const char *exe;       /* --exe PATH; NULL: not given */
	const char *topic;     /* help: the command to explain; NULL: all */
	/* report: */
	bool top, tree, by_total;
	const char *peek, *list; /* regular expressions; NULL: not given */
	enum opt_by by;
	size_t rows; /* 0: all */
	/* query, store: */
	bool from_set, to_set, repair;
	int64_t from_ns, to_ns;
	const char *by_label; /* query: NULL: not given */
	/* top: */
	bool batch;
	uint64_t delay_ns;
	size_t intervals; /* 0: no end */
	const char
	        *operands[2]; /* convert: the file to read, the file to write; report: the first */
	size_t n_operands;
	char **child_argv; /* after --, NULL-terminated; NULL: none */
};

/* Adds the outlets of --push to those there are; *n counts them. A password in a URL is overwritten
 * where the process list would show it. */
struct err *pushing_outlets(const struct options *opt, struct outlet **outlets, size_t max,
                            size_t *n);

/* One bit for each command: which options it takes. */
enum {
	CMD_RECORD = 1 << 0,
	CMD_DUMP = 1 << 1,
	CMD_DOCTOR = 1 << 2,
	CMD_SNAPSHOT = 1 << 5,
	CMD_VERSION = 1 << 3,
	CMD_HELP = 1 << 4,
	CMD_CONVERT = 1 << 6,
	CMD_REPORT = 1 << 7,
	CMD_TOP = 1 << 8,
	CMD_LIST = 1 << 9,
	CMD_QUERY = 1 << 10,
	CMD_STORE = 1 << 11,
};
/* Any command: the bits above stay below bit 16. */
#define CMD_ANY 0xffffU
/* In the same word: the commands of which the option is for rare occasions, so that it is in the
 * manual page, in completions and in --help=all, but not in --help. */
#define RARE(commands) ((unsigned)(commands) << 16)

struct command {
	unsigned bit; /* CMD_... */
	const char *name;
	const char *summary;  /* a line in the list of commands; "": not listed there */
	const char *usage;    /* after "csample NAME " */
	const char *about;    /* paragraph under the usage line; may be NULL */
	const char *examples; /* indented lines; may be NULL */
	struct err *(*run)(const struct options *opt, int *status);
};

/* An option. From this row come parsing, --help, the man page and the completions. */
struct option_row {
	char letter;       /* 0: none */
	const char *name;  /* after -- */
	const char *arg;   /* name of its value in the help; NULL: a flag */
	unsigned commands; /* CMD_... | ... | RARE(...) */
	struct err *(*set)(const struct option_row *row, const char *value, struct options *opt);
	size_t at;         /* offset of its member in struct options */
	const char *group; /* heading in the help; NULL: not shown there */
	const char *help;
	const char *alias; /* another long name; may be NULL */
	const char *value; /* taken when none is given with "="; NULL: there must be one */
};

#define MAX_COMMANDS    24
#define MAX_OPTION_ROWS 160
extern const struct command commands[];
extern const size_t n_commands;
extern const struct option_row option_rows[];
extern const size_t n_option_rows;
extern const char csample_version[];

/* Reads the command line: *command is what to run, with *ret. ERR_USAGE says in one line what is
 * wrong and how to put it right. Strings of argv are borrowed. */
struct err *options_parse(int argc, char **argv, const struct command **command,
                          struct options *ret);
/* The same on top of the defaults that the user's config file has, unless --no-config says no.
 * options_deinit() afterwards, also after an error. */
struct err *options_parse_with_config(int argc, char **argv, const struct command **command,
                                      struct options *ret);
void options_deinit(struct options *opt);
/* The command of that name or unambiguous beginning; ERR_USAGE otherwise. */
struct err *command_find(const char *name, const struct command **ret);

/* Who is meant: the pids too. Borrows from opt. */
struct selection select_of(const struct options *opt);
/* For a command that takes the processes there are now: adds those that are searched for to pids.
 * Of several that fit, those that cannot be read are left out with a warning, unless
 * with_unreadable. ERR_GONE: nobody fits, and who is near; ERR_USAGE: more than OPT_MAX_PIDS. */
struct err *select_resolve(struct options *opt, bool with_unreadable);
/* ERR_GONE that says who was looked for, and what is there instead. */
struct err *select_nobody(const struct selection *s);

/* The text of a command's help, with all its options or those of every day; for NULL the list of
 * commands. As wide as the terminal that out is, within limits. */
void help_print(FILE *out, const struct command *command, bool all);
/* The same for man and for shells. */
void manual_print(FILE *out);
void completion_bash(FILE *out);
void completion_zsh(FILE *out);
void completion_fish(FILE *out);
/* Text broken between words, its lines starting at column indent; the cursor is there already. The
 * width is that of the terminal that out is. */
void print_wrapped(FILE *out, const char *text, int indent);

/* Values as the command line has them; each takes the whole string or fails with ERR_USAGE. */
struct err *value_duration(const char *s, uint64_t *ns_ret); /* 30 30s 5m 1h 250ms unlimited */
struct err *value_rate(const char *s, double *hz_ret);       /* 0 < rate <= 10000 */
struct err *value_pid(const char *s, pid_t *ret);            /* decimal, or 0x... */

/* now -1h now-7d today 2026-11-21 2026-11-21T08:30:00Z 1700000000: ns since 1970. */
struct err *value_time(const char *s, int64_t now_ns, int64_t *ret);
/* 100 7d 2G, or several of them: "7d,2G". *ret is what was said, and no more. */
struct err *value_keep(const char *s, struct retention *ret);

/* The most similar of names[0..n), or NULL when none is near. */
const char *suggest(const char *word, const char *const *names, size_t n);

/* One function per command, in a file of its own. The error is printed by main, which exits with 2
 * for ERR_USAGE and 1 for the rest; without an error with *status, preset to 0. */
struct err *cmd_record(const struct options *opt, int *status);
struct err *cmd_top(const struct options *opt, int *status);
/* What record does if options_are_continuous(). */
struct err *cmd_continuous(const struct options *opt, int *status);
bool options_are_continuous(const struct options *opt);
struct err *cmd_dump(const struct options *opt, int *status);
struct err *cmd_doctor(const struct options *opt, int *status);
struct err *cmd_list(const struct options *opt, int *status);
struct err *cmd_snapshot(const struct options *opt, int *status);
struct err *cmd_report(const struct options *opt, int *status);
struct err *cmd_convert(const struct options *opt, int *status);
struct err *cmd_query(const struct options *opt, int *status);
struct err *cmd_store(const struct options *opt, int *status);
struct err *cmd_version(const struct options *opt, int *status);
struct err *cmd_help(const struct options *opt, int *status);

#endif
