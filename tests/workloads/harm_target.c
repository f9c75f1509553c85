/* SPDX-License-Identifier: Apache-2.0 */
/* Programs that notice when they are harmed. Counters are kept in the file given, 64-bit each, for
 * who watches from outside. Runs until killed or --seconds are over. busy     counter i: turns of
 * thread i signals  0: turns; 1: real-time signals; 2: sum of their values; 3: SIGUSR1; half the
 * threads sleep eintr    0: epoll_wait, 1: sigtimedwait, 2: epoll_wait between bursts of work;
 * aborts on EINTR blocked  0: system calls that have come back, which is none: threads blocked in
 * them for good churn    0: threads made and joined, four alive at a time forks    0: children made
 * and reaped, four alive at a time */
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define MAX_THREADS 64
#define ALIVE       4

static volatile uint64_t *counters;
static int n_threads = 2;

static void die(const char *what)
{
	perror(what);
	exit(1);
}

static void work(unsigned turns)
{
	for (volatile unsigned i = 0; i < turns; i++)
		;
}

__attribute__((noreturn)) static void *busy(void *arg)
{
	int i = (int)(intptr_t)arg;

	for (;;) {
		work(1000);
		counters[i]++;
	}
}

static void on_signal(int number, siginfo_t *info, void *context)
{
	(void)context;
	if (number == SIGUSR1) {
		__atomic_fetch_add(&counters[3], 1, __ATOMIC_RELAXED);
	} else {
		__atomic_fetch_add(&counters[2], (uint64_t)info->si_value.sival_int,
		                   __ATOMIC_RELAXED);
		__atomic_fetch_add(&counters[1], 1, __ATOMIC_RELEASE);
	}
}

__attribute__((noreturn)) static void *signalled(void *arg)
{
	bool sleeper = (intptr_t)arg & 1;

	for (;;) {
		if (sleeper)
			pause();
		else
			work(1000);
		__atomic_fetch_add(&counters[0], 1, __ATOMIC_RELAXED);
	}
}

static void never_interrupted(int result, const char *what)
{
	if (result < 0 && errno == EINTR) {
		fprintf(stderr, "%s: EINTR\n", what);
		abort();
	}
}

__attribute__((noreturn)) static void *eintr(void *arg)
{
	int which = (int)(intptr_t)arg % 3, epoll = epoll_create1(EPOLL_CLOEXEC);
	struct timespec wait = {.tv_nsec = 20000000};
	struct epoll_event event;
	sigset_t none;

	sigemptyset(&none);
	sigaddset(&none, SIGRTMAX);
	for (;;) {
		if (which == 1) {
			never_interrupted(sigtimedwait(&none, NULL, &wait), "sigtimedwait");
		} else {
			if (which == 2)
				work(500000);
			never_interrupted(epoll_wait(epoll, &event, 1, which == 2 ? 2 : 20),
			                  "epoll_wait");
		}
		__atomic_fetch_add(&counters[which], 1, __ATOMIC_RELAXED);
	}
}

static void *blocked(void *arg)
{
	int epoll = epoll_create1(EPOLL_CLOEXEC);
	struct timespec wait = {.tv_sec = 1000000};
	struct epoll_event event;
	sigset_t none;

	sigemptyset(&none);
	sigaddset(&none, SIGRTMAX);
	if ((intptr_t)arg & 1)
		never_interrupted(sigtimedwait(&none, NULL, &wait), "sigtimedwait");
	else
		never_interrupted(epoll_wait(epoll, &event, 1, -1), "epoll_wait");
	__atomic_fetch_add(&counters[0], 1, __ATOMIC_RELAXED);
	return NULL;
}

static void *short_life(void *arg)
{
	work(20000);
	return arg;
}

__attribute__((noreturn)) static void churn(void)
{
	pthread_t threads[ALIVE];

	for (uint64_t made = 0;; made++) {
		pthread_t *slot = &threads[made % ALIVE];
		if (made >= ALIVE) {
			pthread_join(*slot, NULL);
			counters[0]++;
		}
		errno = pthread_create(slot, NULL, short_life, NULL);
		if (errno)
			die("pthread_create");
	}
}

__attribute__((noreturn)) static void forks(void)
{
	for (uint64_t made = 0;; made++) {
		pid_t child;
		if (made >= ALIVE && wait(NULL) > 0)
			counters[0]++;
		child = fork();
		if (child < 0)
			die("fork");
		if (!child) {
			work(20000);
			_exit(0);
		}
	}
}

static void map_counters(const char *file)
{
	int fd = open(file, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
	size_t len = MAX_THREADS * sizeof(uint64_t);

	if (fd < 0 || ftruncate(fd, (off_t)len))
		die(file);
	counters = mmap(NULL, len, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	if (counters == MAP_FAILED)
		die("mmap");
}

static void start_all(void *(*body)(void *))
{
	pthread_t thread;

	for (int i = 0; i < n_threads; i++) {
		errno = pthread_create(&thread, NULL, body, (void *)(intptr_t)i);
		if (errno)
			die("pthread_create");
	}
	pthread_join(thread, NULL);
}

int main(int argc, char **argv)
{
	struct sigaction action = {.sa_sigaction = on_signal, .sa_flags = SA_SIGINFO | SA_RESTART};
	const char *what = argc > 2 ? argv[2] : "";
	sigset_t blocked_signals;

	if (argc > 3)
		n_threads = (int)strtol(argv[3], NULL, 10);
	if (argc < 3 || n_threads < 1 || n_threads > MAX_THREADS) {
		fprintf(stderr, "usage: %s COUNTERS WHAT [THREADS [SECONDS]]\n", argv[0]);
		return 2;
	}
	alarm(argc > 4 ? (unsigned)strtoul(argv[4], NULL, 10) : 120);
	map_counters(argv[1]);
	sigemptyset(&blocked_signals);
	sigaddset(&blocked_signals, SIGRTMAX);
	sigprocmask(SIG_BLOCK, &blocked_signals, NULL);
	if (!strcmp(what, "signals")) {
		sigaction(SIGRTMIN, &action, NULL);
		sigaction(SIGUSR1, &action, NULL);
		start_all(signalled);
	} else if (!strcmp(what, "busy")) {
		start_all(busy);
	} else if (!strcmp(what, "eintr")) {
		start_all(eintr);
	} else if (!strcmp(what, "blocked")) {
		start_all(blocked);
	} else if (!strcmp(what, "churn")) {
		churn();
	} else if (!strcmp(what, "forks")) {
		forks();
	} else {
		fprintf(stderr, "%s: not known\n", what);
		return 2;
	}
	return 0;
}
