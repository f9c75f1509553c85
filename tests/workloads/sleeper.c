/* SPDX-License-Identifier: Apache-2.0 */
/* Waits in epoll_wait, in a chain of calls, and aborts if anything but a time-out ends the wait: a
 * debugger's stop shows as EINTR. */
#include <sys/epoll.h>

#include "workload.h"

NOINLINE static int wait_for_nothing(int fd)
{
	struct epoll_event event;
	int n = epoll_wait(fd, &event, 1, 1000);
	if (n != 0)
		abort();
	return n;
}

NOINLINE static int event_loop(int fd)
{
	for (;;)
		wait_for_nothing(fd);
}

int main(void)
{
	int fd = epoll_create1(0);
	ready();
	return event_loop(fd);
}
