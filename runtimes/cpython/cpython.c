/* SPDX-License-Identifier: Apache-2.0 */
/* Wiring only. */
#include "cpython.h"

#include <stdlib.h>

#include <csample/mem.h>

#include "objects.h"
#include "version.h"

static struct err *attach(struct target *t, struct image *img, uint64_t bias, struct runtime **ret)
{
	struct py_roots roots = {0};
	struct py_layout layout;
	bool ready = false;
	struct err *err = py_find(t, img, bias, &roots, &layout, &ready);
	if (err || !ready)
		return err;
	struct py *py = mem_zalloc(sizeof(*py));
	py->base = (struct runtime){.ops = &cpython_ops, .target = t, .image = img, .bias = bias};
	py_version_text(roots.hexversion, layout.free_threaded, py->base.version,
	                sizeof(py->base.version));
	py->roots = roots;
	py->layout = layout;
	py->strings = t->strings;
	py->threads = py_threads_create();
	py->codes = py_codes_create(t->strings);
	if (field_known(layout.code.tlbc))
		py->bytecodes = py_bytecodes_create();
	py->thread_names = py_thread_names_create();
	err_free(py_threads_refresh(py)); /* none yet is no error */
	*ret = &py->base;
	return NULL;
}

static struct err *refresh(struct runtime *rt)
{
	struct py *py = py_of(rt);
	struct err *err = py_threads_refresh(py);
	if (!err)
		py_codes_refresh(py);
	return err;
}

static void detach(struct runtime *rt)
{
	struct py *py = py_of(rt);
	py->base.target = NULL;
}

static void destroy(struct runtime *rt)
{
	struct py *py = py_of(rt);
	py_threads_destroy(py->threads);
	py_codes_destroy(py->codes);
	py_bytecodes_destroy(py->bytecodes);
	py_thread_names_destroy(py->thread_names);
	free(py);
}

/* A free-threaded build may be told to have a lock (PYTHON_GIL=1), or come to have one by importing
 * an extension that needs it. */
static bool has_lock(struct runtime *rt)
{
	struct py *py = py_of(rt);
	const struct py_layout *l = &py->layout;
	uint64_t interp, lock, enabled;
	if (!l->free_threaded)
		return true;
	struct rmem *rm = rt->target ? rt->target->rm : NULL;
	return rm && py_read(rm, py->roots.head, &interp, sizeof(interp)) &&
	       py_read_field(rm, interp, l->interp.lock, &lock) &&
	       py_read_field(rm, lock, l->lock.enabled, &enabled) && enabled;
}

/* As landmarks.c and find.c look for them. */
static const char *const landmarks[] = {
        "_PyRuntime",
        "Py_Version",
        "PyCode_Type",
        "PyType_Type",
        "_PyThreadState_Current",
        "interp_head",
        "PyInterpreterState_Head",
        ".PyRuntime",
        ".AsyncioDebug",
        NULL,
};

const struct runtime_ops cpython_ops = {
        .name = "python",
        .title = "CPython",
        .kind = FRAME_PYTHON,
        .landmarks = landmarks,
        .recognise = py_recognise,
        .attach = attach,
        .gather = py_gather,
        .walk = py_walk,
        .describe = py_describe,
        .role = py_role,
        .refresh = refresh,
        .detach = detach,
        .destroy = destroy,
        .thread_name = py_thread_name,
        .locals = py_locals,
        .tasks = py_tasks,
        .has_lock = has_lock,
        .collecting = py_collecting,
        .releases = py_layout_releases,
};
