/* SPDX-License-Identifier: Apache-2.0 */
/* The table of options, and what each does with its value. */
#include <assert.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <csample/mem.h>
#include <csample/outlet.h>

#include "options.h"

static void *member(const struct option_row *row, struct options *opt)
{
	return (char *)opt + row->at;
}

static struct err *set_flag(const struct option_row *row, const char *value, struct options *opt)
{
	(void)value;
	*(bool *)member(row, opt) = true;
	return NULL;
}

static struct err *set_help(const struct option_row *row, const char *value, struct options *opt)
{
	(void)row;
	if (*value && strcmp(value, "all") != 0)
		return err_new(ERR_USAGE, "'%s' is not all; to see every option: --help=all",
		               value);
	opt->help = true;
	opt->help_all = *value;
	return NULL;
}

static struct err *set_string(const struct option_row *row, const char *value, struct options *opt)
{
	if (!*value)
		return err_new(ERR_USAGE, "the value is empty");
	*(const char **)member(row, opt) = value;
	return NULL;
}

static struct err *set_pid(const struct option_row *row, const char *value, struct options *opt)
{
	(void)row;
	for (const char *p = value; p; p = *p ? p + 1 : NULL) {
		size_t len = strcspn(p, ",");
		_cleanup_free_ char *one = mem_strndup(p, len);
		pid_t pid;
		struct err *err = value_pid(one, &pid);
		if (err)
			return err;
		bool known = false;
		for (size_t i = 0; i < opt->n_pids; i++)
			known |= opt->pids[i] == pid;
		if (!known && opt->n_pids == OPT_MAX_PIDS)
			return err_new(ERR_USAGE, "more than %d processes", OPT_MAX_PIDS);
		if (!known)
			opt->pids[opt->n_pids++] = pid;
		opt->pid = opt->pids[0];
		p += len;
	}
	return NULL;
}

static struct err *set_word(const struct option_row *row, const char *value, struct options *opt)
{
	struct find_words *words = member(row, opt);
	if (!*value)
		return err_new(ERR_USAGE, "the value is empty");
	if (words->n == FIND_MAX_WORDS)
		return err_new(ERR_USAGE, "given more than %d times", FIND_MAX_WORDS);
	words->items[words->n++] = value;
	return NULL;
}

static struct err *set_tid(const struct option_row *row, const char *value, struct options *opt)
{
	return value_pid(value, member(row, opt));
}

static struct err *set_rate(const struct option_row *row, const char *value, struct options *opt)
{
	return value_rate(value, member(row, opt));
}

static struct err *set_duration(const struct option_row *row, const char *value,
                                struct options *opt)
{
	opt->duration_set = true;
	return value_duration(value, member(row, opt));
}

/* One of the words of row->arg; stores its index, which is the value of the enum. */
static struct err *set_choice(const struct option_row *row, const char *value, struct options *opt)
{
	unsigned index = 0;
	for (const char *p = row->arg; p; index++) {
		size_t len = strcspn(p, "|");
		if (strlen(value) == len && !memcmp(p, value, len)) {
			*(unsigned *)member(row, opt) = index;
			return NULL;
		}
		p = p[len] ? p + len + 1 : NULL;
	}
	return err_new(ERR_USAGE, "'%s' is not one of %s", value, row->arg);
}

static struct err *set_event(const struct option_row *row, const char *value, struct options *opt)
{
	opt->event_set = true;
	return set_choice(row, value, opt);
}

static struct err *set_interval(const struct option_row *row, const char *value,
                                struct options *opt)
{
	uint64_t *ns = member(row, opt);
	struct err *err = value_duration(value, ns);
	if (err)
		return err;
	if (*ns < 1000000000ULL || *ns > 24 * 3600 * 1000000000ULL)
		return err_new(ERR_USAGE, "'%s' is not from 1s to 24h", value);
	return NULL;
}

static struct err *set_any_interval(const struct option_row *row, const char *value,
                                    struct options *opt)
{
	struct err *err = value_duration(value, member(row, opt));
	return err ? err : opt->loop_ns ? NULL : err_new(ERR_USAGE, "an interval takes time");
}

static struct err *set_overhead(const struct option_row *row, const char *value,
                                struct options *opt)
{
	char *end;
	if (!strcmp(value, "off")) {
		*(double *)member(row, opt) = 0;
		return NULL;
	}
	double percent = strtod(value, &end);
	if (end == value || (*end && strcmp(end, "%") != 0) || !(percent >= 0.01 && percent <= 100))
		return err_new(ERR_USAGE, "'%s' is neither off nor from 0.01%% to 100%%", value);
	*(double *)member(row, opt) = percent / 100;
	return NULL;
}

static struct err *set_label(const struct option_row *row, const char *value, struct options *opt)
{
	(void)row;
	const char *equals = strchr(value, '=');
	if (!equals)
		return err_new(ERR_USAGE, "'%s' is not NAME=VALUE", value);
	_cleanup_free_ char *name = mem_strndup(value, (size_t)(equals - value));
	struct err *err = label_check(name, equals + 1);
	if (err)
		return err;
	if (opt->n_labels == OPT_MAX_LABELS)
		return err_new(ERR_USAGE, "more than %d labels", OPT_MAX_LABELS);
	opt->labels[opt->n_labels++] = value;
	return NULL;
}

static struct err *set_label_from(const struct option_row *row, const char *value,
                                  struct options *opt)
{
	static const char *const sources[] = {"comm", "pid", "cgroup", "container", "hostname"};
	for (const char *p = value; p; p = *p ? p + 1 : NULL) {
		size_t len = strcspn(p, ","), i = 0;
		while (i < ARRAY_SIZE(sources) &&
		       (strlen(sources[i]) != len || memcmp(p, sources[i], len) != 0))
			i++;
		if (i == ARRAY_SIZE(sources))
			return err_new(ERR_USAGE, "'%.*s' is none of %s", (int)len, p, row->arg);
		opt->label_from |= 1U << i;
		p += len;
	}
	return NULL;
}

static struct err *set_keep(const struct option_row *row, const char *value, struct options *opt)
{
	return value_keep(value, member(row, opt));
}

static struct err *set_bytes(const struct option_row *row, const char *value, struct options *opt)
{
	struct retention keep = {0};
	struct err *err = value_keep(value, &keep);
	*(uint64_t *)member(row, opt) = keep.bytes;
	return err;
}

static struct err *set_rows(const struct option_row *row, const char *value, struct options *opt)
{
	char *end;
	unsigned long n = strtoul(value, &end, 10);
	if (*end || value[0] < '0' || value[0] > '9' || n > 1000000)
		return err_new(ERR_USAGE, "'%s' is no number from 0 (all) to 1000000", value);
	*(size_t *)member(row, opt) = n;
	return NULL;
}

/* Each table costs something, and shorter ones hold no samples. */
static struct err *set_delay(const struct option_row *row, const char *value, struct options *opt)
{
	uint64_t ns;
	struct err *err = value_duration(value, &ns);
	if (!err && ns < 100000000)
		err = err_new(ERR_USAGE, "'%s' is less than 100ms", value);
	if (!err)
		*(uint64_t *)member(row, opt) = ns;
	return err;
}

static struct err *set_push(const struct option_row *row, const char *value, struct options *opt)
{
	(void)row;
	if (opt->n_push == OPT_MAX_PUSH)
		return err_new(ERR_USAGE, "more than %d destinations", OPT_MAX_PUSH);
	opt->push[opt->n_push++] = value;
	return NULL;
}

static struct err *set_push_header(const struct option_row *row, const char *value,
                                   struct options *opt)
{
	(void)row;
	if (opt->n_push_headers == OPT_MAX_PUSH)
		return err_new(ERR_USAGE, "more than %d headers", OPT_MAX_PUSH);
	opt->push_headers[opt->n_push_headers++] = value;
	return NULL;
}

static struct err *set_size(const struct option_row *row, const char *value, struct options *opt)
{
	struct retention keep = {0};
	struct err *err = value_keep(value, &keep);
	if (!err && (!keep.bytes || keep.count || keep.age_ns))
		err = err_new(ERR_USAGE, "'%s' is not a size; use 64MiB or 1GiB", value);
	*(uint64_t *)member(row, opt) = keep.bytes;
	return err;
}

static struct err *set_time(const struct option_row *row, const char *value, struct options *opt)
{
	return value_duration(value, member(row, opt));
}

static int64_t now_unix_ns(void)
{
	struct timespec now;
	clock_gettime(CLOCK_REALTIME, &now);
	return (int64_t)now.tv_sec * 1000000000 + now.tv_nsec;
}

static struct err *set_from(const struct option_row *row, const char *value, struct options *opt)
{
	opt->from_set = true;
	return value_time(value, now_unix_ns(), member(row, opt));
}

static struct err *set_to(const struct option_row *row, const char *value, struct options *opt)
{
	opt->to_set = true;
	return value_time(value, now_unix_ns(), member(row, opt));
}

#define AT(m) offsetof(struct options, m)
static const char what[] = "What to look at", how[] = "How", output[] = "Output",
                  months[] = "Continuously", frames[] = "Frames",
                  push[] = "To a backend (with --loop)", other[] = "Other";

#define LIVE \
	(CMD_RECORD | CMD_DUMP | CMD_DOCTOR | CMD_LIST | CMD_TOP) /* look at processes that run */

/* clang-format off */
const struct option_row option_rows[] = {
	{ 'p', "pid", "PID[,PID]", CMD_RECORD | CMD_DUMP | CMD_LIST | CMD_TOP, set_pid, AT(pid), what,
	  "the process, or several", NULL, NULL },
	{ 'p', "pid", "PID", CMD_DOCTOR | CMD_SNAPSHOT, set_pid, AT(pid), what,
	  "the process", NULL, NULL },
	{ 0, "comm", "NAME", LIVE, set_word, AT(select.comm), what,
	  "processes by name: that of ps -e, or their program's", NULL, NULL },
	{ 0, "cmdline", "REGEX", LIVE, set_word, AT(select.cmdline), what,
	  "processes by command line, as pgrep -f finds them", NULL, NULL },
	{ 0, "cgroup", "PATH", LIVE | RARE(LIVE), set_word, AT(select.cgroup), what,
	  "processes in this cgroup or below it: /system.slice/nginx.service, or nginx.service", NULL, NULL },
	{ 0, "container", "ID", LIVE, set_word, AT(select.container), what,
	  "processes of a container: name, or beginning of id", NULL, NULL },
	{ 0, "pidfile", "FILE", LIVE | RARE(LIVE), set_word, AT(select.pidfile), what,
	  "the process whose id FILE begins with", NULL, NULL },
	{ 's', "subprocesses", NULL, CMD_RECORD | CMD_TOP, set_flag, AT(subprocesses), what,
	  "its children too, and theirs, also those to come", NULL, NULL },
	{ 's', "subprocesses", NULL, CMD_DUMP, set_flag, AT(subprocesses), what,
	  "its children too, and theirs", NULL, NULL },
	{ 0, "core", "FILE", CMD_DUMP, set_string, AT(core), what,
	  "a core file instead of a process", NULL, NULL },
	{ 0, "exe", "PATH", CMD_DUMP, set_string, AT(exe), what,
	  "with --core: the program it is of, if that is not where it was", NULL, NULL },
	{ 0, "tid", "TID", CMD_SNAPSHOT, set_tid, AT(tid), what,
	  "this thread only", NULL, NULL },
	{ 'e', "event", "cpu|cycles|wall", CMD_RECORD | CMD_TOP, set_event, AT(event), what,
	  "CPU time (default), cycles, or wall time of all threads",
	  NULL, NULL },
	{ 'i', "idle", NULL, CMD_RECORD | CMD_TOP, set_flag, AT(idle), what,
	  "waiting threads too, as -e wall has them", NULL, NULL },
	{ 'g', "gil", NULL, CMD_RECORD | CMD_TOP, set_flag, AT(gil), what,
	  "Python: only threads that hold the GIL", NULL, NULL },
	{ 0, "store", "DIR", CMD_QUERY | CMD_STORE, set_string, AT(store), what,
	  "the store (default: $STATE_DIRECTORY/store, /var/lib/csample/store for root, else below "
	  "~/.local/state)", NULL, NULL },
	{ 0, "from", "TIME", CMD_QUERY | CMD_STORE, set_from, AT(from_ns), what,
	  "profiles that began then or later: -1h (query's default), today, 2026-11-21, "
	  "2026-11-21T08:30:00Z, seconds since 1970", NULL, NULL },
	{ 0, "to", "TIME", CMD_QUERY | CMD_STORE, set_to, AT(to_ns), what,
	  "and before that time (default: now)", NULL, NULL },
	{ 'd', "duration", "TIME", CMD_RECORD, set_duration, AT(duration_ns), how,
	  "30 (seconds), 5m, 1h, 250ms; default: until it ends, or Ctrl-C", NULL, NULL },
	{ 'r', "rate", "HZ", CMD_RECORD | CMD_TOP, set_rate, AT(rate_hz), how,
	  "samples a second of each busy CPU (default 100)", "freq", NULL },
	{ 0, "capture", "auto|preempt|stop", CMD_RECORD | CMD_TOP | RARE(CMD_RECORD | CMD_TOP), set_choice, AT(capture), how,
	  "how a running thread is read: held off its CPU, or stopped (default: the best there is)",
	  NULL, NULL },
	{ 0, "nonblocking", NULL, CMD_RECORD | CMD_DUMP | CMD_TOP | RARE(CMD_TOP), set_flag, AT(nonblocking), how,
	  "never stop a thread; samples that need it are lost", NULL, NULL },
	{ 0, "top", NULL, CMD_REPORT, set_flag, AT(top), how,
	  "a table of what took most (the default)", NULL, NULL },
	{ 0, "tree", NULL, CMD_REPORT | CMD_QUERY, set_flag, AT(tree), how,
	  "each row of it with its callers above and what it calls below", NULL, NULL },
	{ 0, "peek", "REGEX", CMD_REPORT | CMD_QUERY, set_string, AT(peek), how,
	  "the same for functions that match", NULL, NULL },
	{ 0, "list", "REGEX", CMD_REPORT, set_string, AT(list), how,
	  "figures per line of functions that match, with source where that is here", NULL, NULL },
	{ 0, "by", "functions|lines|modules|threads", CMD_REPORT | CMD_TOP, set_choice, AT(by), how,
	  "what a row is (default: a function)", NULL, NULL },
	{ 0, "cum", NULL, CMD_REPORT | CMD_TOP | CMD_QUERY, set_flag, AT(by_total), how,
	  "sort by total time, with all that is called, not by own", NULL, NULL },
	{ 0, "by", "LABEL", CMD_QUERY, set_string, AT(by_label), how,
	  "a root for each value of a label, to compare them", NULL, NULL },
	{ 0, "repair", NULL, CMD_STORE, set_flag, AT(repair), how,
	  "check: mend what is not right", NULL, NULL },
	{ 'n', "rows", "N", CMD_REPORT | CMD_QUERY, set_rows, AT(rows), how,
	  "at most N rows (default 20; 0: all)", NULL, NULL },
	{ 0, "batch", NULL, CMD_TOP, set_flag, AT(batch), output,
	  "tables as text, as where there is no terminal", NULL, NULL },
	{ 'n', "intervals", "N", CMD_TOP, set_rows, AT(intervals), output,
	  "--batch, --json: leave after N tables (default 0: never)", NULL, NULL },
	{ 0, "delay", "TIME", CMD_TOP, set_delay, AT(delay_ns), output,
	  "how long an interval is: 1s (default), 500ms, 10 (seconds)", NULL, NULL },
	{ 0, "rows", "N", CMD_TOP, set_rows, AT(rows), output,
	  "--batch, --json: at most N rows (default 20; 0: all)", NULL, NULL },
	{ 'o', "output", "FILE", CMD_RECORD | CMD_SNAPSHOT | CMD_QUERY, set_string, AT(output), output,
	  "write to FILE; its ending gives the format; - is stdout", NULL, NULL },
	{ 'f', "format", "FORMAT", CMD_RECORD | CMD_CONVERT | CMD_QUERY, set_string, AT(format), output,
	  "svg (default), html, collapsed (default on stdout), pprof, speedscope, chrometrace, firefox or json", NULL, NULL },
	{ 0, "keep", "COUNT|AGE|SIZE", CMD_STORE, set_keep, AT(keep), output,
	  "how much is kept: 100 (profiles), 7d, 2G, or several: 7d,2G; the oldest go", NULL, NULL },
	{ 'j', "json", NULL, CMD_DUMP | CMD_DOCTOR | CMD_LIST | CMD_TOP | CMD_VERSION | CMD_STORE, set_flag, AT(json), output,
	  "print JSON", NULL, NULL },
	{ 0, "stats-json", "FILE", CMD_RECORD | RARE(CMD_RECORD), set_string, AT(stats_json), output,
	  "write the closing summary as JSON to FILE", NULL, NULL },
	{ 'n', "native", "own|all|none", CMD_RECORD | CMD_DUMP, set_choice, AT(native), frames,
	  "native frames: all but the interpreter's own (default), all, or none",
	  NULL, "own" },
	{ 0, "native", "own|all|none", CMD_TOP, set_choice, AT(native), frames,
	  "native frames: all but the interpreter's own (default), all, or none",
	  NULL, "own" },
	{ 't', "threads", NULL, CMD_RECORD, set_flag, AT(threads), frames,
	  "tell threads apart: each is the root of its stacks", NULL, NULL },
	{ 0, "timeline", NULL, CMD_RECORD | RARE(CMD_RECORD), set_flag, AT(timeline), frames,
	  "keep when each sample was, for chrometrace, firefox, speedscope and json", NULL, NULL },
	{ 'F', "function", NULL, CMD_RECORD | CMD_CONVERT | CMD_QUERY, set_flag, AT(functions), frames,
	  "names without lines", "nolineno", NULL },
	{ 'l', "locals", NULL, CMD_DUMP | CMD_SNAPSHOT, set_flag, AT(locals), frames,
	  "arguments and local variables of Python frames", NULL, NULL },
	{ 0, "kernel", NULL, CMD_RECORD | CMD_TOP | RARE(CMD_RECORD | CMD_TOP), set_flag, AT(kernel), frames,
	  "kernel frames too", NULL, NULL },
	{ 0, "full-filenames", NULL, CMD_RECORD | CMD_DUMP | CMD_CONVERT | CMD_TOP | CMD_QUERY | RARE(CMD_RECORD | CMD_TOP), set_flag, AT(full_filenames), frames,
	  "whole paths, not only their last part", NULL, NULL },
	{ 0, "annotate", NULL, CMD_RECORD | CMD_CONVERT | CMD_QUERY | RARE(CMD_RECORD), set_flag, AT(annotate), frames,
	  "collapsed: mark the kind of each frame, as _[k] for kernel, _[i] for inlined", NULL, NULL },
	{ 0, "inverted", NULL, CMD_RECORD | CMD_CONVERT | CMD_QUERY | RARE(CMD_RECORD), set_flag, AT(inverted), frames,
	  "svg, html: the root at the top (icicle) at first sight", NULL, NULL },
	{ 0, "loop", "TIME", CMD_RECORD, set_interval, AT(loop_ns), months,
	  "a profile every 1m (10s, 1h), for months, as processes come and go", NULL, NULL },
	{ 0, "keep", "COUNT|AGE|SIZE", CMD_RECORD | RARE(CMD_RECORD), set_keep, AT(keep), months,
	  "of the profiles written: this many, days (7d) or bytes (1GiB); also several, separated by "
	  "commas", NULL, NULL },
	{ 0, "max-overhead", "PERCENT|off", CMD_RECORD | RARE(CMD_RECORD), set_overhead, AT(max_overhead), months,
	  "the rate is lowered so that the process is not held for more of its CPU time, and csample "
	  "does not use more of a core (default 1%)", NULL, NULL },
	{ 0, "label", "NAME=VALUE", CMD_RECORD | RARE(CMD_RECORD), set_label, AT(labels), months,
	  "what profiles are told apart by, as service_name=checkout; repeatable", NULL, NULL },
	{ 0, "label-from", "comm,pid,cgroup,container,hostname", CMD_RECORD | RARE(CMD_RECORD), set_label_from,
	  AT(label_from), months, "labels that come from the process", NULL, NULL },
	{ 0, "store", "DIR", CMD_RECORD | RARE(CMD_RECORD), set_string, AT(store), months,
	  "into a directory with an index, also without --loop (where profiles go if nothing else is "
	  "said: /var/lib/csample/store, or below ~/.local/state)", NULL, NULL },
	{ 0, "listen", "ADDRESS", CMD_RECORD | RARE(CMD_RECORD), set_string, AT(listen), months,
	  "serve /debug/pprof/, /metrics and /healthz at 127.0.0.1:6060 or the like, as Go's net/http/pprof "
	  "does", NULL, NULL },
	{ 0, "token-file", "FILE", CMD_RECORD | RARE(CMD_RECORD), set_string, AT(token_file), months,
	  "with --listen: who asks must know the token in FILE (Authorization: Bearer)", NULL, NULL },
	{ 0, "insecure", NULL, CMD_RECORD | RARE(CMD_RECORD), set_flag, AT(insecure), months,
	  "with --listen: other hosts may ask without a token", NULL, NULL },
	{ 0, "push", "URL", CMD_RECORD | RARE(CMD_RECORD), set_push, AT(push), push,
	  "to pyroscope+http://HOST:4040, parca+http://HOST:7070 or otlp+http://HOST:4318 (or https); "
	  "repeatable; CSAMPLE_PUSH_TOKEN and CSAMPLE_PUSH_USER "
	  "(user:password) in the environment are sent along", NULL, NULL },
	{ 0, "push-spool", "DIR", CMD_RECORD | RARE(CMD_RECORD), set_string, AT(push_config.spool_dir), push,
	  "where profiles wait that are not yet delivered (default /var/lib/csample/spool, or below "
	  "~/.local/state)", NULL, NULL },
	{ 0, "push-spool-size", "SIZE", CMD_RECORD | RARE(CMD_RECORD), set_size, AT(push_config.spool_max_bytes), push,
	  "how much may wait for each destination (default 256MiB); the oldest are dropped, and counted",
	  NULL, NULL },
	{ 0, "push-tenant", "ID", CMD_RECORD | RARE(CMD_RECORD), set_string, AT(push_config.tenant), push,
	  "the tenant, as X-Scope-OrgID", NULL, NULL },
	{ 0, "push-user-file", "FILE", CMD_RECORD | RARE(CMD_RECORD), set_string, AT(push_config.user_file), push,
	  "a file with USER:PASSWORD, for basic authentication", NULL, NULL },
	{ 0, "push-token-file", "FILE", CMD_RECORD | RARE(CMD_RECORD), set_string, AT(push_config.token_file), push,
	  "a file with a bearer token; read anew for each request", NULL, NULL },
	{ 0, "push-header", "NAME:VALUE|@FILE", CMD_RECORD | RARE(CMD_RECORD), set_push_header, AT(push_headers), push,
	  "a header of each request, or a file that holds one; repeatable", NULL, NULL },
	{ 0, "push-ca", "FILE", CMD_RECORD | RARE(CMD_RECORD), set_string, AT(push_config.ca_file), push,
	  "certificates of the authorities to trust, instead of the system's", NULL, NULL },
	{ 0, "push-cert", "FILE", CMD_RECORD | RARE(CMD_RECORD), set_string, AT(push_config.cert_file), push,
	  "a client certificate", NULL, NULL },
	{ 0, "push-key", "FILE", CMD_RECORD | RARE(CMD_RECORD), set_string, AT(push_config.key_file), push,
	  "its key", NULL, NULL },
	{ 0, "push-insecure", NULL, CMD_RECORD | RARE(CMD_RECORD), set_flag, AT(push_config.insecure), push,
	  "whatever certificate the server has", NULL, NULL },
	{ 0, "push-timeout", "TIME", CMD_RECORD | RARE(CMD_RECORD), set_time, AT(push_config.timeout_ns), push,
	  "of a request (default 30s, more for large profiles)", NULL, NULL },
	{ 'h', "help", "all", CMD_ANY | RARE(CMD_ANY), set_help, AT(help), other,
	  "what there is for every day; all: every option", NULL, "" },
	{ 0, "all", NULL, CMD_HELP, set_flag, AT(help_all), other,
	  "every option of the command, not only those of every day", NULL, NULL },
	{ 0, "no-config", NULL, CMD_ANY | RARE(CMD_ANY), set_flag, AT(no_config), other,
	  "leave ~/.config/csample/config aside", NULL, NULL },
	{ 0, "loop-any", "TIME", CMD_RECORD, set_any_interval, AT(loop_ns), NULL,
	  "--loop with an interval of any length", NULL, NULL },
	{ 0, "loop-memory", "BYTES", CMD_RECORD, set_bytes, AT(loop_memory), NULL,
	  "with --loop: how much csample may grow before it reads names and files anew", NULL, NULL },
	{ 0, "debug", "SUBSYSTEMS", LIVE | CMD_SNAPSHOT, set_string, AT(debug), NULL,
	  "diagnostics of target, trigger, capture, unwind, decode, symbols, emit or all", NULL, NULL },
	{ 0, "snapshots", "FILE", CMD_RECORD, set_string, AT(snapshots), NULL,
	  "write each snapshot as captured, as include/csample/recorded.h describes it", NULL, NULL },
};
/* clang-format on */
const size_t n_option_rows = ARRAY_SIZE(option_rows);
static_assert(ARRAY_SIZE(option_rows) <= MAX_OPTION_ROWS, "raise MAX_OPTION_ROWS");
