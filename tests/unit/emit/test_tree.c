/* SPDX-License-Identifier: Apache-2.0 */
#include "../../../src/emit/emit.h"
#include "shape.h"

static const struct emit_options plain, functions = {.functions = true};
static const struct tree_config apart = {.opt = &plain, .text = frame_label, .apart = true},
                                together = {.opt = &plain, .text = frame_label},
                                functions_apart = {
                                        .opt = &functions, .text = frame_label, .apart = true};

/* The child of a node by its text; 0: none. */
static uint32_t find(const struct tree *t, uint32_t parent, const char *text)
{
	for (uint32_t i = 0; i < t->nodes[parent].n_children; i++) {
		uint32_t child = t->nodes[parent].first + i;
		if (!strcmp(t->labels[t->nodes[child].label].text, text))
			return child;
	}
	return 0;
}

/* Two addresses of main and of work, and work twice below: one frame each. */
static void addresses_of_a_function_meet(void **state)
{
	(void)state;
	struct frame work = {.function = "work", .file = "/w.c", .line = 20};
	uint32_t main1 = CALL(0, 1, {.function = "main", .file = "/m.c", .line = 5});
	uint32_t main2 = CALL(0, 2, {.function = "main", .file = "/m.c", .line = 9});
	values(call(main1, 3, 1, &work), 3, 30);
	work.line = 22;
	values(call(main2, 4, 1, &work), 4, 50);
	values(main2, 0, 7);
	struct tree *t = tree_create(p, &apart);
	assert_int_equal(t->n_nodes, 3);
	uint32_t m = find(t, 0, "main"), w = find(t, m, "work");
	assert_int_equal(t->nodes[m].total[0], 7);
	assert_int_equal(t->nodes[m].total[1], 87);
	assert_int_equal(t->nodes[m].self[1], 7);
	assert_int_equal(t->nodes[m].line_min, 5);
	assert_int_equal(t->nodes[m].line_max, 9);
	assert_string_equal(t->nodes[m].file, "/m.c");
	assert_int_equal(t->nodes[w].self[1], 80);
	assert_int_equal(t->nodes[w].line_min, 20);
	assert_int_equal(t->nodes[w].line_max, 22);
	assert_int_equal(t->nodes[w].depth, 2);
	assert_int_equal(t->nodes[0].total[1], 87);
	tree_destroy(t);
}

/* The innermost of a location's frames is the deepest of the tree. */
static void inlined_chains_unfold(void **state)
{
	(void)state;
	values(CALL(0, 1, {.kind = FRAME_INLINED, .function = "inner"},
	            {.kind = FRAME_INLINED, .function = "middle"}, NATIVE("outer")),
	       2, 20);
	struct tree *t = tree_create(p, &apart);
	uint32_t outer = find(t, 0, "outer"), middle = find(t, outer, "middle"),
	         inner = find(t, middle, "inner");
	assert_int_equal(t->nodes[inner].depth, 3);
	assert_int_equal(t->nodes[inner].self[0], 2);
	assert_int_equal(t->nodes[outer].self[0], 0);
	assert_int_equal(t->nodes[outer].total[0], 2);
	tree_destroy(t);
}

static void kinds_and_modules_stay_apart_if_asked(void **state)
{
	(void)state;
	values(CALL(0, 1, {.function = "f", .module = "a.so"}), 1, 1);
	values(CALL(0, 2, {.function = "f", .module = "b.so"}), 1, 1);
	values(CALL(0, 3, {.function = "f", .module = "b.so", .kind = FRAME_INLINED}), 1, 1);
	values(CALL(0, 4, {.function = "f", .module = "b.so", .file = "/x.c"}), 1, 1);
	struct tree *t = tree_create(p, &apart);
	assert_int_equal(t->nodes[0].n_children, 3);
	tree_destroy(t);
	t = tree_create(p, &together);
	assert_int_equal(t->nodes[0].n_children, 1);
	assert_int_equal(t->nodes[t->nodes[0].first].total[0], 4);
	tree_destroy(t);
	/* Without lines, functions of two scripts have the same text and are two functions. */
	values(CALL(0, 5, {.function = "g", .file = "/a.py", .kind = FRAME_PYTHON, .line = 1}), 1,
	       1);
	values(CALL(0, 6, {.function = "g", .file = "/b.py", .kind = FRAME_PYTHON, .line = 1}), 1,
	       1);
	values(CALL(0, 7, {.function = "g", .file = "/b.py", .kind = FRAME_PYTHON, .line = 8}), 1,
	       1);
	t = tree_create(p, &functions_apart);
	assert_int_equal(t->nodes[0].n_children, 5);
	tree_destroy(t);
}

static void children_are_sorted_by_name(void **state)
{
	(void)state;
	static const char *const names[] = {"b", "a", "c", "B", "aa", "\xc3\xa9", "z"};
	for (size_t i = 0; i < ARRAY_SIZE(names); i++) {
		uint32_t node = CALL(0, 10 + i, NATIVE(names[i]));
		for (size_t k = 0; k < ARRAY_SIZE(names); k++)
			values(CALL(node, 10 + k, NATIVE(names[k])), 1, 1);
	}
	struct tree *t = tree_create(p, &apart);
	for (uint32_t n = 0; n < t->n_nodes; n++) {
		const struct tree_node *node = &t->nodes[n];
		assert_int_equal(node->n_children, node->depth < 2 ? ARRAY_SIZE(names) : 0);
		for (uint32_t i = 0; i < node->n_children; i++) {
			const struct tree_node *child = &t->nodes[node->first + i];
			assert_int_equal(child->parent, n);
			if (!i)
				continue;
			const struct tree_node *before = &t->nodes[node->first + i - 1];
			assert_true(strcmp(t->labels[before->label].text,
			                   t->labels[child->label].text) < 0);
		}
	}
	tree_destroy(t);
}

/* Time without a stack and places without a name are shown as what they are. */
static void what_is_not_known(void **state)
{
	(void)state;
	values(0, 2, 20);
	struct raw_frame raw = {.kind = RAW_NATIVE, .addr = 77};
	profile_add(p, &raw, 1, (uint64_t[PROFILE_VALUES]){1, 10}); /* never named */
	struct tree *t = tree_create(p, &apart);
	assert_int_equal(t->nodes[find(t, 0, "[no frames]")].self[1], 20);
	assert_int_equal(t->nodes[find(t, 0, "[unknown]")].self[1], 10);
	assert_int_equal(t->nodes[0].total[1], 30);
	tree_destroy(t);
}

static void files_that_differ_are_told(void **state)
{
	(void)state;
	values(CALL(0, 1, {.function = "f", .file = "/a.c", .line = 4}), 1, 1);
	values(CALL(0, 2, {.function = "f", .file = "/b.h", .line = 900}), 1, 1);
	values(CALL(0, 3, {.function = "f"}), 1, 1);
	struct tree *t = tree_create(p, &apart);
	const struct tree_node *f = &t->nodes[find(t, 0, "f")];
	assert_string_equal(f->file, "/a.c");
	assert_int_equal(f->line_max, 4);
	assert_true(f->other_files);
	tree_destroy(t);
}

/* What is too small is there, for what is beside it, and its callees are not. */
static void nothing_below_what_is_too_small(void **state)
{
	(void)state;
	uint32_t small = CALL(0, 1, {.kind = FRAME_INLINED, .function = "i"}, NATIVE("small"));
	values(CALL(small, 2, NATIVE("x")), 1, 9);
	uint32_t large = CALL(0, 3, {.kind = FRAME_INLINED, .function = "i"}, NATIVE("large"));
	values(CALL(large, 4, NATIVE("x")), 1, 4);
	values(CALL(large, 5, NATIVE("x")), 1, 6);
	struct tree_config config = apart;
	config.min_value = 1;
	config.min_total = 10;
	struct tree *t = tree_create(p, &config);
	assert_int_equal(t->n_nodes, 5); /* the root, small, large, i, x */
	assert_int_equal(t->nodes[find(t, 0, "small")].n_children, 0);
	assert_int_equal(t->nodes[find(t, 0, "small")].total[1], 9);
	uint32_t x = find(t, find(t, find(t, 0, "large"), "i"), "x");
	assert_int_equal(t->nodes[x].total[1], 10);
	tree_destroy(t);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	        cmocka_unit_test_setup_teardown(addresses_of_a_function_meet, setup, teardown),
	        cmocka_unit_test_setup_teardown(inlined_chains_unfold, setup, teardown),
	        cmocka_unit_test_setup_teardown(kinds_and_modules_stay_apart_if_asked, setup,
	                                        teardown),
	        cmocka_unit_test_setup_teardown(children_are_sorted_by_name, setup, teardown),
	        cmocka_unit_test_setup_teardown(what_is_not_known, setup, teardown),
	        cmocka_unit_test_setup_teardown(files_that_differ_are_told, setup, teardown),
	        cmocka_unit_test_setup_teardown(nothing_below_what_is_too_small, setup, teardown),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
