/* SPDX-License-Identifier: Apache-2.0 */
/* Hidden: a recording (csample/recording.h) of the threads of a process, for tests. The process
 * must not run meanwhile: what is read of it then belongs together. */
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <csample/hash.h>
#include <csample/mem.h>
#include <csample/once.h>
#include <csample/recording.h>
#include <csample/unwinder.h>

#include "options.h"

#define MAX_RUNTIMES 8
#define TRIES        1000 /* for a runtime to be ready, a millisecond each */
#define MAX_PIECES   96
#define MIN_PIECE    256u

struct recording_run {
	const struct options *opt;
	struct strings *strings;
	struct images *images;
	struct symbols *symbols;
	struct target *target;
	struct recorder *recorder;
	struct decoder *decoder;
	struct decoding *decoding;
	struct unwinder *unwinder;
	struct stack native, stack; /* of the thread; before and after decoding */
	struct err *err;
	size_t n_threads;
};

/* For the unwinder; what it asks is not decoding. */
static bool lookup_name(void *arg, struct image *img, uint64_t vaddr, const char **name_ret,
                        uint64_t *start_ret)
{
	struct recording_run *run = arg;
	return symbols_lookup_name(run->symbols, img, vaddr, name_ret, start_ret);
}

static bool keep_name(void *arg, struct image *img, uint64_t vaddr, const char **name_ret,
                      uint64_t *start_ret)
{
	struct recording_run *run = arg;
	if (!symbols_lookup_name(run->symbols, img, vaddr, name_ret, start_ret))
		return false;
	recorder_add_name(run->recorder, img, vaddr, *name_ret, *start_ret);
	return true;
}

static void hash_local(void *arg, const char *name, const char *repr, bool is_argument)
{
	uint64_t *h = arg;
	*h = hash_mix(*h, hash_bytes(name, strlen(name)));
	*h = hash_mix(*h, hash_bytes(repr, strlen(repr)) + is_argument);
}

static void ignore_task(void *arg, const struct runtime_task *task)
{
	(void)arg, (void)task;
}

/* Everything that dump asks of a thread, so that what it reads is kept; the answer as a number. */
static uint64_t look(struct recording_run *run, const struct snapshot *snap)
{
	stack_reset(&run->stack);
	for (size_t i = 0; i < run->native.n; i++)
		stack_push(&run->stack, run->native.frames[i], run->native.cfas[i]);
	run->stack.end = run->native.end;
	struct decoded decoded = decode(run->decoding, snap, &run->stack);
	struct runtime *rt = decoded.runtime;
	char name[256] = "";
	size_t n = 0;
	uint64_t h = hash_mix(decoded.end, decoded.holds_lock + 2 * decoded.unmerged);
	for (size_t i = 0; i < run->stack.n; i++) {
		struct frame f;
		h = hash_mix(h, hash_bytes(&run->stack.frames[i], sizeof(struct raw_frame)));
		if (run->stack.frames[i].kind != RAW_RUNTIME)
			continue;
		decoder_name(run->decoder, run->stack.frames[i], &f);
		if (run->opt->locals && rt && rt->ops->locals &&
		    run->stack.frames[i].owner == rt->index)
			rt->ops->locals(rt, snap, n++, hash_local, &h);
	}
	if (rt && rt->ops->thread_name)
		rt->ops->thread_name(rt, snap->tid, name, sizeof(name));
	return h;
}

/* The copy of a stack in pieces, of which some are left out. */
struct pieces {
	const struct snapshot *whole;
	struct snapshot part;
	uint32_t size;
	size_t n;
	bool keep[MAX_PIECES];
};

static void add_part(struct snapshot *part, struct region region)
{
	struct region *last = &part->regions[part->n_regions - 1];
	if (part->n_regions && last->addr + last->len == region.addr &&
	    last->at + last->len == region.at)
		last->len += region.len; /* what is read may reach across */
	else if (part->n_regions < SNAPSHOT_MAX_REGIONS)
		part->regions[part->n_regions++] = region;
}

static void put_together(struct pieces *p)
{
	const struct region *stack = &p->whole->regions[0];
	p->part = *p->whole;
	p->part.n_regions = 0;
	for (size_t i = 0; i < p->n; i++) {
		uint32_t off = (uint32_t)i * p->size;
		uint32_t len = stack->len - off < p->size ? stack->len - off : p->size;
		if (p->keep[i])
			add_part(&p->part,
			         (struct region){stack->addr + off, len, stack->at + off});
	}
	for (size_t i = 1; i < p->whole->n_regions; i++)
		add_part(&p->part, p->whole->regions[i]);
}

/* A copy of the stack holds much that nobody looks at, and above its root the environment of the
 * process: each piece without which the answer is the same is left out. */
static struct snapshot reduce(struct recording_run *run, const struct snapshot *snap)
{
	struct pieces p = {.whole = snap};
	uint64_t answer = look(run, snap);
	uint32_t len = snap->n_regions ? snap->regions[0].len : 0;
	p.size = len / MAX_PIECES + 1 > MIN_PIECE ? len / MAX_PIECES + 1 : MIN_PIECE;
	p.n = (len + p.size - 1) / p.size;
	memset(p.keep, 1, sizeof(p.keep));
	for (size_t i = p.n; i-- > 1;) { /* regions[0] remains the stack */
		p.keep[i] = false;
		put_together(&p);
		p.keep[i] = look(run, &p.part) != answer;
	}
	put_together(&p);
	return p.part;
}

/* What is left, without the gaps between. */
static struct err *add_thread(struct recording_run *run, const struct snapshot *snap)
{
	struct snapshot part = reduce(run, snap);
	_cleanup_free_ uint8_t *bytes = mem_alloc(snap->n_bytes + 1);
	part.n_bytes = 0;
	for (size_t i = 0; i < part.n_regions; i++) {
		struct region *region = &part.regions[i];
		memcpy(bytes + part.n_bytes, snap->bytes + region->at, region->len);
		region->at = part.n_bytes;
		part.n_bytes += region->len;
	}
	part.bytes = bytes;
	return recorder_add_thread(run->recorder, &part, &run->native);
}

static void visit(void *arg, pid_t tid, const struct snapshot *snap, const struct stack *stack,
                  const struct decoded *decoded, const char *why)
{
	(void)decoded;
	struct recording_run *run = arg;
	if (run->err || (run->opt->tid && run->opt->tid != tid))
		return;
	if (!stack) {
		run->err = err_new(ERR_SYS, "thread %d: %s", (int)tid, why);
		return;
	}
	stack_reset(&run->native);
	unwind(run->unwinder, &run->target->maps, (uint32_t)run->target->pid, snap, &run->native);
	run->err = add_thread(run, snap);
	run->n_threads++;
}

/* The landmarks of all runtimes, in one list; free it. */
static const char **all_landmarks(void)
{
	size_t n = 0;
	const char **list = mem_zalloc(sizeof(*list));
	for (size_t i = 0; all_runtimes[i]; i++) {
		const char *const *marks = all_runtimes[i]->landmarks;
		for (size_t k = 0; marks && marks[k]; k++) {
			list = mem_realloc_array(list, n + 2, sizeof(*list));
			list[n++] = marks[k];
			list[n] = NULL;
		}
	}
	return list;
}

static struct err *record_snapshot(struct recording_run *run)
{
	struct symbols_config symbols_config = {0};
	struct runtime *rt[MAX_RUNTIMES];
	run->strings = strings_create();
	run->images = images_create(run->strings);
	run->symbols = symbols_create(run->images, run->strings, &symbols_config);
	stack_init(&run->native);
	stack_init(&run->stack);
	struct err *err = target_open(run->opt->pid, run->images, run->strings, &run->target);
	if (err)
		return err;
	run->recorder = recorder_create(run->target);
	run->unwinder = unwinder_create(lookup_name, run);
	run->decoder = decoder_create(run->strings, NATIVE_OWN, keep_name, run);
	run->decoding = decoding_open(run->decoder, run->target);
	decoding_refresh(run->decoding);
	for (int i = 0; i < TRIES && decoding_is_starting(run->decoding); i++) {
		usleep(1000);
		decoding_refresh(run->decoding);
	}
	struct once_config config = {.decoding = run->decoding};
	err = once_all_threads(run->target, run->symbols, &config, visit, run);
	if (!err)
		err = run->err;
	if (!err && !run->n_threads)
		err = err_new(ERR_USAGE, "no thread %d in process %d", (int)run->opt->tid,
		              (int)run->opt->pid);
	size_t n_rt = decoding_runtimes(run->decoding, rt, MAX_RUNTIMES);
	for (size_t i = 0; i < n_rt && !err && run->opt->locals; i++)
		if (rt[i]->ops->tasks)
			rt[i]->ops->tasks(rt[i], ignore_task, NULL);
	if (err)
		return err;
	const char **landmarks = all_landmarks();
	err = recorder_write(run->recorder, run->opt->output, landmarks);
	free(landmarks);
	return err;
}

struct err *cmd_snapshot(const struct options *opt, int *status)
{
	(void)status;
	struct recording_run run = {.opt = opt};
	struct err *err = record_snapshot(&run);
	decoding_close(run.decoding);
	recorder_destroy(run.recorder);
	target_close(run.target);
	decoder_destroy(run.decoder);
	unwinder_destroy(run.unwinder);
	stack_deinit(&run.native);
	stack_deinit(&run.stack);
	symbols_destroy(run.symbols);
	images_destroy(run.images);
	strings_destroy(run.strings);
	return err;
}
