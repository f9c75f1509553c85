/* SPDX-License-Identifier: Apache-2.0 */
#include <csample/mem.h>

#include "internal.h"

static void head(struct strbuf *b, const char *name, const char *type, const char *help)
{
	strbuf_addf(b, "# HELP csample_%s %s\n# TYPE csample_%s %s\n", name, help, name, type);
}

static void one(struct strbuf *b, const char *name, const char *type, const char *help,
                double value)
{
	head(b, name, type, help);
	strbuf_addf(b, "csample_%s %.17g\n", name, value);
}

/* A label's value: escapes of the format, and nothing that is not UTF-8. */
static void add_value(struct strbuf *b, const char *text)
{
	struct strbuf utf8 = {0};
	strbuf_add_utf8(&utf8, text);
	strbuf_addc(b, '"');
	for (const char *p = utf8.s ? utf8.s : ""; *p; p++) {
		if (*p == '\n')
			strbuf_add(b, "\\n");
		else if (*p == '"' || *p == '\\')
			strbuf_addf(b, "\\%c", *p);
		else
			strbuf_addc(b, *p);
	}
	strbuf_addc(b, '"');
	strbuf_free(&utf8);
}

/* Histograms here have eight buckets to each power of two: enough are shown. */
static void add_pauses(struct strbuf *b, const struct histogram *h)
{
	static const double bounds_us[] = {10, 20, 50, 100, 200, 500, 1000, 2000, 5000, 10000};
	head(b, "pause_seconds", "histogram", "How long threads were held, each time.");
	for (size_t i = 0; i < ARRAY_SIZE(bounds_us); i++)
		strbuf_addf(
		        b, "csample_pause_seconds_bucket{le=\"%g\"} %llu\n", bounds_us[i] / 1e6,
		        (unsigned long long)histogram_below(h, (uint64_t)(bounds_us[i] * 1000)));
	strbuf_addf(b, "csample_pause_seconds_bucket{le=\"+Inf\"} %llu\n",
	            (unsigned long long)h->count);
	strbuf_addf(b, "csample_pause_seconds_sum %.9f\ncsample_pause_seconds_count %llu\n",
	            (double)h->sum / 1e9, (unsigned long long)h->count);
}

static void add_outlet(struct strbuf *b, const struct outlet *o, const char *name, uint64_t value)
{
	strbuf_addf(b, "csample_outlet_%s{outlet=", name);
	add_value(b, o->name);
	strbuf_addf(b, "} %llu\n", (unsigned long long)value);
}

static void add_outlets(struct strbuf *b, const struct deliverer *d)
{
	static const struct {
		const char *name, *type, *help;
		size_t at;
	} rows[] = {
	        {"delivered_total", "counter", "Profiles that have arrived.",
	         offsetof(struct outlet_stats, delivered)},
	        {"retried_total", "counter", "Attempts that failed and are repeated.",
	         offsetof(struct outlet_stats, retried)},
	        {"rejected_total", "counter", "Profiles that the other side will never take.",
	         offsetof(struct outlet_stats, rejected)},
	        {"dropped_total", "counter", "Profiles dropped because there was no room.",
	         offsetof(struct outlet_stats, dropped)},
	        {"expired_total", "counter", "Of these: too old by the time they could be sent.",
	         offsetof(struct outlet_stats, expired)},
	        {"waiting", "gauge", "Profiles not yet delivered.",
	         offsetof(struct outlet_stats, waiting)},
	        {"waiting_bytes", "gauge", "The same in bytes.",
	         offsetof(struct outlet_stats, waiting_bytes)},
	};
	for (size_t r = 0; d->n && r < ARRAY_SIZE(rows); r++) {
		_cleanup_free_ char *name = mem_asprintf("outlet_%s", rows[r].name);
		head(b, name, rows[r].type, rows[r].help);
		for (size_t i = 0; i < d->n; i++) {
			struct outlet_stats stats = {0};
			d->outlets[i]->ops->stats(d->outlets[i], &stats);
			add_outlet(b, d->outlets[i], rows[r].name,
			           *(const uint64_t *)((const char *)&stats + rows[r].at));
		}
	}
	if (d->n)
		head(b, "outlet_errors_total", "counter",
		     "Profiles that could not be handed over.");
	for (size_t i = 0; i < d->n; i++)
		add_outlet(b, d->outlets[i], "errors_total", d->errors[i]);
}

void loop_metrics(struct loop *l, struct strbuf *b)
{
	struct stats s;
	loop_stats(l, &s);
	one(b, "samples_total", "counter", "Stacks taken.", (double)s.samples);
	head(b, "lost_total", "counter", "Ticks without a stack, by reason; no CPU time is lost.");
	for (unsigned i = 0; i < LOSSES; i++)
		strbuf_addf(b, "csample_lost_total{reason=\"%s\"} %llu\n", loss_names[i],
		            (unsigned long long)s.lost[i]);
	add_pauses(b, &s.pause);
	one(b, "target_cpu_seconds_total", "counter", "CPU time of what is sampled.",
	    (double)s.target_cpu_ns / 1e9);
	one(b, "processes_total", "counter", "Processes sampled so far.", (double)s.processes);
	one(b, "rate_hertz", "gauge", "Samples a second of each busy CPU, now.", l->budget.rate_hz);
	one(b, "rate_asked_hertz", "gauge", "The same as asked for.", l->budget.asked_hz);
	one(b, "rate_changes_total", "counter", "How often the rate was changed.",
	    (double)l->rate_changes);
	one(b, "overhead_ratio", "gauge",
	    "Share of the target's CPU time for which it is held, or of a core used, the larger "
	    "one.",
	    budget_used(&l->budget));
	one(b, "cpu_seconds_total", "counter", "CPU time of csample itself.",
	    (double)s.self_cpu_ns / 1e9);
	one(b, "memory_bytes", "gauge", "Anonymous memory of csample itself.",
	    (double)memory_own_bytes());
	one(b, "rotations_total", "counter", "Intervals that have ended.", (double)l->sequence);
	one(b, "rebuilds_total", "counter", "How often names and files were read anew.",
	    (double)l->rebuilds);
	one(b, "rebuild_pause_max_seconds", "gauge", "The longest time without sampling for that.",
	    (double)l->pause_max_ns / 1e9);
	one(b, "rotation_max_seconds", "gauge", "The longest end of an interval.",
	    (double)l->rotation_max_ns / 1e9);
	one(b, "worker_away_max_seconds", "gauge",
	    "The longest time for which what was sampled was not looked at.",
	    (double)l->away_max_ns / 1e9);
	if (l->line.engine) {
		one(b, "strings_bytes", "gauge", "Names kept.",
		    (double)strings_bytes(l->line.strings));
		one(b, "images", "gauge", "Files kept.", (double)images_count(l->line.images));
		one(b, "runtimes", "gauge", "Interpreters known.",
		    (double)decoder_runtimes(l->line.decoder));
	}
	add_outlets(b, &l->deliverer);
}
