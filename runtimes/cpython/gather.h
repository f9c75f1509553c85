/* SPDX-License-Identifier: Apache-2.0 */
/* What gather.c keeps of a thread from one capture to the next, and what it shares with walk.c and
 * threads.c. */
#ifndef CPYTHON_GATHER_H
#define CPYTHON_GATHER_H

#include "cpython.h"

struct py_prediction *py_prediction_create(void); /* one allocation: free() it */

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
