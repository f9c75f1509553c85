/* SPDX-License-Identifier: Apache-2.0 */
/* The words: what the screen and --batch have in common, and --batch itself. */
#include <inttypes.h>
#include <string.h>
#include <time.h>

#include <csample/format.h>

#include "model.h"

const char *const kind_names[] = {[VIEW_FUNCTIONS] = "functions",
                                  [VIEW_LINES] = "lines",
                                  [VIEW_MODULES] = "modules",
                                  [VIEW_THREADS] = "threads"};

const char *time_text(uint64_t ns, char text[static 32])
{
	if (ns >= 1000000000)
		snprintf(text, 32, "%.2fs", (double)ns / 1e9);
	else if (ns >= 1000000)
		snprintf(text, 32, "%.1fms", (double)ns / 1e6);
	else
		snprintf(text, 32, ns ? "%.0fus" : "0", (double)ns / 1e3);
	return text;
}

void row_name(const struct model *m, const struct frame *f, struct strbuf *b)
{
	const struct emit_options opt = {.full_filenames = m->config.full_filenames};
	const char *path = f->line && f->file ? f->file : f->module;
	if (m->kind == VIEW_MODULES && !opt.full_filenames) {
		strbuf_add(b, frame_short_path(f->function));
		return;
	}
	frame_label(f, &opt, b);
	if (frame_kind_is_script(f->kind) || f->kind == FRAME_MARK || !path)
		return;
	strbuf_addf(b, " (%s", opt.full_filenames ? path : frame_short_path(path));
	if (path == f->file)
		strbuf_addf(b, ":%" PRIu32, f->line);
	strbuf_addc(b, ')');
}

static void add_percent(struct strbuf *b, const char *name, double percent)
{
	if (percent >= 0)
		strbuf_addf(b, "   %s %.1f%%", name, percent);
}

static void runtimes_line(const struct model *m, struct strbuf *b)
{
	const struct top_facts *f = &m->facts;
	for (size_t i = 0; i < f->n_runtimes; i++)
		strbuf_addf(b, "%s%s %s", i ? ", " : "", f->runtimes[i].title,
		            f->runtimes[i].version);
	if (!f->n_runtimes)
		strbuf_add(b, "native");
	strbuf_addf(b, "   threads %" PRIu64 " running / %" PRIu64, f->threads_running, f->threads);
	add_percent(b, "CPU", f->cpu);
	add_percent(b, "GIL", f->lock);
	add_percent(b, "loop idle", f->loop_idle);
	if (f->n_runtimes && model_gc(m) < 0)
		strbuf_add(b, "   GC -");
	else
		add_percent(b, "GC", model_gc(m));
}

void head_line(const struct model *m, unsigned line, struct strbuf *b)
{
	const struct top_facts *f = &m->facts;
	switch (line) {
	case 0:
		strbuf_addf(b, "pid %d", (int)f->pid);
		if (f->processes > 1)
			strbuf_addf(b, " and %" PRIu64 " more", f->processes - 1);
		strbuf_add(b, f->ended ? " (ended)   " : "   ");
		strbuf_add(b, f->command);
		return;
	case 1:
		runtimes_line(m, b);
		return;
	default:
		strbuf_addf(b, "%" PRIu64 " samples   %" PRIu64 " errors   rate %.1f of %g Hz",
		            f->samples, f->lost, f->rate_reached, f->rate_asked);
		if (f->pause_ns)
			strbuf_addf(b, "   median pause %.0f us", (double)f->pause_ns / 1e3);
		strbuf_addf(b, "   %.1f s", (double)f->run_ns / 1e9);
	}
}

static void print_line(struct strbuf *b, FILE *out)
{
	struct strbuf safe = {0};
	strbuf_add_terminal(&safe, b->s ? b->s : "");
	fprintf(out, "%s\n", safe.s ? safe.s : "");
	strbuf_free(&safe);
	strbuf_clear(b);
}

void top_print(struct top *t, FILE *out)
{
	struct model *m = &t->model;
	struct strbuf b = {0};
	struct tm tm;
	char when[32];
	time_t now = (time_t)(m->facts.unix_ns / 1000000000);
	strftime(when, sizeof(when), "%Y-%m-%d %H:%M:%S", localtime_r(&now, &tm));
	strbuf_addf(&b, "csample top   %s   %s, %s time, %.1f s", when, kind_names[m->kind],
	            m->facts.wall ? "wall" : "CPU", (double)m->facts.interval_ns / 1e9);
	print_line(&b, out);
	for (unsigned i = 0; i < HEAD_LINES; i++) {
		head_line(m, i, &b);
		print_line(&b, out);
	}
	size_t n_rows;
	model_sort(m, m->config.rows ? m->config.rows : SIZE_MAX);
	const struct view_row *rows = view_rows(m->view, &n_rows);
	bool lock = m->kind == VIEW_THREADS && model_has_lock(m);
	fprintf(out, "%7s %7s %10s %10s%s  name\n", "own%", "total%", "own time", "total time",
	        lock ? "   gil%" : "");
	for (size_t i = 0; i < m->order.n; i++) {
		const struct view_row *row = &rows[m->order.items[i]];
		struct cells c;
		char own[32], total[32];
		model_cells(m, row, &c);
		fprintf(out, "%7.1f %7.1f %10s %10s", c.own, c.total, time_text(c.own_ns, own),
		        time_text(c.total_ns, total));
		if (lock)
			fprintf(out, " %6.1f", c.lock);
		fputs("  ", out);
		row_name(m, &row->frame, &b);
		print_line(&b, out);
	}
	fputc('\n', out);
	strbuf_free(&b);
}
