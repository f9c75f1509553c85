/* SPDX-License-Identifier: Apache-2.0 */
/* What people call a process, from what /proc tells of real ones. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "../../../src/target/name.h"

static void expect(const char *name, const char *comm, const char *exe, const char *arg0,
                   const char *arg1)
{
	char buf[64], *argv[] = {(char *)arg0, (char *)arg1, NULL};
	name_of_process(comm, exe, argv, buf, sizeof(buf));
	if (strcmp(buf, name) != 0)
		fail_msg("%s of %s: '%s', not '%s'", comm, exe, buf, name);
}

static void a_program_is_called_as_it_was_started(void **state)
{
	(void)state;
	expect("cat", "cat", "/usr/bin/cat", "cat", NULL);
	expect("python3", "python3", "/usr/bin/python3.12", "/usr/bin/python3", "app.py");
	expect("app.py", "app.py", "/usr/bin/python3.12", "/usr/bin/python3", "./app.py");
	expect("bash", "bash", "/usr/bin/bash", "-bash", NULL);
	expect("sh", "sh", "/usr/bin/dash", "-sh", NULL);
	expect("a-very-long-nam", "a-very-long-nam", "", "bin/a-very-long-name-indeed", NULL);
	expect("kernel", "kernel", "", NULL, NULL);
}

static void a_title_is_a_name(void **state)
{
	(void)state;
	expect("nginx", "nginx", "/usr/sbin/nginx", "nginx: master process /usr/sbin/nginx", NULL);
	expect("celeryd: master", "celeryd: master", "/usr/bin/python3.12",
	       "celeryd: master [/srv/a]", NULL);
	expect("(sd-pam)", "(sd-pam)", "/usr/lib/systemd/systemd", "(sd-pam)", NULL);
	expect("python3", "python3", "/usr/bin/python3.12", "worker 7", NULL);
}

static void what_the_main_thread_is_for_is_none(void **state)
{
	(void)state;
	expect("node", "MainThread", "/usr/bin/node", "/usr/bin/node", "app.js");
	expect("node", "MainThread", "/usr/bin/node", "node", "MainThread.js");
	expect("nodejs", "MainThread", "/usr/bin/node", "nodejs", "app.js");
	expect("node", "MainThread", "/opt/a b/node (deleted)", "my: app", NULL);
	expect("exe", "exe", "/usr/bin/runc", "init", NULL);
	expect("app.sh", "app.sh", "/usr/bin/dash", NULL, NULL);        /* no arguments yet */
	expect("node", "MainThread", "", "/usr/bin/node app.js", NULL); /* of a core file */
	expect("MainThread", "MainThread", "", "\033]0;x", NULL);
	expect("node", "", "/usr/bin/node", "node", NULL);
	expect("", "", "", NULL, NULL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	        cmocka_unit_test(a_program_is_called_as_it_was_started),
	        cmocka_unit_test(a_title_is_a_name),
	        cmocka_unit_test(what_the_main_thread_is_for_is_none),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
