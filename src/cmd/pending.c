/* SPDX-License-Identifier: Apache-2.0 */
/* Stands in for what is not built yet, so that csample links; deleted with the last of it. */
#include <csample/format.h>

#include "options.h"

#if !__has_include("record.c")
struct err *cmd_record(const struct options *opt, int *status)
{
	(void)opt;
	(void)status;
	return err_new(ERR_UNSUPPORTED, "record: not built yet");
}
#endif

#if !__has_include("dump.c")
struct err *cmd_dump(const struct options *opt, int *status)
{
	(void)opt;
	(void)status;
	return err_new(ERR_UNSUPPORTED, "dump: not built yet");
}
#endif

#if !__has_include("doctor.c")
struct err *cmd_doctor(const struct options *opt, int *status)
{
	(void)opt;
	(void)status;
	return err_new(ERR_UNSUPPORTED, "doctor: not built yet");
}
#endif

#if !__has_include("../emit/formats.c")
const struct format *format_by_name(const char *name)
{
	(void)name;
	return NULL;
}

const struct format *format_by_path(const char *path)
{
	(void)path;
	return NULL;
}

void format_list(char *buf, size_t len)
{
	snprintf(buf, len, "svg, collapsed, pprof");
}
#endif

#if !__has_include("../symbols/symbols.c")
#include <csample/symbols.h>

struct symbols *symbols_create(struct images *images, struct strings *strings,
                               const struct symbols_config *config)
{
	(void)images;
	(void)strings;
	(void)config;
	return NULL;
}

void symbols_destroy(struct symbols *s)
{
	(void)s;
}

void symbols_source(struct symbols *s, struct image *img, struct symbols_source *ret)
{
	(void)s;
	(void)img;
	*ret = (struct symbols_source){0};
}
#endif
