/* SPDX-License-Identifier: Apache-2.0 */
/* In the place of libFuzzer, for `make check SAN=1`: every file it is given, and of each the same
 * RUNS damaged copies every time. replay RUNS FILE... */
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define MAX_INPUT (8u << 20)
#define SECONDS   20 /* for one input */

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
__attribute__((weak)) size_t LLVMFuzzerCustomMutator(uint8_t *data, size_t size, size_t max_size,
                                                     unsigned seed);
size_t LLVMFuzzerMutate(uint8_t *data, size_t size, size_t max_size);

static uint64_t state = 1;

static size_t random_below(size_t n)
{
	state ^= state << 13;
	state ^= state >> 7;
	state ^= state << 17;
	return n ? (size_t)(state >> 11) % n : 0;
}

static void put_word(uint8_t *data, size_t size)
{
	static const uint64_t words[] = {0,         1,          0x7f,       0xff,
	                                 0x7fff,    0xffff,     0x7fffffff, 0xffffffff,
	                                 INT64_MAX, UINT64_MAX, 1ULL << 40, 0x1000};
	uint64_t word = words[random_below(sizeof(words) / sizeof(*words))];
	size_t len = (size_t)1 << random_below(4), at = random_below(size);
	memcpy(data + at, &word, len < size - at ? len : size - at);
}

size_t LLVMFuzzerMutate(uint8_t *data, size_t size, size_t max_size)
{
	size_t at = random_below(size), len = random_below(64) + 1;
	switch (size ? random_below(6) : 5) {
	case 0:
		data[at] ^= (uint8_t)(1u << random_below(8));
		return size;
	case 1:
		put_word(data, size);
		return size;
	case 2: /* cut off */
		return at;
	case 3: /* left out */
		len = len < size - at ? len : size - at;
		memmove(data + at, data + at + len, size - at - len);
		return size - len;
	case 4: /* from elsewhere */
		len = len < size - at ? len : size - at;
		memmove(data + at, data + random_below(size - len + 1), len);
		return size;
	default: /* put in */
		if (size + len > max_size)
			return size;
		memmove(data + at + len, data + at, size - at);
		for (size_t i = 0; i < len; i++)
			data[at + i] = (uint8_t)random_below(256);
		return size + len;
	}
}

/* Of its exact size, so that a read behind its end is seen. */
static void run(const uint8_t *data, size_t size)
{
	uint8_t *copy = malloc(size ? size : 1);
	if (!copy)
		abort();
	memcpy(copy, data, size);
	alarm(SECONDS);
	LLVMFuzzerTestOneInput(copy, size);
	alarm(0);
	free(copy);
}

static void run_damaged(const uint8_t *data, size_t size, unsigned runs, uint8_t *buf)
{
	for (unsigned i = 0; i < runs; i++) {
		size_t n = size, changes = 1 + random_below(4);
		memcpy(buf, data, size);
		for (size_t k = 0; k < changes; k++)
			n = LLVMFuzzerCustomMutator
			            ? LLVMFuzzerCustomMutator(buf, n, MAX_INPUT,
			                                      (unsigned)random_below(1u << 30))
			            : LLVMFuzzerMutate(buf, n, MAX_INPUT);
		run(buf, n);
	}
}

int main(int argc, char **argv)
{
	uint8_t *data = malloc(MAX_INPUT), *buf = malloc(MAX_INPUT);
	unsigned runs = argc > 1 ? (unsigned)strtoul(argv[1], NULL, 10) : 0;
	if (!data || !buf)
		return 1;
	for (int i = 2; i < argc; i++) {
		FILE *f = fopen(argv[i], "re");
		if (!f) {
			perror(argv[i]);
			return 1;
		}
		size_t size = fread(data, 1, MAX_INPUT, f);
		fclose(f);
		fprintf(stderr, "%s\n", argv[i]); /* the last one is the one that failed */
		run(data, size);
		run_damaged(data, size, runs, buf);
	}
	printf("%d inputs\n", argc - 2);
	free(data);
	free(buf);
	return argc > 2 ? 0 : 1;
}
