/* SPDX-License-Identifier: Apache-2.0 */
/* C between Python frames: as an extension module (with Python.h) and as a library for ctypes. The
 * functions call each other in an order that is known: outer -> middle -> inner -> callback. */
#ifdef WITH_PYTHON
#define PY_SSIZE_T_CLEAN
#include <Python.h>
#endif

#define NOINLINE __attribute__((noinline, noclone))

typedef int callback(int);

/* Not a tail call: something is left to be done after each. */
NOINLINE int native_inner(callback *call, int n)
{
	int r = call(n);
	__asm__ volatile("" : "+r"(r));
	return r + 1;
}

NOINLINE int native_middle(callback *call, int n)
{
	int r = native_inner(call, n + 1);
	__asm__ volatile("" : "+r"(r));
	return r + 1;
}

NOINLINE int native_outer(callback *call, int n)
{
	int r = native_middle(call, n + 1);
	__asm__ volatile("" : "+r"(r));
	return r + 1;
}

NOINLINE int native_spin(int seconds)
{
	volatile unsigned n = 0;
	for (long i = 0; i < seconds * 1000000000L; i++)
		n += i;
	return (int)n;
}

#ifdef WITH_PYTHON
static NOINLINE PyObject *extension_inner(PyObject *function, PyObject *arg)
{
	PyObject *r = PyObject_CallFunctionObjArgs(function, arg, NULL);
	__asm__ volatile("" : "+r"(r));
	return r;
}

static NOINLINE PyObject *extension_outer(PyObject *self, PyObject *args)
{
	PyObject *function, *arg;
	(void)self;
	if (!PyArg_ParseTuple(args, "OO", &function, &arg))
		return NULL;
	PyObject *r = extension_inner(function, arg);
	__asm__ volatile("" : "+r"(r));
	return r;
}

/* Works without the lock. */
static NOINLINE PyObject *extension_work(PyObject *self, PyObject *args)
{
	int seconds, r;
	(void)self;
	if (!PyArg_ParseTuple(args, "i", &seconds))
		return NULL;
	Py_BEGIN_ALLOW_THREADS;
	r = native_spin(seconds);
	Py_END_ALLOW_THREADS;
	return PyLong_FromLong(r);
}

static PyMethodDef methods[] = {
        {"outer", extension_outer, METH_VARARGS, NULL},
        {"work", extension_work, METH_VARARGS, NULL},
        {NULL, NULL, 0, NULL},
};
static struct PyModuleDef module = {PyModuleDef_HEAD_INIT, "native", NULL, -1, methods, 0, 0, 0, 0};
PyMODINIT_FUNC PyInit_native(void);
PyMODINIT_FUNC PyInit_native(void)
{
	return PyModule_Create(&module);
}
#endif
