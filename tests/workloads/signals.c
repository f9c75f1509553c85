/* SPDX-License-Identifier: Apache-2.0 */
/* Works, counts queued signals (SIGRTMIN), and tells the count at SIGTERM. Counts its rounds up
 * in a file mapping given as argument, if any: proof of life. */
#include <fcntl.h>
#include <signal.h>
#include <sys/mman.h>

#include "workload.h"

static volatile sig_atomic_t count, stop;
static volatile uint64_t sink;

static void on_signal(int sig)
{
	if (sig == SIGTERM)
		stop = 1;
	else
		count++;
}

NOINLINE static void signal_work(void)
{
	sink = rounds(10000, sink);
}

int main(int argc, char **argv)
{
	static uint64_t own;
	volatile uint64_t *counter = &own;
	if (argc > 1) {
		int fd = open(argv[1], O_RDWR | O_CREAT, 0600);
		if (fd < 0 || ftruncate(fd, 4096))
			return 1;
		counter = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
		if (counter == MAP_FAILED)
			return 1;
	}
	struct sigaction action = {.sa_handler = on_signal, .sa_flags = SA_RESTART};
	sigaction(SIGRTMIN, &action, NULL);
	sigaction(SIGTERM, &action, NULL);
	ready();
	while (!stop) {
		signal_work();
		++*counter;
	}
	printf("signals %d\n", (int)count);
	return 0;
}
