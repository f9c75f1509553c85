/* SPDX-License-Identifier: Apache-2.0 */
/* What runs in a process: for list and doctor, which show it and sample nothing. */
#ifndef CMD_INSPECT_H
#define CMD_INSPECT_H

#include <csample/decode.h>
#include <csample/strbuf.h>

#define INSPECT_MAX 4 /* runtimes of one process */

struct inspected {
	const struct runtime_ops *ops;
	char version[48]; /* "": it is not attached */
	char why[256];    /* then: the reason; "": it is starting up */
};

/* Fills at most INSPECT_MAX; returns how many. Waits so long for those that are starting up. */
size_t inspect(struct decoder *decoder, struct target *target, uint64_t wait_ns,
               struct inspected *ret);
/* {"name": ..., "version": ...}, or "why_not", or neither. */
void inspected_json(const struct inspected *one, struct strbuf *b);

#endif
