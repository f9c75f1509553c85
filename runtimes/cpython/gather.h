/* SPDX-License-Identifier: Apache-2.0 */
/* What gather.c keeps of a thread from one capture to the next, and what it shares with walk.c and
 * threads.c. */
#ifndef CPYTHON_GATHER_H
#define CPYTHON_GATHER_H

#include <csample/hash.h>

#include "chain.h"
#include "cpython.h"

struct py_prediction *py_prediction_create(void); /* one allocation: free() it */

/* What is asked for in one round. */
#define PREDICT_BYTES 491520u /* of GATHER_MAX_COPY: the rest is for surprises */
#define JOIN_GAP      3072u   /* bytes not needed: copied in the time another region takes */
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

/* ---- tids.c ---- */
#define PY_IDENTS 16 /* are enough to tell */
/* The offset in what n idents point to at which the id of a thread lies; tids: those there are, in
 * the target's pid namespace. One that is known if it does for any, else one that does for all; 0:
 * none. */
uint32_t py_tid_offset(struct rmem *rm, const uint64_t *idents, size_t n, const struct map64 *tids);

/* ---- anchor.c: up to 3.12, whose stack a thread state runs on ---- */
/* May a state be run by another thread than it names? */
bool py_states_wander(const struct py_layout *l);
/* Is the address on the stack of the snapshot's thread, as far as that is known? */
bool py_is_on_stack(const struct snapshot *snap, uint64_t addr);
/* Where on the stack the first of frame objects, innermost first, is found that the evaluation
 * functions there run; 0: they are none of th's stack. */
uint64_t py_frames_on_stack(const struct snapshot *snap, const struct py_thread *th,
                            const uint64_t *frames, size_t n);
enum py_place { PLACE_IDLE /* it runs nothing */, PLACE_HERE, PLACE_ELSEWHERE };
/* A first look, in the pause as well: what its newest frame says, of a state at addr. */
enum py_place py_place_of(const struct py_layout *l, struct py_view *view,
                          const struct py_thread *th, uint64_t addr, struct obj state);

/* Is the thread state, a copy of layout->thread.size bytes, bound to a thread and in use? */
bool py_state_usable(const struct py_layout *layout, struct obj state);
/* Where the words lie that tell who holds the lock of the interpreter of th's i-th state: addresses
 * in the target. False: there are none, or the state itself tells. */
bool py_lock_words(const struct py *py, const struct py_thread *th, unsigned i, uint64_t *locked,
                   uint64_t *holder);
/* The word that is not 0 once the interpreter finalizes; 0: not known. */
uint64_t py_finalizing_word(const struct py *py);

#endif
