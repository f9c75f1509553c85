/* SPDX-License-Identifier: Apache-2.0 */
/* Threads that work 20 calls deep and count what they did, beside threads that sleep.
 * bench_work COUNTERS BUSY SLEEPING [SECONDS]; counter 8 * i is of busy thread i. */
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

#define DEPTH       20
#define MAX_BUSY    64
#define STACK_BYTES (256 * 1024)
/* A call that is not the last thing done, so that it stays a call. */
#define NOT_TAIL(value) __asm__ volatile("" : "+r"(value))

static volatile uint64_t *counters;

__attribute__((noinline)) static uint64_t leaf(uint64_t x)
{
	for (int i = 0; i < 2000; i++) {
		x = x * 6364136223846793005ULL + 1442695040888963407ULL;
		NOT_TAIL(x);
	}
	return x;
}

/* NOLINTNEXTLINE(misc-no-recursion): depth is what is wanted */
__attribute__((noinline)) static uint64_t descend(int depth, uint64_t x, volatile uint64_t *counter)
{
	if (depth == 0) {
		do {
			x = leaf(x);
		} while (++*counter != UINT64_MAX);
		return x;
	}
	x = descend(depth - 1, x + 1, counter);
	NOT_TAIL(x);
	return x + (uint64_t)depth;
}

static void *busy(void *arg)
{
	descend(DEPTH - 3, 1, arg);
	return NULL;
}

static void *sleeping(void *arg)
{
	pause();
	return arg;
}

static void start(void *(*body)(void *), void *arg, pthread_t *ret)
{
	pthread_attr_t attr;

	pthread_attr_init(&attr);
	pthread_attr_setstacksize(&attr, STACK_BYTES);
	errno = pthread_create(ret, &attr, body, arg);
	if (errno) {
		perror("pthread_create");
		exit(1);
	}
	pthread_attr_destroy(&attr);
}

int main(int argc, char **argv)
{
	int n_busy = argc > 2 ? (int)strtol(argv[2], NULL, 10) : 0;
	int n_sleeping = argc > 3 ? (int)strtol(argv[3], NULL, 10) : 0;
	int fd = argc > 1 ? open(argv[1], O_RDWR | O_CLOEXEC) : -1;
	pthread_t thread;

	if (fd < 0 || n_busy < 1 || n_busy > MAX_BUSY) {
		fprintf(stderr, "usage: %s COUNTERS BUSY SLEEPING [SECONDS]\n", argv[0]);
		return 2;
	}
	alarm(argc > 4 ? (unsigned)strtoul(argv[4], NULL, 10) : 600);
	counters = mmap(NULL, sizeof(uint64_t) * 8 * MAX_BUSY, PROT_READ | PROT_WRITE, MAP_SHARED,
	                fd, 0);
	if (counters == MAP_FAILED) {
		perror("mmap");
		return 1;
	}
	for (int i = 0; i < n_sleeping; i++)
		start(sleeping, NULL, &thread);
	for (int i = 0; i < n_busy; i++)
		start(busy, (void *)&counters[(size_t)8 * (size_t)i], &thread);
	pthread_join(thread, NULL);
	return 0;
}
