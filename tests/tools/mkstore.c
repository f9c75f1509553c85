/* SPDX-License-Identifier: Apache-2.0 */
/* Puts a profile into a store, as often as asked for, so that what reads stores is tested without
 * days of recording.
 *
 * mkstore DIR PPROF START_SECONDS COUNT STEP_SECONDS TYPE LABEL=VALUE...   (labels sorted by name)
 *
 * How much wall time the puts took goes to stderr. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <csample/clock.h>
#include <csample/format.h>
#include <csample/mem.h>
#include <csample/store.h>

static void die_of(struct err *err)
{
	if (!err)
		return;
	fprintf(stderr, "mkstore: %s\n", err->msg);
	exit(1);
}

static char *load(const char *path, size_t *len)
{
	FILE *in = fopen(path, "r");
	char *bytes = mem_alloc((size_t)64 << 20);
	if (!in)
		die_of(err_new(ERR_SYS, "no %s", path));
	*len = fread(bytes, 1, (size_t)64 << 20, in);
	fclose(in);
	return bytes;
}

int main(int argc, char **argv)
{
	if (argc < 7) {
		fprintf(stderr, "usage: mkstore DIR PPROF START COUNT STEP TYPE LABEL=VALUE...\n");
		return 2;
	}
	struct strings *strings = strings_create();
	struct profile *p = profile_create(strings);
	die_of(profile_read(argv[2], p));
	size_t len;
	char *bytes = load(argv[2], &len);
	struct outlet_label labels[STORE_MAX_LABELS];
	struct store_profile profile = {
	        .type = argv[6], .labels = labels, .samples = p->total[0], .total = p->total[1]};
	for (int i = 7; i < argc && profile.n_labels < STORE_MAX_LABELS; i++) {
		char *value = strchr(argv[i], '=');
		if (!value)
			die_of(err_new(ERR_USAGE, "%s is no LABEL=VALUE", argv[i]));
		*value = '\0';
		labels[profile.n_labels++] = (struct outlet_label){argv[i], value + 1};
	}
	double start = strtod(argv[3], NULL), step = strtod(argv[5], NULL);
	long count = strtol(argv[4], NULL, 10);
	struct store *s;
	die_of(store_open(argv[1], STORE_CREATE, &s));
	profile.duration_ns = (uint64_t)(step * 1e9);
	uint64_t begin = now_ns();
	for (long i = 0; i < count; i++) {
		profile.start_unix_ns = (int64_t)((start + (double)i * step) * 1e9);
		die_of(store_put(s, &profile, bytes, len));
	}
	fprintf(stderr, "%ld puts of %zu bytes in %.3f s\n", count, len,
	        (double)(now_ns() - begin) / 1e9);
	store_close(s);
	free(bytes);
	profile_destroy(p);
	strings_destroy(strings);
	return 0;
}
