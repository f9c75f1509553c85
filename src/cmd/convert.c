/* SPDX-License-Identifier: Apache-2.0 */
#include <stdlib.h>
#include <string.h>

#include <csample/format.h>
#include <csample/log.h>

#include "options.h"

/* -f, else what the file name says, else, on stdout, collapsed. */
static struct err *choose_format(const struct options *opt, const struct format **ret)
{
	const char *out = opt->operands[1];
	const struct format *format =
	        opt->format ? format_by_name(opt->format) : format_by_path(out);
	if (!format && (!strcmp(out, "-") || !strncmp(out, "/dev/", 5)))
		format = format_by_name("collapsed");
	if (!format) {
		char known[256];
		format_list(known, sizeof(known));
		return err_new(ERR_USAGE, "'%s' does not tell the format: name it with -f (%s)",
		               out, known);
	}
	*ret = format;
	return NULL;
}

struct err *cmd_convert(const struct options *opt, int *status)
{
	(void)status;
	const struct format *format = NULL;
	struct err *err = choose_format(opt, &format);
	if (err || !format)
		return err;
	struct strings *strings = strings_create();
	struct profile *p = profile_create(strings);
	struct output *output = NULL;
	struct emit_options emit = {.functions = opt->functions,
	                            .full_filenames = opt->full_filenames,
	                            .annotate = opt->annotate,
	                            .inverted = opt->inverted};
	err = profile_read(opt->operands[0], p);
	if (!err && !p->meta.title)
		p->meta.title = intern(strings, frame_short_path(opt->operands[0]));
	if (!err)
		err = output_open(opt->operands[1], &output);
	if (!err)
		err = format->write(p, &emit, output_stream(output));
	if (!err)
		err = output_commit(output);
	else
		output_abort(output);
	profile_destroy(p);
	strings_destroy(strings);
	return err;
}
