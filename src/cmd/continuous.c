/* SPDX-License-Identifier: Apache-2.0 */
/* record --loop: what the command line says, for the loop. */
#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <csample/clock.h>
#include <csample/format.h>
#include <csample/log.h>
#include <csample/loop.h>
#include <csample/mem.h>
#include <csample/serve.h>
#include <csample/store.h>
#include <csample/strbuf.h>

#include "desk_texts.h"
#include "ending.h"
#include "labels.h"
#include "session.h"
#include "summary.h"
#include "suspend.h"

#define INTERVAL_NS 15000000000ULL /* when only a destination is given */
#define OVERHEAD    0.01
#define KEEP_NS     (7 * 24 * 3600 * 1000000000ULL)
#define KEEP_BYTES  (2ULL << 30)
#define CLOSE_NS    10000000000ULL
#define MAX_OUTLETS 32
#define MAX_ASKED   64

static volatile sig_atomic_t reopen;

static void on_hangup(int sig)
{
	(void)sig;
	reopen = 1;
}

static void catch_signals(void)
{
	struct sigaction again = {.sa_handler = on_hangup};
	ending_catch();
	sigemptyset(&again.sa_mask);
	sigaction(SIGHUP, &again, NULL);
}

/* What loop_line.maker points to. */
struct maker {
	struct session session;
	struct sink sink;
	bool beside; /* of wall time, for the desk */
};

struct continuous {
	const struct options *opt;
	struct child child; /* of -- COMMAND; pid 0: none */
	bool opened;        /* the first line has been */
	bool waits;         /* nobody was there, and that was said */
	struct outlet *outlets[MAX_OUTLETS];
	size_t n_outlets;
	struct desk *desk;     /* NULL: none */
	struct server *server; /* NULL: none */
	struct labels labels;
	struct finder *finder;
	pid_t pid; /* who was sampled when the labels were made */
	char comm[64], name[64];
	char command[1024]; /* unless it is the session's first */
};

bool options_are_continuous(const struct options *opt)
{
	return opt->loop_ns || opt->store || opt->listen || opt->n_push;
}

static struct err *open_session(struct continuous *c, struct session *s, const pid_t *pids,
                                size_t n)
{
	session_init(s, c->opt);
	if (!c->opt->child_argv)
		return session_open_pids(s, pids, n, !c->opened);
	if (c->opened)
		return session_open_pids(s, pids, n, false);
	struct err *err = session_open(s);
	c->child = s->child;
	return err;
}

/* More processes than a session opens. */
static void add_others(struct session *s, struct engine *engine, const pid_t *pids, size_t n)
{
	for (size_t i = OPT_MAX_PIDS; i < n; i++) {
		struct target *target;
		struct err *err = target_open(pids[i], s->images, s->strings, &target);
		if (!err)
			err = engine_add_process(engine, target);
		err_free(err); /* it has ended */
	}
}

static void close_line(void *arg, struct loop_line *line)
{
	struct continuous *c = arg;
	struct maker *m = line->maker;
	engine_destroy(line->engine);
	ledger_destroy(line->ledger);
	profile_destroy(line->profile);
	if (m)
		session_close(&m->session);
	free(m);
	*line = (struct loop_line){0};
	(void)c;
}

static struct err *open_line(void *arg, const pid_t *pids, size_t n, double rate_hz, bool beside,
                             struct loop_line *ret)
{
	struct continuous *c = arg;
	struct maker *m = mem_zalloc(sizeof(*m));
	struct session *s = &m->session;
	struct err *err = open_session(c, s, pids, n);
	struct loop_line line = {s->strings, s->images, s->symbols, s->decoder, .maker = m};
	if (!err) {
		struct engine_config config = session_engine_config(s);
		struct ledger_config ledger = session_ledger_config(s);
		ledger.processes |= selection_is_search(&c->opt->select);
		config.patient = true;
		config.until_exec &= !c->opened;
		m->beside = beside;
		if (beside) {
			config.event = ENGINE_WALL;
			ledger.wall = true;
		}
		line.profile = profile_create(s->strings);
		line.ledger = ledger_create(line.profile, &ledger);
		m->sink = ledger_sink(line.ledger);
		err = engine_create(s->targets, s->n_targets, s->symbols, &config, &m->sink,
		                    &line.engine);
	}
	if (err) {
		close_line(c, &line);
		return err;
	}
	if (rate_hz != c->opt->rate_hz)
		engine_set_rate(line.engine, rate_hz);
	add_others(s, line.engine, pids, n);
	c->opened = true;
	*ret = line;
	return NULL;
}

static struct err *started(void *arg)
{
	struct continuous *c = arg;
	log_info("sampling; profiles go to %s%s",
	         c->n_outlets ? c->outlets[0]->name : "those that ask for them",
	         c->n_outlets > 1 ? " and others" : "");
	return c->child.pid ? child_go(&c->child, c->opt->child_argv[0]) : NULL;
}

static struct err *find(void *arg, struct process **ret, size_t *n_ret)
{
	struct continuous *c = arg;
	struct selection s = select_of(c->opt);
	struct err *err = finder_matches(c->finder, &s, ret, n_ret);
	if (err || *n_ret || c->waits)
		return err;
	c->waits = true;
	if (c->opened)
		return NULL;
	struct err *nobody = select_nobody(&s);
	log_info("%s; waiting", nobody->msg);
	err_free(nobody);
	return NULL;
}

/* Of c->pid; what has ended meanwhile keeps the names of the one before. */
static void read_names(struct continuous *c, const struct target *first)
{
	char path[32];
	snprintf(path, sizeof(path), "/proc/%d/comm", (int)c->pid);
	if (c->pid == first->pid || !c->comm[0]) {
		snprintf(c->comm, sizeof(c->comm), "%s", first->comm);
		snprintf(c->name, sizeof(c->name), "%s", first->name);
	}
	if (c->pid == first->pid)
		return;
	FILE *f = fopen(path, "re");
	char comm[sizeof(c->comm)] = "";
	if (f && fgets(comm, sizeof(comm), f)) {
		comm[strcspn(comm, "\n")] = '\0';
		memcpy(c->comm, comm, sizeof(comm));
	}
	if (f)
		fclose(f);
	char name[sizeof(c->name)] = "";
	if (process_name(c->pid, name, sizeof(name)))
		memcpy(c->name, name, sizeof(name));
	char command[sizeof(c->command)] = "";
	if (process_command(c->pid, command, sizeof(command)))
		memcpy(c->command, command, sizeof(command));
}

static void describe(void *arg, const struct loop_line *line, const struct stats *stats,
                     struct profile *p)
{
	struct continuous *c = arg;
	const struct maker *m = line->maker;
	session_fill_meta(&m->session, line->engine, stats, p);
	if (m->beside) {
		p->meta.event = p->meta.value_type = "wall";
		return;
	}
	/* Who is there now, or was there last: whom the session was opened with may have ended. */
	pid_t pid = 0;
	if (engine_pids(line->engine, &pid, 1) && pid != c->pid) {
		c->pid = pid;
		read_names(c, m->session.target);
		labels_make(&c->labels, c->opt, pid, c->comm, c->name);
	}
	if (!c->pid || c->pid == m->session.target->pid)
		return;
	uint64_t others = stats->processes - 1;
	char company[64] = "";
	if (others)
		snprintf(company, sizeof(company), " and %llu other%s", (unsigned long long)others,
		         others > 1 ? "s" : "");
	_cleanup_free_ char *title = mem_asprintf("%s, pid %d%s", c->name, (int)c->pid, company);
	p->meta.title = intern(m->session.strings, title);
	p->meta.command = intern(m->session.strings, c->command);
	p->meta.pid = c->pid;
}

static struct err *text(void *arg, struct loop_line *line, enum desk_text what, struct strbuf *b)
{
	const struct maker *m = line->maker;
	pid_t pids[MAX_ASKED];
	(void)arg;
	return desk_text_of(&m->session, pids, engine_pids(line->engine, pids, MAX_ASKED), what, b);
}

static void between(void *arg, struct engine *of_line, struct engine *beside)
{
	struct engine *const engines[] = {of_line, beside};
	(void)arg;
	if (suspend_asked())
		suspend_now(engines, ARRAY_SIZE(engines), false);
}

static size_t labels(void *arg, const struct outlet_label **ret)
{
	struct continuous *c = arg;
	if (!c->labels.n)
		labels_make(&c->labels, c->opt, 0, NULL, NULL);
	*ret = c->labels.items;
	return c->labels.n;
}

static struct err *open_files(struct continuous *c)
{
	const struct options *opt = c->opt;
	struct emit_options emit = {
	        .functions = opt->functions,
	        .full_filenames = opt->full_filenames,
	        .annotate = opt->annotate,
	        .inverted = opt->inverted,
	};
	const struct format *format =
	        opt->format ? format_by_name(opt->format) : format_by_path(opt->output);
	char known[256];
	format_list(known, sizeof(known));
	if (!format)
		return err_new(ERR_USAGE, "'%s' does not tell a format: use one of %s",
		               opt->format ? opt->format : opt->output, known);
	if (format->timeline || opt->timeline)
		return err_new(ERR_USAGE,
		               "--loop keeps no times of samples, which %s asks for: leave out one "
		               "of the two",
		               format->timeline ? format->name : "--timeline");
	struct err *err =
	        outlet_files(opt->output, format, &emit, &opt->keep, &c->outlets[c->n_outlets]);
	c->n_outlets += !err;
	return err;
}

static struct err *open_store(struct continuous *c)
{
	struct retention keep = c->opt->keep;
	_cleanup_free_ char *dir = c->opt->store ? mem_strdup(c->opt->store) : store_default_dir();
	if (!keep.count && !keep.age_ns && !keep.bytes)
		keep = (struct retention){.age_ns = KEEP_NS, .bytes = KEEP_BYTES};
	struct err *err = outlet_store(dir, &keep, &c->outlets[c->n_outlets]);
	c->n_outlets += !err;
	return err;
}

static struct err *open_outlets(struct continuous *c)
{
	const struct options *opt = c->opt;
	struct err *err = opt->output ? open_files(c) : NULL;
	if (!err)
		err = pushing_outlets(opt, c->outlets, MAX_OUTLETS, &c->n_outlets);
	bool somewhere = c->n_outlets || opt->listen;
	if (!err && (opt->store || !somewhere))
		err = open_store(c);
	return err;
}

static struct err *open_server(struct continuous *c)
{
	const struct options *opt = c->opt;
	struct serve_config config = {
	        .address = opt->listen, .token_file = opt->token_file, .insecure = opt->insecure};
	if (!opt->listen)
		return NULL;
	struct err *err = desk_create(&c->desk);
	if (!err)
		err = server_start(&config, c->desk, &c->server);
	if (err)
		return err;
	/* The port is the last part of an address. */
	const char *colon = strrchr(opt->listen, ':');
	log_info("serving http://%.*s:%u/debug/pprof/",
	         (int)(colon ? colon - opt->listen : (long)strlen(opt->listen)), opt->listen,
	         server_port(c->server));
	return NULL;
}

static void close_outlets(struct continuous *c)
{
	uint64_t deadline = now_ns() + CLOSE_NS;
	for (size_t i = 0; i < c->n_outlets; i++)
		c->outlets[i]->ops->close(c->outlets[i], deadline);
}

static struct err *write_stats(const struct continuous *c, const struct loop_summary *sum)
{
	struct output *out;
	struct err *err = c->opt->stats_json ? output_open(c->opt->stats_json, &out) : NULL;
	if (err || !c->opt->stats_json)
		return err;
	struct strbuf b = {0};
	summary_json(&sum->stats, NULL, &b);
	fputs(b.s, output_stream(out));
	strbuf_free(&b);
	return output_commit(out);
}

static struct err *run(struct continuous *c, struct loop_summary *sum)
{
	const struct options *opt = c->opt;
	static const struct loop_ops fixed = {.open = open_line,
	                                      .close = close_line,
	                                      .started = started,
	                                      .describe = describe,
	                                      .labels = labels,
	                                      .text = text,
	                                      .between = between};
	struct loop_ops ops = fixed;
	if (selection_is_search(&opt->select))
		ops.find = find;
	const char *watchdog = getenv("WATCHDOG_USEC");
	struct loop_config config = {
	        .interval_ns = opt->loop_ns ? opt->loop_ns : INTERVAL_NS,
	        .duration_ns = opt->duration_set ? opt->duration_ns : 0,
	        .rate_hz = opt->rate_hz,
	        .max_overhead = opt->max_overhead < 0 ? OVERHEAD : opt->max_overhead,
	        .type = opt->event == OPT_WALL ? "wall" : "process_cpu",
	        .pids = opt->pids,
	        .n_pids = opt->n_pids,
	        .outlets = c->outlets,
	        .n_outlets = c->n_outlets,
	        .desk = c->desk,
	        .wall = opt->event == OPT_WALL,
	        .max_growth_bytes = opt->loop_memory,
	        .rebuild_ns = opt->loop_memory ? 1 : 0,
	        .notify_socket = getenv("NOTIFY_SOCKET"),
	        .watchdog_ns = watchdog ? strtoull(watchdog, NULL, 10) * 500 : 0,
	        .stop = &ending_asked,
	        .reopen = &reopen,
	};
	suspend_catch();
	struct err *err = loop_run(&config, &ops, c, sum);
	suspend_release();
	return err;
}

static bool listens_low(const struct options *opt)
{
	const char *colon = opt->listen ? strrchr(opt->listen, ':') : NULL;
	unsigned long port = colon ? strtoul(colon + 1, NULL, 10) : 0;
	return port && port < 1024;
}

struct err *cmd_continuous(const struct options *opt, int *status)
{
	struct continuous c = {.opt = opt, .child = {.go_fd = -1, .error_fd = -1}};
	struct loop_summary sum = {0};
	catch_signals();
	/* A command that is started may need what we do not. */
	if (!opt->child_argv)
		loop_drop_privileges(opt->output || opt->store || opt->stats_json ||
		                             opt->push_config.spool_dir,
		                     listens_low(opt));
	c.finder = finder_create();
	struct err *err = open_outlets(&c);
	if (!err)
		err = open_server(&c);
	if (!err)
		err = run(&c, &sum);
	close_outlets(&c);
	server_stop(c.server);
	desk_destroy(c.desk);
	struct err *stats_err = write_stats(&c, &sum);
	if (c.child.pid) {
		child_cancel(&c.child);
		child_reap(&c.child, true);
		if (!err)
			*status = child_exit_code(&c.child);
	}
	if (!err)
		log_info("%llu profiles, %llu samples, %llu lost, %.1f s of CPU time",
		         (unsigned long long)sum.profiles, (unsigned long long)sum.samples,
		         (unsigned long long)sum.lost, (double)sum.profile_cpu_ns / 1e9);
	labels_free(&c.labels);
	finder_destroy(c.finder);
	if (!err)
		return stats_err;
	err_free(stats_err);
	return err;
}
