/* SPDX-License-Identifier: Apache-2.0 */
/* What all workloads share: they say "ready" once they do what they are for, and end by themselves.
 */
#ifndef WORKLOAD_H
#define WORKLOAD_H

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

/* A function that keeps its name and its frame: equal ones are not merged either. */
#if defined(__clang__)
#define NOINLINE __attribute__((noinline))
#else
#define NOINLINE __attribute__((noinline, noclone, no_icf))
#endif

static inline void ready(void)
{
	alarm(120);
	puts("ready");
	fflush(stdout);
}

static inline uint64_t now_ns(clockid_t clock)
{
	struct timespec ts;
	clock_gettime(clock, &ts);
	return (uint64_t)ts.tv_sec * 1000000000u + (uint64_t)ts.tv_nsec;
}

/* Arithmetic that no compiler can shorten; about a nanosecond a round. */
static inline __attribute__((always_inline)) uint64_t rounds(uint64_t n, uint64_t x)
{
	for (uint64_t i = 0; i < n; i++) {
		x = x * 6364136223846793005u + 1442695040888963407u;
		__asm__ volatile("" : "+r"(x));
	}
	return x;
}

#endif
