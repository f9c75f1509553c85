/* SPDX-License-Identifier: Apache-2.0 */
/* Threads of known states, by name: in read, nanosleep, poll, futex and running. */
#include <poll.h>
#include <pthread.h>

#include "workload.h"

static volatile uint64_t sink;
static int fds[2];
static pthread_mutex_t held = PTHREAD_MUTEX_INITIALIZER;
static pthread_barrier_t started;

NOINLINE static void in_read(void)
{
	char c;
	while (read(fds[0], &c, 1) < 0)
		;
}

NOINLINE static void in_sleep(void)
{
	struct timespec ts = {.tv_sec = 1000};
	while (nanosleep(&ts, &ts))
		;
}

NOINLINE static void in_poll(void)
{
	struct pollfd p = {.fd = fds[0], .events = POLLIN};
	while (poll(&p, 1, -1) != 1)
		;
}

NOINLINE static void in_lock(void)
{
	pthread_mutex_lock(&held);
	pthread_mutex_unlock(&held);
}

NOINLINE static void running(void)
{
	for (;;)
		sink = rounds(100000, sink);
}

static const struct kind {
	const char *name;
	void (*run)(void);
} kinds[] = {{"reader", in_read},
             {"sleeper", in_sleep},
             {"poller", in_poll},
             {"locker", in_lock},
             {"runner", running}};

static void *thread(void *arg)
{
	const struct kind *kind = arg;
	pthread_setname_np(pthread_self(), kind->name);
	pthread_barrier_wait(&started);
	kind->run();
	return NULL;
}

int main(void)
{
	if (pipe(fds))
		return 1;
	pthread_mutex_lock(&held);
	pthread_barrier_init(&started, NULL, sizeof(kinds) / sizeof(kinds[0]) + 1);
	for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++) {
		pthread_t t;
		if (pthread_create(&t, NULL, thread, (void *)&kinds[i]))
			return 1;
	}
	pthread_barrier_wait(&started);
	ready();
	for (;;)
		pause();
}
