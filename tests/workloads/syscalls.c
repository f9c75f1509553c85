/* SPDX-License-Identifier: Apache-2.0 */
/* Spends most of its time in the kernel: 64 KiB reads of zeros. */
#include <fcntl.h>

#include "workload.h"

static char buf[65536];

NOINLINE static ssize_t read_zeros(int fd)
{
	ssize_t n = 0;
	for (int i = 0; i < 100; i++)
		n += read(fd, buf, sizeof(buf));
	return n;
}

int main(void)
{
	int fd = open("/dev/zero", O_RDONLY);
	ready();
	while (read_zeros(fd) > 0)
		;
	return 1;
}
