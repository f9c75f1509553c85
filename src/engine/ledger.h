/* SPDX-License-Identifier: Apache-2.0 */
/* The ledger from inside: ledger.c enters what is sampled, ledger_cut.c ends profiles,
 * ledger_name.c names them. */
#ifndef ENGINE_LEDGER_H
#define ENGINE_LEDGER_H

#include <csample/hash.h>
#include <csample/ledger.h>
#include <csample/vec.h>

#define EXTRA_FRAMES 32 /* marks and roots */

/* What we know of a thread's stacks so far. Nodes are of the profile, or, with KEPT, of what was
 * kept of profiles before it; 0: none. */
#define KEPT 0x80000000u
struct account {
	pid_t tid, pid;
	uint32_t last, running, asleep;
	uint32_t used; /* number of cuts when it was last needed */
	uint64_t ran_rest_ns,
	        slept_rest_ns; /* wall: less than a period, not yet counted as a sample */
	const char *name;      /* interned; NULL: ask again */
	bool named_by_runtime;
	bool is_over;     /* what thread says is of one that has ended */
	uint32_t thread;  /* timeline: index + 1 into the profile's; 0: not yet */
	uint64_t seen_ns; /* and until when its samples tell what it did */
};

/* Where an image was seen mapped. */
struct place {
	uint32_t mapping; /* profile_mapping()'s result; 0: not in this profile yet */
	bool known;       /* what and bias are */
	struct profile_mapping what;
	uint64_t bias;
};

/* A process that is sampled. */
struct member {
	struct target *target;
	const char *name; /* of its program, interned */
};

struct ledger {
	struct profile *profile;
	struct ledger_config config;
	struct map64 by_pid; /* pid: index + 1 into members */
	VEC(struct member) members;
	VEC(size_t) free_members;
	struct map64 by_tid; /* tid: index + 1 into accounts */
	VEC(struct account) accounts;
	VEC(struct place) places; /* by image id */
	struct map64 ended;       /* last node of ended threads: how many */
	uint64_t n_ended;
	struct raw_frame *frames; /* a stack and its marks */
	size_t cap_frames;
	struct runtime *locking;
	size_t named; /* locations looked at by ledger_name_some() */
	/* Of profiles that were cut off: */
	struct profile *kept; /* last stacks of live threads, without values */
	size_t kept_nodes;    /* how many it had when made */
	struct profile_mapping program;
	uint32_t n_cuts;
	uint64_t total[PROFILE_VALUES], duration_ns, lost, not_sampled_ns;
};

struct raw_frame ledger_mark(struct ledger *l, const char *text);
void ledger_credit(struct ledger *l, uint32_t node, uint64_t samples, uint64_t ns);
/* The node of the present profile for one that may be of what was kept; *node is set to it. */
uint32_t ledger_live_node(struct ledger *l, uint32_t *node);

#endif
