/* SPDX-License-Identifier: Apache-2.0 */
/* crowd [THREADS [BUSY]]: 400 threads, of which 2 run and the others wait. Their names tell which.
 */
#include <pthread.h>

#include "workload.h"

static volatile uint64_t sink;
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t never = PTHREAD_COND_INITIALIZER;
static pthread_barrier_t started;

NOINLINE static void busy_work(void)
{
	sink = rounds(1000000, sink);
}

NOINLINE static void idle_wait(void)
{
	pthread_mutex_lock(&lock);
	for (;;)
		pthread_cond_wait(&never, &lock);
}

static void *busy(void *arg)
{
	(void)arg;
	pthread_setname_np(pthread_self(), "busy");
	pthread_barrier_wait(&started);
	for (;;)
		busy_work();
}

static void *idle(void *arg)
{
	(void)arg;
	pthread_setname_np(pthread_self(), "idle");
	pthread_barrier_wait(&started);
	idle_wait();
	return NULL;
}

int main(int argc, char **argv)
{
	int n = argc > 1 ? atoi(argv[1]) : 400, n_busy = argc > 2 ? atoi(argv[2]) : 2;
	pthread_attr_t attr;
	pthread_attr_init(&attr);
	pthread_attr_setstacksize(&attr, 64 * 1024);
	pthread_barrier_init(&started, NULL, (unsigned)n + 1);
	for (int i = 0; i < n; i++) {
		pthread_t t;
		if (pthread_create(&t, &attr, i < n_busy ? busy : idle, NULL))
			return 1;
	}
	pthread_barrier_wait(&started);
	ready();
	for (;;)
		pause();
}
