/* SPDX-License-Identifier: Apache-2.0 */
/* A process as dump prints it: as text, or as a JSON object. */
#ifndef CMD_DUMP_PRINT_H
#define CMD_DUMP_PRINT_H

#include <csample/once.h>
#include <csample/strbuf.h>

#include "dump_locals.h"
#include "options.h"

struct dump {
	const struct options *opt;
	struct strings *strings;
	struct images *images;
	struct symbols *symbols;
	struct decoder *decoder;
	struct decoding *decoding;
	struct locals_book *locals; /* NULL: not asked for */
	struct core *core;          /* with --core; owns target then */
	struct target *target;
	struct strbuf text;
	size_t n_threads, n_failed, n_tasks;
};

/* All append to d->text. The beginning: whose threads these are. */
void dump_print_head(struct dump *d);
/* A once_visit. */
void dump_print_thread(void *arg, pid_t tid, const struct snapshot *snap, const struct stack *stack,
                       const struct decoded *decoded, const char *why);
/* Once_config's while_held: the variables that dump_print_thread() will print. */
void dump_collect_locals(void *arg, const struct snapshot *snap, const struct decoded *decoded);
/* Of all runtimes, after the threads. */
void dump_print_tasks(struct dump *d);

#endif
