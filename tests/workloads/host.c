/* SPDX-License-Identifier: Apache-2.0 */
/* host PLUGIN.so: works in host_work; for each line on its standard input it loads the plugin and
 * works there from then on ("loaded"), and unloads it at the next ("unloaded"). */
#include <dlfcn.h>
#include <poll.h>

#include "workload.h"

static volatile uint64_t sink;

NOINLINE static void host_work(void)
{
	sink = rounds(1000000, sink);
}

int main(int argc, char **argv)
{
	void *handle = NULL;
	void (*run)(void) = host_work;
	if (argc < 2)
		return 2;
	ready();
	for (;;) {
		struct pollfd in = {.fd = 0, .events = POLLIN};
		char c;
		if (poll(&in, 1, 0) == 1) {
			if (read(0, &c, 1) != 1)
				return 0;
			if (handle) {
				run = host_work;
				dlclose(handle);
				handle = NULL;
			} else {
				handle = dlopen(argv[1], RTLD_NOW);
				if (!handle)
					return 1;
				*(void **)&run = dlsym(handle, "plugin_work");
			}
			puts(handle ? "loaded" : "unloaded");
			fflush(stdout);
		}
		run();
	}
}
