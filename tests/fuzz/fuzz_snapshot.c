/* SPDX-License-Identifier: Apache-2.0 */
/* A recording of an interpreter (csample/recording.h), damaged: attached to, walked, named, its
 * variables and tasks printed. Half of the mutations know where the memory is: they exchange words
 * of it, so that lists loop, lengths are absurd and pointers lead to other objects. */
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <csample/decode.h>
#include <csample/hash.h>
#include <csample/recording.h>

#define HEADER      8 /* of the file, and of each chunk */
#define MAX_CHANGES 8
#define MAX_LOOKS   2
#define MAX_FRAMES  256 /* per thread, whose variables are printed */

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
size_t LLVMFuzzerCustomMutator(uint8_t *data, size_t size, size_t max_size, unsigned seed);
size_t LLVMFuzzerMutate(uint8_t *data, size_t size, size_t max_size);

static volatile size_t seen;

static void on_local(void *arg, const char *name, const char *repr, bool is_argument)
{
	(void)arg;
	seen += strlen(name) + strlen(repr) + is_argument;
}

static void on_task(void *arg, const struct runtime_task *task)
{
	(void)arg;
	seen += strlen(task->name ? task->name : "") + task->n_frames;
	for (size_t i = 0; i < task->n_awaited_by; i++)
		seen += strlen(task->awaited_by[i]);
}

static void look(struct decoder *d, struct decoding *p, struct recorded_thread *th)
{
	struct decoded decoded = decode(p, &th->snap, &th->stack);
	struct runtime *rt = decoded.runtime;
	char name[256] = "";
	size_t n = 0;
	for (size_t i = 0; i < th->stack.n; i++) {
		struct frame f;
		if (th->stack.frames[i].kind != RAW_RUNTIME)
			continue;
		decoder_name(d, th->stack.frames[i], &f);
		seen += strlen(f.function) + (f.file ? strlen(f.file) : 0) + f.line;
		if (rt && rt->ops->locals && th->stack.frames[i].owner == rt->index &&
		    n < MAX_FRAMES)
			rt->ops->locals(rt, &th->snap, n++, on_local, NULL);
	}
	if (rt && rt->ops->thread_name &&
	    rt->ops->thread_name(rt, th->snap.tid, name, sizeof(name)))
		seen += strlen(name);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct strings *strings = strings_create();
	struct images *images = images_create(strings);
	struct recording *r = NULL;
	struct err *err = recording_read(data, size, images, strings, &r);
	if (!err) {
		struct decoder *d = decoder_create(strings, NATIVE_OWN, recording_name, r);
		struct decoding *p = decoding_open(d, r->target);
		struct runtime *rt[4];
		decoding_refresh(p);
		/* Not all of them: more inputs a second. */
		size_t first = (size_t)hash_bytes(data, size), n_looks = r->n_threads;
		for (size_t i = 0; i < n_looks && i < MAX_LOOKS; i++)
			look(d, p, &r->threads[(first + i) % n_looks]);
		size_t n = decoding_runtimes(p, rt, 4);
		for (size_t i = 0; i < n; i++) {
			err_free(rt[i]->ops->refresh(rt[i]));
			if (rt[i]->ops->tasks)
				rt[i]->ops->tasks(rt[i], on_task, NULL);
		}
		decoding_close(p);
		decoder_destroy(d);
	}
	err_free(err);
	recording_destroy(r);
	images_destroy(images);
	strings_destroy(strings);
	return 0;
}

static uint32_t next(uint32_t *seed)
{
	*seed = *seed * 1664525 + 1013904223;
	return *seed >> 8;
}

/* A random word of what was memory or a thread's copy of it: its place, 0 when there is none. */
static size_t pick(const uint8_t *data, size_t size, uint32_t *seed)
{
	size_t found = 0, n = 0;
	for (size_t at = HEADER; at + HEADER <= size;) {
		uint32_t len;
		memcpy(&len, data + at + 4, sizeof(len));
		size_t body = at + HEADER;
		if (len > size - body)
			break;
		bool is_memory = !memcmp(data + at, "MEMO", 4) || !memcmp(data + at, "SNAP", 4);
		/* By reservoir, each weighed by its length. */
		if (is_memory && len >= 24) {
			n += len;
			if (next(seed) % n < len)
				found = body + 8 + next(seed) % ((len - 16) / 8) * 8;
		}
		at = body + len;
	}
	return found;
}

size_t LLVMFuzzerCustomMutator(uint8_t *data, size_t size, size_t max_size, unsigned seed_in)
{
	static const uint64_t absurd[] = {0,          1,          UINT64_MAX, INT64_MAX,
	                                  UINT32_MAX, 1ULL << 31, 1ULL << 40, 65536,
	                                  7,          1ULL << 63};
	uint32_t seed = seed_in;
	if (next(&seed) % 8 == 0)
		return LLVMFuzzerMutate(data, size, max_size);
	for (uint32_t i = 1 + next(&seed) % MAX_CHANGES; i; i--) {
		size_t to = pick(data, size, &seed), from = pick(data, size, &seed);
		uint64_t v;
		if (!to || !from)
			return LLVMFuzzerMutate(data, size, max_size);
		memcpy(&v, data + to, sizeof(v));
		switch (next(&seed) % 5) {
		case 0:
			v = absurd[next(&seed) % (sizeof(absurd) / sizeof(*absurd))];
			break;
		case 1:
			v ^= 1ULL << next(&seed) % 64;
			break;
		case 2:
			v += (next(&seed) % 64) * 8 - 256;
			break;
		default: /* another pointer, most likely */
			memcpy(&v, data + from, sizeof(v));
			break;
		}
		memcpy(data + to, &v, sizeof(v));
	}
	return size;
}
