/* SPDX-License-Identifier: Apache-2.0 */
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include <csample/find.h>
#include <csample/log.h>
#include <csample/mem.h>

#include "dump_print.h"

#define STARTING_NS 300000000ULL /* for an interpreter to start up */

static bool lookup_name(void *arg, struct image *img, uint64_t vaddr, const char **name_ret,
                        uint64_t *start_ret)
{
	return symbols_lookup_name(arg, img, vaddr, name_ret, start_ret);
}

static void wait_for_runtimes(struct decoding *p)
{
	uint64_t end = now_ns() + STARTING_NS;
	decoding_refresh(p);
	while (decoding_is_starting(p) && now_ns() < end) {
		usleep(1000);
		decoding_refresh(p);
	}
}

static struct err *open_target(struct dump *d, pid_t pid)
{
	struct err *err;
	if (d->opt->core) {
		err = core_open(d->opt->core, d->opt->exe, d->images, d->strings, &d->core);
		if (!err)
			d->target = d->core->target;
		return err;
	}
	err = target_open(pid, d->images, d->strings, &d->target);
	if (!err)
		symbols_add_process(d->symbols, (uint32_t)d->target->pid, d->target->root_fd,
		                    d->target->ns_pid, d->target->uid);
	return err;
}

static bool has_ended(const struct dump *d)
{
	struct err *err = d->core ? NULL : process_check(d->target->pid);
	bool ended = err && err->kind == ERR_GONE;
	err_free(err);
	return ended;
}

/* Of the process of that pid, or the core file. Its text is in d->text then. */
static struct err *dump_one(struct dump *d, pid_t pid)
{
	struct err *err = open_target(d, pid);
	if (err)
		return err;
	d->decoding = decoding_open(d->decoder, d->target);
	if (d->core)
		decoding_refresh(d->decoding);
	else
		wait_for_runtimes(d->decoding);
	struct once_config config = {.nonblocking = d->opt->nonblocking, .decoding = d->decoding};
	if (d->opt->locals) {
		d->locals = locals_create();
		config.while_held = dump_collect_locals;
	}
	dump_print_head(d);
	err = d->core ? once_core_threads(d->core, d->symbols, &config, dump_print_thread, d)
	              : once_all_threads(d->target, d->symbols, &config, dump_print_thread, d);
	if (err) {
		strbuf_clear(&d->text);
		return err;
	}
	if (d->n_threads == d->n_failed && has_ended(d)) {
		strbuf_clear(&d->text);
		return err_new(ERR_GONE, "process %d ended while it was looked at", (int)pid);
	}
	dump_print_tasks(d);
	if (d->opt->json)
		strbuf_add(&d->text, "\n]}");
	if (d->n_threads == d->n_failed)
		err = err_new(ERR_PERM,
		              "no thread of process %d could be captured; see csample doctor",
		              (int)d->target->pid);
	return err;
}

static void close_one(struct dump *d)
{
	locals_destroy(d->locals);
	decoding_close(d->decoding);
	if (d->core)
		core_close(d->core);
	else
		target_close(d->target);
	d->locals = NULL;
	d->decoding = NULL;
	d->core = NULL;
	d->target = NULL;
	d->n_threads = d->n_failed = d->n_tasks = 0;
}

/* One after the other; JSON: an array. What can be dumped is, whatever befalls others; that
 * children, or who was found by a search, have ended meanwhile is no error while others are there.
 */
static struct err *dump_several(struct dump *d)
{
	const struct options *opt = d->opt;
	struct target_parent *children = NULL;
	size_t n = opt->subprocesses ? target_descendants(opt->pids, opt->n_pids, &children) : 0;
	struct err *first = NULL, *gone = NULL;
	bool found = selection_is_search(&opt->select);
	const char *none_yet = opt->json ? "[" : "", *before = none_yet;
	for (size_t i = 0; i < opt->n_pids + n; i++) {
		bool child = i >= opt->n_pids;
		pid_t pid = child ? children[i - opt->n_pids].pid : opt->pids[i];
		if (child && pid == getpid())
			continue;
		struct err *err = dump_one(d, pid);
		close_one(d);
		if (d->text.len) {
			printf("%s%s", before, d->text.s);
			before = opt->json ? ",\n" : "\n";
			strbuf_clear(&d->text);
		}
		bool ended = err && err->kind == ERR_GONE && (child || found);
		struct err **keep = ended ? &gone : &first;
		if (*keep)
			err_free(err);
		else
			*keep = err;
	}
	free(children);
	bool none = before == none_yet;
	if (opt->json)
		puts(none ? "[]" : "]");
	if (none && !first) {
		first = gone;
		gone = NULL;
	}
	err_free(gone);
	return first;
}

struct err *cmd_dump(const struct options *opt, int *status)
{
	(void)status;
	struct dump d = {.opt = opt};
	struct symbols_config symbols_config = {0};
	static const enum native_frames natives[] = {[OPT_NATIVE_OWN] = NATIVE_OWN,
	                                             [OPT_NATIVE_ALL] = NATIVE_ALL,
	                                             [OPT_NATIVE_NONE] = NATIVE_NONE};
	d.strings = strings_create();
	d.images = images_create(d.strings);
	d.symbols = symbols_create(d.images, d.strings, &symbols_config);
	d.decoder = decoder_create(d.strings, natives[opt->native], lookup_name, d.symbols);
	struct err *err;
	if (opt->subprocesses || opt->n_pids > 1) {
		err = dump_several(&d);
	} else {
		err = dump_one(&d, opt->pid);
		if (d.text.len)
			printf("%s%s", d.text.s, opt->json ? "\n" : "");
		close_one(&d);
	}
	strbuf_free(&d.text);
	decoder_destroy(d.decoder);
	symbols_destroy(d.symbols);
	images_destroy(d.images);
	strings_destroy(d.strings);
	return err;
}
