/* SPDX-License-Identifier: Apache-2.0 */
/* Files of intervals, in a directory of its own each time. */
#include <dirent.h>
#include <fcntl.h>
#include <limits.h>
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
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

#include <csample/mem.h>
#include <csample/outlet.h>

#define START 1795249800LL /* 2026-11-21 08:30:00 UTC */

static char home[PATH_MAX];
static struct strings *strings;
static struct profile *p;

static int setup(void **state)
{
	(void)state;
	const char *tmp = getenv("TMPDIR");
	snprintf(home, sizeof(home), "%s/csample-files-XXXXXX", tmp ? tmp : "/tmp");
	setenv("TZ", "UTC", 1);
	tzset();
	strings = strings_create();
	p = profile_create(strings);
	p->meta.pid = 4242;
	p->meta.start_unix_ns = START * 1000000000;
	struct frame f = {.kind = FRAME_PYTHON, .function = intern(strings, "work")};
	struct location loc = {.n_frames = 1, .frames = &f};
	uint64_t values[PROFILE_VALUES] = {3, 30000000};
	profile_add_to_node(p, profile_child(p, 0, profile_add_location(p, &loc)), values);
	return mkdtemp(home) && !chdir(home) ? 0 : -1;
}

static int teardown(void **state)
{
	(void)state;
	_cleanup_free_ char *command = mem_asprintf("rm -rf '%s'", home);
	profile_destroy(p);
	strings_destroy(strings);
	return chdir("/") || system(command) ? -1 : 0;
}

static int by_name(const void *a, const void *b)
{
	return strcmp(*(char *const *)a, *(char *const *)b);
}

/* The names of all files here, sorted, with a blank between; until the next call. */
static const char *files(void)
{
	static char text[4096];
	char *names[256];
	size_t n = 0;
	DIR *dir = opendir(".");
	assert_non_null(dir);
	struct dirent *entry;
	while ((entry = readdir(dir)))
		if (strcmp(entry->d_name, ".") != 0 && strcmp(entry->d_name, "..") != 0)
			names[n++] = mem_strdup(entry->d_name);
	closedir(dir);
	qsort(names, n, sizeof(*names), by_name);
	text[0] = '\0';
	for (size_t i = 0; i < n; i++) {
		snprintf(text + strlen(text), sizeof(text) - strlen(text), "%s%s", i ? " " : "",
		         names[i]);
		free(names[i]);
	}
	return text;
}

static void touch(const char *name, long age_seconds, size_t bytes)
{
	FILE *f = fopen(name, "w");
	assert_non_null(f);
	for (size_t i = 0; i < bytes; i++)
		fputc('x', f);
	fclose(f);
	struct timespec times[2];
	clock_gettime(CLOCK_REALTIME, &times[0]);
	times[0].tv_sec -= age_seconds;
	times[1] = times[0];
	assert_int_equal(utimensat(AT_FDCWD, name, times, 0), 0);
}

static struct outlet *open_files(const char *pattern, struct retention keep)
{
	struct outlet *o;
	struct err *err = outlet_files(pattern, NULL, NULL, &keep, &o);
	if (err)
		fail_msg("%s", err->msg);
	return o;
}

static void put(struct outlet *o, uint64_t sequence)
{
	struct delivery d = {.profile = p,
	                     .sequence = sequence,
	                     .type = "process_cpu",
	                     .pprof = "PPROF",
	                     .pprof_len = 5};
	struct err *err = o->ops->put(o, &d);
	if (err)
		fail_msg("%s", err->msg);
}

static void is_refused(const char *pattern, struct retention keep, const char *why)
{
	struct outlet *o;
	struct err *err = outlet_files(pattern, NULL, NULL, &keep, &o);
	assert_non_null(err);
	if (!strstr(err->msg, why))
		fail_msg("%s: no '%s' in: %s", pattern, why, err->msg);
	err_free(err);
	assert_string_equal(files(), "");
}

static void names_of_files(void **state)
{
	(void)state;
	static const char *const cases[][2] = {
	        {"a-%t-%p-%n.pb.gz", "a-20261121-083000-4242-7.pb.gz"},
	        {"%F_%H%M%S.folded", "2026-11-21_083000.folded"},
	        {"%s-%j-%y-%b-%z-100%%.svg", "1795249800-325-26-Nov-+0000-100%.svg"},
	        {"%T.json", "08:30:00.json"},
	        {"plain.pb.gz", "plain.pb.gz"},
	};
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		struct outlet *o = open_files(cases[i][0], (struct retention){0});
		put(o, 7);
		put(o, 7);
		/* Replaced, unless there is a %t. */
		if (!i) {
			assert_string_equal(files(), "a-20261121-083000-2-4242-7.pb.gz "
			                             "a-20261121-083000-4242-7.pb.gz");
			unlink("a-20261121-083000-2-4242-7.pb.gz");
		}
		assert_string_equal(files(), cases[i][1]);
		struct outlet_stats stats;
		o->ops->stats(o, &stats);
		assert_int_equal(stats.delivered, 2);
		o->ops->close(o, 0);
		unlink(cases[i][1]);
	}
}

static void contents_are_of_the_format(void **state)
{
	(void)state;
	char text[64] = "";
	struct outlet *o = open_files("a.pb.gz", (struct retention){0});
	put(o, 1);
	o->ops->close(o, 0);
	FILE *f = fopen("a.pb.gz", "r");
	assert_non_null(fgets(text, sizeof(text), f));
	fclose(f);
	assert_string_equal(text, "PPROF");
	struct emit_options emit = {0};
	assert_null(outlet_files("b.pb.gz", format_by_name("collapsed"), &emit, NULL, &o));
	put(o, 1);
	o->ops->close(o, 0);
	f = fopen("b.pb.gz", "r");
	assert_non_null(fgets(text, sizeof(text), f));
	fclose(f);
	assert_string_equal(text, "work 3\n");
}

static void bad_patterns(void **state)
{
	(void)state;
	struct retention none = {0};
	is_refused("a-%q.pb.gz", none, "%q is not known");
	is_refused("a.pb.gz%", none, "format");
	is_refused("%.svg", none, "%. is not known");
	is_refused("%Y/a.svg", none, "name of a directory");
	is_refused("missing/a.svg", none, "No such file");
	is_refused("./", none, "format");
	is_refused("a-%t", none, "-f (svg");
	is_refused("-", none, "several profiles");
	is_refused("a.pb.gz", (struct retention){.count = 3}, "nothing to keep");
}

static void keeps_a_number(void **state)
{
	(void)state;
	/* Of an earlier run, and things that look like it. */
	touch("a-20261120-010203-77.pb.gz", 300, 10);
	touch("a-20261120-010204-2-78.pb.gz", 200, 10);
	touch("a-20261120-010203-77.pb.gz.bak", 300, 10);
	touch("a-20261120-0102x3-77.pb.gz", 300, 10);
	touch("a-20261120-010203-.pb.gz", 300, 10);
	touch("b-20261120-010203-77.pb.gz", 300, 10);
	assert_int_equal(mkdir("a-20261120-010203-1.pb.gz", 0777), 0);
	assert_int_equal(symlink("b-20261120-010203-77.pb.gz", "a-20261120-010203-2.pb.gz"), 0);
	struct outlet *o = open_files("a-%t-%p.pb.gz", (struct retention){.count = 2});
	put(o, 1);
	put(o, 2);
	put(o, 3);
	o->ops->close(o, 0);
	assert_string_equal(files(), "a-20261120-010203-.pb.gz a-20261120-010203-1.pb.gz "
	                             "a-20261120-010203-2.pb.gz a-20261120-010203-77.pb.gz.bak "
	                             "a-20261120-0102x3-77.pb.gz a-20261121-083000-2-4242.pb.gz "
	                             "a-20261121-083000-3-4242.pb.gz b-20261120-010203-77.pb.gz");
}

static void keeps_by_age_and_size(void **state)
{
	(void)state;
	touch("a-1.pb.gz", 7200, 10);
	touch("a-2.pb.gz", 3500, 10);
	struct outlet *o = open_files("a-%n.pb.gz", (struct retention){.age_ns = 3600000000000});
	put(o, 3);
	o->ops->close(o, 0);
	assert_string_equal(files(), "a-2.pb.gz a-3.pb.gz");
	o = open_files("a-%n.pb.gz", (struct retention){.bytes = 12});
	put(o, 4);
	assert_string_equal(files(), "a-3.pb.gz a-4.pb.gz");
	put(o, 4); /* counts once */
	assert_string_equal(files(), "a-3.pb.gz a-4.pb.gz");
	o->ops->close(o, 0);
	o = open_files("a-%n.pb.gz", (struct retention){.bytes = 1});
	put(o, 5); /* the newest stays, whatever was said */
	o->ops->close(o, 0);
	assert_string_equal(files(), "a-5.pb.gz");
}

/* A file too large stands in for a full disk: nothing half is left, and it goes on afterwards. */
static void goes_on_after_an_error(void **state)
{
	(void)state;
	struct rlimit old, none = {0, RLIM_INFINITY};
	struct delivery d = {.profile = p, .sequence = 1, .pprof = "PPROF", .pprof_len = 5};
	struct outlet *o = open_files("a-%n.pb.gz", (struct retention){.count = 5});
	getrlimit(RLIMIT_FSIZE, &old);
	none.rlim_max = old.rlim_max;
	signal(SIGXFSZ, SIG_IGN);
	assert_int_equal(setrlimit(RLIMIT_FSIZE, &none), 0);
	struct err *err = o->ops->put(o, &d);
	assert_int_equal(setrlimit(RLIMIT_FSIZE, &old), 0);
	assert_non_null(err);
	struct outlet_stats stats;
	o->ops->stats(o, &stats);
	assert_int_equal(stats.delivered, 0);
	assert_int_equal(stats.rejected, 1);
	assert_string_equal(stats.last_error, err->msg);
	err_free(err);
	assert_string_equal(files(), "");
	put(o, 2);
	o->ops->close(o, 0);
	assert_string_equal(files(), "a-2.pb.gz");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	        cmocka_unit_test_setup_teardown(names_of_files, setup, teardown),
	        cmocka_unit_test_setup_teardown(contents_are_of_the_format, setup, teardown),
	        cmocka_unit_test_setup_teardown(bad_patterns, setup, teardown),
	        cmocka_unit_test_setup_teardown(keeps_a_number, setup, teardown),
	        cmocka_unit_test_setup_teardown(keeps_by_age_and_size, setup, teardown),
	        cmocka_unit_test_setup_teardown(goes_on_after_an_error, setup, teardown),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
