/* SPDX-License-Identifier: Apache-2.0 */
/* The table of commands. */
#include <assert.h>

#include <csample/mem.h>

#include "options.h"

/* clang-format off */
const struct command commands[] = {
	{ CMD_RECORD, "record", "profile a process, or a command from its start", 
	  "[-p PID] [OPTIONS] [-- COMMAND ARG...]",
	  "Samples where a process spends its time and writes a profile. Ends after -d, on Ctrl-C, or\n"
	  "with the process; the profile is written either way. A second Ctrl-C discards it.",
	  "  csample record -p 1234                      until Ctrl-C, into a flame graph (SVG)\n"
	  "  csample record -p 1234 -d 30 -o app.pb.gz   30 seconds, for pprof\n"
	  "  csample record -o - -f collapsed -- make    a command; its stacks as text\n",
	  cmd_record },
	{ CMD_DUMP, "dump", "print the stack of every thread, now",
	  "-p PID | --core FILE [OPTIONS]",
	  "Prints each thread of a process once: its state, what it waits in, and its stack.",
	  "  csample dump -p 1234\n"
	  "  csample dump --core core.1234               the same of a core file\n"
	  "  csample dump -p 1234 --json | jq '.threads[].frames[0].function'\n",
	  cmd_dump },
	{ CMD_TOP, "top", "show what a process does, live",
	  "[-p PID] [OPTIONS] [-- COMMAND ARG...]",
	  "Shows where a process spends its time, brought up to date each second: own% is time in a\n"
	  "function itself, total% with all it calls, in percent of one CPU, of the last interval. Keys\n"
	  "change what is shown; ? explains them.",
	  "  csample top -p 1234\n"
	  "  csample top -- python3 app.py\n"
	  "  csample top -p 1234 --batch -n 3            three tables as text\n"
	  "  csample top -p 1234 --json --delay 10       a line of JSON every ten seconds\n",
	  cmd_top },
	{ CMD_CONVERT, "convert", "turn a profile into another format",
	  "IN OUT [OPTIONS]",
	  "Reads a profile (pprof and speedscope of any producer, csample's json, collapsed stacks, what\n"
	  "perf script prints; gzip'd or not; told by its content, - is stdin) and writes it in the\n"
	  "format that OUT's ending or -f says.",
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
	{ CMD_QUERY, "query", "merge profiles of the store",
	  "SELECTOR [--from TIME] [--to TIME] [-o FILE] [OPTIONS]",
	  "Merges the stored profiles that match and that began in that time (the last hour, unless\n"
	  "--from says more), and prints the table of report or, with -o or -f, writes a profile.\n"
	  "A selector is as Prometheus has it: TYPE{LABEL=\"...\", OTHER!=\"...\"}, =~ and !~ with regular\n"
	  "expressions for the whole value.",
	  "  csample query 'process_cpu{service_name=\"checkout\",version=~\"v2.*\"}'\n"
	  "  csample query process_cpu --from today -o today.svg\n"
	  "  csample query 'process_cpu{env=\"prod\"}' --from -7d --by version -o versions.svg\n",
	  cmd_query },
	{ CMD_STORE, "store", "list, trim or check the store",
	  "ls [SELECTOR] | gc --keep HOW_MUCH | check [--repair]",
	  "The store is a directory of pprof files with an index. ls lists what is there, gc deletes\n"
	  "the oldest until no more than --keep allows is left, check compares index and files.",
	  "  csample store ls --from -1h\n"
	  "  csample store ls 'process_cpu{service_name=\"checkout\"}' --json | jq -r '.[].path'\n"
	  "  csample store gc --keep 7d,2G\n"
	  "  csample store check --repair\n",
	  cmd_store },
	{ CMD_DOCTOR, "doctor", "what works here, what does not, and how to fix it",
	  "[-p PID] [-j]",
	  "Tries what sampling needs with the privileges csample has now, on a process or, without\n"
	  "-p, on a child of its own. Exit status: 0 when csample can sample, if not in the best way;\n"
	  "1 when it cannot.",
	  "  csample doctor\n"
	  "  csample doctor -p 1234 --json\n",
	  cmd_doctor },
	{ CMD_LIST, "list", "the processes there are, and what each runs",
	  "[OPTIONS]",
	  "Lists processes, the busiest first: the runtime and its version, CPU use in the last half\n"
	  "second, and why csample cannot look into one. Stops nothing.",
	  "  csample list\n"
	  "  csample list --comm node\n"
	  "  csample list --json | jq '.[] | select(.runtimes[0].name == \"python\").pid'\n",
	  cmd_list },
	{ CMD_SNAPSHOT, "snapshot", "",
	  "-p PID -o FILE [OPTIONS]",
	  "For tests: records what decoding the threads of a process touches, as\n"
	  "include/csample/recording.h describes it.",
	  NULL,
	  cmd_snapshot },
	{ CMD_VERSION, "version", "print versions: csample's, its libraries', the runtimes' it can read", "[-j]",
	  NULL, NULL, cmd_version },
	{ CMD_HELP, "help", "explain a command", "[COMMAND] [--all]",
	  "help man prints the manual page; help bash, help zsh and help fish what those shells need to\n"
	  "complete csample's command lines.",
	  "  csample help record --all\n"
	  "  csample help man | man -l -\n"
	  "  source <(csample help bash)\n",
	  cmd_help },
};
/* clang-format on */
const size_t n_commands = ARRAY_SIZE(commands);
static_assert(ARRAY_SIZE(commands) <= MAX_COMMANDS, "raise MAX_COMMANDS");
