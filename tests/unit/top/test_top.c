/* SPDX-License-Identifier: Apache-2.0 */
/* The live view without a terminal: shares, order, words, search keys. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "../../../src/top/callgraph.h"
#include "../../../src/top/keys.h"
#include "../../../src/top/model.h"

#define MS 1000000ULL

static struct strings *strings;
static struct profile *p;
static struct top *top;

static int setup(void **state)
{
	(void)state;
	strings = strings_create();
	p = profile_create(strings);
	top = NULL;
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	top_destroy(top);
	profile_destroy(p);
	strings_destroy(strings);
	return 0;
}

static uint32_t call(uint32_t parent, const char *function)
{
	struct frame f = {.kind = FRAME_NATIVE,
	                  .function = intern(strings, function),
	                  .module = intern(strings, "/bin/app")};
	struct location loc = {.n_frames = 1, .frames = &f};
	return profile_child(p, parent, profile_add_location(p, &loc));
}

static uint32_t thread(const char *name, int32_t tid)
{
	struct frame f = {.kind = FRAME_MARK, .function = intern(strings, name)};
	struct location loc = {
	        .raw = {.kind = RAW_THREAD, .owner = (uint32_t)tid}, .n_frames = 1, .frames = &f};
	return profile_child(p, 0, profile_add_location(p, &loc));
}

static void add(uint32_t node, uint64_t ms)
{
	profile_add_to_node(p, node, (uint64_t[PROFILE_VALUES]){1, ms * MS});
}

/* The interval was 100 ms, the run a second. */
static struct top_facts facts(void)
{
	return (struct top_facts){.pid = 7,
	                          .command = "app",
	                          .interval_ns = 100 * MS,
	                          .run_ns = 1000 * MS,
	                          .lock = -1,
	                          .loop_idle = -1,
	                          .gc = -1,
	                          .gc_run = -1};
}

static struct model *show(const struct top_config *config)
{
	top = top_create(config);
	top_set_profile(top, p);
	return &top->model;
}

static void refresh(void)
{
	struct top_facts f = facts();
	top_refresh(top, &f);
}

static const struct view_row *at(struct model *m, size_t i)
{
	size_t n;
	assert_true(i < m->order.n);
	return &view_rows(m->view, &n)[m->order.items[i]];
}

static void shares_are_of_the_interval_or_the_run(void **state)
{
	(void)state;
	struct model *m = show(&(struct top_config){.kind = VIEW_FUNCTIONS});
	uint32_t main_ = call(0, "main"), leaf = call(main_, "leaf");
	struct cells c;
	add(leaf, 300);
	refresh();
	add(leaf, 20);
	add(main_, 5);
	refresh();
	assert_int_equal(model_sort(m, SIZE_MAX), 2);
	assert_string_equal(at(m, 0)->frame.function, "leaf");
	model_cells(m, at(m, 0), &c);
	assert_true(c.own > 19.99 && c.own < 20.01);
	assert_int_equal(c.own_ns, 320 * MS);
	model_cells(m, at(m, 1), &c);
	assert_true(c.own > 4.99 && c.own < 5.01 && c.total > 24.99 && c.total < 25.01);
	assert_int_equal(c.total_ns, 325 * MS);
	m->whole = true;
	model_cells(m, at(m, 0), &c);
	assert_true(c.own > 31.99 && c.own < 32.01);
	m->of_all = true;
	model_cells(m, at(m, 0), &c);
	assert_true(c.own > 98.45 && c.own < 98.47);
	m->whole = false;
	model_cells(m, at(m, 0), &c);
	assert_true(c.own > 79.99 && c.own < 80.01);
}

static void a_pause_is_one_interval(void **state)
{
	(void)state;
	struct model *m = show(&(struct top_config){.kind = VIEW_FUNCTIONS});
	uint32_t leaf = call(0, "leaf");
	struct cells c;
	add(leaf, 10);
	refresh();
	top->paused = true;
	add(leaf, 10);
	refresh();
	model_sort(m, SIZE_MAX);
	model_cells(m, at(m, 0), &c);
	assert_int_equal(c.own_ns, 10 * MS);
	top->paused = false;
	add(leaf, 30);
	refresh();
	model_cells(m, at(m, 0), &c);
	assert_int_equal(c.own_ns, 50 * MS);
	assert_true(c.own > 39.99 && c.own < 40.01);
}

/* The first few are the same whether all are sorted or not, by each key and either way round. */
static void the_first_of_many_are_the_first_of_all(void **state)
{
	(void)state;
	struct model *m = show(&(struct top_config){.kind = VIEW_FUNCTIONS});
	char name[16];
	for (unsigned i = 0; i < 500; i++) {
		snprintf(name, sizeof(name), "f%u", i * 7919 % 500);
		uint32_t outer = call(0, name);
		add(outer, i * 37 % 101);
		add(call(outer, "leaf"), 1 + i * 53 % 97);
	}
	refresh();
	for (int sort = 0; sort < SORTS; sort++)
		for (int down = 0; down < 2; down++) {
			uint32_t few[20];
			m->sort = (enum top_sort)sort;
			m->upside_down = down;
			assert_int_equal(model_sort(m, ARRAY_SIZE(few)), 501);
			assert_int_equal(m->order.n, ARRAY_SIZE(few));
			memcpy(few, m->order.items, sizeof(few));
			assert_int_equal(model_sort(m, SIZE_MAX), 501);
			assert_int_equal(m->order.n, 501);
			assert_memory_equal(few, m->order.items, sizeof(few));
		}
	m->sort = SORT_NAME;
	m->upside_down = false;
	model_sort(m, 2);
	assert_string_equal(at(m, 0)->frame.function, "f0");
	assert_string_equal(at(m, 1)->frame.function, "f1");
	m->sort = SORT_TOTAL_TIME;
	model_sort(m, 1);
	assert_string_equal(at(m, 0)->frame.function, "leaf");
	m->sort = SORT_OWN;
	m->upside_down = true;
	model_sort(m, 2);
	assert_true(at(m, 0)->own[1] <= at(m, 1)->own[1]);
}

static void one_thread_and_what_it_held(void **state)
{
	(void)state;
	struct model *m = show(&(struct top_config){.kind = VIEW_THREADS});
	uint32_t one = thread("one (11)", 11), two = thread("two (12)", 12);
	add(call(one, "a"), 10);
	add(call(two, "b"), 20);
	struct top_facts f = facts();
	const struct top_thread locks[] = {{.tid = 12, .recent_locked_ns = 15 * MS}};
	f.lock = 15;
	f.by_thread = locks;
	f.n_by_thread = 1;
	top_refresh(top, &f);
	struct cells c;
	assert_int_equal(model_sort(m, SIZE_MAX), 2);
	assert_string_equal(at(m, 0)->frame.function, "two (12)");
	model_cells(m, at(m, 0), &c);
	assert_true(c.lock > 14.99 && c.lock < 15.01);
	model_cells(m, at(m, 1), &c);
	assert_true(c.lock == 0);
	m->thread = intern(strings, "one (11)");
	m->kind = VIEW_FUNCTIONS;
	model_reshape(m);
	assert_int_equal(model_sort(m, SIZE_MAX), 1);
	assert_string_equal(at(m, 0)->frame.function, "a");
}

static void time_below_a_collector_is_its(void **state)
{
	(void)state;
	struct model *m = show(&(struct top_config){.kind = VIEW_FUNCTIONS});
	struct top_facts f = facts();
	add(call(call(0, "gc_collect_main.constprop.0"), "visit"), 10);
	add(call(0, "gc_collect_mainly"), 50);
	top_refresh(top, &f);
	assert_true(model_gc(m) < 0); /* nothing that collects runs there */
	f.n_runtimes = 1;
	top_refresh(top, &f);
	add(call(call(0, "gc_collect_main.constprop.0"), "visit"), 10);
	top_refresh(top, &f);
	assert_true(model_gc(m) > 9.99 && model_gc(m) < 10.01);
}

static void expect_head(const struct model *m, const char *words)
{
	struct strbuf b = {0};
	head_line(m, 1, &b);
	assert_non_null(b.s);
	if (!strstr(b.s, words))
		fail_msg("'%s' is not in '%s'", words, b.s);
	strbuf_free(&b);
}

/* Where the collector's functions have no names the runtime may tell; else 0 would be a lie. */
static void what_nobody_tells_of_a_collector_is_not_nothing(void **state)
{
	(void)state;
	struct model *m = show(&(struct top_config){.kind = VIEW_FUNCTIONS});
	struct top_facts f = facts();
	f.n_runtimes = 1;
	f.runtimes[0].title = "CPython";
	add(call(0, "libpython3.so+0x123"), 10);
	top_refresh(top, &f);
	expect_head(m, "GC -");
	f.gc = 12.5;
	f.gc_run = 6.25;
	top_refresh(top, &f);
	expect_head(m, "GC 12.5%");
	m->whole = true;
	expect_head(m, "GC 6.2%");
	m->whole = false;
	add(call(0, "gc_collect_main"), 20); /* names are exact */
	top_refresh(top, &f);
	expect_head(m, "GC 20.0%");
}

static char *printed(bool json)
{
	char *text = NULL;
	size_t size;
	FILE *out = open_memstream(&text, &size);
	if (json)
		top_print_json(top, out);
	else
		top_print(top, out);
	fclose(out);
	return text;
}

static void names_do_not_reach_the_terminal(void **state)
{
	(void)state;
	show(&(struct top_config){.kind = VIEW_FUNCTIONS, .rows = 1});
	add(call(0, "evil\033[2J\nname"), 20);
	add(call(0, "another"), 10);
	refresh();
	char *text = printed(false), *json = printed(true);
	assert_null(strchr(text, 033));
	assert_non_null(strstr(text, "evil^[[2J^Jname (app)\n"));
	assert_non_null(strstr(text, "   20.0    20.0     20.0ms     20.0ms  evil"));
	assert_null(strstr(text, "another"));
	assert_non_null(strstr(json, "\\u001b[2J\\n"));
	assert_null(strstr(json, "another"));
	free(text);
	free(json);
}

static void times_as_text(void **state)
{
	(void)state;
	char text[32];
	assert_string_equal(time_text(0, text), "0");
	assert_string_equal(time_text(1500, text), "2us");
	assert_string_equal(time_text(12340000, text), "12.3ms");
	assert_string_equal(time_text(65 * 1000 * MS, text), "65.00s");
}

static void no_key_twice_and_all_explained(void **state)
{
	(void)state;
	bool helped[256] = {0};
	for (size_t i = 0; i < n_keys; i++) {
		assert_int_equal(command_of(keys[i].key, keys[i].key > 255), keys[i].command);
		helped[keys[i].command] |= keys[i].help != NULL;
	}
	for (size_t i = 0; i < n_keys; i++)
		if (keys[i].command < DO_UP || keys[i].command > DO_LAST)
			assert_true(helped[keys[i].command] || keys[i].command == DO_LEFT ||
			            keys[i].command == DO_PREVIOUS_MATCH ||
			            keys[i].command == DO_SORT_TOTAL ||
			            keys[i].command == DO_SORT_TOTAL_TIME);
	assert_int_equal(command_of('z', false), DO_NOTHING);
	assert_int_equal(command_of('q', true), DO_NOTHING);
}

static void a_tree_opens_closes_and_turns(void **state)
{
	(void)state;
	struct model *m = show(&(struct top_config){.kind = VIEW_FUNCTIONS});
	uint32_t main_ = call(0, "main"), mid = call(main_, "mid"), leaf = call(mid, "leaf");
	add(leaf, 30);
	add(mid, 10);
	refresh();
	model_sort(m, SIZE_MAX);
	struct callgraph g = {0};
	struct frame root = {0};
	for (size_t i = 0; i < m->order.n; i++)
		if (!strcmp(at(m, i)->frame.function, "mid"))
			root = at(m, i)->frame;
	callgraph_open(&g, &root);
	callgraph_refresh(&g, m);
	assert_int_equal(g.lines.n, 2); /* the root is open */
	assert_string_equal(g.lines.items[1].frame.function, "leaf");
	assert_true(g.lines.items[0].cells.total > 39.9 && g.lines.items[1].cells.total < 30.1);
	callgraph_toggle(&g, &g.lines.items[0]);
	callgraph_refresh(&g, m);
	assert_int_equal(g.lines.n, 1);
	callgraph_turn(&g);
	callgraph_refresh(&g, m);
	assert_int_equal(g.lines.n, 2);
	assert_string_equal(g.lines.items[1].frame.function, "main");
	callgraph_deinit(&g);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	        cmocka_unit_test_setup_teardown(shares_are_of_the_interval_or_the_run, setup,
	                                        teardown),
	        cmocka_unit_test_setup_teardown(a_pause_is_one_interval, setup, teardown),
	        cmocka_unit_test_setup_teardown(the_first_of_many_are_the_first_of_all, setup,
	                                        teardown),
	        cmocka_unit_test_setup_teardown(one_thread_and_what_it_held, setup, teardown),
	        cmocka_unit_test_setup_teardown(time_below_a_collector_is_its, setup, teardown),
	        cmocka_unit_test_setup_teardown(what_nobody_tells_of_a_collector_is_not_nothing,
	                                        setup, teardown),
	        cmocka_unit_test_setup_teardown(names_do_not_reach_the_terminal, setup, teardown),
	        cmocka_unit_test_setup_teardown(times_as_text, setup, teardown),
	        cmocka_unit_test_setup_teardown(no_key_twice_and_all_explained, setup, teardown),
	        cmocka_unit_test_setup_teardown(a_tree_opens_closes_and_turns, setup, teardown),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
