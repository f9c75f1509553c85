/* SPDX-License-Identifier: Apache-2.0 */
/* From samples, each the end of some time, to spans without overlaps, as viewers want them. */
#include <stdlib.h>
#include <string.h>

#include <csample/mem.h>

#include "emit.h"

static int compare_spans(const void *pa, const void *pb)
{
	const struct span *a = pa, *b = pb;
	if (a->end_ns != b->end_ns)
		return a->end_ns < b->end_ns ? -1 : 1;
	return a->number < b->number ? -1 : a->number > b->number;
}

/* A sample stands for the time before it, until its thread's previous one at most. CPU time is less
 * than the time that passed: a little of that in between, less than half a period, is no gap. */
static void settle(struct span *spans, size_t n, const struct profile *p)
{
	uint64_t gap_ns = p->meta.rate_hz > 0 ? (uint64_t)(5e8 / p->meta.rate_hz) : 5000000;
	uint64_t end_ns = 0;
	for (size_t i = 1; i < n; i++) {
		if (compare_spans(&spans[i - 1], &spans[i]) <= 0)
			continue;
		qsort(spans, n, sizeof(*spans), compare_spans); /* of a file that someone made */
		break;
	}
	for (size_t i = 0; i < n; i++) {
		uint64_t ns = p->samples[spans[i].number].values[1];
		uint64_t begin_ns = spans[i].end_ns > ns ? spans[i].end_ns - ns : 0;
		if (begin_ns < end_ns || (i && begin_ns - end_ns < gap_ns))
			begin_ns = end_ns;
		spans[i].begin_ns = begin_ns;
		end_ns = spans[i].end_ns;
	}
}

struct err *timeline_init(struct timeline *t, const struct profile *p)
{
	if (!p->n_samples)
		return err_new(ERR_USAGE, "the profile does not tell when its samples were: "
		                          "record it with --timeline, into .json for convert");
	t->spans = mem_realloc_array(NULL, p->n_samples, sizeof(*t->spans));
	t->first = mem_zalloc((p->n_threads + 2) * sizeof(*t->first));
	for (size_t i = 0; i < p->n_samples; i++)
		t->first[p->samples[i].thread + 2]++;
	for (size_t i = 2; i < p->n_threads + 2; i++)
		t->first[i] += t->first[i - 1];
	for (size_t i = 0; i < p->n_samples; i++) { /* moves each start on to where it belongs */
		const struct profile_sample *s = &p->samples[i];
		t->spans[t->first[s->thread + 1]++] =
		        (struct span){.end_ns = s->time_ns, .node = s->node, .number = (uint32_t)i};
	}
	for (size_t i = 0; i < p->n_threads; i++)
		settle(&t->spans[t->first[i]], t->first[i + 1] - t->first[i], p);
	return NULL;
}

void timeline_deinit(struct timeline *t)
{
	free(t->spans);
	free(t->first);
}
