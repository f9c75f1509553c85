/* SPDX-License-Identifier: Apache-2.0 */
#include <stdlib.h>

#include <csample/decode.h>
#include <csample/mem.h>

struct decoder {
	struct strings *strings;
	enum native_frames native;
	decoder_namer *namer;
	void *namer_arg;
};

struct decoding {
	struct decoder *decoder;
	struct target *target;
};

struct decoder *decoder_create(struct strings *strings, enum native_frames native,
                               decoder_namer *namer, void *namer_arg)
{
	struct decoder *d = mem_zalloc(sizeof(*d));
	*d = (struct decoder){strings, native, namer, namer_arg};
	return d;
}

void decoder_destroy(struct decoder *d)
{
	free(d);
}

void decoder_name(struct decoder *d, struct raw_frame raw, struct frame *out)
{
	(void)raw;
	*out = (struct frame){.kind = FRAME_MARK, .function = intern(d->strings, "[unknown]")};
}

struct decoding *decoding_open(struct decoder *d, struct target *t)
{
	struct decoding *p = mem_zalloc(sizeof(*p));
	*p = (struct decoding){d, t};
	return p;
}

void decoding_close(struct decoding *p)
{
	free(p); /* NULL is allowed */
}

void decoding_restart(struct decoding *p)
{
	(void)p;
}

void decoding_refresh(struct decoding *p)
{
	(void)p;
}

static size_t gather(void *arg, unsigned round, const struct snapshot *snap, struct region *more,
                     size_t max)
{
	(void)arg, (void)round, (void)snap, (void)more, (void)max;
	return 0;
}

struct gatherer decoding_gatherer(struct decoding *p)
{
	return (struct gatherer){gather, p};
}

size_t decoding_runtimes(const struct decoding *p, struct runtime **ret, size_t max)
{
	(void)p, (void)ret, (void)max;
	return 0;
}

struct decoded decode(struct decoding *p, const struct snapshot *snap, struct stack *stack)
{
	(void)p, (void)snap, (void)stack;
	return (struct decoded){.end = WALK_NONE};
}
