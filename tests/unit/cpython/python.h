/* SPDX-License-Identifier: Apache-2.0 */
/* A live interpreter of some release that has something to show: it prints lines up to ".", then
 * waits for one. What csample finds at the addresses it names is compared with what it says. */
#ifndef TEST_PYTHON_H
#define TEST_PYTHON_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include <csample/mem.h>

#include "../../../runtimes/cpython/objects.h"

#define SCRIPTS "tests/unit/cpython/"

struct python {
	pid_t pid;
	FILE *to, *from;
	struct rmem_live mem;
	struct target target;
	struct strings *strings;
	struct py py;
};

/* The path of that release's interpreter; false: it is not to be had here. */
static inline bool python_path(const char *release, char *path, size_t len)
{
	char command[128];
	snprintf(command, sizeof(command), "python3 tests/e2e/pythons.py %s 2>/dev/null", release);
	FILE *f = popen(command, "r");
	bool found = f && fgets(path, (int)len, f);
	if (f)
		found = !pclose(f) && found;
	if (found)
		path[strcspn(path, "\n")] = '\0';
	return found;
}

static inline uint16_t release_number(const char *release)
{
	unsigned minor = 0;
	sscanf(release, "3.%u", &minor);
	return (uint16_t)PYVER(3, minor);
}

/* Starts the script; what it prints is to be read from p->from. False: no such interpreter. */
static inline bool python_start(struct python *p, const char *release, const char *script)
{
	char path[512];
	int in[2], out[2];
	const struct py_layout *layout = py_layout_find(release_number(release), false);
	*p = (struct python){0};
	if (!python_path(release, path, sizeof(path)))
		return false;
	assert_non_null(layout);
	assert_int_equal(pipe(in), 0);
	assert_int_equal(pipe(out), 0);
	p->pid = fork();
	assert_int_not_equal(p->pid, -1);
	if (!p->pid) {
		dup2(in[0], 0);
		dup2(out[1], 1);
		close(in[1]);
		close(out[0]);
		execl(path, path, script, (char *)NULL);
		_exit(127);
	}
	close(in[0]);
	close(out[1]);
	p->to = fdopen(in[1], "w");
	p->from = fdopen(out[0], "r");
	p->strings = strings_create();
	rmem_live_init(&p->mem, p->pid);
	p->target = (struct target){.pid = p->pid, .rm = &p->mem.rm, .strings = p->strings};
	p->py.base.target = &p->target;
	p->py.layout = *layout;
	p->py.strings = p->strings;
	p->py.codes = py_codes_create(p->strings);
	p->py.thread_names = py_thread_names_create();
	return true;
}

/* The next line, without its end; NULL at ".". */
static inline char *python_line(struct python *p, char *buf, size_t len)
{
	if (!fgets(buf, (int)len, p->from))
		fail_msg("the interpreter said no more");
	buf[strcspn(buf, "\n")] = '\0';
	return strcmp(buf, ".") ? buf : NULL;
}

/* It goes on, to its next "." or its end. */
static inline void python_go_on(struct python *p)
{
	fputs("\n", p->to);
	fflush(p->to);
}

static inline void python_end(struct python *p)
{
	if (!p->pid)
		return;
	fclose(p->to);
	fclose(p->from);
	waitpid(p->pid, NULL, 0);
	rmem_live_deinit(&p->mem);
	py_codes_destroy(p->py.codes);
	py_thread_names_destroy(p->py.thread_names);
	strings_destroy(p->strings);
	p->pid = 0;
}

/* The same test for each release, under the release's name. */
#define PYTHON_TESTS(test)                                                                        \
	{#test " 3.6", test, NULL, NULL, "3.6"}, {#test " 3.7", test, NULL, NULL, "3.7"},         \
	        {#test " 3.8", test, NULL, NULL, "3.8"}, {#test " 3.9", test, NULL, NULL, "3.9"}, \
	        {#test " 3.10", test, NULL, NULL, "3.10"},                                        \
	        {#test " 3.11", test, NULL, NULL, "3.11"},                                        \
	        {#test " 3.12", test, NULL, NULL, "3.12"},                                        \
	        {#test " 3.13", test, NULL, NULL, "3.13"},                                        \
	        {#test " 3.14", test, NULL, NULL, "3.14"},                                        \
	{                                                                                         \
#test " 3.15", test, NULL, NULL, "3.15"                                           \
	}

#endif
