/* SPDX-License-Identifier: Apache-2.0 */
/* csample help: from the tables of commands and options. */
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "options.h"

#define OPTION_COLUMN 32
#define TIGHT         92 /* below, that column is further left */
#define TIGHT_COLUMN  26
#define NARROW        72 /* below, what an option does has lines of its own */
#define NARROW_INDENT 8
#define MIN_WIDTH     40
#define MAX_WIDTH     100 /* longer lines are hard to read */
#define ANY_WIDTH     96  /* where nobody says */
#define FEW           4   /* so many options are not worth being left out */

/* As wide as COLUMNS says, or the terminal, also where a pager stands between. */
static int line_width(FILE *out)
{
	struct winsize size;
	const char *columns = getenv("COLUMNS");
	long width = columns ? strtol(columns, NULL, 10) : 0;
	if (width <= 0 && ((fileno(out) >= 0 && !ioctl(fileno(out), TIOCGWINSZ, &size)) ||
	                   !ioctl(STDERR_FILENO, TIOCGWINSZ, &size)))
		width = size.ws_col;
	if (width <= 0)
		return ANY_WIDTH;
	return width < MIN_WIDTH ? MIN_WIDTH : width > MAX_WIDTH ? MAX_WIDTH : (int)width;
}

void print_wrapped(FILE *out, const char *text, int indent)
{
	int column = indent, width = line_width(out);
	while (*text) {
		int len = (int)strcspn(text, " \n");
		if (column > indent && column + len > width) {
			fprintf(out, "\n%*s", indent, "");
			column = indent;
		}
		fprintf(out, "%.*s", len, text);
		column += len;
		text += len;
		if (*text) {
			text++;
			if (column + 1 + (int)strcspn(text, " \n") <= width)
				fputc(' ', out);
			column++;
		}
	}
	fputc('\n', out);
}

static void print_option(FILE *out, const struct option_row *row, bool all)
{
	char head[128];
	char letter[5] = "    ";
	if (row->letter)
		snprintf(letter, sizeof(letter), "-%c, ", row->letter);
	const char *open = !row->arg ? "" : row->value ? "[=" : " ";
	snprintf(head, sizeof(head), "  %s--%s%s%s%s", letter, row->name, open,
	         row->arg ? row->arg : "", row->value ? "]" : "");
	int width = line_width(out);
	int indent = width < NARROW ? NARROW_INDENT : width < TIGHT ? TIGHT_COLUMN : OPTION_COLUMN;
	if (strlen(head) + 1 > (size_t)indent)
		fprintf(out, "%s\n%*s", head, indent, "");
	else
		fprintf(out, "%-*s", indent, head);
	char text[512];
	bool alias = all && row->alias;
	snprintf(text, sizeof(text), "%s%s%s%s", row->help, alias ? " (also --" : "",
	         alias ? row->alias : "", alias ? ")" : "");
	print_wrapped(out, text, indent);
}

static bool is_listed(const struct option_row *row, const struct command *command)
{
	return row->commands & command->bit && row->group;
}

static bool is_rare(const struct option_row *row, const struct command *command)
{
	return row->commands & RARE(command->bit);
}

static size_t count_rare(const struct command *command)
{
	size_t n = 0;
	for (size_t i = 0; i < n_option_rows; i++)
		n += is_listed(&option_rows[i], command) && is_rare(&option_rows[i], command);
	return n;
}

static void print_options(FILE *out, const struct command *command, bool all)
{
	const char *group = NULL;
	for (size_t i = 0; i < n_option_rows; i++) {
		const struct option_row *row = &option_rows[i];
		if (!is_listed(row, command) || (!all && is_rare(row, command)))
			continue;
		if (row->group != group)
			fprintf(out, "\n%s:\n", row->group);
		group = row->group;
		print_option(out, row, all);
	}
}

static void print_command(FILE *out, const struct command *command, bool all)
{
	fprintf(out, "csample %s%s%s\n\nUsage: csample %s%s%s\n", command->name,
	        *command->summary ? ": " : "", command->summary, command->name,
	        *command->usage ? " " : "", command->usage);
	if (command->about) {
		fputc('\n', out);
		print_wrapped(out, command->about, 0);
	}
	size_t n_rare = count_rare(command);
	all |= n_rare < FEW;
	print_options(out, command, all);
	if (command->examples)
		fprintf(out, "\nExamples:\n%s", command->examples);
	if (all)
		return;
	char text[128];
	snprintf(text, sizeof(text), "%zu more options: csample %s --help=all, or man csample",
	         n_rare, command->name);
	fputc('\n', out);
	print_wrapped(out, text, 0);
}

static void print_overview(FILE *out)
{
	fprintf(out, "csample: where does a running process spend its time?\n"
	             "\nUsage: csample COMMAND [OPTIONS]\n\n");
	for (size_t i = 0; i < n_commands; i++)
		if (*commands[i].summary)
			fprintf(out, "  %-10s%s\n", commands[i].name, commands[i].summary);
	fprintf(out,
	        "\n  csample record -p 1234        a flame graph of process 1234, until Ctrl-C\n"
	        "  csample record -- ./program   the same of a command, from its start\n"
	        "  csample dump -p 1234          what is every thread doing now?\n"
	        "  csample doctor                is anything in the way?\n"
	        "\nCommands and long options may be shortened. csample COMMAND --help explains "
	        "one.\n");
}

void help_print(FILE *out, const struct command *command, bool all)
{
	if (command)
		print_command(out, command, all);
	else
		print_overview(out);
}

/* For make install, and for who has only the binary. */
static const struct {
	const char *topic;
	void (*print)(FILE *out);
} pages[] = {
        {"man", manual_print},
        {"bash", completion_bash},
        {"zsh", completion_zsh},
        {"fish", completion_fish},
};

struct err *cmd_help(const struct options *opt, int *status)
{
	(void)status;
	const struct command *command = NULL;
	for (size_t i = 0; opt->topic && i < sizeof(pages) / sizeof(pages[0]); i++) {
		if (!strcmp(opt->topic, pages[i].topic)) {
			pages[i].print(stdout);
			return NULL;
		}
	}
	if (opt->topic) {
		struct err *err = command_find(opt->topic, &command);
		if (err)
			return err_wrap(err, "help");
	}
	help_print(stdout, command, opt->help_all);
	return NULL;
}
