/* SPDX-License-Identifier: Apache-2.0 */
/* What shells complete after "csample", from the tables of commands and options. */
#include <string.h>

#include "options.h"

/* What an option's value is, told by its name in the help. */
static bool is_choice(const struct option_row *row)
{
	return row->arg && strchr(row->arg, '|');
}

static bool is_file(const struct option_row *row)
{
	return row->arg &&
	       (!strcmp(row->arg, "FILE") || !strcmp(row->arg, "PATH") || !strcmp(row->arg, "DIR"));
}

static bool is_pid(const struct option_row *row)
{
	return row->arg && !strncmp(row->arg, "PID", 3);
}

static bool is_process_name(const struct option_row *row)
{
	return row->arg && !strcmp(row->name, "comm");
}

/* It takes files beside options: its usage begins with one. */
static bool takes_files(const struct command *command)
{
	return !strncmp(command->usage, "FILE", 4) || !strncmp(command->usage, "IN ", 3);
}

static bool belongs(const struct option_row *row, const struct command *command)
{
	return row->group && (row->commands & command->bit);
}

/* "cpu|cycles|wall" with another character between. */
static void put_choices(FILE *out, const char *arg, char between)
{
	for (; *arg; arg++)
		fputc(*arg == '|' ? between : *arg, out);
}

/* Inside quotes that end at a quote: ' in sh and fish, and what zsh's _arguments takes for its own.
 */
static void put_quoted(FILE *out, const char *text, const char *escape)
{
	for (; *text; text++) {
		if (*text == '\'')
			fputs("'\\''", out);
		else if (strchr(escape, *text))
			fprintf(out, "\\%c", *text);
		else
			fputc(*text, out);
	}
}

/* It belongs to a command that is. */
static bool is_shown(const struct option_row *row)
{
	for (size_t i = 0; i < n_commands; i++)
		if (*commands[i].summary && belongs(row, &commands[i]))
			return true;
	return false;
}

static void bash_values(FILE *out, const struct option_row *row)
{
	const char *between = "\t";
	for (size_t i = 0; i < n_commands; i++) {
		if (!*commands[i].summary || !belongs(row, &commands[i]))
			continue;
		const char *names[] = {row->name, row->alias};
		for (size_t k = 0; k < 2 && names[k]; k++, between = "|")
			fprintf(out, "%s'%s --%s'", between, commands[i].name, names[k]);
		if (row->letter)
			fprintf(out, "|'%s -%c'", commands[i].name, row->letter);
	}
	fputs(")\n\t\t", out);
	if (is_choice(row)) {
		fputs("COMPREPLY=($(compgen -W '", out);
		put_choices(out, row->arg, ' ');
		fputs("' -- \"$cur\"))", out);
	} else if (is_file(row)) {
		fputs("COMPREPLY=($(compgen -f -- \"$cur\"))", out);
	} else if (is_pid(row)) {
		fputs("COMPREPLY=($(compgen -W '$(command ls /proc | grep \"^[0-9]\")' -- "
		      "\"$cur\"))",
		      out);
	} else if (is_process_name(row)) {
		fputs("COMPREPLY=($(compgen -W '$(cat /proc/[0-9]*/comm 2>/dev/null | sort -u "
		      "| grep -v \"[^A-Za-z0-9_.:+-]\")' -- \"$cur\"))",
		      out);
	} else {
		fputs("COMPREPLY=()", out);
	}
	fputs("\n\t\treturn ;;\n", out);
}

void completion_bash(FILE *out)
{
	fputs("# bash completion for csample\n"
	      "_csample()\n{\n"
	      "\tlocal cur=${COMP_WORDS[COMP_CWORD]} prev=${COMP_WORDS[COMP_CWORD-1]} "
	      "command=${COMP_WORDS[1]}\n"
	      "\tlocal i\n"
	      "\tfor ((i = 2; i < COMP_CWORD; i++)); do\n"
	      "\t\tif [[ ${COMP_WORDS[i]} == -- ]]; then\n"
	      "\t\t\tCOMPREPLY=($(compgen -c -f -- \"$cur\"))\n\t\t\treturn\n\t\tfi\n\tdone\n"
	      "\tif ((COMP_CWORD == 1)); then\n\t\tCOMPREPLY=($(compgen -W '",
	      out);
	for (size_t i = 0; i < n_commands; i++)
		if (*commands[i].summary)
			fprintf(out, "%s ", commands[i].name);
	fputs("' -- \"$cur\"))\n\t\treturn\n\tfi\n\tcase "
	      "\"$command $prev\" in\n",
	      out);
	for (size_t i = 0; i < n_option_rows; i++)
		if (option_rows[i].arg && option_rows[i].group && !option_rows[i].value &&
		    is_shown(&option_rows[i]))
			bash_values(out, &option_rows[i]);
	fputs("\tesac\n\tcase $command in\n", out);
	for (size_t i = 0; i < n_commands; i++) {
		if (!*commands[i].summary)
			continue;
		fprintf(out, "\t%s) ", commands[i].name);
		if (takes_files(&commands[i]))
			fputs("[[ $cur != -* ]] && COMPREPLY=($(compgen -f -- \"$cur\")) ||\n\t\t",
			      out);
		fputs("COMPREPLY=($(compgen -W '", out);
		for (size_t k = 0; k < n_option_rows; k++)
			if (belongs(&option_rows[k], &commands[i]))
				fprintf(out, "--%s ", option_rows[k].name);
		if (commands[i].bit == CMD_HELP)
			for (size_t k = 0; k < n_commands; k++)
				if (*commands[k].summary)
					fprintf(out, "%s ", commands[k].name);
		fputs("' -- \"$cur\")) ;;\n", out);
	}
	fputs("\tesac\n}\ncomplete -F _csample csample\n", out);
}

/* '(-r --rate)'{-r,--rate}'[help]:HZ:' */
static void zsh_option(FILE *out, const struct option_row *row)
{
	fputs("\t\t\t", out);
	if (row->letter)
		fprintf(out, "'(-%c --%s)'{-%c,--%s%s}'", row->letter, row->name, row->letter,
		        row->name, row->arg && !row->value ? "=" : "");
	else
		fprintf(out, "'--%s%s", row->name, row->arg && !row->value ? "=" : "");
	fputc('[', out);
	put_quoted(out, row->help, "[]:");
	fputc(']', out);
	if (row->arg && !row->value) {
		fputc(':', out);
		put_quoted(out, row->arg, "[]:");
		fputc(':', out);
		if (is_choice(row)) {
			fputc('(', out);
			put_choices(out, row->arg, ' ');
			fputc(')', out);
		} else if (is_file(row)) {
			fputs("_files", out);
		} else if (is_pid(row)) {
			fputs("_pids", out);
		}
	}
	fputs("' \\\n", out);
}

void completion_zsh(FILE *out)
{
	fputs("#compdef csample\n"
	      "_csample()\n{\n"
	      "\tlocal -a commands\n\tcommands=(\n",
	      out);
	for (size_t i = 0; i < n_commands; i++) {
		if (!*commands[i].summary)
			continue;
		fprintf(out, "\t\t'%s:", commands[i].name);
		put_quoted(out, commands[i].summary, ":");
		fputs("'\n", out);
	}
	fputs("\t)\n\tif ((CURRENT == 2)); then\n\t\t_describe command commands\n\t\treturn\n\tfi\n"
	      "\tcase $words[2] in\n",
	      out);
	for (size_t i = 0; i < n_commands; i++) {
		if (!*commands[i].summary)
			continue;
		fprintf(out, "\t%s)\n\t\tshift words\n\t\t((CURRENT--))\n\t\t_arguments -s \\\n",
		        commands[i].name);
		for (size_t k = 0; k < n_option_rows; k++)
			if (belongs(&option_rows[k], &commands[i]))
				zsh_option(out, &option_rows[k]);
		fputs(commands[i].bit & (CMD_RECORD | CMD_TOP) ? "\t\t\t'*::command:_normal'"
		                                               : "\t\t\t'*:: :'",
		      out);
		fputs(" ;;\n", out);
	}
	fputs("\tesac\n}\n_csample \"$@\"\n", out);
}

void completion_fish(FILE *out)
{
	fputs("# fish completion for csample\ncomplete -c csample -f\n", out);
	for (size_t i = 0; i < n_commands; i++) {
		if (!*commands[i].summary)
			continue;
		fprintf(out, "complete -c csample -n __fish_use_subcommand -a %s -d '",
		        commands[i].name);
		put_quoted(out, commands[i].summary, "");
		fputs("'\n", out);
		if (takes_files(&commands[i]))
			fprintf(out, "complete -c csample -n '__fish_seen_subcommand_from %s' -F\n",
			        commands[i].name);
		for (size_t k = 0; k < n_option_rows; k++) {
			const struct option_row *row = &option_rows[k];
			if (!belongs(row, &commands[i]))
				continue;
			fprintf(out,
			        "complete -c csample -n '__fish_seen_subcommand_from %s' -l %s",
			        commands[i].name, row->name);
			if (row->letter)
				fprintf(out, " -s %c", row->letter);
			if (row->arg && !row->value)
				fputs(is_file(row) ? " -rF" : " -x", out);
			if (is_choice(row) || is_pid(row)) {
				fputs(" -a '", out);
				if (is_pid(row))
					fputs("(__fish_complete_pids)", out);
				else
					put_choices(out, row->arg, ' ');
				fputc('\'', out);
			}
			fputs(" -d '", out);
			put_quoted(out, row->help, "");
			fputs("'\n", out);
		}
	}
}
