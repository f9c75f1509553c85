/* SPDX-License-Identifier: Apache-2.0 */
/* Files mapped so that being cut under us does no harm. The kernel answers a touch beyond the new
 * end with SIGBUS; we answer that by putting a page of zeros there, and the parser sees a damaged
 * file. */
#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdint.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include <csample/image.h>

#define MAX_FILES 8192

static struct {
	_Atomic uintptr_t start;
	_Atomic size_t size;
} files[MAX_FILES];
static struct sigaction before;
static pthread_once_t once = PTHREAD_ONCE_INIT;

static bool is_ours(uintptr_t addr)
{
	for (size_t i = 0; i < MAX_FILES; i++) {
		uintptr_t start = atomic_load_explicit(&files[i].start, memory_order_acquire);
		if (start && addr - start < atomic_load(&files[i].size))
			return true;
	}
	return false;
}

static void on_sigbus(int sig, siginfo_t *info, void *context)
{
	(void)context;
	uintptr_t page_size = (uintptr_t)sysconf(_SC_PAGESIZE);
	uintptr_t page = (uintptr_t)info->si_addr & ~(page_size - 1);
	int saved = errno;
	if (!is_ours((uintptr_t)info->si_addr) ||
	    mmap((void *)page, page_size, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1,
	         0) == MAP_FAILED)
		sigaction(sig, &before, NULL); /* returns to the fault, which then ends us */
	errno = saved;
}

static void install(void)
{
	struct sigaction sa = {.sa_flags = SA_SIGINFO | SA_NODEFER};
	sa.sa_sigaction = on_sigbus;
	sigemptyset(&sa.sa_mask);
	sigaction(SIGBUS, &sa, &before);
}

void *image_map_file(int fd, size_t size)
{
	pthread_once(&once, install);
	void *p = fd < 0 ? mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1,
	                        0)
	                 : mmap(NULL, size, PROT_READ, MAP_PRIVATE, fd, 0);
	if (p == MAP_FAILED)
		return NULL;
	for (size_t i = 0; i < MAX_FILES; i++) {
		uintptr_t none = 0;
		if (atomic_load(&files[i].start))
			continue;
		atomic_store(&files[i].size, size);
		if (atomic_compare_exchange_strong(&files[i].start, &none, (uintptr_t)p))
			return p;
	}
	munmap(p, size);
	errno = EMFILE;
	return NULL;
}

void image_unmap_file(void *data, size_t size)
{
	for (size_t i = 0; i < MAX_FILES; i++) {
		uintptr_t start = (uintptr_t)data;
		if (atomic_compare_exchange_strong(&files[i].start, &start, 0))
			break;
	}
	munmap(data, size);
}
