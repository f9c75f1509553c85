/* SPDX-License-Identifier: Apache-2.0 */
/* A program that embeds CPython: runs the text given to it. */
#include <Python.h>

int main(int argc, char **argv)
{
	Py_Initialize();
	int status = PyRun_SimpleString(argc > 1 ? argv[1] : "pass");
	Py_Finalize();
	return status ? 1 : 0;
}
