/* SPDX-License-Identifier: Apache-2.0 */
/* csample store: looks after the local store. */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <csample/log.h>
#include <csample/mem.h>
#include <csample/strbuf.h>

#include "storing.h"

static int64_t now_unix_ns(void)
{
	struct timespec now;
	clock_gettime(CLOCK_REALTIME, &now);
	return (int64_t)now.tv_sec * 1000000000 + now.tv_nsec;
}

struct err *open_store(const struct options *opt, enum store_mode mode, struct store **ret)
{
	_cleanup_free_ char *dir = opt->store ? mem_strdup(opt->store) : store_default_dir();
	return store_open(dir, mode, ret);
}

struct time_range range_of(const struct options *opt, bool last_hour)
{
	int64_t now = now_unix_ns();
	struct time_range r = {last_hour ? now - 3600000000000 : 0, last_hour ? now : INT64_MAX};
	if (opt->from_set)
		r.from_ns = opt->from_ns;
	if (opt->to_set)
		r.to_ns = opt->to_ns;
	return r;
}

const char *local_time(int64_t ns, char text[static 32])
{
	time_t seconds = (time_t)(ns / 1000000000);
	struct tm tm;
	localtime_r(&seconds, &tm);
	strftime(text, 32, "%Y-%m-%d %H:%M:%S", &tm);
	return text;
}

/* process_cpu{env="prod"}, fit for a terminal and for a selector. */
static void add_series(struct strbuf *b, const struct store_profile *p)
{
	strbuf_add_terminal(b, p->type);
	strbuf_addc(b, '{');
	for (size_t i = 0; i < p->n_labels; i++) {
		strbuf_add(b, i ? "," : "");
		strbuf_add_terminal(b, p->labels[i].name);
		strbuf_addc(b, '=');
		struct strbuf value = {0};
		strbuf_add_json(&value, p->labels[i].value);
		strbuf_add_terminal(b, value.s);
		strbuf_free(&value);
	}
	strbuf_addc(b, '}');
}

struct listing {
	bool json;
	uint64_t n, bytes;
};

static bool print_entry(void *arg, const struct store_entry *e)
{
	struct listing *l = arg;
	const struct store_profile *p = &e->profile;
	struct strbuf b = {0};
	char start[32];
	if (l->json) {
		strbuf_add(&b, l->n ? ",\n {\"path\": " : "\n {\"path\": ");
		strbuf_add_json(&b, e->path);
		strbuf_add(&b, ", \"type\": ");
		strbuf_add_json(&b, p->type);
		strbuf_addf(&b,
		            ", \"labels\": %s, \"start_unix_ns\": %" PRId64
		            ", \"duration_ns\": %" PRIu64 ", \"samples\": %" PRIu64
		            ", \"total_ns\": %" PRIu64 ", \"bytes\": %" PRIu64 "}",
		            e->labels_json, p->start_unix_ns, p->duration_ns, p->samples, p->total,
		            e->bytes);
	} else {
		if (!l->n)
			printf("%-19s %9s %9s %11s %9s  %s\n", "start", "seconds", "samples",
			       "cpu seconds", "bytes", "series");
		strbuf_addf(&b, "%-19s %9.3f %9" PRIu64 " %11.3f %9" PRIu64 "  ",
		            local_time(p->start_unix_ns, start), (double)p->duration_ns / 1e9,
		            p->samples, (double)p->total / 1e9, e->bytes);
		add_series(&b, p);
		strbuf_addc(&b, '\n');
	}
	fputs(b.s, stdout);
	strbuf_free(&b);
	l->n++;
	l->bytes += e->bytes;
	return true;
}

static struct err *list(const struct options *opt, struct store *s)
{
	struct listing l = {.json = opt->json};
	struct time_range r = range_of(opt, false);
	struct selector *selector = NULL;
	struct err *err = opt->n_operands > 1 ? selector_parse(opt->operands[1], &selector) : NULL;
	if (err)
		return err;
	if (opt->json)
		printf("[");
	err = store_each(s, selector, r.from_ns, r.to_ns, print_entry, &l);
	if (opt->json)
		printf("%s]\n", l.n ? "\n" : "");
	else if (!err)
		log_info("%" PRIu64 " profiles, %.1f MiB", l.n, (double)l.bytes / 1048576);
	selector_free(selector);
	return err;
}

static struct err *collect(const struct options *opt, struct store *s)
{
	uint64_t removed, bytes;
	struct store_totals totals = {0};
	struct err *err = store_retain(s, &opt->keep, now_unix_ns(), &removed, &bytes);
	if (!err)
		err = store_totals(s, &totals);
	if (err)
		return err;
	if (opt->json)
		printf("{\"removed\": %" PRIu64 ", \"removed_bytes\": %" PRIu64
		       ", \"profiles\": %" PRIu64 ", \"bytes\": %" PRIu64 "}\n",
		       removed, bytes, totals.profiles, totals.bytes);
	else
		printf("%" PRIu64 " profiles removed (%.1f MiB); %" PRIu64
		       " are there (%.1f MiB)\n",
		       removed, (double)bytes / 1048576, totals.profiles,
		       (double)totals.bytes / 1048576);
	return NULL;
}

static void print_problem(void *arg, const char *line)
{
	struct strbuf b = {0};
	(void)arg;
	strbuf_add_terminal(&b, line);
	puts(b.s);
	strbuf_free(&b);
}

static struct err *check(const struct options *opt, struct store *s, int *status)
{
	struct store_problems p;
	struct err *err = store_check(s, opt->repair, opt->json ? NULL : print_problem, NULL, &p);
	if (err)
		return err;
	uint64_t all = p.missing + p.unindexed + p.damaged + p.unfinished + p.index_damaged;
	if (opt->json)
		printf("{\"profiles\": %" PRIu64 ", \"missing\": %" PRIu64
		       ", \"unindexed\": %" PRIu64 ", \"damaged\": %" PRIu64
		       ", \"unfinished\": %" PRIu64
		       ", \"index_damaged\": %s, \"repaired\": %" PRIu64 "}\n",
		       p.profiles, p.missing, p.unindexed, p.damaged, p.unfinished,
		       p.index_damaged ? "true" : "false", p.repaired);
	else
		printf("%" PRIu64 " profiles: %" PRIu64 " problems%s, %" PRIu64 " repaired\n",
		       p.profiles, all, all && !opt->repair ? " (--repair mends them)" : "",
		       p.repaired);
	*status = all > p.repaired;
	return NULL;
}

struct err *cmd_store(const struct options *opt, int *status)
{
	static const struct {
		const char *name;
		enum store_mode mode;
	} actions[] = {{"ls", STORE_READ}, {"gc", STORE_WRITE}, {"check", STORE_READ}};
	const struct retention *keep = &opt->keep;
	size_t i = 0;
	while (i < ARRAY_SIZE(actions) && strcmp(opt->operands[0], actions[i].name) != 0)
		i++;
	if (i == ARRAY_SIZE(actions))
		return err_new(ERR_USAGE, "'%s' is none of ls, gc and check", opt->operands[0]);
	if (i == 1 && !keep->count && !keep->age_ns && !keep->bytes)
		return err_new(ERR_USAGE, "how much is to stay? csample store gc --keep 7d,2G");
	if (i && opt->n_operands > 1)
		return err_new(ERR_USAGE, "only ls takes a selector");
	struct store *s = NULL;
	enum store_mode mode = i == 2 && opt->repair ? STORE_WRITE : actions[i].mode;
	struct err *err = open_store(opt, mode, &s);
	if (!err)
		err = i == 0 ? list(opt, s) : i == 1 ? collect(opt, s) : check(opt, s, status);
	store_close(s);
	return err;
}
