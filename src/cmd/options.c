/* SPDX-License-Identifier: Apache-2.0 */
/* The parser of command lines: follows the tables of commands and options. */
#include "options.h"

#include <stdlib.h>
#include <string.h>

#include <csample/format.h>
#include <csample/log.h>
#include <csample/mem.h>

#include "config.h"

static const struct options option_defaults = {
        .rate_hz = 100, .rows = 20, .delay_ns = 1000000000, .max_overhead = -1};

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
	const char *names[MAX_COMMANDS];
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
static size_t long_names(const struct command *command, const char *names[2 * MAX_OPTION_ROWS])
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
	const char *names[2 * MAX_OPTION_ROWS];
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
	return err_new(ERR_USAGE, "no option --%s; see csample %s --help=all", name, command->name);
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
		const char *names[2 * MAX_OPTION_ROWS];
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
			return err_new(ERR_USAGE, "no option -%c; see csample %s --help=all",
			               *letters, c->command->name);
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
	size_t max_operands = c->command->bit & (CMD_CONVERT | CMD_STORE)
	                              ? 2
	                              : !!(c->command->bit & (CMD_REPORT | CMD_QUERY));
	if (c->opt->n_operands < max_operands) {
		c->opt->operands[c->opt->n_operands++] = word;
		return NULL;
	}
	pid_t pid;
	struct err *err = value_pid(word, &pid);
	const char *name = c->command->name;
	if (!err && c->command->bit & (CMD_RECORD | CMD_TOP | CMD_DUMP | CMD_DOCTOR))
		return err_new(ERR_USAGE, "what is %s? For a process id: csample %s -p %s", word,
		               name, word);
	err_free(err);
	if (c->command->bit & (CMD_RECORD | CMD_TOP))
		return err_new(ERR_USAGE, "what is '%s'? To start a command: csample %s -- %s",
		               word, name, word);
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

static struct err *check_target(const struct command *command, const struct options *opt)
{
	bool child = opt->child_argv, search = selection_is_search(&opt->select);
	bool live = opt->pid || search;
	const char *how = opt->pid ? "-p" : "a search";
	if (command->bit & (CMD_RECORD | CMD_TOP) && !live && !child)
		return err_new(ERR_USAGE,
		               "what to profile? -p PID, --comm NAME, or -- and a command");
	if (command->bit == CMD_DUMP && !live && !opt->core)
		return err_new(ERR_USAGE, "which process? -p PID, --comm NAME, or --core FILE");
	if (opt->core && live)
		return err_new(ERR_USAGE, "%s for processes and --core: only one of them", how);
	if (opt->exe && !opt->core)
		return err_new(ERR_USAGE, "--exe goes with --core");
	if (live && child)
		return err_new(ERR_USAGE,
		               "%s for processes and a command after --: only one of them", how);
	return NULL;
}

/* What no single option can see. */
static struct err *check(const struct command *command, struct options *opt)
{
	struct err *err = check_target(command, opt);
	if (err)
		return err;
	if (command->bit == CMD_SNAPSHOT && (!opt->pid || !opt->output))
		return err_new(ERR_USAGE, "-p PID and -o FILE are needed");
	if (command->bit == CMD_CONVERT && opt->n_operands < 2)
		return err_new(ERR_USAGE, "from which file to which? csample convert IN OUT");
	if (command->bit == CMD_QUERY && !opt->n_operands)
		return err_new(ERR_USAGE,
		               "of what? csample query 'process_cpu{service_name=\"...\"}'");
	if (command->bit == CMD_STORE && !opt->n_operands)
		return err_new(ERR_USAGE, "what to do? csample store ls, gc or check");
	if (command->bit == CMD_REPORT && !opt->n_operands)
		return err_new(ERR_USAGE, "of which file? csample report FILE");
	if (opt->top + opt->tree + !!opt->peek + !!opt->list > 1)
		return err_new(ERR_USAGE, "--top, --tree, --peek and --list: only one of them");
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
			if (!(c->command->bit & (CMD_RECORD | CMD_TOP)))
				return err_new(ERR_USAGE,
				               "only record and top take a command after --");
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

/* A format that the command line names, if only by the ending of a file, beats that of the config
 * file. */
static void prefer_ending(struct options *opt, const struct options *defaults)
{
	bool given = opt->output && opt->output != defaults->output;
	if (defaults->format && opt->format == defaults->format && given &&
	    format_by_path(opt->output))
		opt->format = NULL;
}

/* A command line's words to *opt, which has the defaults. */
static struct err *parse_words(int argc, char **argv, const struct command **command,
                               struct options *opt)
{
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
	struct cursor c = {.argv = argv + 2, .command = *command, .opt = opt};
	err = parse_arguments(&c);
	return err ? err_wrap(err, "%s", (*command)->name) : NULL;
}

static struct err *finish(const struct command **command, struct options *opt)
{
	struct err *err = NULL;
	if (opt->help) {
		opt->topic = (*command)->name;
		return command_find("help", command);
	}
	err = check(*command, opt);
	if (!err && opt->debug)
		err = log_enable(opt->debug);
	return err ? err_wrap(err, "%s", (*command)->name) : NULL;
}

struct err *options_parse(int argc, char **argv, const struct command **command,
                          struct options *ret)
{
	*ret = option_defaults;
	struct err *err = parse_words(argc, argv, command, ret);
	return err ? err : finish(command, ret);
}

struct err *options_parse_with_config(int argc, char **argv, const struct command **command,
                                      struct options *ret)
{
	*ret = option_defaults;
	struct err *err = parse_words(argc, argv, command, ret);
	bool wanted = !err && !ret->no_config && !ret->help && !((*command)->bit & CMD_HELP);
	_cleanup_free_ char *path = wanted ? config_path() : NULL;
	char *text = NULL;
	if (path)
		err = config_read(path, &text);
	if (!err && text) {
		*ret = option_defaults;
		ret->config = text;
		err = config_apply(text, path, *command, ret);
		struct options defaults = *ret;
		if (!err)
			err = parse_words(argc, argv, command, ret);
		prefer_ending(ret, &defaults);
	}
	return err ? err : finish(command, ret);
}

void options_deinit(struct options *opt)
{
	free(opt->config);
	opt->config = NULL;
}
