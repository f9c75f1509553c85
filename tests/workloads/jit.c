/* SPDX-License-Identifier: Apache-2.0 */
/* Works in code that it has made itself, and names it in /tmp/perf-PID.map as JIT compilers do:
 * junk lines first, then an old name, then "jitted loop" for the same address. */
#include <string.h>
#include <sys/mman.h>

#include "workload.h"

#if defined(__x86_64__)
static const unsigned char code[] = {0x55, 0x48, 0x89, 0xe5, 0x48, 0xff,
                                     0xcf, 0x75, 0xfb, 0x5d, 0xc3};
#else
static const unsigned code[] = {0xa9bf7bfd, 0x910003fd, 0xf1000400,
                                0x54ffffe1, 0xa8c17bfd, 0xd65f03c0};
#endif

int main(void)
{
	char name[64];
	void *page = mmap(NULL, 4096, PROT_READ | PROT_WRITE | PROT_EXEC,
	                  MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (page == MAP_FAILED)
		return 1;
	memcpy(page, code, sizeof(code));
	__builtin___clear_cache(page, (char *)page + sizeof(code));
	snprintf(name, sizeof(name), "/tmp/perf-%d.map", (int)getpid());
	FILE *map = fopen(name, "w");
	if (!map)
		return 1;
	fprintf(map, "not a line\n%lx\n%lx %zx old name\n%lx %zx jitted loop\n",
	        (unsigned long)page, (unsigned long)page, sizeof(code), (unsigned long)page,
	        sizeof(code));
	fclose(map);
	ready();
	void (*loop)(unsigned long);
	memcpy(&loop, &page, sizeof(loop));
	for (;;)
		loop(1000000);
}
