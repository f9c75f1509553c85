/* SPDX-License-Identifier: Apache-2.0 */
/* A program of C that runs Python inside, as servers do: host SCRIPT. Its own functions are below
 * and between the Python ones: main -> host_serve -> Python -> host.call -> host_callback ->
 * Python. */
#define PY_SSIZE_T_CLEAN
#include <Python.h>

#define NOINLINE __attribute__((noinline, noclone))

static NOINLINE PyObject *host_callback(PyObject *self, PyObject *function)
{
	(void)self;
	PyObject *r = PyObject_CallFunctionObjArgs(function, NULL);
	__asm__ volatile("" : "+r"(r));
	return r;
}

static PyMethodDef methods[] = {{"call", host_callback, METH_O, NULL}, {NULL, NULL, 0, NULL}};
static struct PyModuleDef module = {PyModuleDef_HEAD_INIT, "host", NULL, -1, methods, 0, 0, 0, 0};
static PyObject *init_host(void)
{
	return PyModule_Create(&module);
}

static NOINLINE int host_serve(const char *path)
{
	FILE *file = fopen(path, "r");
	int status = file ? PyRun_SimpleFileEx(file, path, 1) : 1;
	__asm__ volatile("" : "+r"(status));
	return status;
}

int main(int argc, char **argv)
{
	if (argc < 2)
		return 2;
	PyImport_AppendInittab("host", init_host);
	Py_Initialize();
	int status = host_serve(argv[1]);
	Py_Finalize();
	return status;
}
