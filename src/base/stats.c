/* SPDX-License-Identifier: Apache-2.0 */
#include <string.h>

#include <csample/stats.h>

const char *const loss_names[LOSSES] = {
        [LOSS_RING] = "ring_overflow", [LOSS_QUEUE] = "queue_full",
        [LOSS_MERGED] = "merged",      [LOSS_LATE] = "late",
        [LOSS_MOVED] = "moved",        [LOSS_BUSY] = "busy",
        [LOSS_NEW] = "new_thread",     [LOSS_RUNNING] = "running",
        [LOSS_GONE] = "gone",          [LOSS_TRACED] = "traced",
        [LOSS_REFUSED] = "refused",    [LOSS_TIMEOUT] = "stop_timeout",
        [LOSS_MEMORY] = "memory",      [LOSS_NO_REGS] = "no_registers",
        [LOSS_EXEC] = "exec",
};

static unsigned bucket_of(uint64_t ns)
{
	if (ns < 8)
		return (unsigned)ns;
	unsigned log2 = 63 - (unsigned)__builtin_clzll(ns);
	unsigned bucket = (log2 - 2) * 8 + (unsigned)(ns >> (log2 - 3) & 7);
	return bucket < HISTOGRAM_BUCKETS ? bucket : HISTOGRAM_BUCKETS - 1;
}

static uint64_t width_of(unsigned bucket)
{
	return bucket < 8 ? 1 : 1ULL << (bucket / 8 - 1);
}

/* The middle of a bucket. */
static uint64_t value_of(unsigned bucket)
{
	if (bucket < 8)
		return bucket;
	uint64_t width = width_of(bucket);
	return 8 * width + bucket % 8 * width + width / 2;
}

void histogram_add(struct histogram *h, uint64_t ns)
{
	h->buckets[bucket_of(ns)]++;
	h->count++;
	h->sum += ns;
	if (ns > h->max)
		h->max = ns;
}

void histogram_merge(struct histogram *into, const struct histogram *from)
{
	for (unsigned i = 0; i < HISTOGRAM_BUCKETS; i++)
		into->buckets[i] += from->buckets[i];
	into->count += from->count;
	into->sum += from->sum;
	if (from->max > into->max)
		into->max = from->max;
}

uint64_t histogram_quantile(const struct histogram *h, double q)
{
	uint64_t want = (uint64_t)((double)h->count * q), seen = 0;
	for (unsigned i = 0; i < HISTOGRAM_BUCKETS; i++) {
		uint64_t n = h->buckets[i], before = seen;
		seen += n;
		if (seen <= want && (!seen || seen < h->count))
			continue;
		/* As if those of a bucket were spread evenly in it: two runs of one program should
		 * not differ by a bucket. */
		double part = want > before ? (double)(want - before) / (double)n : 0;
		uint64_t width = width_of(i), low = value_of(i) - width / 2;
		if (low + width > h->max)
			width = h->max > low ? h->max - low : 0;
		return low + (uint64_t)((part < 1 ? part : 1) * (double)width);
	}
	return 0;
}

uint64_t histogram_below(const struct histogram *h, uint64_t ns)
{
	uint64_t n = 0;
	for (unsigned i = 0; i < HISTOGRAM_BUCKETS && value_of(i) <= ns; i++)
		n += h->buckets[i];
	return n;
}

uint64_t stats_lost(const struct stats *s)
{
	uint64_t n = 0;
	for (unsigned i = 0; i < LOSSES; i++)
		n += s->lost[i];
	return n;
}

struct runtime_stats *stats_runtime(struct stats *s, const char *name)
{
	for (unsigned i = 0; i < STATS_RUNTIMES; i++) {
		if (!s->runtimes[i].name)
			s->runtimes[i].name = name;
		if (!strcmp(s->runtimes[i].name, name))
			return &s->runtimes[i];
	}
	return NULL;
}
