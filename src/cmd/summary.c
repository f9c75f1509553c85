/* SPDX-License-Identifier: Apache-2.0 */
#include "summary.h"

#include <stdbool.h>

static double ms(uint64_t ns)
{
	return (double)ns / 1e6;
}

static double us(uint64_t ns)
{
	return (double)ns / 1e3;
}

static double seconds(uint64_t ns)
{
	return (double)ns / 1e9;
}

static uint64_t stacks(const struct stats *s)
{
	uint64_t n = 0;
	for (unsigned i = 0; i < STACK_ENDS; i++)
		n += s->ends[i];
	return n;
}

static double rooted(const struct stats *s)
{
	uint64_t n = stacks(s);
	return n ? (double)s->ends[STACK_ROOT] / (double)n : 0;
}

/* One way in which a runtime's frames could not all be shown in their places. */
struct runtime_count {
	const char *reason;
	uint64_t n;
};
#define RUNTIME_COUNTS 4

static void runtime_counts(const struct runtime_stats *r, struct runtime_count ret[RUNTIME_COUNTS])
{
	ret[0] = (struct runtime_count){"starting", r->starting};
	ret[1] = (struct runtime_count){"truncated", r->truncated};
	ret[2] = (struct runtime_count){"torn", r->torn};
	ret[3] = (struct runtime_count){"unmerged", r->unmerged};
}

/* "; python in 960 (2 torn)" */
static void add_runtimes(const struct stats *s, struct strbuf *ret)
{
	for (unsigned i = 0; i < STATS_RUNTIMES && s->runtimes[i].name; i++) {
		struct runtime_count counts[RUNTIME_COUNTS];
		const char *sep = " (";
		strbuf_addf(ret, "; %s in %llu", s->runtimes[i].name,
		            (unsigned long long)s->runtimes[i].stacks);
		runtime_counts(&s->runtimes[i], counts);
		for (unsigned k = 0; k < RUNTIME_COUNTS; k++) {
			if (!counts[k].n)
				continue;
			strbuf_addf(ret, "%s%llu %s", sep, (unsigned long long)counts[k].n,
			            counts[k].reason);
			sep = ", ";
		}
		strbuf_add(ret, *sep == ',' ? ")" : "");
	}
}

void summary_line(const struct stats *s, struct strbuf *ret)
{
	uint64_t lost = stats_lost(s);
	const char *sep = " (";
	strbuf_addf(ret, "%llu samples in %.1f s, %llu lost", (unsigned long long)s->samples,
	            seconds(s->duration_ns), (unsigned long long)lost);
	for (unsigned i = 0; i < LOSSES; i++) {
		if (!s->lost[i])
			continue;
		strbuf_addf(ret, "%s%llu %s", sep, (unsigned long long)s->lost[i], loss_names[i]);
		sep = ", ";
	}
	strbuf_addf(ret, "%s, %.1f%% of stacks whole", lost ? ")" : "", 100 * rooted(s));
	sep = " (";
	for (unsigned i = 0; i < STACK_ENDS; i++) {
		if (i == STACK_ROOT || !s->ends[i])
			continue;
		strbuf_addf(ret, "%s%llu %s", sep, (unsigned long long)s->ends[i],
		            stack_end_names[i]);
		sep = ", ";
	}
	if (*sep == ',')
		strbuf_addc(ret, ')');
	sep = "; ";
	for (unsigned i = 0; i < CAPTURED_WAYS; i++) {
		if (!s->captured[i])
			continue;
		strbuf_addf(ret, "%s%llu by %s", sep, (unsigned long long)s->captured[i],
		            captured_by_names[i]);
		sep = ", ";
	}
	add_runtimes(s, ret);
	if (s->pause.count)
		strbuf_addf(ret, "; pause %.0f us median, %.0f us p99",
		            us(histogram_quantile(&s->pause, 0.5)),
		            us(histogram_quantile(&s->pause, 0.99)));
	strbuf_addf(ret, "; own CPU %.0f ms", ms(s->self_cpu_ns));
}

void summary_json(const struct stats *s, const char *note, struct strbuf *ret)
{
	strbuf_addf(ret, "{\"samples\": %llu, \"lost\": %llu, \"errors\": {",
	            (unsigned long long)s->samples, (unsigned long long)stats_lost(s));
	const char *sep = "";
	for (unsigned i = 0; i < LOSSES; i++) {
		if (!s->lost[i])
			continue;
		strbuf_addf(ret, "%s\"%s\": %llu", sep, loss_names[i],
		            (unsigned long long)s->lost[i]);
		sep = ", ";
	}
	for (unsigned i = 0; i < STACK_ENDS; i++) {
		if (i == STACK_ROOT || !s->ends[i])
			continue;
		strbuf_addf(ret, "%s\"%s\": %llu", sep, stack_end_names[i],
		            (unsigned long long)s->ends[i]);
		sep = ", ";
	}
	for (unsigned i = 0; i < STATS_RUNTIMES && s->runtimes[i].name; i++) {
		struct runtime_count counts[RUNTIME_COUNTS];
		runtime_counts(&s->runtimes[i], counts);
		for (unsigned k = 0; k < RUNTIME_COUNTS; k++) {
			if (!counts[k].n)
				continue;
			strbuf_addf(ret, "%s\"%s_%s\": %llu", sep, s->runtimes[i].name,
			            counts[k].reason, (unsigned long long)counts[k].n);
			sep = ", ";
		}
	}
	strbuf_addf(ret, "}, \"rooted\": %.6f, \"captured\": {", rooted(s));
	for (unsigned i = 0; i < CAPTURED_WAYS; i++)
		strbuf_addf(ret, "%s\"%s\": %llu", i ? ", " : "", captured_by_names[i],
		            (unsigned long long)s->captured[i]);
	strbuf_addf(ret,
	            "}, \"duration_seconds\": %.6f, \"target_cpu_seconds\": %.6f, "
	            "\"profile_cpu_seconds\": %.6f, \"not_sampled_seconds\": %.6f, "
	            "\"rate_asked\": %g, \"rate_reached\": %.3f, \"sampler_cpu_seconds\": %.6f, "
	            "\"sampler_rss_bytes\": %llu, ",
	            seconds(s->duration_ns), seconds(s->target_cpu_ns), seconds(s->profile_cpu_ns),
	            seconds(s->not_sampled_ns), s->rate_asked, s->rate_reached,
	            seconds(s->self_cpu_ns), (unsigned long long)s->self_rss_bytes);
	strbuf_addf(ret, "\"processes\": %llu, ", (unsigned long long)s->processes);
	if (s->first_sample_ns)
		strbuf_addf(ret, "\"first_sample_ms\": %.3f, ", ms(s->first_sample_ns));
	strbuf_addf(ret,
	            "\"pause_us\": {\"count\": %llu, \"p50\": %.1f, \"p90\": %.1f, \"p99\": %.1f, "
	            "\"max\": %.1f}, \"reads_per_sample\": %.3f",
	            (unsigned long long)s->pause.count, us(histogram_quantile(&s->pause, 0.5)),
	            us(histogram_quantile(&s->pause, 0.9)), us(histogram_quantile(&s->pause, 0.99)),
	            us(s->pause.max), stacks(s) ? (double)s->reads / (double)stacks(s) : 0);
	if (note) {
		strbuf_add(ret, ", \"note\": ");
		strbuf_add_json(ret, note);
	}
	strbuf_add(ret, "}\n");
}

struct err *summary_nothing(const struct stats *s, bool wall)
{
	uint64_t lost = stats_lost(s);
	unsigned most = 0;
	for (unsigned i = 1; i < LOSSES; i++)
		if (s->lost[i] > s->lost[most])
			most = i;
	if (lost)
		return err_new(
		        ERR_SYS,
		        "not one sample taken: %llu ticks were lost, most of them as '%s'; see "
		        "csample doctor",
		        (unsigned long long)lost, loss_names[most]);
	if (wall)
		return err_new(ERR_SYS,
		               "not one sample taken: the process ended before the first tick; "
		               "record it longer, or with a higher --rate");
	return err_new(
	        ERR_SYS,
	        "not one sample taken: the process used %.1f ms of CPU time in %.1f s; to see "
	        "what it waits for use -e wall, or csample dump; to catch short bursts a higher "
	        "--rate",
	        ms(s->target_cpu_ns), seconds(s->duration_ns));
}
