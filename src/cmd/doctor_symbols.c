/* SPDX-License-Identifier: Apache-2.0 */
/* Which names the frames of a target will have. */
#include <string.h>

#include <csample/mem.h>
#include <csample/strbuf.h>
#include <csample/symbols.h>
#include <csample/target.h>

#include "doctor.h"

#define MAX_NAMED 4 /* modules told by name */

struct tally {
	size_t n, functions, lines;
	struct strbuf without; /* names of modules that name exported functions at best */
	size_t n_without;
};

/* .dynsym has what other modules call, and nothing of what a program calls itself. */
static bool names_its_functions(const struct symbols_source *source)
{
	return source->has_functions && strcmp(source->origin, "dynsym") != 0;
}

static void count(struct tally *tally, const struct image *img, const struct symbols_source *source)
{
	tally->n++;
	tally->functions += names_its_functions(source);
	tally->lines += source->has_lines;
	if (names_its_functions(source))
		return;
	const char *slash = strrchr(img->path, '/');
	if (tally->n_without++ < MAX_NAMED)
		strbuf_addf(&tally->without, "%s%s", tally->without.len ? ", " : "",
		            slash ? slash + 1 : img->path);
}

static void look(struct target *target, struct images *images, struct strings *strings,
                 struct diagnosis *d)
{
	static const struct symbols_config config = {.no_debuginfod = true};
	struct symbols *symbols = symbols_create(images, strings, &config);
	struct tally tally = {0};
	bool program = false;
	for (size_t i = 0; i < target->maps.n; i++) {
		const struct mapping *m = &target->maps.items[i];
		bool seen = false;
		for (size_t j = 0; j < i && !seen; j++)
			seen = target->maps.items[j].executable &&
			       target->maps.items[j].image == m->image;
		if (!m->executable || !m->image || m->image->path[0] == '[' ||
		    seen) /* not the vdso */
			continue;
		struct symbols_source source;
		symbols_source(symbols, m->image, &source);
		count(&tally, m->image, &source);
		if (!strcmp(m->image->path, target->exe) && names_its_functions(&source))
			program = true;
	}
	d->command = mem_strdup(target->command);
	bool bare = tally.n_without && !program;
	diagnosis_add(d, "symbols", bare ? LEVEL_DEGRADED : LEVEL_OK,
	              bare || tally.lines < tally.n ? FIX_SYMBOLS : FIX_NONE,
	              "of %zu modules, %zu name their functions and %zu lines%s%s%s", tally.n,
	              tally.functions, tally.lines,
	              tally.n_without ? "; only exported names in " : "",
	              tally.n_without ? tally.without.s : "",
	              tally.n_without > MAX_NAMED ? " and others" : "");
	strbuf_free(&tally.without);
	symbols_destroy(symbols);
}

void diagnose_program(pid_t pid, struct diagnosis *d)
{
	struct strings *strings = strings_create();
	struct images *images = images_create(strings);
	struct target *target = NULL;
	struct err *err = target_open(pid, images, strings, &target);
	if (!err) {
		diagnose_runtimes(target, strings, d);
		look(target, images, strings, d);
	}
	err_free(err);
	target_close(target);
	images_destroy(images);
	strings_destroy(strings);
}
