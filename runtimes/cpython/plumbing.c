/* SPDX-License-Identifier: Apache-2.0 */
/* What CPython's own functions are to someone who reads a stack. Names are those of the source
 * (Python/, Objects/, Modules/ of 3.6 to 3.15), without what compilers append to them. */
#include <string.h>

#include "cpython.h"

/* A name, or with a "*" at its end the beginning of names. */
struct rule {
	const char *name;
	enum native_role role;
};

/* The first that matches counts.
 *
 * Plumbing carries a call from one frame to the next and does nothing else. A passage does work of
 * its own (looks up an attribute, iterates), and only leads on where Python code runs above it. */
/* clang-format off */
static const struct rule rules[] = {
	{ "_PyEval_EvalFrameDefault", ROLE_EVAL },
	{ "_TAIL_CALL_*", ROLE_EVAL }, /* the tail-calling interpreter, 3.14 on: a function each opcode */

	/* Evaluating code objects. */
	{ "_PyEval_SliceIndex*", ROLE_NONE },
	{ "_PyEval_ImportName", ROLE_PASSAGE },
	{ "_PyEval_*", ROLE_PLUMBING },
	{ "PyEval_EvalFrame*", ROLE_PLUMBING },
	{ "PyEval_EvalCode*", ROLE_PLUMBING },
	{ "PyEval_Call*", ROLE_PLUMBING },
	{ "_PyEvalFrame*", ROLE_PLUMBING }, /* PushAndInit, ClearAndPop */
	{ "clear_thread_frame", ROLE_PLUMBING },
	{ "clear_gen_frame", ROLE_PLUMBING },
	{ "initialize_locals", ROLE_PLUMBING },
	{ "_PyFrame_*", ROLE_PLUMBING },
	{ "PyFrame_New", ROLE_PLUMBING },
	{ "frame_dealloc", ROLE_PLUMBING },
	{ "_PyThreadState_PushFrame", ROLE_PLUMBING },
	{ "_PyThreadState_PopFrame", ROLE_PLUMBING },
	{ "push_chunk", ROLE_PLUMBING },
	{ "py_trampoline_evaluator", ROLE_PLUMBING },
	{ "_Py_trampoline_func*", ROLE_PLUMBING },
	{ "_PyJIT_Entry", ROLE_PLUMBING },
	{ "_Py_jit_entry", ROLE_PLUMBING },

	/* Calls. */
	{ "PyObject_Call*", ROLE_PLUMBING },
	{ "PyObject_Vectorcall*", ROLE_PLUMBING },
	{ "_PyObject_Call*", ROLE_PLUMBING },
	{ "_PyObject_FastCall*", ROLE_PLUMBING },
	{ "_PyObject_Vectorcall*", ROLE_PLUMBING },
	{ "_PyObject_MakeTpCall", ROLE_PLUMBING },
	{ "_Py_CheckFunctionResult", ROLE_PLUMBING },
	{ "_Py_EnterRecursiveCall", ROLE_PLUMBING },
	{ "PyVectorcall_Call", ROLE_PLUMBING },
	{ "_PyVectorcall_Call", ROLE_PLUMBING },
	{ "_PyFunction_Vectorcall", ROLE_PLUMBING },
	{ "_PyFunction_FastCall*", ROLE_PLUMBING },
	{ "_PyCFunction_FastCall*", ROLE_PLUMBING },
	{ "_PyMethodDef_RawFastCall*", ROLE_PLUMBING },
	{ "_PyMethodDescr_*", ROLE_PLUMBING },
	{ "_PyStack_*", ROLE_PLUMBING },
	{ "PyCFunction_Call", ROLE_PLUMBING },
	{ "_PyCallMethodDescr*", ROLE_PLUMBING },
	{ "_PyCallBuiltinClass*", ROLE_PLUMBING },
	{ "_Py_BuiltinCall*", ROLE_PLUMBING },
	{ "_Py_VectorCall*", ROLE_PLUMBING },
	{ "_Py_CallBuiltinClass*", ROLE_PLUMBING },
	{ "object_vacall", ROLE_PLUMBING },
	{ "function_code_fastcall", ROLE_PLUMBING },
	{ "function_call", ROLE_PLUMBING },
	{ "call_function", ROLE_PLUMBING },
	{ "call_function_tail", ROLE_PLUMBING },
	{ "call_method", ROLE_PLUMBING },
	{ "call_maybe", ROLE_PLUMBING },
	{ "call_unbound*", ROLE_PLUMBING },
	{ "call_attribute", ROLE_PLUMBING },
	{ "do_call", ROLE_PLUMBING },
	{ "do_call_core", ROLE_PLUMBING },
	{ "fast_function", ROLE_PLUMBING },
	{ "ext_do_call", ROLE_PLUMBING },
	{ "cfunction_call*", ROLE_PLUMBING },
	{ "cfunction_vectorcall_*", ROLE_PLUMBING },
	{ "method_call", ROLE_PLUMBING },
	{ "method_vectorcall*", ROLE_PLUMBING },
	{ "methoddescr_call", ROLE_PLUMBING },
	{ "classmethoddescr_call", ROLE_PLUMBING },
	{ "instancemethod_call", ROLE_PLUMBING },
	{ "sm_call", ROLE_PLUMBING },
	{ "cm_call", ROLE_PLUMBING },
	{ "vectorcall_method", ROLE_PLUMBING },
	{ "vectorcall_maybe", ROLE_PLUMBING },
	{ "vectorcall_unbound", ROLE_PLUMBING },
	{ "context_run", ROLE_PLUMBING },
	{ "partial_call*", ROLE_PLUMBING },
	{ "partial_vectorcall*", ROLE_PLUMBING },
	{ "type_call", ROLE_PLUMBING },
	{ "type_vectorcall", ROLE_PLUMBING },
	{ "wrapper_call", ROLE_PLUMBING },
	{ "wrapperdescr_call", ROLE_PLUMBING },
	{ "wrapperdescr_raw_call", ROLE_PLUMBING },
	{ "wrap_*", ROLE_PLUMBING },
	{ "slot_*", ROLE_PLUMBING },
	{ "_Py_slot_*", ROLE_PLUMBING },

	/* Generators and coroutines. */
	{ "gen_send*", ROLE_PLUMBING },
	{ "gen_iternext", ROLE_PLUMBING },
	{ "_PyGen_Send", ROLE_PLUMBING },
	{ "_gen_throw", ROLE_PLUMBING },
	{ "gen_throw", ROLE_PLUMBING },
	{ "gen_close*", ROLE_PLUMBING },
	{ "PyGen_am_send", ROLE_PLUMBING },
	{ "PyIter_Send", ROLE_PLUMBING },
	{ "coro_wrapper_*", ROLE_PLUMBING },
	{ "async_gen_a*", ROLE_PLUMBING },

	/* Between the program's entry, or a thread's, and the outermost Python frame. */
	{ "pymain_*", ROLE_PLUMBING },
	{ "PyRun_*", ROLE_PLUMBING },
	{ "_PyRun_*", ROLE_PLUMBING },
	{ "pyrun_*", ROLE_PLUMBING },
	{ "run_mod", ROLE_PLUMBING },
	{ "run_eval_code_obj", ROLE_PLUMBING },
	{ "t_bootstrap", ROLE_PLUMBING },
	{ "thread_run", ROLE_PLUMBING },
	{ "pythread_wrapper", ROLE_PLUMBING },

	/* Where Python code does what C code asked for. */
	{ "builtin_exec*", ROLE_PASSAGE },
	{ "builtin_eval*", ROLE_PASSAGE },
	{ "builtin___build_class__", ROLE_PASSAGE },
	{ "builtin___import__*", ROLE_PASSAGE },
	{ "builtin_next*", ROLE_PASSAGE },
	{ "builtin_getattr", ROLE_PASSAGE },
	{ "import_name", ROLE_PASSAGE },
	{ "import_find_and_load", ROLE_PASSAGE },
	{ "PyImport_Import*", ROLE_PASSAGE },
	{ "PyObject_*", ROLE_PASSAGE },
	{ "_PyObject_*", ROLE_PASSAGE },
	{ "PyIter_*", ROLE_PASSAGE },
	{ "PyNumber_*", ROLE_PASSAGE },
	{ "_PyNumber_*", ROLE_PASSAGE },
	{ "PySequence_*", ROLE_PASSAGE },
	{ "PyMapping_*", ROLE_PASSAGE },
	{ "do_richcompare", ROLE_PASSAGE },
	{ "object_richcompare", ROLE_PASSAGE },
	{ "binary_op*", ROLE_PASSAGE },
	{ "binary_iop*", ROLE_PASSAGE },
	{ "ternary_op*", ROLE_PASSAGE },
	{ "property_descr_*", ROLE_PASSAGE },
	{ "method_get", ROLE_PASSAGE },
	{ "_Py_Dealloc", ROLE_PASSAGE },
	{ "subtype_dealloc", ROLE_PASSAGE },
	{ "_PyType_Lookup*", ROLE_PASSAGE },
	{ "_PySuper_*", ROLE_PASSAGE },
	{ "super_*", ROLE_PASSAGE },
	{ "lookup_maybe_method", ROLE_PASSAGE },
};
/* clang-format on */

/* len: without what compilers append: .cold, .part.0, .constprop.1, .lto_priv.0, .llvm.123. */
static bool matches(const struct rule *rule, const char *name, size_t len)
{
	size_t n = strlen(rule->name);
	if (rule->name[n - 1] == '*')
		return len >= n - 1 && !memcmp(name, rule->name, n - 1);
	return len == n && !memcmp(name, rule->name, n);
}

static bool is_within(const struct image_section *s, uint64_t vaddr)
{
	return vaddr >= s->vaddr && vaddr - s->vaddr < s->size;
}

enum native_role py_role(struct runtime *rt, const struct image *img, const char *name,
                         uint64_t start)
{
	/* Pages of the JIT, and trampolines of -X perf. */
	if (!img)
		return ROLE_EVAL;
	if (img != rt->image)
		return ROLE_NONE;
	if (is_within(&img->plt, start) || is_within(&img->plt_sec, start))
		return ROLE_PLUMBING;
	if (!name) /* stripped: some function of the interpreter */
		return ROLE_PASSAGE;
	size_t len = strcspn(name, ".");
	for (size_t i = 0; i < sizeof(rules) / sizeof(rules[0]); i++)
		if (matches(&rules[i], name, len))
			return rules[i].role;
	return ROLE_NONE;
}
