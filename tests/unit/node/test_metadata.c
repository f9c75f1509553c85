/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "../../../runtimes/node/node.h"

static void rows_are_complete_and_in_order(void **state)
{
	(void)state;
	assert_true(v8_n_layouts >= 11);
	for (unsigned i = 0; i < v8_n_layouts; i++) {
		const struct v8_layout *l = &v8_layouts[i], *before = i ? l - 1 : NULL;
		assert_null(v8_layout_missing(l));
		if (before)
			assert_true(before->major < l->major ||
			            (before->major == l->major && before->minor < l->minor));
		/* Fields that are copied together fit into what is copied. */
		assert_true(l->shared.script.at + 8 <= 48);
		assert_true(l->bytecode.positions.at + 8 <= 48);
		assert_true(l->code.size.at + 4 <= 64 && l->code.flags.at + 4 <= 64);
		assert_true(l->code.header % 8 == 0 && l->code.alignment % 32 == 0);
		/* Every bytecode has a size; operands get wider. */
		for (unsigned b = 0; b < l->n_bytecodes; b++) {
			assert_true(l->bytecodes[b] >= 1);
			assert_true(l->bytecodes[2 * l->n_bytecodes + b] >= l->bytecodes[b]);
		}
	}
}

static void a_row_that_lacks_something_is_refused(void **state)
{
	(void)state;
	struct v8_layout l = v8_layouts[0];
	l.shared.script = (struct field){0};
	assert_string_equal(v8_layout_missing(&l), "SharedFunctionInfo.script");
	l = v8_layouts[0];
	l.type.script = 0;
	assert_string_equal(v8_layout_missing(&l), "type of Script");
}

static void a_version_without_a_row_takes_the_one_before(void **state)
{
	(void)state;
	bool exact;
	const struct v8_layout *l = v8_layout_find(11, 3, 244, &exact);
	assert_true(exact && l->major == 11 && l->minor == 3);
	assert_ptr_equal(v8_layout_find(11, 3, 245, &exact), l);
	assert_false(exact);
	assert_ptr_equal(v8_layout_find(11, 5, 1, &exact), l);
	assert_ptr_equal(v8_layout_find(99, 0, 0, &exact), &v8_layouts[v8_n_layouts - 1]);
	assert_ptr_equal(v8_layout_find(8, 0, 0, &exact), &v8_layouts[0]);
	assert_false(exact);
}

static void exported_constants_go_first(void **state)
{
	(void)state;
	struct v8_layout l = v8_layouts[0];
	assert_true(v8_layout_take(&l, "class_JSFunction__shared__SharedFunctionInfo", 99));
	assert_int_equal(l.function_shared.at, 99);
	assert_int_equal(l.function_shared.width, 8);
	assert_true(v8_layout_take(&l, "class_Code__flags__uint32_t", 77));
	assert_int_equal(l.code.flags.at, 77);
	assert_int_equal(l.code.flags.width, 4);
	assert_true(v8_layout_take(&l, "type_Code__CODE_TYPE", 7));
	assert_int_equal(l.type.code, 7);
	/* A longer name that begins alike is another type. */
	assert_false(v8_layout_take(&l, "type_CodeWrapper__CODE_WRAPPER_TYPE", 8));
	assert_false(v8_layout_take(&l, "class_JSFunction__shared__", -1));
	assert_false(v8_layout_take(&l, "type_Script__SCRIPT_TYPE", 65536));
}

static void builtins_are_found_by_address(void **state)
{
	(void)state;
	struct v8_builtin items[] = {{16, 32, "A"}, {32, 40, "B"}, {64, 80, "C"}};
	struct v8_image image = {.builtins = {.items = items, .n = 3, .cap = 3}};
	assert_null(v8_builtin_at(&image, 15));
	assert_string_equal(v8_builtin_at(&image, 16)->name, "A");
	assert_string_equal(v8_builtin_at(&image, 31)->name, "A");
	assert_string_equal(v8_builtin_at(&image, 32)->name, "B");
	assert_null(v8_builtin_at(&image, 40));
	assert_string_equal(v8_builtin_at(&image, 79)->name, "C");
	assert_null(v8_builtin_at(&image, 80));
}

static void titles_of_builtins(void **state)
{
	(void)state;
	struct strings *strings = strings_create();
	struct v8 v8 = {.strings = strings};
	static const char *const cases[][3] = {
	        {"ArrayMap", "map", "Array.prototype.map"},
	        {"ArrayPrototypeFill", "fill", "Array.prototype.fill"},
	        {"ArrayMapLoopContinuation", "map", "Array.prototype.map"},
	        {"ArrayIsArray", "isArray", "Array.isArray"},
	        {"StringPrototypeReplace", "replace", "String.prototype.replace"},
	        {"PromiseAll", "all", "Promise.all"},
	        {"JsonStringify", "stringify", "JSON.stringify"},
	        {"ArrayMapper", "map", NULL},
	        {"GenericJSToWasm", "f", NULL},
	};
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		const char *title = v8_builtin_title(&v8, cases[i][0], cases[i][1]);
		if (cases[i][2])
			assert_string_equal(title, cases[i][2]);
		else
			assert_null(title);
	}
	strings_destroy(strings);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	        cmocka_unit_test(rows_are_complete_and_in_order),
	        cmocka_unit_test(a_row_that_lacks_something_is_refused),
	        cmocka_unit_test(a_version_without_a_row_takes_the_one_before),
	        cmocka_unit_test(exported_constants_go_first),
	        cmocka_unit_test(builtins_are_found_by_address),
	        cmocka_unit_test(titles_of_builtins),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
