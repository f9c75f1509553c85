/* SPDX-License-Identifier: Apache-2.0 */
/* The manual page, from the tables of commands and options: csample help man | man -l - */
#include <ctype.h>
#include <string.h>

#include "options.h"

/* Text for roff: a backslash, and what begins a request or would become another character. */
static void put(FILE *out, const char *text)
{
	bool line_start = true;
	for (; *text; text++) {
		if (line_start && (*text == '.' || *text == '\''))
			fputs("\\&", out);
		line_start = *text == '\n';
		if (*text == '\\')
			fputs("\\e", out);
		else if (*text == '-')
			fputs("\\-", out);
		else if (*text == '\'')
			fputs("\\(aq", out);
		else if (*text == '^')
			fputs("\\(ha", out);
		else if (*text == '~')
			fputs("\\(ti", out);
		else
			fputc(*text, out);
	}
}

static void put_upper(FILE *out, const char *text)
{
	for (; *text; text++)
		fputc(toupper((unsigned char)*text), out);
}

static void put_option(FILE *out, const struct option_row *row)
{
	const char *names[] = {row->name, row->alias};
	fputs(".TP\n", out);
	if (row->letter)
		fprintf(out, "\\fB\\-%c\\fR, ", row->letter);
	for (size_t i = 0; i < 2 && names[i]; i++) {
		fputs(i ? ", \\fB\\-\\-" : "\\fB\\-\\-", out);
		put(out, names[i]);
		fputs("\\fR", out);
	}
	if (row->arg) {
		fputs(row->value ? "[=\\fI" : " \\fI", out);
		put(out, row->arg);
		fputs(row->value ? "\\fR]" : "\\fR", out);
	}
	fputc('\n', out);
	put(out, row->help);
	fputc('\n', out);
}

static void put_command(FILE *out, const struct command *command)
{
	fputs(".SH CSAMPLE ", out);
	put_upper(out, command->name);
	fprintf(out, "\n.B csample %s\n", command->name);
	put(out, command->usage);
	fputs("\n.PP\n", out);
	put(out, command->about ? command->about : command->summary);
	fputc('\n', out);
	const char *group = NULL;
	for (size_t i = 0; i < n_option_rows; i++) {
		const struct option_row *row = &option_rows[i];
		if (!(row->commands & command->bit) || !row->group)
			continue;
		if (row->group != group)
			fprintf(out, ".SS %s\n", row->group);
		group = row->group;
		put_option(out, row);
	}
	if (command->examples) {
		fputs(".SS Examples\n.nf\n", out);
		put(out, command->examples);
		fputs(".fi\n", out);
	}
}

void manual_print(FILE *out)
{
	fprintf(out, ".TH CSAMPLE 1 \"\" \"csample %s\" \"User Commands\"\n", csample_version);
	fputs(".SH NAME\ncsample \\- sampling profiler that attaches to running processes\n"
	      ".SH SYNOPSIS\n",
	      out);
	for (size_t i = 0; i < n_commands; i++) {
		if (!*commands[i].summary)
			continue;
		fprintf(out, "%s.B csample %s\n", i ? ".br\n" : "", commands[i].name);
		if (*commands[i].usage) {
			put(out, commands[i].usage);
			fputc('\n', out);
		}
	}
	fputs(".SH DESCRIPTION\n"
	      "Shows where the time of a running process goes, as one stack from its entry point\n"
	      "through native code into functions of the interpreter it runs. The process is "
	      "neither\n"
	      "restarted nor changed.\n"
	      ".PP\n"
	      "Commands and long options may be shortened while they stay unambiguous.\n",
	      out);
	for (size_t i = 0; i < n_commands; i++)
		if (*commands[i].summary)
			put_command(out, &commands[i]);
	fputs(".SH EXIT STATUS\n"
	      "0 when done; 1 on failure, or when not one sample was taken; 2 for a mistake on "
	      "the\n"
	      "command line. With a command to run, that command\\(aqs own.\n"
	      ".SH ENVIRONMENT\n.TP\n.B DEBUGINFOD_URLS\n"
	      "Servers to ask for debug information that is not installed.\n.TP\n.B NO_COLOR\n"
	      "When set, output has no colours.\n.TP\n.B CSAMPLE_CONFIG\n"
	      "The file of defaults; empty: none.\n"
	      ".SH FILES\n.TP\n.I ~/.config/csample/config\n"
	      "Defaults of options (below $XDG_CONFIG_HOME if that is set), a line each:\n"
	      ".B rate = 250\nfor every command that has the option,\n"
	      ".B record.format = pprof\nfor one. Flags are yes or no; lines that begin with # "
	      "are comments.\n"
	      "The command line has the last word; an ending of \\-o beats a format set here.\n"
	      "The file must belong to the user that csample runs as, or to root.\n"
	      ".SH SEE ALSO\n.BR perf (1),\n.BR gdb (1),\n.BR ptrace (2),\n.BR perf_event_open "
	      "(2)\n",
	      out);
}
