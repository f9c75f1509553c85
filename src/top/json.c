/* SPDX-License-Identifier: Apache-2.0 */
/* One line of JSON for each interval. */
#include <inttypes.h>

#include "model.h"

static const char *const frame_kinds[FRAME_KINDS] = {
        [FRAME_NATIVE] = "native", [FRAME_INLINED] = "inlined",       [FRAME_KERNEL] = "kernel",
        [FRAME_PYTHON] = "python", [FRAME_JAVASCRIPT] = "javascript", [FRAME_MARK] = "mark"};

static void add_text(struct strbuf *b, const char *name, const char *text)
{
	if (!text)
		return;
	strbuf_addf(b, ", \"%s\": ", name);
	strbuf_add_json(b, text);
}

static void add_number(struct strbuf *b, const char *name, uint64_t n)
{
	strbuf_addf(b, ", \"%s\": %" PRIu64, name, n);
}

/* Absent where there is no such thing. */
static void add_percent(struct strbuf *b, const char *name, double percent)
{
	if (percent >= 0)
		strbuf_addf(b, ", \"%s\": %.3f", name, percent);
}

static void add_facts(const struct model *m, struct strbuf *b)
{
	const struct top_facts *f = &m->facts;
	add_text(b, "command", f->command);
	add_number(b, "processes", f->processes);
	strbuf_add(b, ", \"runtimes\": [");
	for (size_t i = 0; i < f->n_runtimes; i++) {
		strbuf_addf(b, "%s{\"name\": \"%s\", \"version\": ", i ? ", " : "",
		            f->runtimes[i].name);
		strbuf_add_json(b, f->runtimes[i].version);
		strbuf_addc(b, '}');
	}
	strbuf_add(b, "]");
	add_number(b, "threads", f->threads);
	add_number(b, "threads_running", f->threads_running);
	add_percent(b, "cpu_percent", f->cpu);
	add_percent(b, "gil_percent", f->lock);
	add_percent(b, "event_loop_idle_percent", f->loop_idle);
	add_percent(b, "gc_percent", model_gc(m));
	add_number(b, "samples", f->samples);
	add_number(b, "errors", f->lost);
	strbuf_addf(b, ", \"rate_asked\": %g, \"rate_reached\": %.3f", f->rate_asked,
	            f->rate_reached);
	if (f->pause_ns)
		strbuf_addf(b, ", \"pause_us\": %.1f", (double)f->pause_ns / 1e3);
	add_text(b, "note", f->note);
	strbuf_addf(b, ", \"ended\": %s", f->ended ? "true" : "false");
}

static void add_row(const struct model *m, const struct view_row *row, struct strbuf *b)
{
	struct cells c;
	model_cells(m, row, &c);
	strbuf_addf(b, "{\"kind\": \"%s\"", frame_kinds[row->frame.kind]);
	add_text(b, "function", row->frame.function);
	add_text(b, "module", row->frame.module);
	add_text(b, "file", row->frame.file);
	if (row->frame.line)
		add_number(b, "line", row->frame.line);
	add_percent(b, "own_percent", c.own);
	add_percent(b, "total_percent", c.total);
	add_percent(b, "gil_percent", c.lock);
	add_number(b, "own_ns", row->own[1]);
	add_number(b, "total_ns", row->total[1]);
	add_number(b, "recent_own_ns", row->recent_own[1]);
	add_number(b, "recent_total_ns", row->recent_total[1]);
	strbuf_addc(b, '}');
}

void top_print_json(struct top *t, FILE *out)
{
	struct model *m = &t->model;
	struct strbuf b = {0};
	size_t n_rows;
	model_sort(m, m->config.rows ? m->config.rows : SIZE_MAX);
	const struct view_row *rows = view_rows(m->view, &n_rows);
	strbuf_addf(&b, "{\"interval\": %" PRIu64 ", \"unix_ns\": %" PRId64, t->interval,
	            m->facts.unix_ns);
	strbuf_addf(&b, ", \"interval_seconds\": %.6f, \"seconds\": %.6f, \"pid\": %d",
	            (double)m->facts.interval_ns / 1e9, (double)m->facts.run_ns / 1e9,
	            (int)m->facts.pid);
	add_facts(m, &b);
	add_text(&b, "value_type", m->facts.wall ? "wall" : "cpu");
	add_number(&b, "total_ns", view_total(m->view)[1]);
	add_number(&b, "recent_total_ns", view_recent_total(m->view)[1]);
	add_text(&b, "by", kind_names[m->kind]);
	strbuf_add(&b, ", \"rows\": [");
	for (size_t i = 0; i < m->order.n; i++) {
		strbuf_add(&b, i ? ", " : "");
		add_row(m, &rows[m->order.items[i]], &b);
	}
	strbuf_add(&b, "]}\n");
	fputs(b.s, out);
	strbuf_free(&b);
}
