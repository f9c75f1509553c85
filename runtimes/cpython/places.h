/* SPDX-License-Identifier: Apache-2.0 */
/* Code objects from inside: code.c reads them and finds them again, recheck.c sees whether they are
 * still the same. */
#ifndef CPYTHON_PLACES_H
#define CPYTHON_PLACES_H

#include <csample/hash.h>
#include <csample/vec.h>

#include "guard.h"

#define TRUST_NS 50000000ull /* a place need not be looked at again so soon */

enum table_state { TABLE_DROPPED, TABLE_KEPT, TABLE_NONE };

struct code {
	const char *name, *file; /* interned; file NULL: empty */
	const char *shown;       /* the name, qualified if that could be done later */
	uint64_t content;        /* hash of the line table's and the name's bytes */
	int32_t firstlineno;
	int32_t first_traceable; /* bytes */
	uint32_t n_ranges;
	uint32_t used; /* refresh in which its lines were last asked for */
	struct py_line_range *ranges;
	uint8_t table;         /* enum table_state */
	uint8_t qualify_tries; /* left */
};

struct place {
	uint64_t addr, guard;
	uint64_t heads[PY_CODE_CONTENTS]; /* hashes of what py_code_contents() asks for; 0: unknown
	                                   */
	uint64_t since_ns, checked_ns, content_checked_ns, used_ns;
	uint32_t code; /* number: index in codes + 1; 0: free */
	uint32_t checks;
	bool settled;
	bool hot;         /* is in the list of those used lately */
	uint32_t recheck; /* the last one it was part of */
};

struct py_codes {
	struct strings *strings;
	VEC(struct code) codes;
	struct map64 by_content; /* hash of a code -> number of the first such */
	VEC(struct place) places;
	struct map64 by_addr; /* -> index in places + 1 */
	uint32_t n_free, next_check, refreshes;
	size_t lines_bytes;
	uint64_t now_ns;               /* of the last refresh or snapshot */
	struct py_line_range *scratch; /* for one table of the largest size seen */
	size_t scratch_len;
	struct py_settled *settled;
	VEC(uint64_t) hot; /* addresses of settled places used lately, and such as were */
	uint64_t recheck_ns;
	uint32_t n_rechecks;
};

/* The place at addr; NULL: none. */
struct place *py_place_find(struct py_codes *c, uint64_t addr);
/* It is another code now, or none. */
void py_place_forget(struct py_codes *c, struct place *p);
/* Reads what is at a place; false: it is no longer what it was. */
bool py_place_still_there(struct py *py, struct place *p);
/* Whether what is known of a place can do for a sample of the time c->now_ns. */
bool py_place_is_trusted(const struct py_codes *c, const struct place *p);

/* ---- recheck.c ---- */
/* A settled place was used. */
void py_recheck_note(struct py_codes *c, struct place *p);
/* Looks at all places used lately in one go, unless that was done a moment ago. */
void py_recheck_hot(struct py *py);
/* Now and then: some of all places. Those that stay the same settle. */
void py_recheck_some(struct py *py);

#endif
