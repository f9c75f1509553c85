/* SPDX-License-Identifier: Apache-2.0 */
#include <string.h>

#include <csample/format.h>
#include <csample/strbuf.h>

void frame_label(const struct frame *f, const struct emit_options *opt, struct strbuf *b)
{
	strbuf_add(b, f->function && f->function[0] ? f->function : "[unknown]");
	if (!frame_kind_is_script(f->kind) || opt->functions || !f->file)
		return;
	strbuf_add(b, " (");
	strbuf_add(b, opt->full_filenames ? f->file : frame_short_path(f->file));
	if (f->line)
		strbuf_addf(b, ":%u", f->line);
	strbuf_addc(b, ')');
}
