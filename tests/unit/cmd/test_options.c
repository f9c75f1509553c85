/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <csample/format.h>
#include <csample/mem.h>

#include "../../../src/cmd/options.h"

/* Splits a command line at blanks and parses it. The words live until the next call. */
static struct err *parse(const char *line, const struct command **command, struct options *opt)
{
	static char words[512], *argv[32];
	int argc = 0;
	snprintf(words, sizeof(words), "csample %s", line);
	for (char *word = strtok(words, " "); word && argc < 31; word = strtok(NULL, " "))
		argv[argc++] = word;
	argv[argc] = NULL;
	return options_parse(argc, argv, command, opt);
}

static struct options parsed(const char *line, const char *name)
{
	const struct command *command = NULL;
	struct options opt;
	struct err *err = parse(line, &command, &opt);
	if (err)
		fail_msg("%s: %s", line, err->msg);
	assert_string_equal(command->name, name);
	return opt;
}

/* The line is a usage error whose message has all the words given. */
static void refused(const char *line, const char *expect)
{
	const struct command *command = NULL;
	struct options opt;
	struct err *err = parse(line, &command, &opt);
	if (!err)
		fail_msg("%s: accepted", line);
	if (err->kind != ERR_USAGE || !strstr(err->msg, expect))
		fail_msg("%s: '%s' does not say '%s'", line, err->msg, expect);
	assert_null(strchr(err->msg, '\n'));
	err_free(err);
}

static void forms_of_options(void **state)
{
	(void)state;
	static const char *const same[] = {
	        "record -p 1234 -t -F -d 5",
	        "record -p1234 -tF -d5",
	        "record -tFp1234 --duration=5s",
	        "rec --pid=0x4d2 --thr --func --dur 5000ms",
	        "rec --pid 1234 --threads --nolineno --duration 5",
	};
	for (size_t i = 0; i < ARRAY_SIZE(same); i++) {
		struct options opt = parsed(same[i], "record");
		assert_int_equal(opt.pid, 1234);
		assert_true(opt.threads);
		assert_true(opt.functions);
		assert_true(opt.duration_set);
		assert_int_equal(opt.duration_ns, 5000000000ULL);
		assert_false(opt.kernel);
	}
	struct options opt = parsed("record -p1 -e wall --capture stop --freq 49.5", "record");
	assert_int_equal(opt.event, OPT_WALL);
	assert_int_equal(opt.capture, OPT_CAPTURE_STOP);
	assert_true(opt.rate_hz == 49.5);
	opt = parsed("dump -jp 7", "dump");
	assert_true(opt.json);
	opt = parsed("record -p 1 -o -", "record");
	assert_string_equal(opt.output, "-");
}

/* py-spy's users write -n; the value is optional, and only behind "=". */
static void native_frames(void **state)
{
	(void)state;
	assert_int_equal(parsed("record -p 1", "record").native, OPT_NATIVE_OWN);
	assert_int_equal(parsed("record -np 1", "record").native, OPT_NATIVE_OWN);
	assert_int_equal(parsed("record --native -p 1", "record").native, OPT_NATIVE_OWN);
	assert_int_equal(parsed("record --native=all -p 1", "record").native, OPT_NATIVE_ALL);
	assert_int_equal(parsed("dump --nat=none -p 1", "dump").native, OPT_NATIVE_NONE);
	assert_int_equal(parsed("record --native=all -n -p 1", "record").native, OPT_NATIVE_OWN);
	refused("record --native=some -p 1", "own|all|none");
	refused("record --native= -p 1", "own|all|none");
	refused("record -p 1 --native all", "all");
}

static void idle_threads(void **state)
{
	(void)state;
	assert_int_equal(parsed("record -ip 1", "record").event, OPT_WALL);
	assert_int_equal(parsed("record --idle -e wall -p 1", "record").event, OPT_WALL);
	assert_int_equal(parsed("record -p 1", "record").event, OPT_CPU);
	refused("record -i -e cpu -p 1", "--idle");
	refused("dump -i -p 1", "-i");
}

static void python_options(void **state)
{
	(void)state;
	assert_true(parsed("record -gp 1", "record").gil);
	assert_false(parsed("record -p 1", "record").gil);
	assert_true(parsed("dump -lp 1", "dump").locals);
	assert_true(parsed("record --nolineno -p 1", "record").functions);
	refused("record --locals -p 1", "dump");
	refused("dump --gil -p 1", "record");
}

static void child_keeps_its_arguments(void **state)
{
	(void)state;
	struct options opt = parsed("record -r 10 -- ls -p 3 -- --help", "record");
	assert_int_equal(opt.pid, 0);
	assert_string_equal(opt.child_argv[0], "ls");
	assert_string_equal(opt.child_argv[1], "-p");
	assert_string_equal(opt.child_argv[3], "--");
	assert_string_equal(opt.child_argv[4], "--help");
	assert_null(opt.child_argv[5]);
}

static void help_is_everywhere(void **state)
{
	(void)state;
	assert_null(parsed("", "help").topic);
	assert_null(parsed("--help", "help").topic);
	assert_null(parsed("-h", "help").topic);
	assert_string_equal(parsed("record --help", "help").topic, "record");
	assert_string_equal(parsed("dump -h --bogus", "help").topic, "dump");
	assert_false(parsed("record --help", "help").help_all);
	assert_true(parsed("record --help=all", "help").help_all);
	assert_true(parsed("help record --all", "help").help_all);
	refused("record --help=most", "--help=all");
	assert_string_equal(parsed("help dump", "help").topic, "dump");
	parsed("-V", "version");
	parsed("--version", "version");
}

static void several_processes(void **state)
{
	(void)state;
	struct options opt = parsed("record -s -p 12,0x10 --pid 7 -p 12", "record");
	assert_true(opt.subprocesses);
	assert_int_equal(opt.n_pids, 3);
	assert_int_equal(opt.pid, 12);
	assert_int_equal(opt.pids[1], 16);
	assert_int_equal(opt.pids[2], 7);
	assert_false(parsed("dump -p 1", "dump").subprocesses);
	refused("record -p 1,", "--pid");
	refused("record -p 1,,2", "--pid");
}

static void usage_errors_say_what_to_do(void **state)
{
	(void)state;
	refused("recrod -p 1", "did you mean 'record'");
	refused("xyzzy", "csample help");
	refused("d", "dump, doctor");
	refused("1234", "csample record -p 1234");
	refused("record 1234", "csample record -p 1234");
	refused("dump 1234", "csample dump -p 1234");
	refused("record ls", "csample record -- ls");
	refused("-p 1234", "a command comes first");
	refused("record", "-p PID");
	refused("dump", "-p PID");
	refused("record -p 1 -- ls", "only one");
	refused("record --", "a command is missing");
	refused("dump -p 1 -- ls", "only record");
	refused("record -p", "--pid: a value is missing");
	refused("record -p 1 --rate", "--rate: a value is missing");
	refused("record -p 1 --threads=yes", "takes no value");
	refused("record -p 1 --duraiton 3", "did you mean --duration");
	refused("record -p 1 --json", "option of dump");
	refused("record -p 1 --n", "nonblocking, native, nolineno");
	refused("record -p 1 --=3", "no option --");
	refused("record -p 1 -y", "no option -y");
	refused("dump -p 1 -r 3", "no option -r");
	refused("record -p 1 -e cpus", "cpu|cycles|wall");
	refused("record -p 1 -e cp", "cpu|cycles|wall");
	refused("record -p 1 -e |", "cpu|cycles|wall");
	refused("record -p 1 --capture stop --nonblocking", "--nonblocking forbids");
	refused("record -p 1 -o x --stats-json x", "same file");
	refused("record -p 1 --output=", "empty");
	refused("record -p 1 --debug nothing", "not a subsystem");
	refused("version now", "too many");
	refused("help record dump", "too many");
}

static void durations(void **state)
{
	(void)state;
	static const struct {
		const char *text;
		uint64_t ns;
	} good[] = {
	        {"30", 30000000000ULL},   {"30s", 30000000000ULL}, {"5m", 300000000000ULL},
	        {"1h", 3600000000000ULL}, {"250ms", 250000000ULL}, {"0", 0},
	        {"unlimited", 0},         {"0.5", 500000000ULL},   {"1.5h", 5400000000000ULL},
	};
	for (size_t i = 0; i < ARRAY_SIZE(good); i++) {
		uint64_t ns = 1;
		assert_null(value_duration(good[i].text, &ns));
		assert_int_equal(ns, good[i].ns);
	}
	static const char *const bad[] = {
	        "",    "s",   "30x",  "30 s",    "-1",
	        "+1",  "1e3", "0x5",  "1.2.3",   "5mm",
	        "inf", "nan", "30s5", "999999h", "99999999999999999999999999999999999999999999",
	        "."};
	for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
		uint64_t ns = 42;
		struct err *err = value_duration(bad[i], &ns);
		if (!err)
			fail_msg("'%s' accepted as a duration", bad[i]);
		assert_int_equal(err->kind, ERR_USAGE);
		assert_int_equal(ns, 42);
		err_free(err);
	}
}

static void tiny_durations_are_not_unlimited(void **state)
{
	(void)state;
	uint64_t ns = 0;
	assert_null(value_duration("0.0000001ms", &ns));
	assert_int_equal(ns, 1);
}

static void rates(void **state)
{
	(void)state;
	double hz;
	assert_null(value_rate("10000", &hz));
	assert_true(hz == 10000);
	assert_null(value_rate("0.1", &hz));
	assert_true(hz == 0.1);
	static const char *const bad[] = {"0", "0.0", "-1",  "10001", "100x",
	                                  "",  "nan", "inf", "1e2"};
	for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
		struct err *err = value_rate(bad[i], &hz);
		if (!err)
			fail_msg("'%s' accepted as a rate", bad[i]);
		err_free(err);
	}
}

static void keeps(void **state)
{
	(void)state;
	struct retention keep = {0};
	assert_null(value_keep("100", &keep));
	assert_true(keep.count == 100 && !keep.age_ns && !keep.bytes);
	assert_null(value_keep("7d", &keep));
	assert_true(!keep.count && keep.age_ns == 7 * 86400 * 1000000000ULL && !keep.bytes);
	assert_null(value_keep("1.5G", &keep));
	assert_true(!keep.count && !keep.age_ns && keep.bytes == 3ULL << 29);
	assert_null(value_keep("5m,5M,5", &keep));
	assert_true(keep.count == 5 && keep.age_ns == 300 * 1000000000ULL && keep.bytes == 5 << 20);
	static const char *const bads[] = {"",    "0",  "0d",  "x",   "7x",  "7d,",
	                                   ",7d", "-1", "1.5", "1e3", "7 d", "99999999999999999T"};
	for (size_t i = 0; i < ARRAY_SIZE(bads); i++) {
		struct err *err = value_keep(bads[i], &keep);
		if (!err)
			fail_msg("'%s' was taken", bads[i]);
		assert_int_equal(err->kind, ERR_USAGE);
		err_free(err);
		assert_int_equal(keep.count, 5);
	}
}

static void pids(void **state)
{
	(void)state;
	pid_t pid;
	assert_null(value_pid("4194304", &pid));
	assert_int_equal(pid, 4194304);
	assert_null(value_pid("010", &pid));
	assert_int_equal(pid, 10);
	static const char *const bad[] = {"",
	                                  "0",
	                                  "-1",
	                                  "+1",
	                                  " 1",
	                                  "1 ",
	                                  "12a",
	                                  "0x",
	                                  "1x2",
	                                  "2147483648",
	                                  "99999999999999999999"};
	for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
		struct err *err = value_pid(bad[i], &pid);
		if (!err)
			fail_msg("'%s' accepted as a process id", bad[i]);
		err_free(err);
	}
}

/* Every option has help, is in the help of each command that takes it, and no letter or name means
 * two things to one command. */
static void table_is_sound(void **state)
{
	(void)state;
	for (size_t c = 0; c < n_commands; c++) {
		char *text = NULL;
		size_t size;
		FILE *out = open_memstream(&text, &size);
		help_print(out, &commands[c], true);
		fclose(out);
		assert_non_null(commands[c].summary);
		for (size_t i = 0; i < n_option_rows; i++) {
			const struct option_row *row = &option_rows[i];
			if (!(row->commands & commands[c].bit))
				continue;
			assert_true(row->help && *row->help && row->set && row->name);
			char name[64];
			snprintf(name, sizeof(name), "--%s", row->name);
			if (row->group && !strstr(text, name))
				fail_msg("help of %s lacks %s", commands[c].name, name);
			snprintf(name, sizeof(name), "-%c, --%s", row->letter, row->name);
			if (row->group && row->letter && !strstr(text, name))
				fail_msg("help of %s lacks %s", commands[c].name, name);
			for (size_t j = 0; j < i; j++) {
				const struct option_row *o = &option_rows[j];
				if (!(o->commands & commands[c].bit))
					continue;
				if ((row->letter && row->letter == o->letter) ||
				    !strcmp(row->name, o->name) ||
				    (o->alias && !strcmp(row->name, o->alias)))
					fail_msg("%s: --%s and --%s clash", commands[c].name,
					         row->name, o->name);
			}
		}
		for (const char *line = text; *line; line += strcspn(line, "\n") + 1)
			if (strcspn(line, "\n") > 100)
				fail_msg("help of %s has a line over 100 columns",
				         commands[c].name);
		free(text);
	}
}

static char *short_help(const char *name, const char *columns)
{
	const struct command *command;
	char *text = NULL;
	size_t size;
	FILE *out = open_memstream(&text, &size);
	setenv("COLUMNS", columns, 1);
	assert_null(command_find(name, &command));
	help_print(out, command, false);
	fclose(out);
	unsetenv("COLUMNS");
	return text;
}

/* On one screen, most of the time, and as wide as it is. */
static void help_is_short_and_says_where_the_rest_is(void **state)
{
	(void)state;
	static const char *const names[] = {"record", "top", "dump"};
	for (size_t i = 0; i < ARRAY_SIZE(names); i++) {
		char *text = short_help(names[i], "100");
		size_t lines = 0;
		for (const char *p = text; (p = strchr(p, '\n')); p++)
			lines++;
		assert_in_range(lines, 20, 45);
		assert_non_null(strstr(text, "--pid"));
		assert_non_null(strstr(text, "Examples:"));
		assert_non_null(strstr(text, "--help=all"));
		assert_null(strstr(text, "--push"));
		assert_null(strstr(text, "--no-config"));
		free(text);
	}
	char *text = short_help("version", "100"); /* what would be left out is not worth it */
	assert_non_null(strstr(text, "--no-config"));
	free(text);
}

static void help_is_as_wide_as_the_terminal(void **state)
{
	(void)state;
	static const struct {
		const char *columns;
		size_t most;
	} widths[] = {{"300", 100}, {"100", 100}, {"80", 80}, {"60", 60}, {"3", 40}};
	for (size_t i = 0; i < ARRAY_SIZE(widths); i++) {
		char *text = short_help("record", widths[i].columns);
		char *examples = strstr(text, "\nExamples:");
		assert_non_null(examples);
		*examples = '\0';
		size_t longest = 0;
		/* The first lines are for the eye of who knows: name and usage. */
		for (char *line = strstr(text, "What to look at"); line;
		     line = strchr(line, '\n')) {
			line += *line == '\n';
			size_t len = strcspn(line, "\n");
			longest = len > longest ? len : longest;
			if (!*line)
				break;
		}
		assert_in_range(longest, widths[i].most * 3 / 4, widths[i].most);
		free(text);
	}
}

static void help_names_every_format(void **state)
{
	(void)state;
	for (size_t i = 0; i < n_option_rows; i++)
		for (size_t k = 0; !strcmp(option_rows[i].name, "format") && formats[k]; k++)
			assert_non_null(strstr(option_rows[i].help, formats[k]->name));
}

static void a_file_name_after_f_is_taken_as_the_output(void **state)
{
	(void)state;
	struct options opt = parsed("record -p 1 -f a.pb.gz", "record");
	assert_string_equal(opt.output, "a.pb.gz");
	assert_string_equal(opt.format, "pprof");
	opt = parsed("record -p 1 -f COLLAPSED -o a.svg", "record");
	assert_string_equal(opt.output, "a.svg");
	assert_string_equal(opt.format, "COLLAPSED");
	refused("record -p 1 -f a.svg -o b.svg", "-o b.svg");
	refused("record -p 1 -f bogus",
	        "svg, html, collapsed, pprof, speedscope, chrometrace, firefox, json");
	refused("record -p 1 -f bogus.html5",
	        "svg, html, collapsed, pprof, speedscope, chrometrace, firefox, json");
}

/* Rows of one group stand together, or their heading would be printed twice. */
static void groups_stand_together(void **state)
{
	(void)state;
	for (size_t i = 1; i < n_option_rows; i++)
		for (size_t j = 0; j + 1 < i; j++)
			if (option_rows[i].group && option_rows[j].group == option_rows[i].group)
				assert_ptr_equal(option_rows[i - 1].group, option_rows[i].group);
}

static void suggestions(void **state)
{
	(void)state;
	static const char *const names[] = {"record", "dump", "doctor", "version"};
	assert_string_equal(suggest("recrod", names, 4), "record");
	assert_string_equal(suggest("dmup", names, 4), "dump");
	assert_string_equal(suggest("versoin", names, 4), "version");
	assert_null(suggest("frobnicate", names, 4));
	assert_null(suggest("foo", (const char *const[]){"top", "help"}, 2)); /* two of three */
	assert_string_equal(suggest("tpo", (const char *const[]){"top", "help"}, 2), "top");
	assert_null(suggest("x", names, 4));
	assert_null(suggest("", names, 4));
	char longest[200];
	memset(longest, 'r', sizeof(longest) - 1);
	longest[199] = '\0';
	assert_null(suggest(longest, names, 4));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	        cmocka_unit_test(forms_of_options),
	        cmocka_unit_test(native_frames),
	        cmocka_unit_test(idle_threads),
	        cmocka_unit_test(python_options),
	        cmocka_unit_test(child_keeps_its_arguments),
	        cmocka_unit_test(help_is_everywhere),
	        cmocka_unit_test(several_processes),
	        cmocka_unit_test(usage_errors_say_what_to_do),
	        cmocka_unit_test(durations),
	        cmocka_unit_test(tiny_durations_are_not_unlimited),
	        cmocka_unit_test(rates),
	        cmocka_unit_test(keeps),
	        cmocka_unit_test(pids),
	        cmocka_unit_test(table_is_sound),
	        cmocka_unit_test(help_is_short_and_says_where_the_rest_is),
	        cmocka_unit_test(help_is_as_wide_as_the_terminal),
	        cmocka_unit_test(help_names_every_format),
	        cmocka_unit_test(a_file_name_after_f_is_taken_as_the_output),
	        cmocka_unit_test(groups_stand_together),
	        cmocka_unit_test(suggestions),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
