/* SPDX-License-Identifier: Apache-2.0 */
/* csample query: what matches in the store, as one profile. */
#include <errno.h>
#include <malloc.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <csample/format.h>
#include <csample/log.h>
#include <csample/mem.h>
#include <csample/store.h>

#include "options.h"
#include "report.h"
#include "storing.h"

struct query {
	const struct options *opt;
	struct strings *strings;
	struct profile *p;
	const char *type; /* interned: of all so far */
	uint64_t n, gone, damaged;
	int64_t first_ns, last_ns;
	struct err *err;
};

/* The root of all stacks that have the label's value. */
static uint32_t root_of(struct query *q, const struct store_profile *from)
{
	const char *value = NULL;
	if (!q->opt->by_label)
		return 0;
	for (size_t i = 0; i < from->n_labels; i++)
		if (!strcmp(from->labels[i].name, q->opt->by_label))
			value = from->labels[i].value;
	_cleanup_free_ char *text = value ? mem_asprintf("%s=%s", q->opt->by_label, value)
	                                  : mem_asprintf("[no %s]", q->opt->by_label);
	struct frame f = {.kind = FRAME_MARK, .function = intern(q->strings, text)};
	struct location loc = {.raw = {.kind = RAW_MARK, .aux = (uintptr_t)f.function},
	                       .n_frames = 1,
	                       .frames = &f};
	return profile_child(q->p, 0, profile_add_location(q->p, &loc));
}

static bool add(void *arg, const struct store_entry *e)
{
	struct query *q = arg;
	const char *type = intern(q->strings, e->profile.type);
	if (q->type && q->type != type) {
		q->err = err_new(ERR_USAGE,
		                 "both %s and %s match, which do not add up: begin the selector "
		                 "with the one that you want, as %s{...}",
		                 q->type, type, q->type);
		return false;
	}
	q->type = type;
	struct profile *one = profile_create(q->strings);
	struct err *err = profile_read(e->path, one);
	if (!err) {
		profile_merge_below(q->p, root_of(q, &e->profile), one, NULL, 0);
		if (!q->n || e->profile.start_unix_ns < q->first_ns)
			q->first_ns = e->profile.start_unix_ns;
		if (!q->n || e->profile.start_unix_ns > q->last_ns)
			q->last_ns = e->profile.start_unix_ns;
		q->n++;
	} else if (access(e->path, F_OK) && errno == ENOENT) {
		q->gone++; /* by retention, since the index was asked */
	} else if (!q->damaged++) {
		log_warn("%s", err->msg);
	}
	err_free(err);
	profile_destroy(one);
	return true;
}

static struct err *nothing(struct query *q, struct store *s, const struct time_range *r)
{
	char from[32], to[32];
	struct strbuf b = {0};
	struct err *err = store_describe(s, r->from_ns, r->to_ns, &b);
	if (!err && (q->gone || q->damaged))
		err = err_new(ERR_SYS,
		              "of what matches %llu profiles are gone and %llu damaged; csample "
		              "store check says more",
		              (unsigned long long)q->gone, (unsigned long long)q->damaged);
	if (!err)
		err = err_new(ERR_SYS, "nothing matches %s from %s to %s; %s", q->opt->operands[0],
		              local_time(r->from_ns, from), local_time(r->to_ns, to), b.s);
	strbuf_free(&b);
	return err;
}

static struct err *choose_format(const struct options *opt, const struct format **ret)
{
	const char *out = opt->output;
	bool to_stdout = !out || !strcmp(out, "-") || !strncmp(out, "/dev/", 5);
	char known[256];
	*ret = opt->format ? format_by_name(opt->format) : out ? format_by_path(out) : NULL;
	if (!*ret && to_stdout)
		*ret = format_by_name("collapsed");
	if (*ret)
		return NULL;
	format_list(known, sizeof(known));
	return err_new(ERR_USAGE, "'%s' does not tell the format: name it with -f (%s)", out,
	               known);
}

static struct err *write_profile(const struct options *opt, const struct profile *p)
{
	const struct format *format;
	struct output *output;
	struct emit_options emit = {.functions = opt->functions,
	                            .full_filenames = opt->full_filenames,
	                            .annotate = opt->annotate,
	                            .inverted = opt->inverted};
	struct err *err = choose_format(opt, &format);
	if (!err)
		err = output_open(opt->output ? opt->output : "-", &output);
	if (err)
		return err;
	err = format->write(p, &emit, output_stream(output));
	if (!err)
		return output_commit(output);
	output_abort(output);
	return err;
}

static struct err *show(struct query *q)
{
	char from[32], to[32];
	struct profile_meta *m = &q->p->meta;
	m->title = intern(q->strings, q->opt->operands[0]);
	if (q->n > 1)
		m->pid = 0;
	log_info("%llu profiles that began from %s to %s%s", (unsigned long long)q->n,
	         local_time(q->first_ns, from), local_time(q->last_ns, to),
	         q->damaged ? "; others are damaged: csample store check names them" : "");
	if (q->opt->output || q->opt->format)
		return write_profile(q->opt, q->p);
	return report_print(q->p, q->opt);
}

struct err *cmd_query(const struct options *opt, int *status)
{
	(void)status;
	struct time_range range = range_of(opt, true);
	struct selector *selector = NULL;
	struct store *s = NULL;
	struct query q = {.opt = opt};
	const struct format *format;
	/* One profile after the other in the same memory, which is not given back between them. */
	mallopt(M_MMAP_THRESHOLD, 64 << 20);
	mallopt(M_TRIM_THRESHOLD, 256 << 20);
	struct err *err = selector_parse(opt->operands[0], &selector);
	if (!err && (opt->output || opt->format)) /* before anything is read */
		err = choose_format(opt, &format);
	if (!err)
		err = open_store(opt, STORE_READ, &s);
	q.strings = strings_create();
	q.p = profile_create(q.strings);
	if (!err)
		err = store_each(s, selector, range.from_ns, range.to_ns, add, &q);
	if (!err)
		err = q.err;
	else
		err_free(q.err);
	if (!err)
		err = q.n ? show(&q) : nothing(&q, s, &range);
	store_close(s);
	selector_free(selector);
	profile_destroy(q.p);
	strings_destroy(q.strings);
	return err;
}
