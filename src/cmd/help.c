/* SPDX-License-Identifier: Apache-2.0 */
/* csample help: from the tables of commands and options. */
#include <string.h>

#include "options.h"

#define OPTION_COLUMN 30
#define LINE_WIDTH    96

void print_wrapped(FILE *out, const char *text, int indent)
{
	int column = indent;
	while (*text) {
		int len = (int)strcspn(text, " ");
		if (column > indent && column + len > LINE_WIDTH) {
			fprintf(out, "\n%*s", indent, "");
			column = indent;
		}
		fprintf(out, "%.*s", len, text);
		column += len;
		text += len;
		if (*text == ' ') {
			if (column + 1 + (int)strcspn(text + 1, " ") <= LINE_WIDTH)
				fputc(' ', out);
			column++;
			text++;
		}
	}
	fputc('\n', out);
}

static void print_option(FILE *out, const struct option_row *row)
{
	char head[128];
	char letter[5] = "    ";
	if (row->letter)
		snprintf(letter, sizeof(letter), "-%c, ", row->letter);
	const char *open = !row->arg ? "" : row->value ? "[=" : " ";
	snprintf(head, sizeof(head), "  %s--%s%s%s%s", letter, row->name, open,
	         row->arg ? row->arg : "", row->value ? "]" : "");
	if (strlen(head) + 2 > OPTION_COLUMN)
		fprintf(out, "%s\n%*s", head, OPTION_COLUMN, "");
	else
		fprintf(out, "%-*s", OPTION_COLUMN, head);
	char text[512];
	snprintf(text, sizeof(text), "%s%s%s%s", row->help, row->alias ? " (also --" : "",
	         row->alias ? row->alias : "", row->alias ? ")" : "");
	print_wrapped(out, text, OPTION_COLUMN);
}

static void print_command(FILE *out, const struct command *command)
{
	fprintf(out, "csample %s%s%s\n\nUsage: csample %s%s%s\n", command->name,
	        *command->summary ? ": " : "", command->summary, command->name,
	        *command->usage ? " " : "", command->usage);
	if (command->about)
		fprintf(out, "\n%s\n", command->about);
	const char *group = NULL;
	for (size_t i = 0; i < n_option_rows; i++) {
		const struct option_row *row = &option_rows[i];
		if (!(row->commands & command->bit) || !row->group)
			continue;
		if (row->group != group)
			fprintf(out, "\n%s:\n", row->group);
		group = row->group;
		print_option(out, row);
	}
	if (command->examples)
		fprintf(out, "\nExamples:\n%s", command->examples);
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

void help_print(FILE *out, const struct command *command)
{
	if (command)
		print_command(out, command);
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
	help_print(stdout, command);
	return NULL;
}
