/* SPDX-License-Identifier: Apache-2.0 */
/* What an unwinder meets in C, for ever: recursion, callbacks from inside libc, leaf functions
 * without a frame, alloca and over-aligned locals, signals on the main and on an alternate stack,
 * calls through the PLT. Argument: "deep" adds 2,000 frames, "quiet" leaves out the signals. */
#include <alloca.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/time.h>
#include <unistd.h>

#define NOINLINE __attribute__((noinline, noclone))

static volatile uint64_t sink;
static char text[4096], copy[4096];
static int deep;

NOINLINE uint64_t innermost(uint64_t x)
{
	for (int i = 0; i < 20; i++)
		x = x * 6364136223846793005ULL + 1442695040888963407ULL;
	return x;
}

NOINLINE uint64_t middle(uint64_t x)
{
	return innermost(x) + 1;
}

NOINLINE uint64_t outer(uint64_t x)
{
	return middle(x) ^ innermost(x);
}

NOINLINE uint64_t recurse(int n, uint64_t x)
{
	volatile uint64_t kept = x; /* a frame of its own, whatever the optimizer thinks */
	if (n)
		return recurse(n - 1, x + 1) * 3 + kept;
	for (int i = 0; i < (deep ? 5000 : 1); i++) /* most stops find it down here */
		x = innermost(x);
	return x;
}

static int by_value(const void *a, const void *b)
{
	uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;
	sink += innermost(x);
	return x < y ? -1 : x > y;
}

NOINLINE void sorting(void)
{
	uint32_t v[64];
	for (int i = 0; i < 64; i++)
		v[i] = (uint32_t)innermost((uint64_t)i);
	qsort(v, 64, sizeof(v[0]), by_value);
	sink += v[0];
}

NOINLINE uint64_t realigned(int n)
{
	_Alignas(64) volatile char aligned[128];
	volatile char *dynamic = alloca((size_t)n);
	aligned[0] = 1;
	dynamic[n - 1] = 2;
	return innermost((uint64_t)(uintptr_t)aligned) + (uint64_t)dynamic[n - 1];
}

NOINLINE uint64_t many_registers(uint64_t a, uint64_t b, uint64_t c, uint64_t d, uint64_t e)
{
	uint64_t f = innermost(a), g = innermost(b), h = innermost(c), i = innermost(d);
	return f * g + h * i + innermost(e) * a + b * c + d;
}

NOINLINE void libc_leafs(void)
{
	memset(text, 'x', sizeof(text) - 1);
	for (size_t n = 1; n < sizeof(text); n = n * 3 + 1) {
		memcpy(copy, text, n);
		memmove(copy + 1, copy, n - 1);
		copy[n] = '\0';
		sink += strlen(copy) + (uint64_t)(memchr(copy, 'y', n) != NULL) +
		        (uint64_t)strcmp(copy, text);
	}
	snprintf(copy, sizeof(copy), "%s %d %f", "text", 42, 3.25);
	sink += strtoul("12345", NULL, 10) + (uint64_t)getppid();
	free(malloc(100));
}

static void on_signal(int sig)
{
	sink += outer((uint64_t)sig);
}

static void set_signals(void)
{
	static char alternate[64 * 1024];
	stack_t ss = {.ss_sp = alternate, .ss_size = sizeof(alternate)};
	struct sigaction sa = {.sa_handler = on_signal};
	struct itimerval every = {{0, 3000}, {0, 3000}};
	sigaction(SIGVTALRM, &sa, NULL);
	sigaltstack(&ss, NULL);
	sa.sa_flags = SA_ONSTACK;
	sigaction(SIGUSR1, &sa, NULL);
	setitimer(ITIMER_VIRTUAL, &every, NULL);
}

int main(int argc, char **argv)
{
	int quiet = 0;
	for (int i = 1; i < argc; i++) {
		deep |= !strcmp(argv[i], "deep");
		quiet |= !strcmp(argv[i], "quiet");
	}
	if (!quiet)
		set_signals();
	for (int i = 0;; i++) {
		sink += outer((uint64_t)i) + recurse(deep ? 2000 : 20, (uint64_t)i);
		sorting();
		sink += realigned(i % 100 + 1) + many_registers(1, 2, 3, 4, (uint64_t)i);
		libc_leafs();
		if (!quiet)
			raise(i & 1 ? SIGUSR1 : SIGVTALRM);
	}
}
