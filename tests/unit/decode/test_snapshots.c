/* SPDX-License-Identifier: Apache-2.0 */
/* The decoders on what real interpreters left: each tests/snapshots/RUNTIME-VERSION/NAME.snapshot
 * is decoded as a live process would be, and the text compared with NAME.txt beside it, which was
 * checked against what Python or Node.js said when it was recorded. With a file as argument, prints
 * its text.
 */
#include <glob.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <csample/decode.h>
#include <csample/mem.h>
#include <csample/recording.h>
#include <csample/strbuf.h>

#define SNAPSHOTS "tests/snapshots/*/*.snapshot"

static void add_local(void *arg, const char *name, const char *repr, bool is_argument)
{
	strbuf_add(arg, is_argument ? "      argument " : "      ");
	strbuf_add_terminal(arg, name);
	strbuf_add(arg, " = ");
	strbuf_add_terminal(arg, repr);
	strbuf_addc(arg, '\n');
}

static void add_native(struct strbuf *b, struct recording *r, const struct raw_frame *raw)
{
	struct image *img = images_get(r->target->images, raw->owner);
	const char *name = NULL;
	uint64_t start, addr = raw->addr - (raw->flags & RAW_RETURN ? 1 : 0);
	if (raw->kind == RAW_NATIVE && img && recording_name(r, img, addr, &name, &start))
		strbuf_addf(b, "  [%s]\n", name);
	else
		strbuf_addf(b, "  [%s]\n", raw->kind == RAW_NATIVE ? "no name" : "no file");
}

static void add_thread(struct strbuf *b, struct recording *r, struct decoder *d, struct decoding *p,
                       struct recorded_thread *th)
{
	struct decoded decoded = decode(p, &th->snap, &th->stack);
	struct runtime *rt = decoded.runtime;
	char name[256] = "";
	size_t n = 0;
	if (rt && rt->ops->thread_name)
		rt->ops->thread_name(rt, th->snap.tid, name, sizeof(name));
	strbuf_add(b, "thread ");
	strbuf_add_terminal(b, name);
	strbuf_addf(b, ": %s%s%s\n", walk_end_names[decoded.end],
	            decoded.holds_lock ? ", holds the lock" : "",
	            decoded.unmerged ? ", unmerged" : "");
	for (size_t i = 0; i < th->stack.n; i++) {
		const struct raw_frame *raw = &th->stack.frames[i];
		struct frame f;
		if (raw->kind != RAW_RUNTIME) {
			add_native(b, r, raw);
			continue;
		}
		decoder_name(d, *raw, &f);
		strbuf_add(b, "  ");
		strbuf_add_terminal(b, f.function);
		strbuf_addf(b, " (%s:%u", f.file ? f.file : "?", f.line);
		if (f.kind == FRAME_JAVASCRIPT && f.column)
			strbuf_addf(b, ":%u", f.column);
		strbuf_add(b, ")\n");
		if (rt && rt->ops->locals && raw->owner == rt->index)
			rt->ops->locals(rt, &th->snap, n++, add_local, b);
	}
}

static bool add_recording(struct strbuf *b, const char *path)
{
	struct strings *strings = strings_create();
	struct images *images = images_create(strings);
	struct recording *r = NULL;
	struct err *err = recording_load(path, images, strings, &r);
	if (err) {
		strbuf_addf(b, "%s\n", err->msg);
		err_free(err);
	} else {
		struct decoder *d = decoder_create(strings, NATIVE_OWN, recording_name, r);
		struct decoding *p = decoding_open(d, r->target);
		struct runtime *rt[4];
		decoding_refresh(p);
		size_t n = decoding_runtimes(p, rt, 4);
		for (size_t i = 0; i < n; i++)
			strbuf_addf(b, "%s %s\n", rt[i]->ops->title, rt[i]->version);
		for (size_t i = 0; i < r->n_threads; i++)
			add_thread(b, r, d, p, &r->threads[i]);
		decoding_close(p);
		decoder_destroy(d);
	}
	recording_destroy(r);
	images_destroy(images);
	strings_destroy(strings);
	return !err;
}

static char *read_text(const char *path)
{
	FILE *f = fopen(path, "rb");
	char *text = mem_zalloc((size_t)1 << 20);
	size_t n = f ? fread(text, 1, ((size_t)1 << 20) - 1, f) : 0;
	assert_true(n > 0);
	fclose(f);
	return text;
}

/* The first line that differs is what one wants to see of two hundred. */
static void assert_same(const char *path, const char *got, const char *wanted)
{
	for (unsigned line = 1; *got || *wanted; line++) {
		int n = (int)strcspn(got, "\n"), m = (int)strcspn(wanted, "\n");
		if (n != m || memcmp(got, wanted, (size_t)n) != 0)
			fail_msg("%s, line %u: '%.*s' instead of '%.*s'", path, line, n, got, m,
			         wanted);
		got += n + (got[n] == '\n');
		wanted += m + (wanted[m] == '\n');
	}
}

static void replays_to_the_stacks_that_were(void **state)
{
	(void)state;
	glob_t found = {0};
	assert_int_equal(glob(SNAPSHOTS, 0, NULL, &found), 0);
	assert_true(found.gl_pathc > 0);
	for (size_t i = 0; i < found.gl_pathc; i++) {
		const char *path = found.gl_pathv[i];
		struct strbuf b = {0};
		size_t len = strlen(path) - strlen("snapshot");
		_cleanup_free_ char *text_path = mem_asprintf("%.*stxt", (int)len, path);
		_cleanup_free_ char *wanted = read_text(text_path);
		assert_true(add_recording(&b, path));
		assert_same(text_path, b.s, wanted);
		strbuf_free(&b);
	}
	globfree(&found);
}

int main(int argc, char **argv)
{
	if (argc > 1) {
		struct strbuf b = {0};
		bool ok = add_recording(&b, argv[1]);
		fputs(b.s, stdout);
		strbuf_free(&b);
		return !ok;
	}
	const struct CMUnitTest tests[] = {
	        cmocka_unit_test(replays_to_the_stacks_that_were),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
