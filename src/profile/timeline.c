/* SPDX-License-Identifier: Apache-2.0 */
/* When each sample was, for recordings that keep it. */
#include <csample/mem.h>
#include <csample/profile.h>

/* Room for one more in an array that doubles at each power of two. */
static void *room(void *array, size_t n, size_t size)
{
	if (n & (n - 1))
		return array;
	return mem_realloc_array(array, n ? 2 * n : 1, size);
}

uint32_t profile_add_thread(struct profile *p, const struct profile_thread *thread)
{
	p->threads = room(p->threads, p->n_threads, sizeof(*p->threads));
	p->threads[p->n_threads] = *thread;
	return (uint32_t)p->n_threads++;
}

void profile_add_sample(struct profile *p, const struct profile_sample *sample)
{
	if (p->n_samples >= p->max_samples) {
		p->n_samples_lost++;
		return;
	}
	p->samples = room(p->samples, p->n_samples, sizeof(*p->samples));
	p->samples[p->n_samples++] = *sample;
}
