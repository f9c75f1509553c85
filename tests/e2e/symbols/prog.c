/* SPDX-License-Identifier: Apache-2.0 */
/* The C half of prog.cc. */
#include <stdlib.h>
#include <string.h>

struct item {
	char name[32];
	int value;
};

static inline int weigh(const struct item *it)
{
	int w = 0;
	for (const char *p = it->name; *p; p++)
		w += *p * it->value;
	return w;
}

static int compare(const void *a, const void *b)
{
	return weigh(a) - weigh(b);
}

__attribute__((noinline)) static int sum(const struct item *items, int n)
{
	int s = 0;
	for (int i = 0; i < n; i++)
		s += weigh(&items[i]);
	return s;
}

int from_c(int n);
int from_c(int n)
{
	struct item items[8];
	for (int i = 0; i < 8; i++) {
		memset(items[i].name, 'a' + (i * n) % 20, 8);
		items[i].name[8] = 0;
		items[i].value = (i * 7) % 5;
	}
	qsort(items, 8, sizeof(items[0]), compare);
	return sum(items, 8);
}

#ifdef WITH_MAIN
int main(int argc, char **argv)
{
	(void)argv;
	return from_c(argc);
}
#endif
