/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <csample/mem.h>
#include <csample/view.h>

static struct strings *strings;
static struct profile *p;

static int setup(void **state)
{
	(void)state;
	strings = strings_create();
	p = profile_create(strings);
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	profile_destroy(p);
	strings_destroy(strings);
	return 0;
}

/* Below parent, a call at a line of a function, of a kind; inlined: into which another is inlined
 * there (NULL: none). */
static uint32_t call(uint32_t parent, const char *function, uint32_t line, enum frame_kind kind,
                     const char *inlined)
{
	struct frame frames[2] = {{.kind = FRAME_INLINED, .function = intern(strings, inlined)},
	                          {.kind = kind,
	                           .function = intern(strings, function),
	                           .module = intern(strings, "/bin/app"),
	                           .file = intern(strings, "/src/a.c"),
	                           .line = line}};
	struct location loc = {.n_frames = inlined ? 2 : 1,
	                       .frames = inlined ? frames : frames + 1};
	return profile_child(p, parent, profile_add_location(p, &loc));
}

static void values(uint32_t node, uint64_t samples, uint64_t ns)
{
	profile_add_to_node(p, node, (uint64_t[PROFILE_VALUES]){samples, ns});
}

static const struct view_row *row(const struct view *v, const char *function, uint32_t line,
                                  uint32_t *index)
{
	size_t n;
	const struct view_row *rows = view_rows(v, &n);
	for (uint32_t i = 0; i < n; i++) {
		if (strcmp(rows[i].frame.function, function) != 0 || rows[i].frame.line != line)
			continue;
		if (index)
			*index = i;
		return &rows[i];
	}
	fail_msg("no row %s:%u", function, line);
	return NULL;
}

static void expect(const struct view *v, const char *function, uint64_t own, uint64_t total,
                   uint64_t recent_own, uint64_t recent_total)
{
	const struct view_row *r = row(v, function, 0, NULL);
	assert_int_equal(r->own[1], own);
	assert_int_equal(r->total[1], total);
	assert_int_equal(r->recent_own[1], recent_own);
	assert_int_equal(r->recent_total[1], recent_total);
}

static void recursion_counts_once_and_updates_add_up(void **state)
{
	(void)state;
	uint32_t main = call(0, "main", 1, FRAME_NATIVE, NULL);
	uint32_t f = call(main, "f", 2, FRAME_NATIVE, NULL);
	uint32_t again = call(f, "f", 3, FRAME_NATIVE, NULL);
	values(again, 1, 10);
	values(main, 1, 5);
	struct view *v = view_create(p, &(struct view_config){.kind = VIEW_FUNCTIONS});
	view_update(v);
	expect(v, "main", 5, 15, 5, 15);
	expect(v, "f", 10, 10, 10, 10);
	values(again, 1, 7);
	values(call(main, "g", 4, FRAME_NATIVE, "small"), 1, 3);
	view_update(v);
	expect(v, "main", 5, 25, 0, 10);
	expect(v, "f", 17, 17, 7, 7);
	expect(v, "small", 3, 3, 3, 3);
	expect(v, "g", 0, 3, 0, 3);
	view_update(v);
	expect(v, "f", 17, 17, 0, 0);
	assert_int_equal(view_total(v)[1], 25);
	assert_int_equal(view_recent_total(v)[1], 0);
	view_reset(v);
	expect(v, "f", 0, 0, 0, 0);
	values(f, 1, 1);
	view_update(v);
	expect(v, "f", 1, 1, 1, 1);
	assert_int_equal(view_total(v)[1], 1);
	view_destroy(v);
}

static void lines_and_modules(void **state)
{
	(void)state;
	uint32_t main = call(0, "main", 1, FRAME_NATIVE, NULL);
	values(call(main, "f", 2, FRAME_NATIVE, NULL), 1, 10);
	values(call(main, "f", 3, FRAME_NATIVE, NULL), 1, 20);
	values(0, 1, 4);
	struct view *v = view_create(p, &(struct view_config){.kind = VIEW_LINES});
	view_update(v);
	assert_int_equal(row(v, "f", 2, NULL)->own[1], 10);
	assert_int_equal(row(v, "f", 3, NULL)->own[1], 20);
	view_destroy(v);
	v = view_create(p, &(struct view_config){.kind = VIEW_MODULES});
	view_update(v);
	expect(v, "/bin/app", 30, 30, 30, 30);
	expect(v, "[no frames]", 4, 4, 4, 4);
	size_t n;
	free(view_edges(v, &n));
	assert_int_equal(n, 0);
	view_destroy(v);
}

static uint32_t thread(uint32_t tid, const char *name)
{
	struct frame f = {.kind = FRAME_MARK, .function = intern(strings, name)};
	struct location loc = {
	        .raw = {.kind = RAW_THREAD, .owner = tid}, .n_frames = 1, .frames = &f};
	return profile_child(p, 0, profile_add_location(p, &loc));
}

static void threads_are_rows_of_their_own_view(void **state)
{
	(void)state;
	uint32_t one = thread(1, "one"), two = thread(2, "two");
	values(call(one, "f", 1, FRAME_NATIVE, NULL), 1, 10);
	values(call(two, "f", 1, FRAME_NATIVE, NULL), 1, 5);
	values(call(0, "f", 1, FRAME_NATIVE, NULL), 1, 1);
	struct view *v = view_create(p, &(struct view_config){.kind = VIEW_THREADS});
	view_update(v);
	expect(v, "one", 10, 10, 10, 10);
	expect(v, "[all threads]", 1, 1, 1, 1);
	view_destroy(v);
	v = view_create(p, &(struct view_config){.kind = VIEW_FUNCTIONS, .below = two});
	view_update(v);
	expect(v, "f", 5, 5, 5, 5);
	assert_int_equal(view_total(v)[1], 5);
	size_t n;
	view_rows(v, &n);
	assert_int_equal(n, 1);
	view_destroy(v);
}

static void native_frames_can_be_left_out(void **state)
{
	(void)state;
	uint32_t node = call(0, "main", 1, FRAME_NATIVE, NULL);
	node = call(node, "script", 2, FRAME_PYTHON, NULL);
	values(call(node, "memcpy", 3, FRAME_NATIVE, NULL), 1, 8);
	struct view *v = view_create(p, &(struct view_config){.no_native = true});
	view_update(v);
	expect(v, "script", 8, 8, 8, 8);
	size_t n;
	view_rows(v, &n);
	assert_int_equal(n, 1);
	view_destroy(v);
}

/* A location without frames is nothing yet; when it is named, what grows counts on its name. */
static void names_may_come_later(void **state)
{
	(void)state;
	struct raw_frame raw = {.kind = RAW_MARK, .aux = (uintptr_t)intern(strings, "[late]")};
	uint64_t one[PROFILE_VALUES] = {1, 6};
	profile_add(p, &raw, 1, one);
	struct view *v = view_create(p, &(struct view_config){0});
	view_update(v);
	expect(v, "[unknown]", 6, 6, 6, 6);
	profile_name(p, NULL, NULL);
	profile_add(p, &raw, 1, one);
	view_update(v);
	expect(v, "[late]", 6, 6, 6, 6);
	view_destroy(v);
}

static void edges_and_trees(void **state)
{
	(void)state;
	uint32_t main = call(0, "main", 1, FRAME_NATIVE, NULL);
	uint32_t f = call(main, "f", 2, FRAME_NATIVE, NULL);
	uint32_t again = call(f, "f", 2, FRAME_NATIVE, NULL);
	values(call(again, "f", 2, FRAME_NATIVE, NULL), 1, 10);
	values(call(f, "g", 3, FRAME_NATIVE, NULL), 1, 4);
	values(call(main, "g", 3, FRAME_NATIVE, NULL), 1, 1);
	struct view *v = view_create(p, &(struct view_config){0});
	view_update(v);
	uint32_t of_main, of_f, of_g;
	row(v, "main", 0, &of_main);
	row(v, "f", 0, &of_f);
	row(v, "g", 0, &of_g);
	size_t n;
	struct view_edge *edges = view_edges(v, &n);
	uint64_t seen = 0;
	for (size_t i = 0; i < n; i++) {
		uint64_t value = edges[i].values[1];
		if (edges[i].caller == of_main && edges[i].callee == of_f)
			assert_int_equal(value, 14);
		else if (edges[i].caller == of_f && edges[i].callee == of_f)
			assert_int_equal(value, 10); /* once for the stack */
		else if (edges[i].caller == of_f && edges[i].callee == of_g)
			assert_int_equal(value, 4);
		else
			assert_int_equal(value, 1);
		seen += value;
	}
	assert_int_equal(n, 4);
	assert_int_equal(seen, 29);
	free(edges);

	struct view_tree t;
	view_tree_init(&t, v, VIEW_ALL, VIEW_CALLEES, 1);
	assert_int_equal(t.nodes[0].total[1], 15);
	uint32_t node = t.nodes[0].child;
	assert_int_equal(t.nodes[node].row, of_main);
	assert_int_equal(t.nodes[node].next, 0);
	node = t.nodes[node].child;
	assert_int_equal(t.nodes[node].row, of_f); /* the heavier one first */
	assert_int_equal(t.nodes[node].total[1], 14);
	assert_int_equal(t.nodes[t.nodes[node].next].row, of_g);
	assert_int_equal(t.nodes[t.nodes[node].next].own[1], 1);
	view_tree_deinit(&t);
	view_tree_init(&t, v, of_g, VIEW_CALLERS, 1);
	assert_int_equal(t.nodes[0].total[1], 5);
	node = t.nodes[0].child;
	assert_int_equal(t.nodes[node].row, of_f);
	assert_int_equal(t.nodes[node].total[1], 4);
	assert_int_equal(t.nodes[node].depth, 1);
	assert_int_equal(t.nodes[t.nodes[node].child].row, of_main);
	view_tree_deinit(&t);
	view_tree_init(&t, v, of_f, VIEW_CALLEES, 1);
	assert_int_equal(t.nodes[0].total[1], 14); /* from its place nearest to the root */
	assert_int_equal(t.nodes[t.nodes[0].child].total[1], 10);
	view_tree_deinit(&t);
	view_destroy(v);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	        cmocka_unit_test_setup_teardown(recursion_counts_once_and_updates_add_up, setup,
	                                        teardown),
	        cmocka_unit_test_setup_teardown(lines_and_modules, setup, teardown),
	        cmocka_unit_test_setup_teardown(threads_are_rows_of_their_own_view, setup,
	                                        teardown),
	        cmocka_unit_test_setup_teardown(native_frames_can_be_left_out, setup, teardown),
	        cmocka_unit_test_setup_teardown(names_may_come_later, setup, teardown),
	        cmocka_unit_test_setup_teardown(edges_and_trees, setup, teardown),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
