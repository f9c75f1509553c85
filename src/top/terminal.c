/* SPDX-License-Identifier: Apache-2.0 */
/* What can the terminal do? Apart from the screen, since term.h takes names like lines for itself.
 */
#include <curses.h>
#include <stdlib.h>
#include <term.h>
#include <unistd.h>

#include <csample/top.h>

struct err *screen_check(void)
{
	int status;
	const char *name = getenv("TERM");
	if (!isatty(STDIN_FILENO) || !isatty(STDOUT_FILENO))
		return err_new(ERR_UNSUPPORTED, "not on a terminal");
	if (setupterm(NULL, STDOUT_FILENO, &status) != OK)
		return err_new(ERR_UNSUPPORTED, "terminal '%s' is not known: set TERM",
		               name ? name : "");
	const char *move = tigetstr("cup"), *clear_all = tigetstr("clear");
	bool able = move && move != (char *)-1 && clear_all && clear_all != (char *)-1;
	del_curterm(cur_term);
	return able ? NULL
	            : err_new(ERR_UNSUPPORTED, "terminal '%s' cannot place text on the screen",
	                      name ? name : "");
}
