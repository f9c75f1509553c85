/* SPDX-License-Identifier: Apache-2.0 */
/* What did they mean? The nearest known word by edit distance. */
#include <string.h>

#include <csample/mem.h>

#include "options.h"

#define MAX_WORD 32

static size_t min3(size_t a, size_t b, size_t c)
{
	size_t least = a < b ? a : b;
	return least < c ? least : c;
}

/* Damerau-Levenshtein distance, restricted (no edits between transposed letters), of two words of
 * at most MAX_WORD bytes. */
static size_t distance(const char *a, size_t la, const char *b, size_t lb)
{
	size_t d[MAX_WORD + 1][MAX_WORD + 1];
	for (size_t i = 0; i <= la; i++)
		d[i][0] = i;
	for (size_t j = 0; j <= lb; j++)
		d[0][j] = j;
	for (size_t i = 1; i <= la; i++) {
		for (size_t j = 1; j <= lb; j++) {
			size_t cost = a[i - 1] != b[j - 1];
			d[i][j] = min3(d[i - 1][j] + 1, d[i][j - 1] + 1, d[i - 1][j - 1] + cost);
			if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1] &&
			    d[i - 2][j - 2] + 1 < d[i][j])
				d[i][j] = d[i - 2][j - 2] + 1;
		}
	}
	return d[la][lb];
}

const char *suggest(const char *word, const char *const *names, size_t n)
{
	size_t len = strlen(word);
	if (len < 2 || len > MAX_WORD)
		return NULL;
	const char *best = NULL;
	size_t least = len < 5 ? 2 : len / 3 + 2; /* further away it is another word */
	for (size_t i = 0; i < n; i++) {
		size_t name_len = strlen(names[i]);
		if (name_len > MAX_WORD)
			continue;
		size_t dist = distance(word, len, names[i], name_len);
		if (dist < least && dist < name_len) {
			least = dist;
			best = names[i];
		}
	}
	return best;
}
