/* SPDX-License-Identifier: Apache-2.0 */
/* What is said of a profile as a whole, and numbers as people read them. */
#include <inttypes.h>
#include <string.h>
#include <time.h>

#include "emit.h"

void facts_add_count(struct strbuf *b, uint64_t n)
{
	char digits[24];
	int len = snprintf(digits, sizeof(digits), "%" PRIu64, n);
	for (int i = 0; i < len; i++) {
		strbuf_addc(b, digits[i]);
		if (i + 1 < len && (len - 1 - i) % 3 == 0)
			strbuf_addc(b, ',');
	}
}

void facts_add_counted(struct strbuf *b, uint64_t n, const char *one, const char *many)
{
	facts_add_count(b, n);
	strbuf_addc(b, ' ');
	strbuf_add(b, n == 1 ? one : many);
}

void facts_add_time(struct strbuf *b, uint64_t ns)
{
	double s = (double)ns / 1e9;
	if (s >= 3600)
		strbuf_addf(b, "%" PRIu64 " h %02" PRIu64 " min", ns / 3600000000000,
		            ns / 60000000000 % 60);
	else if (s >= 100)
		strbuf_addf(b, "%.1f s", s);
	else if (s >= 1)
		strbuf_addf(b, "%.2f s", s);
	else if (s >= 0.001)
		strbuf_addf(b, "%.3g ms", s * 1e3);
	else
		strbuf_addf(b, "%.3g \xc2\xb5s", s * 1e6);
}

void facts_add(const struct profile *p, struct strbuf *b)
{
	const struct profile_meta *meta = &p->meta;
	const char *dot = " \xc2\xb7 ";
	if (meta->pid)
		strbuf_addf(b, "pid %" PRId32 "%s", meta->pid, dot);
	strbuf_add(b, meta->event ? meta->event : "cpu");
	if (meta->rate_hz > 0)
		strbuf_addf(b, ", %g Hz", meta->rate_hz);
	if (meta->duration_ns) {
		strbuf_add(b, dot);
		strbuf_add(b, "duration ");
		facts_add_time(b, meta->duration_ns);
	}
	strbuf_add(b, dot);
	facts_add_counted(b, p->total[0], "sample", "samples");
	if (p->total[1]) {
		strbuf_add(b, dot);
		facts_add_time(b, p->total[1]);
		bool is_cpu = !meta->value_type || !strcmp(meta->value_type, "cpu");
		strbuf_addf(b, " of %s time", is_cpu ? "CPU" : meta->value_type);
	}
	strbuf_add(b, dot);
	facts_add_count(b, meta->lost);
	strbuf_add(b, " lost");
	time_t start = (time_t)(meta->start_unix_ns / 1000000000);
	struct tm tm;
	char when[64];
	if (start && gmtime_r(&start, &tm) &&
	    strftime(when, sizeof(when), "%Y-%m-%d %H:%M:%S UTC", &tm)) {
		strbuf_add(b, dot);
		strbuf_add(b, when);
	}
}
