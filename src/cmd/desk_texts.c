/* SPDX-License-Identifier: Apache-2.0 */
/* What a desk asks for at once: the stacks of all threads, the command line, names of addresses. */
#include "desk_texts.h"

#include <stdlib.h>
#include <string.h>

#include <csample/format.h>
#include <csample/log.h>
#include <csample/mem.h>
#include <csample/once.h>

#define MAX_FRAMES    128
#define MAX_PROCESSES 64 /* whose threads are told at once, while others wait */

struct book {
	const struct session *session;
	struct target *target; /* whose thread is visited */
	const char *process;   /* the root of its stacks; NULL: none */
	struct profile *profile;
	bool apart; /* the thread is the root of its stack */
};

static void visit(void *arg, pid_t tid, const struct snapshot *snap, const struct stack *stack,
                  const struct decoded *decoded, const char *why)
{
	static const uint64_t once[PROFILE_VALUES] = {1, 0};
	struct book *b = arg;
	char name[64] = "?";
	(void)snap, (void)decoded, (void)why;
	if (!stack)
		return;
	struct raw_frame *frames = mem_realloc_array(NULL, stack->n + 1, sizeof(*frames));
	memcpy(frames, stack->frames, stack->n * sizeof(*frames));
	if (b->apart)
		target_thread_name(b->target, tid, name, sizeof(name));
	const char *root = b->apart ? intern(b->session->strings, name) : b->process;
	frames[stack->n] = (struct raw_frame){.kind = b->apart ? RAW_THREAD : RAW_PROCESS,
	                                      .owner = (uint32_t)(b->apart ? tid : b->target->pid),
	                                      .aux = (uint64_t)(uintptr_t)root};
	profile_add(b->profile, frames, stack->n + (root != NULL), once);
	free(frames);
}

static size_t name_location(void *arg, const struct location *loc, struct frame *out, size_t max)
{
	const struct session *s = arg;
	if (loc->raw.kind != RAW_RUNTIME)
		return decoder_hide_inlined(s->decoder, loc->raw, out,
		                            symbols_name(s->symbols, loc->raw, out, max));
	decoder_name(s->decoder, loc->raw, out);
	return 1;
}

static void add_frames(const struct location *loc, struct strbuf *b)
{
	for (uint32_t i = 0; i < loc->n_frames; i++) {
		const struct frame *f = &loc->frames[i];
		strbuf_addf(b, "#\t0x%llx\t", (unsigned long long)loc->raw.addr);
		strbuf_add_terminal(b, f->function);
		if (f->file) {
			strbuf_addc(b, '\t');
			strbuf_add_terminal(b, f->file);
			strbuf_addf(b, ":%u", f->line);
		}
		strbuf_addc(b, '\n');
	}
}

/* "3 @ 0x1 0x2" and its frames, most first, as Go's goroutine page has them. */
static void add_stack(const struct profile *p, uint32_t leaf, bool apart, struct strbuf *b)
{
	uint32_t root = leaf;
	while (p->nodes[root].parent)
		root = p->nodes[root].parent;
	if (apart) {
		strbuf_add(b, "thread ");
		strbuf_add_terminal(b, p->locations[p->nodes[root].location].frames[0].function);
		strbuf_add(b, ":\n");
	} else {
		strbuf_addf(b, "%llu @", (unsigned long long)p->nodes[leaf].self[0]);
		for (uint32_t i = leaf; i; i = p->nodes[i].parent)
			strbuf_addf(
			        b, " 0x%llx",
			        (unsigned long long)p->locations[p->nodes[i].location].raw.addr);
		strbuf_addc(b, '\n');
	}
	for (uint32_t i = leaf; i && (!apart || i != root); i = p->nodes[i].parent)
		add_frames(&p->locations[p->nodes[i].location], b);
	strbuf_addc(b, '\n');
}

static const struct profile *sorted; /* for qsort, which has no argument; one thread does this */

static int by_count(const void *a, const void *b)
{
	uint64_t x = sorted->nodes[*(const uint32_t *)a].self[0];
	uint64_t y = sorted->nodes[*(const uint32_t *)b].self[0];
	return (x < y) - (x > y);
}

static void add_text(const struct profile *p, bool apart, struct strbuf *b)
{
	uint32_t *leaves = mem_realloc_array(NULL, p->n_nodes, sizeof(*leaves));
	size_t n = 0;
	for (uint32_t i = 1; i < p->n_nodes; i++)
		if (p->nodes[i].self[0])
			leaves[n++] = i;
	sorted = p;
	qsort(leaves, n, sizeof(*leaves), by_count);
	if (!apart)
		strbuf_addf(b, "threads profile: total %llu\n", (unsigned long long)p->total[0]);
	for (size_t i = 0; i < n; i++)
		add_stack(p, leaves[i], apart, b);
	free(leaves);
}

static struct err *add_pprof(struct profile *p, struct strbuf *b)
{
	static const struct emit_options plain;
	char *bytes = NULL;
	size_t len = 0;
	FILE *out = open_memstream(&bytes, &len);
	if (!out)
		return &err_nomem;
	struct err *err = format_by_name("pprof")->write(p, &plain, out);
	fclose(out);
	if (!err)
		strbuf_addn(b, bytes, len);
	free(bytes);
	return err;
}

static struct err *visit_process(const struct session *s, pid_t pid, struct book *book)
{
	struct err *err = target_open(pid, s->images, s->strings, &book->target);
	if (err)
		return err;
	_cleanup_free_ char *name = mem_asprintf("%s (%d)", book->target->name, (int)pid);
	if (book->process)
		book->process = intern(s->strings, name);
	struct decoding *decoding = decoding_open(s->decoder, book->target);
	struct once_config config = {.nonblocking = s->opt->nonblocking, .decoding = decoding};
	err = target_refresh_maps(book->target);
	decoding_refresh(decoding);
	if (!err)
		err = once_all_threads(book->target, s->symbols, &config, visit, book);
	/* Runtimes are forgotten with the process: names first. */
	if (!err)
		profile_name(book->profile, name_location, (void *)(uintptr_t)s);
	decoding_close(decoding);
	target_close(book->target);
	return err;
}

/* Of those that are there: that some have ended meanwhile is no error. */
static struct err *threads_text(const struct session *s, const pid_t *pids, size_t n,
                                enum desk_text what, struct strbuf *b)
{
	struct book book = {.session = s,
	                    .process = n > 1 && what == DESK_THREADS_PPROF ? "" : NULL,
	                    .profile = profile_create(s->strings),
	                    .apart = what == DESK_THREADS_2};
	struct err *err = NULL;
	size_t n_visited = 0;
	for (size_t i = 0; i < n && i < MAX_PROCESSES; i++) {
		err_free(err);
		err = visit_process(s, pids[i], &book);
		n_visited += !err;
	}
	if (n_visited) {
		err_free(err);
		err = NULL;
		book.profile->meta.event = book.profile->meta.value_type = "wall";
		if (what == DESK_THREADS_PPROF)
			err = add_pprof(book.profile, b);
		else
			add_text(book.profile, book.apart, b);
	}
	profile_destroy(book.profile);
	return err;
}

static void cmdline_text(const struct target *t, struct strbuf *b)
{
	for (size_t i = 0; i < t->argc; i++)
		strbuf_addn(b, i ? "\0" : "", i ? 1 : 0), strbuf_add(b, t->argv[i]);
}

/* b has "0x1+0x2", and gets a line for each that has a name. */
static void symbols_text(const struct session *s, const struct target *t, struct strbuf *b)
{
	_cleanup_free_ char *asked = mem_strdup(b->s ? b->s : "");
	strbuf_clear(b);
	for (char *p = asked, *end; *p; p = *end ? end + 1 : end) {
		uint64_t addr = strtoull(p, &end, 16);
		if (end == p)
			break;
		const struct mapping *m = maps_find(&t->maps, addr);
		struct frame frames[MAX_FRAMES];
		if (!m || !m->image)
			continue;
		struct raw_frame raw = {
		        .kind = RAW_NATIVE, .owner = m->image->id, .addr = addr - m->bias};
		size_t n = symbols_name(s->symbols, raw, frames, MAX_FRAMES);
		strbuf_addf(b, "0x%llx ", (unsigned long long)addr);
		strbuf_add_terminal(b, frames[n - 1].function);
		strbuf_addc(b, '\n');
	}
}

struct err *desk_text_of(const struct session *s, const pid_t *pids, size_t n, enum desk_text what,
                         struct strbuf *b)
{
	if (!n)
		return err_new(ERR_GONE, "no process is sampled at the moment; try again later");
	if (what == DESK_THREADS_PPROF || what == DESK_THREADS_1 || what == DESK_THREADS_2)
		return threads_text(s, pids, n, what, b);
	struct target *t;
	struct err *err = target_open(pids[0], s->images, s->strings, &t);
	if (err)
		return err;
	if (what == DESK_CMDLINE)
		cmdline_text(t, b);
	else if (what == DESK_SYMBOLS && !(err = target_refresh_maps(t)))
		symbols_text(s, t, b);
	target_close(t);
	return err;
}
