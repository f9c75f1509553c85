/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include <csample/format.h>
#include <csample/ledger.h>
#include <csample/log.h>
#include <csample/mem.h>
#include <csample/strbuf.h>

#include "ending.h"
#include "session.h"
#include "summary.h"
#include "suspend.h"

#define POLL_MS     50
#define PROGRESS_NS 250000000ULL

struct recording {
	const struct options *opt;
	const struct format *format;
	struct output *output, *stats_output;
	char *output_name; /* owned */
	struct session session;
	struct profile *profile;
	struct ledger *ledger;
	struct engine *engine;
	struct sink sink;
	bool progress;
};

/* The format: -f, else what the file name says, else SVG. */
static struct err *choose_format(struct recording *r)
{
	const struct options *opt = r->opt;
	char known[256];
	format_list(known, sizeof(known));
	if (opt->format) {
		r->format = format_by_name(opt->format);
		return r->format ? NULL
		                 : err_new(ERR_USAGE, "unknown format '%s': use one of %s",
		                           opt->format, known);
	}
	bool to_stdout =
	        opt->output && (!strcmp(opt->output, "-") || !strncmp(opt->output, "/dev/", 5));
	if (opt->output && !to_stdout) {
		r->format = format_by_path(opt->output);
		if (!r->format)
			return err_new(
			        ERR_USAGE,
			        "'%s' does not tell the format: name it with -f (%s), or end the "
			        "file name in .svg, .collapsed or .pb.gz",
			        opt->output, known);
		return NULL;
	}
	r->format = format_by_name(to_stdout ? "collapsed" : "svg");
	return NULL;
}

/* program-pid-2026-11-21T083000.svg */
static char *default_name(const struct recording *r)
{
	char when[32], name[64];
	time_t now = time(NULL);
	struct tm tm;
	localtime_r(&now, &tm);
	strftime(when, sizeof(when), "%Y-%m-%dT%H%M%S", &tm);
	const char *from = r->opt->child_argv ? r->opt->child_argv[0] : r->session.target->name;
	const char *slash = strrchr(from, '/');
	snprintf(name, sizeof(name), "%s", slash && slash[1] ? slash + 1 : from);
	for (char *p = name; *p; p++)
		if (*p == '/' || (unsigned char)*p <= ' ' || *p == 0x7f)
			*p = '_';
	return mem_asprintf("%s-%d-%s%s", name, (int)r->session.target->pid, when,
	                    r->format->suffix);
}

static struct err *open_outputs(struct recording *r)
{
	r->output_name = r->opt->output ? mem_strdup(r->opt->output) : default_name(r);
	struct err *err = output_open(r->output_name, &r->output);
	if (!err && r->opt->stats_json)
		err = output_open(r->opt->stats_json, &r->stats_output);
	if (!err && r->opt->snapshots) {
		r->sink.snapshots = fopen(r->opt->snapshots, "we");
		if (!r->sink.snapshots)
			err = err_errno(errno, "write %s", r->opt->snapshots);
	}
	return err;
}

static struct err *open_engine(struct recording *r)
{
	struct session *s = &r->session;
	FILE *snapshots = r->sink.snapshots;
	struct engine_config config = session_engine_config(&r->session);
	struct ledger_config ledger = session_ledger_config(&r->session);
	ledger.timeline = r->opt->timeline || r->format->timeline;
	r->profile = profile_create(s->strings);
	r->ledger = ledger_create(r->profile, &ledger);
	r->sink = ledger_sink(r->ledger);
	r->sink.snapshots = snapshots;
	return engine_create(s->targets, s->n_targets, s->symbols, &config, &r->sink, &r->engine);
}

static void show_progress(const struct recording *r, bool last)
{
	struct stats s;
	if (!r->progress)
		return;
	engine_get_stats(r->engine, &s);
	uint64_t lost = stats_lost(&s);
	fprintf(stderr, "\r\033[K%.1f s, %llu samples, %llu lost, %.0f Hz%s",
	        (double)s.duration_ns / 1e9, (unsigned long long)s.samples,
	        (unsigned long long)lost, s.rate_reached,
	        last ? "\r\033[K" : "  (Ctrl-C ends and writes)");
	fflush(stderr);
}

/* Until the duration is over, the target has ended, or the user has had enough. */
static void sample(struct recording *r)
{
	uint64_t start = now_ns(), shown = start;
	uint64_t duration = r->opt->duration_set ? r->opt->duration_ns : 0;
	while (!ending_asked) {
		uint64_t now = now_ns();
		int timeout = POLL_MS;
		if (duration && now - start >= duration)
			break;
		if (duration && (duration - (now - start)) / 1000000 < POLL_MS)
			timeout = (int)((duration - (now - start)) / 1000000) + 1;
		if (!engine_poll(r->engine, timeout))
			break;
		if (suspend_asked()) {
			now = now_ns();
			suspend_now(&r->engine, 1, false);
			start += now_ns() - now; /* it is the time of sampling that counts */
		}
		if (now - shown >= PROGRESS_NS) {
			shown = now;
			show_progress(r, false);
		}
	}
	engine_stop(r->engine);
	suspend_release();
	show_progress(r, true);
}

static struct err *write_profile(struct recording *r)
{
	struct emit_options emit = {
	        .functions = r->opt->functions,
	        .full_filenames = r->opt->full_filenames,
	        .annotate = r->opt->annotate,
	        .inverted = r->opt->inverted,
	};
	ledger_name(r->ledger, r->session.images, r->session.symbols, r->session.decoder);
	struct err *err = r->format->write(r->profile, &emit, output_stream(r->output));
	if (err) {
		output_abort(r->output);
		r->output = NULL;
		return err_wrap(err, "write %s", r->output_name);
	}
	err = output_commit(r->output);
	r->output = NULL;
	return err;
}

static struct err *write_stats(struct recording *r, const struct stats *stats)
{
	if (!r->stats_output)
		return NULL;
	struct strbuf b = {0};
	summary_json(stats, engine_note(r->engine), &b);
	fputs(b.s, output_stream(r->stats_output));
	strbuf_free(&b);
	struct err *err = output_commit(r->stats_output);
	r->stats_output = NULL;
	return err;
}

static struct err *nothing(const struct recording *r, const struct stats *stats)
{
	if (!r->opt->gil)
		return summary_nothing(stats, r->opt->event == OPT_WALL);
	struct runtime *locking = ledger_locking(r->ledger);
	if (locking && !locking->ops->has_lock(locking))
		return session_no_lock(locking);
	/* Else session_check_gil() has seen one, and it was idle. */
	if (!locking && (r->opt->child_argv || session_is_several(&r->session)))
		return err_new(ERR_USAGE, "--gil: what was sampled runs no Python that csample "
		                          "can read");
	return err_new(ERR_SYS, "not one sample of a thread that held the GIL");
}

static struct err *finish(struct recording *r)
{
	struct stats stats;
	engine_get_stats(r->engine, &stats);
	ledger_settle(r->ledger, &stats);
	session_fill_meta(&r->session, r->engine, &stats, r->profile);
	if (r->profile->n_samples_lost)
		log_warn("the timeline ends after its first %zu samples; %llu more are in the "
		         "sums only: record shorter, or at a lower --rate",
		         r->profile->n_samples, (unsigned long long)r->profile->n_samples_lost);
	struct err *err = NULL;
	if (!stats.samples)
		err = nothing(r, &stats);
	else
		err = write_profile(r);
	/* Symbols cost CPU and memory too. */
	struct stats end;
	engine_get_stats(r->engine, &end);
	stats.self_cpu_ns = end.self_cpu_ns;
	stats.self_rss_bytes = end.self_rss_bytes;
	struct err *stats_err = write_stats(r, &stats);
	if (!err) {
		struct strbuf line = {0};
		summary_line(&stats, &line);
		log_info("%s", line.s);
		strbuf_free(&line);
		if (!r->opt->output)
			printf("%s\n", r->output_name);
	}
	if (!err)
		return stats_err;
	err_free(stats_err);
	return err;
}

static void close_recording(struct recording *r)
{
	output_abort(r->output);
	output_abort(r->stats_output);
	engine_destroy(r->engine);
	ledger_destroy(r->ledger);
	profile_destroy(r->profile);
	session_close(&r->session);
	free(r->output_name);
	if (r->sink.snapshots)
		fclose(r->sink.snapshots);
}

static struct err *record(struct recording *r)
{
	struct err *err = choose_format(r);
	if (!err)
		err = session_open(&r->session);
	if (!err)
		err = session_check_gil(&r->session);
	if (!err)
		err = open_outputs(r);
	if (!err)
		err = open_engine(r);
	if (err)
		return err;
	if (engine_note(r->engine))
		log_warn("%s", engine_note(r->engine));
	r->profile->meta.start_unix_ns = session_unix_ns();
	r->profile->meta.start_ns = now_ns();
	ending_catch();
	suspend_catch();
	err = engine_start(r->engine);
	if (!err)
		err = session_go(&r->session);
	if (err)
		return err;
	sample(r);
	return finish(r);
}

struct err *cmd_record(const struct options *opt, int *status)
{
	if (options_are_continuous(opt))
		return cmd_continuous(opt, status);
	struct recording r = {.opt = opt, .progress = isatty(STDERR_FILENO)};
	session_init(&r.session, opt);
	struct err *err = record(&r);
	session_wait(&r.session, status, !err);
	close_recording(&r);
	return err;
}
