/* SPDX-License-Identifier: Apache-2.0 */
/* The table of options, and the parser that follows it. */
#include "options.h"

#include <stdlib.h>
#include <string.h>

#include <csample/format.h>
#include <csample/log.h>
#include <csample/mem.h>

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

static struct err *set_rows(const struct option_row *row, const char *value, struct options *opt)
{
	char *end;
	unsigned long n = strtoul(value, &end, 10);
	if (*end || value[0] < '0' || value[0] > '9' || n > 1000000)
		return err_new(ERR_USAGE, "'%s' is no number from 0 (all) to 1000000", value);
	*(size_t *)member(row, opt) = n;
	return NULL;
}

#define AT(m) offsetof(struct options, m)
static const char what[] = "What to look at", how[] = "How", output[] = "Output",
                  frames[] = "Frames", other[] = "Other";

/* clang-format off */
const struct option_row option_rows[] = {
	{ 'p', "pid", "PID[,PID]", CMD_RECORD | CMD_DUMP | CMD_DOCTOR | CMD_SNAPSHOT, set_pid, AT(pid), what,
	  "the process; record and dump take several", NULL, NULL },
	{ 's', "subprocesses", NULL, CMD_RECORD | CMD_DUMP, set_flag, AT(subprocesses), what,
	  "its child processes too, and theirs; record follows those created later", NULL,
	  NULL },
	{ 0, "core", "FILE", CMD_DUMP, set_string, AT(core), what,
	  "a core file instead of a process", NULL, NULL },
	{ 0, "exe", "PATH", CMD_DUMP, set_string, AT(exe), what,
	  "with --core: the program it is of, if that is not where it was", NULL, NULL },
	{ 0, "tid", "TID", CMD_SNAPSHOT, set_tid, AT(tid), what,
	  "this thread only", NULL, NULL },
	{ 'e', "event", "cpu|cycles|wall", CMD_RECORD, set_event, AT(event), what,
	  "what is counted: time on a CPU (default), hardware cycles, or wall time of all threads",
	  NULL, NULL },
	{ 'i', "idle", NULL, CMD_RECORD, set_flag, AT(idle), what,
	  "threads that wait too: the same as -e wall", NULL, NULL },
	{ 'g', "gil", NULL, CMD_RECORD, set_flag, AT(gil), what,
	  "Python: only threads that hold the GIL", NULL, NULL },
	{ 'd', "duration", "TIME", CMD_RECORD, set_duration, AT(duration_ns), how,
	  "30, 30s, 5m, 1h, 250ms; 0 or unlimited (default): until Ctrl-C or the process ends", NULL, NULL },
	{ 'r', "rate", "HZ", CMD_RECORD, set_rate, AT(rate_hz), how,
	  "samples a second of each busy CPU (default 100, at most 10000)", "freq", NULL },
	{ 0, "capture", "auto|preempt|stop", CMD_RECORD, set_choice, AT(capture), how,
	  "how a running thread is read: held off its CPU, or stopped (default: the best there is)",
	  NULL, NULL },
	{ 0, "nonblocking", NULL, CMD_RECORD | CMD_DUMP, set_flag, AT(nonblocking), how,
	  "never stop a thread; what would need it is counted as lost", NULL, NULL },
	{ 0, "top", NULL, CMD_REPORT, set_flag, AT(top), how,
	  "a table of what took most (the default)", NULL, NULL },
	{ 0, "tree", NULL, CMD_REPORT, set_flag, AT(tree), how,
	  "each row of it with its callers above and what it calls below", NULL, NULL },
	{ 0, "peek", "REGEX", CMD_REPORT, set_string, AT(peek), how,
	  "the same for functions that match", NULL, NULL },
	{ 0, "list", "REGEX", CMD_REPORT, set_string, AT(list), how,
	  "figures per line of functions that match, with source where that is here", NULL, NULL },
	{ 0, "by", "functions|lines|modules|threads", CMD_REPORT, set_choice, AT(by), how,
	  "what a row is (default: a function)", NULL, NULL },
	{ 0, "cum", NULL, CMD_REPORT, set_flag, AT(by_total), how,
	  "sort by the time of a function and all it calls, not by its own", NULL, NULL },
	{ 'n', "rows", "N", CMD_REPORT, set_rows, AT(rows), how,
	  "at most N rows (default 20; 0: all)", NULL, NULL },
	{ 'o', "output", "FILE", CMD_RECORD | CMD_SNAPSHOT, set_string, AT(output), output,
	  "write to FILE; its ending gives the format; - is stdout", NULL, NULL },
	{ 'f', "format", "FORMAT", CMD_RECORD | CMD_CONVERT, set_string, AT(format), output,
	  "svg (default), collapsed (default on stdout), pprof, speedscope or json", NULL, NULL },
	{ 'j', "json", NULL, CMD_DUMP | CMD_DOCTOR, set_flag, AT(json), output,
	  "print JSON", NULL, NULL },
	{ 0, "stats-json", "FILE", CMD_RECORD, set_string, AT(stats_json), output,
	  "write the closing summary as JSON to FILE", NULL, NULL },
	{ 'n', "native", "own|all|none", CMD_RECORD | CMD_DUMP, set_choice, AT(native), frames,
	  "native frames beside Python's: all but the interpreter's own (default), all, or none",
	  NULL, "own" },
	{ 't', "threads", NULL, CMD_RECORD, set_flag, AT(threads), frames,
	  "tell threads apart: the thread is the root of its stacks", NULL, NULL },
	{ 'F', "function", NULL, CMD_RECORD | CMD_CONVERT, set_flag, AT(functions), frames,
	  "names without lines", "nolineno", NULL },
	{ 'l', "locals", NULL, CMD_DUMP | CMD_SNAPSHOT, set_flag, AT(locals), frames,
	  "arguments and local variables of Python frames", NULL, NULL },
	{ 0, "kernel", NULL, CMD_RECORD, set_flag, AT(kernel), frames,
	  "kernel frames too", NULL, NULL },
	{ 0, "full-filenames", NULL, CMD_RECORD | CMD_DUMP | CMD_CONVERT, set_flag, AT(full_filenames), frames,
	  "whole paths, not only their last part", NULL, NULL },
	{ 0, "annotate", NULL, CMD_RECORD | CMD_CONVERT, set_flag, AT(annotate), frames,
	  "collapsed: mark the kind of each frame, as _[k] for kernel, _[i] for inlined", NULL, NULL },
	{ 0, "inverted", NULL, CMD_RECORD | CMD_CONVERT, set_flag, AT(inverted), frames,
	  "svg: the root at the top (icicle) at first sight", NULL, NULL },
	{ 'h', "help", NULL, ~0U, set_flag, AT(help), other,
	  "this text", NULL, NULL },
	{ 0, "debug", "SUBSYSTEMS", CMD_RECORD | CMD_DUMP | CMD_DOCTOR | CMD_SNAPSHOT, set_string, AT(debug), NULL,
	  "diagnostics of target, trigger, capture, unwind, decode, symbols, emit or all", NULL, NULL },
	{ 0, "snapshots", "FILE", CMD_RECORD, set_string, AT(snapshots), NULL,
	  "write each snapshot as captured, as include/csample/recorded.h describes it", NULL, NULL },
};

const struct command commands[] = {
	{ CMD_RECORD, "record", "profile a process, or a command from its start", 
	  "[-p PID] [OPTIONS] [-- COMMAND ARG...]",
	  "Samples where a process spends its time and writes a profile. Ends after -d, on Ctrl-C, or\n"
	  "with the process; the profile is written either way. A second Ctrl-C discards it.",
	  "  csample record -p 1234                      until Ctrl-C, into a flame graph (SVG)\n"
	  "  csample record -p 1234 -d 30 -o app.pb.gz   30 seconds, for pprof\n"
	  "  csample record -o - -f collapsed -- make    a command, collapsed stacks on stdout\n",
	  cmd_record },
	{ CMD_DUMP, "dump", "print the stack of every thread, now",
	  "-p PID | --core FILE [OPTIONS]",
	  "Prints each thread of a process once: its state, what it waits in, and its stack.",
	  "  csample dump -p 1234\n"
	  "  csample dump --core core.1234               the same of a core file\n"
	  "  csample dump -p 1234 --json | jq '.threads[].frames[0].function'\n",
	  cmd_dump },
	{ CMD_CONVERT, "convert", "turn a profile into another format",
	  "IN OUT [OPTIONS]",
	  "Reads a profile (pprof of any producer, csample's json, collapsed stacks, what perf script\n"
	  "prints; gzip'd or not; told by its content, - is stdin) and writes it in the format that\n"
	  "OUT's ending or -f says.",
	  "  csample convert app.pb.gz app.svg\n"
	  "  perf script | csample convert - app.speedscope.json\n"
	  "  csample convert app.json - -f collapsed | grep work\n",
	  cmd_convert },
	{ CMD_REPORT, "report", "print a profile's tables",
	  "FILE [OPTIONS]",
	  "Reads a profile in any format that convert reads and prints where the time went: a row's own\n"
	  "time, and in total with all it calls.",
	  "  csample report app.pb.gz\n"
	  "  csample report app.json --by lines -n 50\n"
	  "  csample report app.json --peek '^parse_'\n"
	  "  csample report app.pb.gz --list main\n",
	  cmd_report },
	{ CMD_DOCTOR, "doctor", "what works here, what does not, and how to fix it",
	  "[-p PID] [-j]",
	  "Tries what sampling needs with the privileges csample has now, on a process or, without\n"
	  "-p, on a child of its own. Exit status: 0 when csample can sample, if not in the best way;\n"
	  "1 when it cannot.",
	  "  csample doctor\n"
	  "  csample doctor -p 1234 --json\n",
	  cmd_doctor },
	{ CMD_SNAPSHOT, "snapshot", "",
	  "-p PID -o FILE [OPTIONS]",
	  "For tests: records what decoding the threads of a process touches, as\n"
	  "include/csample/recording.h describes it.",
	  NULL,
	  cmd_snapshot },
	{ CMD_VERSION, "version", "print the version", "", NULL, NULL, cmd_version },
	{ CMD_HELP, "help", "explain a command", "[COMMAND]",
	  "help man prints the manual page; help bash, help zsh and help fish what those shells need to\n"
	  "complete csample's command lines.",
	  "  csample help man | man -l -\n"
	  "  source <(csample help bash)\n",
	  cmd_help },
};
/* clang-format on */
const size_t n_commands = ARRAY_SIZE(commands);
const size_t n_option_rows = ARRAY_SIZE(option_rows);

static struct err *ambiguous(const char *word, const char *const *names, size_t n)
{
	size_t len = strlen(word);
	char list[256] = "";
	for (size_t i = 0; i < n; i++) {
		if (strncmp(names[i], word, len) != 0)
			continue;
		size_t used = strlen(list);
		snprintf(list + used, sizeof(list) - used, "%s%s", used ? ", " : "", names[i]);
	}
	return err_new(ERR_USAGE, "'%s' is the beginning of several: %s", word, list);
}

struct err *command_find(const char *name, const struct command **ret)
{
	const char *names[ARRAY_SIZE(commands)];
	const struct command *found = NULL;
	size_t len = strlen(name), n_found = 0;
	for (size_t i = 0; i < n_commands; i++) {
		names[i] = commands[i].name;
		if (len && !strncmp(name, names[i], len)) {
			found = &commands[i];
			n_found++;
		}
		if (!strcmp(name, names[i])) {
			*ret = &commands[i];
			return NULL;
		}
	}
	if (n_found > 1)
		return ambiguous(name, names, n_commands);
	if (found) {
		*ret = found;
		return NULL;
	}
	pid_t pid;
	struct err *err = value_pid(name, &pid);
	if (!err)
		return err_new(ERR_USAGE,
		               "%s is not a command; to profile process %d: "
		               "csample record -p %d",
		               name, pid, pid);
	err_free(err);
	const char *near = suggest(name, names, n_commands);
	return near ? err_new(ERR_USAGE, "'%s' is not a command; did you mean '%s'?", name, near)
	            : err_new(ERR_USAGE, "'%s' is not a command; see csample help", name);
}

/* Where the parser is. */
struct cursor {
	char **argv; /* what is left */
	const struct command *command;
	struct options *opt;
};

static bool takes(const struct command *command, const struct option_row *row)
{
	return row->commands & command->bit;
}

/* All long names of a command's options; returns how many. */
static size_t long_names(const struct command *command,
                         const char *names[2 * ARRAY_SIZE(option_rows)])
{
	size_t n = 0;
	for (size_t i = 0; i < n_option_rows; i++) {
		if (!takes(command, &option_rows[i]) || !option_rows[i].group)
			continue;
		names[n++] = option_rows[i].name;
		if (option_rows[i].alias)
			names[n++] = option_rows[i].alias;
	}
	return n;
}

static struct err *unknown_long(const struct command *command, const char *word, size_t len)
{
	const char *names[2 * ARRAY_SIZE(option_rows)];
	size_t n = long_names(command, names);
	_cleanup_free_ char *name = mem_strndup(word, len);
	for (size_t i = 0; i < n_option_rows; i++) {
		if (strcmp(option_rows[i].name, name) != 0)
			continue;
		for (size_t c = 0; c < n_commands; c++)
			if (takes(&commands[c], &option_rows[i]))
				return err_new(ERR_USAGE, "--%s is an option of %s", name,
				               commands[c].name);
	}
	const char *near = suggest(name, names, n);
	if (near)
		return err_new(ERR_USAGE, "no option --%s; did you mean --%s?", name, near);
	return err_new(ERR_USAGE, "no option --%s; see csample %s --help", name, command->name);
}

/* The row of a long name or its unambiguous beginning. */
static struct err *find_long(const struct command *command, const char *word, size_t len,
                             const struct option_row **ret)
{
	const struct option_row *found = NULL;
	bool several = false;
	for (size_t i = 0; i < n_option_rows; i++) {
		const struct option_row *row = &option_rows[i];
		if (!takes(command, row))
			continue;
		for (const char *name = row->name; name;
		     name = name == row->name ? row->alias : NULL) {
			if (strncmp(name, word, len) != 0)
				continue;
			if (strlen(name) == len) {
				*ret = row;
				return NULL;
			}
			several |= found && found != row;
			found = row;
		}
	}
	if (several && len) {
		const char *names[2 * ARRAY_SIZE(option_rows)];
		_cleanup_free_ char *name = mem_strndup(word, len);
		return ambiguous(name, names, long_names(command, names));
	}
	if (!found || !len)
		return unknown_long(command, word, len);
	*ret = found;
	return NULL;
}

static struct err *apply(const struct option_row *row, const char *value, struct options *opt)
{
	struct err *err = row->set(row, value, opt);
	return err ? err_wrap(err, "--%s", row->name) : NULL;
}

/* The value of an option that is the next argument. */
static struct err *next_value(struct cursor *c, const struct option_row *row, const char **ret)
{
	if (!*c->argv)
		return err_new(ERR_USAGE, "--%s: a value is missing (%s)", row->name, row->arg);
	*ret = *c->argv++;
	return NULL;
}

static struct err *parse_long(struct cursor *c, const char *word)
{
	size_t len = strcspn(word, "=");
	const struct option_row *row;
	struct err *err = find_long(c->command, word, len, &row);
	if (err)
		return err;
	const char *value = NULL;
	if (word[len] == '=') {
		if (!row->arg)
			return err_new(ERR_USAGE, "--%s takes no value", row->name);
		value = word + len + 1;
	} else if (row->value) {
		value = row->value;
	} else if (row->arg) {
		err = next_value(c, row, &value);
	}
	return err ? err : apply(row, value, c->opt);
}

/* -tF, -p1234, -p 1234. */
static struct err *parse_short(struct cursor *c, const char *letters)
{
	for (; *letters; letters++) {
		const struct option_row *row = NULL;
		for (size_t i = 0; i < n_option_rows; i++)
			if (option_rows[i].letter == *letters && takes(c->command, &option_rows[i]))
				row = &option_rows[i];
		if (!row)
			return err_new(ERR_USAGE, "no option -%c; see csample %s --help", *letters,
			               c->command->name);
		if (!row->arg || row->value) {
			struct err *err = apply(row, row->value, c->opt);
			if (err)
				return err;
			continue;
		}
		const char *value = letters + 1;
		struct err *err = *value ? NULL : next_value(c, row, &value);
		return err ? err : apply(row, value, c->opt);
	}
	return NULL;
}

static struct err *positional(struct cursor *c, const char *word)
{
	if (c->command->bit == CMD_HELP && !c->opt->topic) {
		c->opt->topic = word;
		return NULL;
	}
	size_t max_operands = c->command->bit == CMD_CONVERT ? 2 : c->command->bit == CMD_REPORT;
	if (c->opt->n_operands < max_operands) {
		c->opt->operands[c->opt->n_operands++] = word;
		return NULL;
	}
	pid_t pid;
	struct err *err = value_pid(word, &pid);
	const char *name = c->command->name;
	if (!err && c->command->bit & (CMD_RECORD | CMD_DUMP | CMD_DOCTOR))
		return err_new(ERR_USAGE, "what is %s? For a process id: csample %s -p %s", word,
		               name, word);
	err_free(err);
	if (c->command->bit == CMD_RECORD)
		return err_new(ERR_USAGE, "what is '%s'? To start a command: csample record -- %s",
		               word, word);
	return err_new(ERR_USAGE, "'%s' is one argument too many; see csample %s --help", word,
	               name);
}

/* -f FILE.svg, as async-profiler has it, is -o FILE.svg; any other -f must be a format. */
static struct err *check_format(struct options *opt)
{
	if (!opt->format || format_by_name(opt->format))
		return NULL;
	const struct format *by_path = format_by_path(opt->format);
	if (by_path && opt->output)
		return err_new(ERR_USAGE,
		               "--format: '%s' looks like a file name, but -o %s is given",
		               opt->format, opt->output);
	if (by_path) {
		log_info("-f %s: taken as the file to write, in format %s (-o names a file)",
		         opt->format, by_path->name);
		opt->output = opt->format;
		opt->format = by_path->name;
		return NULL;
	}
	char list[128];
	format_list(list, sizeof(list));
	return err_new(ERR_USAGE, "--format: '%s' is not a format; use %s", opt->format, list);
}

/* What no single option can see. */
static struct err *check(const struct command *command, struct options *opt)
{
	bool child = opt->child_argv;
	if (command->bit == CMD_RECORD && !opt->pid && !child)
		return err_new(ERR_USAGE, "what to profile? -p PID, or -- and a command");
	if (command->bit == CMD_DUMP && !opt->pid && !opt->core)
		return err_new(ERR_USAGE, "which process? -p PID, or --core FILE");
	if (command->bit == CMD_SNAPSHOT && (!opt->pid || !opt->output))
		return err_new(ERR_USAGE, "-p PID and -o FILE are needed");
	if (command->bit == CMD_CONVERT && opt->n_operands < 2)
		return err_new(ERR_USAGE, "from which file to which? csample convert IN OUT");
	if (command->bit == CMD_REPORT && !opt->n_operands)
		return err_new(ERR_USAGE, "of which file? csample report FILE");
	if (opt->top + opt->tree + !!opt->peek + !!opt->list > 1)
		return err_new(ERR_USAGE, "--top, --tree, --peek and --list: only one of them");
	if (opt->core && opt->pid)
		return err_new(ERR_USAGE, "-p %d and --core: only one of them", opt->pid);
	if (opt->exe && !opt->core)
		return err_new(ERR_USAGE, "--exe goes with --core");
	if (opt->pid && child)
		return err_new(ERR_USAGE, "-p %d and a command after --: only one of them",
		               opt->pid);
	if (command->bit == CMD_DOCTOR && opt->n_pids > 1)
		return err_new(ERR_USAGE, "one process at a time: -p %d", opt->pid);
	if (opt->core && opt->subprocesses)
		return err_new(ERR_USAGE, "--core: a core file has no --subprocesses");
	if (opt->nonblocking && opt->capture == OPT_CAPTURE_STOP)
		return err_new(ERR_USAGE, "--nonblocking forbids what --capture stop asks for");
	if (opt->idle && opt->event_set && opt->event != OPT_WALL)
		return err_new(ERR_USAGE, "--idle means -e wall: leave out the other -e");
	if (opt->idle)
		opt->event = OPT_WALL;
	if (opt->output && opt->stats_json && !strcmp(opt->output, opt->stats_json))
		return err_new(ERR_USAGE, "--output and --stats-json are the same file");
	return check_format(opt);
}

static struct err *parse_arguments(struct cursor *c)
{
	struct err *err = NULL;
	while (!err && *c->argv && !c->opt->help) {
		const char *word = *c->argv++;
		if (!strcmp(word, "--")) {
			if (c->command->bit != CMD_RECORD)
				return err_new(ERR_USAGE, "only record takes a command after --");
			if (!*c->argv)
				return err_new(ERR_USAGE, "a command is missing after --");
			c->opt->child_argv = c->argv;
			return NULL;
		}
		if (!strncmp(word, "--", 2))
			err = parse_long(c, word + 2);
		else if (word[0] == '-' && word[1])
			err = parse_short(c, word + 1);
		else
			err = positional(c, word);
	}
	return err;
}

struct err *options_parse(int argc, char **argv, const struct command **command,
                          struct options *ret)
{
	*ret = (struct options){.rate_hz = 100, .rows = 20};
	const char *name = argc > 1 ? argv[1] : "help";
	if (!strcmp(name, "-h") || !strcmp(name, "--help"))
		name = "help";
	if (!strcmp(name, "-V") || !strcmp(name, "--version"))
		name = "version";
	if (name[0] == '-')
		return err_new(ERR_USAGE, "%s: a command comes first: csample record %s ...", name,
		               name);
	struct err *err = command_find(name, command);
	if (err || argc < 2)
		return err;
	struct cursor c = {.argv = argv + 2, .command = *command, .opt = ret};
	err = parse_arguments(&c);
	if (!err && ret->help) {
		ret->topic = (*command)->name;
		return command_find("help", command);
	}
	if (!err)
		err = check(*command, ret);
	if (!err && ret->debug)
		err = log_enable(ret->debug);
	return err ? err_wrap(err, "%s", (*command)->name) : NULL;
}
