/* SPDX-License-Identifier: Apache-2.0 */
/* CPU time that counted before the thread was known: a sample of such a thread stands for a period.
 * Once it is known, its own clock tells all it has used from its birth on, that time included. */
#ifndef ENGINE_DEBTS_H
#define ENGINE_DEBTS_H

#include <stdint.h>
#include <sys/types.h>

#include <csample/hash.h>

struct debts {                   /* all zeros: none */
	struct map64 young, old; /* tid: ns */
};

void debts_free(struct debts *d);
void debts_add(struct debts *d, pid_t tid, uint64_t ns);
uint64_t debts_of(const struct debts *d, pid_t tid);
/* A sample that by the thread's clock stands for ns: how much of that has not counted yet. The rest
 * is paid off. */
uint64_t debts_pay(struct debts *d, pid_t tid, uint64_t ns);
/* Its clock counts from now on only. Who has ended keeps his: samples may still be on their way. */
void debts_drop(struct debts *d, pid_t tid);
/* Threads that ended before they were known leave theirs, which their numbers must not keep for
 * ever: to be called now and then. Others are known long before there are so many. */
void debts_age(struct debts *d);

#endif
