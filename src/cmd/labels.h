/* SPDX-License-Identifier: Apache-2.0 */
/* Labels of continuous profiles: from the command line, the environment, the process. */
#ifndef CMD_LABELS_H
#define CMD_LABELS_H

#include <stddef.h>
#include <sys/types.h>

#include <csample/outlet.h>

#include "options.h"

struct labels {
	struct outlet_label *items; /* sorted by name; names and values are owned */
	size_t n, cap;
};
/* Of pid (0: nobody is known yet), whose main thread is called comm, and which people call name.
 * What was there goes. */
void labels_make(struct labels *l, const struct options *opt, pid_t pid, const char *comm,
                 const char *name);
void labels_free(struct labels *l);

#endif
