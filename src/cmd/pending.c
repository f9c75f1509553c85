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

#if !__has_include("../unwind/unwind.c")
#include <csample/unwinder.h>
struct unwinder *unwinder_create(unwinder_namer *namer, void *namer_arg)
{
	(void)namer, (void)namer_arg;
	return NULL;
}
void unwinder_destroy(struct unwinder *u)
{
	(void)u;
}
void unwind(struct unwinder *u, const struct maps *maps, uint32_t process,
            const struct snapshot *snap, struct stack *stack)
{
	(void)u;
	const struct mapping *m = maps_find(maps, snap->regs.r[REG_PC]);
	(void)process;
	if (m && m->image)
		stack_push(stack,
		           (struct raw_frame){.kind = RAW_NATIVE,
		                              .owner = m->image->id,
		                              .addr = snap->regs.r[REG_PC] - m->bias},
		           0);
}
#endif

#if !__has_include("../symbols/symbols.c")
#include <csample/symbols.h>
struct symbols *symbols_create(struct images *images, struct strings *strings,
                               const struct symbols_config *config)
{
	(void)images, (void)config;
	return (struct symbols *)strings;
}
void symbols_destroy(struct symbols *s)
{
	(void)s;
}
void symbols_prepare_image(struct symbols *s, struct image *img)
{
	(void)s, (void)img;
}
void symbols_add_process(struct symbols *s, uint32_t owner, int root_fd, int32_t ns_pid,
                         uint32_t uid)
{
	(void)s, (void)owner, (void)root_fd, (void)ns_pid, (void)uid;
}
size_t symbols_name(struct symbols *s, struct raw_frame raw, struct frame *out, size_t max)
{
	(void)s, (void)raw, (void)max;
	char buf[64];
	snprintf(buf, sizeof(buf), "image %u+0x%llx", raw.owner, (unsigned long long)raw.addr);
	*out = (struct frame){.kind = FRAME_NATIVE, .function = intern((struct strings *)s, buf)};
	return 1;
}
bool symbols_lookup_name(struct symbols *s, struct image *img, uint64_t vaddr,
                         const char **name_ret, uint64_t *start_ret)
{
	(void)s, (void)img, (void)vaddr, (void)name_ret, (void)start_ret;
	return false;
}
void symbols_source(struct symbols *s, struct image *img, struct symbols_source *ret)
{
	(void)s, (void)img;
	*ret = (struct symbols_source){0};
}
#endif

#if !__has_include("../symbols/perfmap.c")
#include <csample/symbols.h>
void symbols_add_process(struct symbols *s, uint32_t owner, int root_fd, int32_t ns_pid,
                         uint32_t uid)
{
	(void)s, (void)owner, (void)root_fd, (void)ns_pid, (void)uid;
}
#endif
