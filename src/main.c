/* SPDX-License-Identifier: Apache-2.0 */
/* argv to exit status, nothing else. */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include <csample/log.h>

#include "cmd/options.h"

enum { EXIT_DONE = 0, EXIT_FAILED = 1, EXIT_USAGE = 2 };

static int report(struct err *err)
{
	log_info("%s", err->msg);
	int status = err->kind == ERR_USAGE ? EXIT_USAGE : EXIT_FAILED;
	err_free(err);
	return status;
}

int main(int argc, char **argv)
{
	const struct command *command;
	struct options opt;
	int status = EXIT_DONE;
	struct err *err = options_parse_with_config(argc, argv, &command, &opt);
	/* Those that last look for processes themselves, again and again. */
	bool lasts = !err && command->bit == CMD_RECORD && options_are_continuous(&opt);
	if (!err && selection_is_search(&opt.select) && !lasts)
		err = select_resolve(&opt, command->bit & (CMD_DOCTOR | CMD_LIST));
	if (!err)
		err = command->run(&opt, &status);
	options_deinit(&opt);
	if (err)
		return report(err);
	if (fflush(stdout) || ferror(stdout))
		return report(err_errno(errno, "write to stdout"));
	return status;
}
