/* SPDX-License-Identifier: Apache-2.0 */
/* What CPython's functions are taken for. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "../../../runtimes/cpython/cpython.h"

static enum native_role role_of(const char *name)
{
	struct image img = {.id = 1};
	struct py py = {.base.image = &img};
	return py_role(&py.base, &img, name, 0x1000);
}

static void the_evaluator_whatever_compilers_append(void **state)
{
	(void)state;
	static const char *const names[] = {
	        "_PyEval_EvalFrameDefault",
	        "_PyEval_EvalFrameDefault.cold",
	        "_PyEval_EvalFrameDefault.lto_priv.0.cold",
	        "_PyEval_EvalFrameDefault.llvm.1234567",
	        "_PyEval_EvalFrameDefault.constprop.0",
	        "_TAIL_CALL_BINARY_OP",
	        "_TAIL_CALL_BINARY_OP.cold",
	};
	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
		if (role_of(names[i]) != ROLE_EVAL)
			fail_msg("%s", names[i]);
	/* Only calls it. */
	assert_int_equal(role_of("_PyEval_EvalFrame"), ROLE_PLUMBING);
	assert_int_equal(role_of("PyEval_EvalFrameEx"), ROLE_PLUMBING);
	assert_int_equal(role_of("_PyEval_EvalFrameDefaultish"), ROLE_PLUMBING);
}

static void machinery_passages_and_work(void **state)
{
	(void)state;
	static const struct {
		const char *name;
		enum native_role role;
	} cases[] = {
	        {"_PyFunction_Vectorcall", ROLE_PLUMBING},
	        {"_PyEval_Vector", ROLE_PLUMBING},
	        {"_PyObject_MakeTpCall", ROLE_PLUMBING},
	        {"method_vectorcall_FASTCALL", ROLE_PLUMBING},
	        {"cfunction_call_varargs.isra.0", ROLE_PLUMBING},
	        {"slot_tp_call", ROLE_PLUMBING},
	        {"gen_send_ex2", ROLE_PLUMBING},
	        {"pymain_run_python.constprop.0", ROLE_PLUMBING},
	        {"run_mod", ROLE_PLUMBING},
	        {"PyObject_GetAttr", ROLE_PASSAGE},
	        {"PyObject_RichCompare", ROLE_PASSAGE},
	        {"_PyObject_GenericGetAttrWithDict", ROLE_PASSAGE},
	        {NULL, ROLE_PASSAGE}, /* stripped */
	        {"run_module", ROLE_NONE},
	        {"builtin_sorted", ROLE_NONE},
	        {"list_sort_impl", ROLE_NONE},
	        {"take_gil", ROLE_NONE}, /* who waits for it should see it */
	        {"gc_collect_main", ROLE_NONE},
	        {"Py_RunMain", ROLE_NONE},
	        {"main", ROLE_NONE},
	        {"_PyEval_SliceIndex", ROLE_NONE},
	        {"", ROLE_NONE},
	        {".cold", ROLE_NONE},
	};
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
		if (role_of(cases[i].name) != cases[i].role)
			fail_msg("%s: %d", cases[i].name ? cases[i].name : "(none)",
			         role_of(cases[i].name));
}

static void only_in_the_interpreters_own_file(void **state)
{
	(void)state;
	struct image img = {.id = 1}, other = {.id = 2};
	struct py py = {.base.image = &img};
	assert_int_equal(py_role(&py.base, &other, "_PyEval_EvalFrameDefault", 0), ROLE_NONE);
	assert_int_equal(py_role(&py.base, &other, NULL, 0), ROLE_NONE);
	assert_int_equal(py_role(&py.base, NULL, NULL, 0x7f0000001000), ROLE_EVAL);
	/* Stubs through which it calls others. */
	img.plt_sec = (struct image_section){.vaddr = 0x1000, .size = 0x100};
	assert_int_equal(py_role(&py.base, &img, NULL, 0x1010), ROLE_PLUMBING);
	assert_int_equal(py_role(&py.base, &img, NULL, 0x1100), ROLE_PASSAGE);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	        cmocka_unit_test(the_evaluator_whatever_compilers_append),
	        cmocka_unit_test(machinery_passages_and_work),
	        cmocka_unit_test(only_in_the_interpreters_own_file),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
