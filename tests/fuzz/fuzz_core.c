/* SPDX-License-Identifier: Apache-2.0 */
/* A core file of any content: opened, its memory read, each of its threads unwound and decoded. */
#include <stddef.h>
#include <stdint.h>
#include <sys/mman.h>
#include <unistd.h>

#include <csample/once.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static volatile size_t seen;

static void visit(void *arg, pid_t tid, const struct snapshot *snap, const struct stack *stack,
                  const struct decoded *decoded, const char *why)
{
	(void)arg, (void)tid, (void)decoded, (void)why;
	seen += snap->n_bytes + stack->n;
}

static bool no_name(void *arg, struct image *img, uint64_t vaddr, const char **name_ret,
                    uint64_t *start_ret)
{
	(void)arg, (void)img, (void)vaddr, (void)name_ret, (void)start_ret;
	return false;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct strings *strings = strings_create();
	struct images *images = images_create(strings);
	struct symbols_config symbols_config = {.no_debuginfod = true};
	struct symbols *symbols = symbols_create(images, strings, &symbols_config);
	struct core *core = NULL;
	int fd = memfd_create("core", MFD_CLOEXEC);
	struct err *err = NULL;
	if (fd >= 0 && write(fd, data, size) == (ssize_t)size)
		err = core_open_fd(fd, "core", NULL, images, strings, &core);
	else if (fd >= 0)
		close(fd);
	if (core) {
		struct decoder *d = decoder_create(strings, NATIVE_OWN, no_name, NULL);
		struct decoding *p = decoding_open(d, core->target);
		struct once_config config = {.decoding = p};
		decoding_refresh(p);
		for (size_t i = 0; i < core->target->maps.n && i < 64; i++) {
			uint8_t buf[64];
			const struct mapping *m = &core->target->maps.items[i];
			err_free(rmem_read(core->target->rm, m->end - 32, buf, sizeof(buf)));
			err_free(rmem_read(core->target->rm, m->start, buf, sizeof(buf)));
		}
		err_free(once_core_threads(core, symbols, &config, visit, NULL));
		decoding_close(p);
		decoder_destroy(d);
	}
	err_free(err);
	core_close(core);
	symbols_destroy(symbols);
	images_destroy(images);
	strings_destroy(strings);
	return 0;
}
