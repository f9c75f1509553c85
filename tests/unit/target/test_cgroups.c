/* SPDX-License-Identifier: Apache-2.0 */
/* Which container and which cgroup the lines of /proc/PID/cgroup mean, as the container engines
 * name them. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "../../../src/target/cgroups.h"

#define ID_A "4f2c1e0b9a8d7c6e5f4a3b2c1d0e9f8a7b6c5d4e3f2a1b0c9d8e7f6a5b4c3d2e"
#define ID_B "4f2c999999999999999999999999999999999999999999999999999999999999"

static void expect_container(const char *text, const char *expect)
{
	char name[CONTAINER_NAME];
	bool found = cgroups_container(text, name, sizeof(name));
	if (found != (expect != NULL) || (expect && strcmp(name, expect) != 0))
		fail_msg("%s: '%s', not '%s'", text, found ? name : "none",
		         expect ? expect : "none");
}

static void containers_of_each_engine(void **state)
{
	(void)state;
	expect_container("0::/system.slice/docker-" ID_A ".scope\n", ID_A);
	expect_container("12:pids:/docker/" ID_A "\n0::/system.slice\n", ID_A);
	expect_container(
	        "0::/kubepods.slice/kubepods-burstable.slice/kubepods-burstable-pod1_2.slice/"
	        "cri-containerd-" ID_A ".scope\n",
	        ID_A);
	expect_container("3:cpu:/kubepods/besteffort/pod8f0e/" ID_A "\n", ID_A);
	expect_container("3:cpu:/system.slice/kubepods-pod1.slice:cri-containerd:" ID_A "\n", ID_A);
	expect_container("0::/machine.slice/libpod-" ID_A ".scope/container\n", ID_A);
	expect_container("0::/kubepods.slice/crio-" ID_A ".scope\n", ID_A);
	expect_container("0::/lxc.payload.web/system.slice\n", "web");
	expect_container("4:memory:/lxc/web\n", "web");
	expect_container("0::/machine.slice/machine-web.scope/payload\n", "web");
	/* The innermost of two. */
	expect_container("0::/docker/" ID_A "/kubelet/kubepods/" ID_B "\n", ID_B);
}

static void no_container(void **state)
{
	(void)state;
	expect_container("0::/user.slice/user-1000.slice/session-3.scope\n", NULL);
	expect_container("0::/machine.slice/libpod-conmon-" ID_A ".scope\n", NULL);
	expect_container("0::/system.slice/x" ID_A "\n", NULL); /* no separator */
	expect_container("0::/\n", NULL);
	expect_container("", NULL);
	expect_container("no colon\n::::\n0:\n:", NULL);
}

static bool below(const char *text, const char *word)
{
	struct find_words words = {.items = {word}, .n = 1};
	return cgroups_below(text, &words);
}

static void paths(void **state)
{
	(void)state;
	static const char two[] = "0::/system.slice/nginx.service/worker\n";
	static const char one[] = "4:memory:/docker/abc\n2:cpu,cpuacct:/batch\n";
	static const char *const in[] = {"/system.slice",
	                                 "/system.slice/",
	                                 "/system.slice/nginx.service",
	                                 "/sys/fs/cgroup/system.slice/nginx.service/worker",
	                                 "nginx.service",
	                                 "system.slice/nginx.service",
	                                 "nginx.service/worker",
	                                 "/",
	                                 "/sys/fs/cgroup",
	                                 "worker"};
	static const char *const out[] = {"/system",
	                                  "/nginx.service",
	                                  "nginx",
	                                  "nginx.service/work",
	                                  "",
	                                  "system.slice/worker",
	                                  "/system.slice/nginx.service/worker/deeper"};
	for (size_t i = 0; i < sizeof(in) / sizeof(in[0]); i++)
		if (!below(two, in[i]))
			fail_msg("not in %s", in[i]);
	for (size_t i = 0; i < sizeof(out) / sizeof(out[0]); i++)
		if (below(two, out[i]))
			fail_msg("in %s", out[i]);
	assert_true(below(one, "/sys/fs/cgroup/memory/docker"));
	assert_true(below(one, "/sys/fs/cgroup/cpu,cpuacct/batch"));
	assert_true(below(one, "/batch"));
	assert_false(below(one, "/sys/fs/cgroup/cpu/docker"));
	assert_true(below("0::/a\n", "/sys/fs/cgroup/unified/a"));
	assert_true(below("1:name=systemd:/a\n", "/sys/fs/cgroup/systemd/a"));
}

static bool contained(const char *text, const char *word, struct err **err)
{
	struct find_words words = {.items = {word}, .n = 1};
	struct container_search search = {.words = &words};
	bool found = cgroups_contained(text, &search);
	*err = container_search_check(&search);
	return found;
}

static void ids_and_names(void **state)
{
	(void)state;
	struct err *err;
	static const char text[] = "0::/system.slice/docker-" ID_A ".scope\n";
	assert_true(contained(text, "4f2c1e0b9a8d", &err));
	assert_null(err);
	assert_true(contained(text, "docker://" ID_A, &err));
	assert_true(contained(text, "4F2C1E", &err));
	assert_false(contained(text, "f2c1e0b9a8d7", &err));
	assert_false(contained(text, "", &err));
	assert_false(contained("0::/lxc.payload.web\n", "we", &err)); /* names are whole */
	assert_true(contained("0::/lxc.payload.web\n", "web", &err));
	/* Outside of both: the beginning of two ids says nothing. */
	assert_true(contained("1:a:/docker/" ID_A "\n2:b:/docker/" ID_B "\n", "4f2c", &err));
	assert_non_null(err);
	assert_int_equal(err->kind, ERR_USAGE);
	err_free(err);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	        cmocka_unit_test(containers_of_each_engine),
	        cmocka_unit_test(no_container),
	        cmocka_unit_test(paths),
	        cmocka_unit_test(ids_and_names),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
