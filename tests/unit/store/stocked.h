/* SPDX-License-Identifier: Apache-2.0 */
/* A store in a folder of its own, a profile to put into it, and what is found there. */
#ifndef TEST_STOCKED_H
#define TEST_STOCKED_H

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

#include <csample/clock.h>
#include <csample/format.h>
#include <csample/mem.h>
#include <csample/store.h>

#define SECOND 1000000000LL
#define START  (1795249800LL * SECOND) /* 2026-11-21 08:30:00 UTC */

static char home[PATH_MAX];
static struct strings *strings;
static struct profile *p;
static char *pprof;
static size_t pprof_len;

static inline int setup(void **state)
{
	(void)state;
	const char *tmp = getenv("TMPDIR");
	snprintf(home, sizeof(home), "%s/csample-store-XXXXXX", tmp ? tmp : "/tmp");
	strings = strings_create();
	p = profile_create(strings);
	struct frame f = {.kind = FRAME_PYTHON, .function = intern(strings, "work")};
	struct location loc = {.n_frames = 1, .frames = &f};
	uint64_t values[PROFILE_VALUES] = {3, 30000000};
	profile_add_to_node(p, profile_child(p, 0, profile_add_location(p, &loc)), values);
	FILE *out = open_memstream(&pprof, &pprof_len);
	struct emit_options emit = {0};
	assert_null(format_by_name("pprof")->write(p, &emit, out));
	fclose(out);
	return mkdtemp(home) && !chdir(home) ? 0 : -1;
}

static inline int teardown(void **state)
{
	(void)state;
	_cleanup_free_ char *command = mem_asprintf("rm -rf '%s'", home);
	free(pprof);
	profile_destroy(p);
	strings_destroy(strings);
	return chdir("/") || system(command) ? -1 : 0;
}

static inline void fine(struct err *err)
{
	if (err)
		fail_msg("%s", err->msg);
}

static inline struct store *opened(enum store_mode mode)
{
	struct store *s = NULL;
	fine(store_open("s", mode, &s));
	return s;
}

static inline struct store_profile profile_at(int64_t start,
                                              const struct outlet_label labels[static 2])
{
	return (struct store_profile){.type = "process_cpu",
	                              .labels = labels,
	                              .n_labels = 2,
	                              .start_unix_ns = start,
	                              .duration_ns = 10 * SECOND,
	                              .samples = 3,
	                              .total = 30000000};
}

static inline void put(struct store *s, int64_t start, const char *service, const char *version)
{
	struct outlet_label labels[] = {{"service_name", service}, {"version", version}};
	struct store_profile profile = profile_at(start, labels);
	fine(store_put(s, &profile, pprof, pprof_len));
}

struct found {
	size_t n, unreadable;
	int64_t last;
	char text[4096];
};

static inline bool note(void *arg, const struct store_entry *e)
{
	struct found *f = arg;
	struct strings *own = strings_create();
	struct profile *read = profile_create(own);
	struct err *err = profile_read(e->path, read);
	f->unreadable += err || read->total[0] != 3;
	if (err && f->unreadable == 1)
		print_message("%s\n", err->msg);
	err_free(err);
	profile_destroy(read);
	strings_destroy(own);
	f->n++;
	f->last = e->profile.start_unix_ns;
	size_t len = strlen(f->text);
	snprintf(f->text + len, sizeof(f->text) - len, "%s%s+%lld", len ? " " : "", e->labels_json,
	         (long long)((e->profile.start_unix_ns - START) / SECOND));
	return true;
}

static inline struct found look(struct store *s, const char *text, int64_t from, int64_t to)
{
	struct found found = {0};
	struct selector *selector = NULL;
	if (text)
		fine(selector_parse(text, &selector));
	fine(store_each(s, selector, from, to, note, &found));
	selector_free(selector);
	assert_int_equal(found.unreadable, 0);
	return found;
}

static inline struct store_problems checked(bool repair)
{
	struct store_problems problems;
	struct store *s = opened(repair ? STORE_WRITE : STORE_READ);
	fine(store_check(s, repair, NULL, NULL, &problems));
	store_close(s);
	return problems;
}

/* What an index says of totals, and what there is. */
static inline void is_sound(size_t n)
{
	struct store_problems problems = checked(false);
	assert_int_equal(problems.missing + problems.unindexed + problems.damaged, 0);
	assert_int_equal(problems.profiles, n);
	assert_false(problems.index_damaged);
	struct store_totals totals = {0};
	struct store *s = opened(STORE_READ);
	fine(store_totals(s, &totals));
	assert_int_equal(totals.profiles, n);
	assert_int_equal(look(s, NULL, 0, INT64_MAX).n, n);
	store_close(s);
}

#endif
