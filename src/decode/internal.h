/* SPDX-License-Identifier: Apache-2.0 */
/* The room from inside: attach.c finds runtimes in a process, decode.c uses them. */
#ifndef DECODE_INTERNAL_H
#define DECODE_INTERNAL_H

#include <stdatomic.h>

#include <csample/decode.h>
#include <csample/hash.h>
#include <csample/vec.h>

#include "roles.h"
#include "splice.h"

#define MAX_ATTACHED SPLICE_MAX_PARTS

struct decoder {
	struct strings *strings;
	enum native_frames native;
	decoder_namer *namer;
	void *namer_arg;
	VEC(struct runtime *) runtimes; /* by index; NULL: collected */
	VEC(uint32_t) closed;           /* indices of those whose process is */
	struct map64 recognised; /* image id: bit 0 asked, bit i + 1: all_runtimes[i] is in it */
	struct map64 warned;     /* image id: its version is unsupported, and that was said */
	bool quiet;
	struct runtime_stack walked[MAX_ATTACHED];
	struct splicer splicer;
};

/* A runtime in a mapped image. */
struct candidate {
	const struct runtime_ops *ops;
	struct image *img;
	uint64_t bias, next_ns;
	unsigned tries;
	bool settled;    /* attached, or never will be */
	bool seen;       /* still mapped */
	const char *why; /* it could not be attached when last tried; interned; NULL: too early */
};

struct attached {
	struct runtime *rt;
	struct roles roles;
	uint64_t since_ns;
	const char *torn, *truncated;
};

struct attached_list {
	size_t n;
	struct attached *items[MAX_ATTACHED];
};

struct decoding {
	struct decoder *decoder;
	struct target *target;
	_Atomic(struct attached_list *) live; /* never NULL once open */
	atomic_uint gathering;                /* samplers inside gather() */
	VEC(struct attached_list *) lists;    /* all there were */
	VEC(struct attached *) attached;      /* all there were */
	VEC(struct candidate) candidates;
	struct map64 seen; /* tids that had frames of a runtime */
	uint64_t generation, refreshed_ns;
	bool looked;
};

/* attach.c */
/* Samplers see none of them any more; they are detached. */
void attach_none(struct decoding *p);
/* Asks those again that were too early, if it is time. */
void attach_try(struct decoding *p);
/* One that was found and is not attached; NULL: none. */
const struct runtime_ops *attach_pending(const struct decoding *p);

#endif
