/* SPDX-License-Identifier: Apache-2.0 */
/* What gather.c keeps of a thread from one capture to the next, and what it shares with walk.c and
 * threads.c. */
#ifndef CPYTHON_GATHER_H
#define CPYTHON_GATHER_H

#include "chain.h"
#include "cpython.h"

struct py_prediction *py_prediction_create(void); /* one allocation: free() it */

/* What is asked for in one round. */
#define PREDICT_BYTES 491520u /* of GATHER_MAX_COPY: the rest is for surprises */
#define JOIN_GAP      1024u   /* bytes not needed: copied in the time another region takes */
struct asking {
	struct region *more;
	size_t n, max;
	uint32_t bytes;
};
/* Leaves out what is no region, or does not fit into limit bytes. */
void py_ask(struct asking *a, uint64_t addr, uint64_t len, uint32_t limit);

/* ---- young.c ---- */
#define MAX_YOUNG  64
#define MAX_WANTED 160
struct py_young {
	uint64_t codes[MAX_YOUNG]; /* not settled, met in this capture */
	unsigned n, n_wanted;
	struct region wanted[MAX_WANTED]; /* addr and len; sorted: what it took for the last */
};
/* Round 0: asks for what was wanted last, and begins anew. */
void py_young_predict(struct py_young *y, struct asking *a);
void py_young_note(struct py_young *y, uint64_t code);
/* When all are noted: guards that were not copied; then, what they point to. */
void py_young_ask_guards(const struct py *py, const struct py_young *y, struct py_view *view,
                         struct asking *a);
void py_young_ask_contents(const struct py *py, struct py_young *y, struct py_view *view,
                           struct asking *a);

/* Samplers: around the use of what py_threads_find() returns. */
void py_threads_enter(struct py_threads *t);
void py_threads_leave(struct py_threads *t);

/* Is the thread state, a copy of layout->thread.size bytes, bound to a thread and in use? */
bool py_state_usable(const struct py_layout *layout, struct obj state);
/* Where the words lie that tell who holds the lock of the interpreter of th's i-th state: addresses
 * in the target. False: there are none, or the state itself tells. */
bool py_lock_words(const struct py *py, const struct py_thread *th, unsigned i, uint64_t *locked,
                   uint64_t *holder);
/* The word that is not 0 once the interpreter finalizes; 0: not known. */
uint64_t py_finalizing_word(const struct py *py);

#endif
