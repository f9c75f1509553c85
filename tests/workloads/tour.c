/* SPDX-License-Identifier: Apache-2.0 */
/* What scripts/demo looks at: two threads, one that indexes a text and one that draws, in functions
 * whose names say what they do. */
#include <pthread.h>

#include "workload.h"

#define WORDS 4000
#define SIZE  200

static char text[WORDS][12];
static unsigned counts[1 << 12];
static int order[WORDS];
static unsigned char image[SIZE][SIZE];
static volatile unsigned sink;

NOINLINE static void make_words(unsigned seed)
{
	for (int i = 0; i < WORDS; i++) {
		for (int k = 0; k < 11; k++) {
			seed = seed * 1664525u + 1013904223u;
			text[i][k] = (char)('a' + (seed >> 24) % 4);
		}
		text[i][11] = '\0';
	}
}

NOINLINE static unsigned hash_word(const char *word)
{
	unsigned h = 5381;
	while (*word)
		h = h * 33 + (unsigned char)*word++;
	return h % (1 << 12);
}

NOINLINE static void count_words(void)
{
	for (int round = 0; round < 8; round++)
		for (int i = 0; i < WORDS; i++)
			counts[hash_word(text[i])]++;
}

NOINLINE static int compare_words(const char *a, const char *b)
{
	while (*a && *a == *b)
		a++, b++;
	return *a - *b;
}

static inline int before(int a, int b)
{
	return compare_words(text[a], text[b]) < 0;
}

NOINLINE static void sort_words(int from, int to)
{
	int i = from, k = to, pivot = order[(from + to) / 2];
	while (i <= k) {
		while (before(order[i], pivot))
			i++;
		while (before(pivot, order[k]))
			k--;
		if (i <= k) {
			int swap = order[i];
			order[i++] = order[k];
			order[k--] = swap;
		}
	}
	if (from < k)
		sort_words(from, k);
	if (i < to)
		sort_words(i, to);
}

NOINLINE static void index_text(void)
{
	for (int i = 0; i < WORDS; i++)
		order[i] = i;
	count_words();
	sort_words(0, WORDS - 1);
	sink += counts[1] + (unsigned)order[0];
}

NOINLINE static int iterate_point(double x, double y)
{
	double a = 0, b = 0;
	int n = 0;
	for (; n < 100 && a * a + b * b < 4; n++) {
		double t = a * a - b * b + x;
		b = 2 * a * b + y;
		a = t;
	}
	return n;
}

NOINLINE static void draw_row(int row)
{
	for (int i = 0; i < SIZE; i++)
		image[row][i] =
		        (unsigned char)iterate_point(3.0 * i / SIZE - 2, 2.0 * row / SIZE - 1);
}

NOINLINE static void blur_image(void)
{
	for (int row = 1; row < SIZE - 1; row++)
		for (int i = 1; i < SIZE - 1; i++)
			image[row][i] = (unsigned char)((image[row - 1][i] + image[row + 1][i] +
			                                 image[row][i - 1] + image[row][i + 1]) /
			                                4);
}

NOINLINE static void draw_picture(void)
{
	for (int row = 0; row < SIZE; row++)
		draw_row(row);
	for (int round = 0; round < 20; round++)
		blur_image();
	sink += image[SIZE / 2][SIZE / 2];
}

static void *artist(void *arg)
{
	pthread_setname_np(pthread_self(), "artist");
	for (;;)
		draw_picture();
	return arg;
}

NOINLINE static void librarian(void)
{
	for (unsigned seed = 1;; seed++) {
		make_words(seed);
		index_text();
	}
}

int main(void)
{
	pthread_t thread;
	if (pthread_create(&thread, NULL, artist, NULL))
		return 1;
	ready();
	librarian();
}
