/* SPDX-License-Identifier: Apache-2.0 */
/* A live interpreter of some release that has something to show: it prints lines up to ".", then
 * waits for one. What csample finds at the addresses it names is compared with what it says. */
#ifndef TEST_PYTHON_H
#define TEST_PYTHON_H

#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
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

/* The path of that release's interpreter, asked for once; "": it is not to be had here. */
static inline const char *python_path(const char *release)
{
	static struct {
		char release[16], path[512];
		bool asked;
	} known[16];
	size_t i = 0;
	while (known[i].asked && strcmp(known[i].release, release))
		i++;
	if (known[i].asked)
		return known[i].path;
	known[i].asked = true;
	snprintf(known[i].release, sizeof(known[i].release), "%s", release);
	char command[128];
	snprintf(command, sizeof(command), "python3 tests/e2e/pythons.py %s 2>/dev/null", release);
	FILE *f = popen(command, "re");
	if (!f || !fgets(known[i].path, sizeof(known[i].path), f) || pclose(f))
		known[i].path[0] = '\0';
	known[i].path[strcspn(known[i].path, "\n")] = '\0';
	return known[i].path;
}

static inline uint16_t release_number(const char *release)
{
	unsigned minor = 0;
	sscanf(release, "3.%u", &minor);
	return (uint16_t)PYVER(3, minor);
}

/* One at a time: what a test that failed has left is ended by the next, or at the end of all. */
static inline struct python *the_python(void)
{
	static struct python p;
	return &p;
}

/* Nobody runs there any more; what was read of it stays. */
static inline void python_kill(struct python *p)
{
	if (!p->to)
		return;
	kill(p->pid, SIGKILL);
	waitpid(p->pid, NULL, 0);
	fclose(p->to);
	fclose(p->from);
	p->to = NULL;
}

static inline int python_end(void **state)
{
	struct python *p = the_python();
	(void)state;
	if (!p->pid)
		return 0;
	python_kill(p);
	rmem_live_deinit(&p->mem);
	py_codes_destroy(p->py.codes);
	py_thread_names_destroy(p->py.thread_names);
	strings_destroy(p->strings);
	p->pid = 0;
	return 0;
}

static inline pid_t run_script(const char *interpreter, const char *script, FILE **to, FILE **from)
{
	int in[2], out[2];
	assert_int_equal(pipe2(in, O_CLOEXEC), 0);
	assert_int_equal(pipe2(out, O_CLOEXEC), 0);
	pid_t pid = fork();
	assert_int_not_equal(pid, -1);
	if (!pid) {
		dup2(in[0], 0);
		dup2(out[1], 1);
		execl(interpreter, interpreter, script, (char *)NULL);
		_exit(127);
	}
	close(in[0]);
	close(out[1]);
	*to = fdopen(in[1], "w");
	*from = fdopen(out[0], "r");
	return pid;
}

/* Starts the script; what it prints is to be read from p->from. Skips the test when there is no
 * such interpreter. */
static inline struct python *python_start(const char *release, const char *script)
{
	const char *path = python_path(release);
	struct python *p = the_python();
	const struct py_layout *layout = py_layout_find(release_number(release), false);
	python_end(NULL);
	if (!*path)
		skip();
	assert_non_null(layout);
	*p = (struct python){.strings = strings_create()};
	p->pid = run_script(path, script, &p->to, &p->from);
	rmem_live_init(&p->mem, p->pid);
	p->target = (struct target){.pid = p->pid, .rm = &p->mem.rm, .strings = p->strings};
	p->py.base.target = &p->target;
	p->py.layout = *layout;
	p->py.strings = p->strings;
	p->py.codes = py_codes_create(p->strings);
	p->py.thread_names = py_thread_names_create();
	return p;
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
