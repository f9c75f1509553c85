/* SPDX-License-Identifier: Apache-2.0 */
/* Which interpreter the target has, and whether csample can read it. */
#include <stdio.h>

#include <csample/strbuf.h>

#include "doctor.h"

#define STARTING_NS 300000000ULL /* for an interpreter to start up */

static void add_known(struct strbuf *b)
{
	for (const struct runtime_ops *const *ops = all_runtimes; *ops; ops++) {
		char releases[64] = "";
		if ((*ops)->releases)
			(*ops)->releases(releases, sizeof(releases));
		strbuf_addf(b, "%s%s%s%s", b->len ? ", " : "", (*ops)->title, *releases ? " " : "",
		            releases);
	}
}

void diagnose_runtimes(struct target *target, struct strings *strings, struct diagnosis *d)
{
	struct decoder *decoder = decoder_create(strings, NATIVE_OWN, NULL, NULL);
	decoder_warn(decoder, false);
	d->n_runtimes = inspect(decoder, target, STARTING_NS, d->runtimes);
	for (size_t i = 0; i < d->n_runtimes; i++) {
		const struct inspected *one = &d->runtimes[i];
		if (*one->version)
			diagnosis_add(d, one->ops->title, LEVEL_OK, FIX_NONE,
			              "%s: its functions show with file and line", one->version);
		else if (*one->why)
			diagnosis_add(d, one->ops->title, LEVEL_DEGRADED, FIX_NONE,
			              "is there, but cannot be read: %s", one->why);
		else
			diagnosis_add(d, one->ops->title, LEVEL_NOTE, FIX_NONE,
			              "is in the program, and not started (yet)");
	}
	if (!d->n_runtimes) {
		struct strbuf known = {0};
		add_known(&known);
		diagnosis_add(d, "runtimes", LEVEL_NOTE, FIX_NONE,
		              "none that csample knows (%s): native code", known.s);
		strbuf_free(&known);
	}
	decoder_destroy(decoder);
}
