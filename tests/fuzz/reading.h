/* SPDX-License-Identifier: Apache-2.0 */
/* A reader of profiles on any bytes: whatever it makes of them must hold together, and what it
 * takes as a whole can be written and read again with the same sums. */
#ifndef FUZZ_READING_H
#define FUZZ_READING_H

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "../../src/emit/emit.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define MUST(condition)                                                                 \
	do {                                                                            \
		if (!(condition)) {                                                     \
			fprintf(stderr, "%s:%d: %s\n", __FILE__, __LINE__, #condition); \
			abort();                                                        \
		}                                                                       \
	} while (0)

static inline void check_whole(const struct profile *p)
{
	uint64_t sums[PROFILE_VALUES] = {0};
	for (size_t i = 0; i < p->n_nodes; i++) {
		MUST(!i || p->nodes[i].parent < i);
		MUST(!i || p->nodes[i].location < p->n_locations);
		for (size_t v = 0; v < PROFILE_VALUES; v++)
			sums[v] += p->nodes[i].self[v];
	}
	MUST(!memcmp(sums, p->total, sizeof(sums)));
	for (size_t i = 0; i < p->n_locations; i++) {
		MUST(p->locations[i].n_frames && p->locations[i].mapping <= p->n_mappings);
		for (uint32_t f = 0; f < p->locations[i].n_frames; f++)
			MUST(p->locations[i].frames[f].function[0]);
	}
}

static inline void check_again(const struct profile *p, struct strings *strings)
{
	static const struct emit_options opt = {0};
	char *text = NULL;
	size_t len = 0;
	FILE *out = open_memstream(&text, &len);
	struct profile *again = profile_create(strings);
	MUST(out && !format_json.write(p, &opt, out) && !fclose(out));
	MUST(format_json.is_it(text, len) && !format_json.read(text, len, again));
	MUST(!memcmp(again->total, p->total, sizeof(p->total)));
	profile_destroy(again);
	free(text);
}

/* Exactly as long as said, so that a step too far is seen. */
static inline int read_any(const struct format *format, const uint8_t *data, size_t size)
{
	char *bytes = malloc(size ? size : 1);
	memcpy(bytes, data, size);
	struct strings *strings = strings_create();
	struct profile *p = profile_create(strings);
	format->is_it(bytes, size);
	struct err *err = format->read(bytes, size, p);
	check_whole(p);
	if (!err)
		check_again(p, strings);
	err_free(err);
	profile_destroy(p);
	strings_destroy(strings);
	free(bytes);
	return 0;
}

#endif
