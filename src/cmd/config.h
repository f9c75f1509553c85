/* SPDX-License-Identifier: Apache-2.0 */
/* Defaults of options from a file of the user's. */
#ifndef CMD_CONFIG_H
#define CMD_CONFIG_H

#include "options.h"

/* Where it is: $CSAMPLE_CONFIG, else $XDG_CONFIG_HOME/csample/config, else
 * ~/.config/csample/config. NULL: nowhere. Free it. */
char *config_path(void);
/* The file's text; *ret stays NULL when there is none, or it is another user's or may be written by
 * others (with a warning). Free it. */
struct err *config_read(const char *path, char **ret);
/* Sets what the lines of text, "option = value" and "command.option = value", say for this command;
 * the latter win. Cuts text up; opt borrows from it. ERR_USAGE names path and line; lines for other
 * commands are checked to be options at all. */
struct err *config_apply(char *text, const char *path, const struct command *command,
                         struct options *opt);

#endif
