/* SPDX-License-Identifier: Apache-2.0 */
/* A loop in which, at every instruction, it is known by how much a register and four memory words
 * may differ. tests/e2e/soundness.py holds the other half of this contract. */
#ifndef SOUNDNESS_LOOP_H
#define SOUNDNESS_LOOP_H

#include <stdint.h>

#define LOOP_MAGIC 0x5eed50f7c0ffee11ULL

struct loop {
	int64_t call[2][4]; /* system calls made in each turn: number, three arguments; -1: none */
	uint64_t spin;      /* turns of an empty loop in each turn */
	uint64_t *progress; /* the counter, for who watches from outside */
	uint64_t until;     /* counter value to return at */
	uint64_t first;     /* counter value to start from */
	uint64_t *far;      /* a word far up the stack */
};

/* Registers and words, c being the counter, in register rbx:
 *   [rbp]          near   = c once stored
 *   [rbp + 8]      LOOP_MAGIC
 *   [rbp + 16]     where far is, in r13 too
 *   [r13]          far    = c once stored, near the other end of the copy
 *   rsp            rbp - 64 - 16 * (c % 64)
 *   [rsp]          slot   = c;  [rsp + 8] = rbp
 * so that even a stack pointer alone tells an instant. */
void soundness_loop(struct loop *loop);

/* Where what changes: the first instruction; near stored after this one; far; the stack pointer;
 * the first instruction behind the loop. */
extern const char loop_start[], loop_near[], loop_far[], loop_sp[], loop_end[];

#endif
