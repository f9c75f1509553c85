/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "../../../src/symbols/kallsyms.h"

static struct kallsyms *read_text(const char *text, bool *hidden)
{
	char path[] = "/tmp/csample-test-XXXXXX";
	int fd = mkstemp(path);
	assert_int_equal(write(fd, text, strlen(text)), strlen(text));
	close(fd);
	struct kallsyms *k = kallsyms_read(path, hidden);
	unlink(path);
	return k;
}

static const char example[] = "ffffffff81000000 T _stext\n"
                              "ffffffff81000000 t srso_alias\n"
                              "ffffffff81000100 T __x64_sys_read\n"
                              "ffffffff81000180 d a_variable\n"
                              "ffffffff81000200 W weak_one\n"
                              "junk\n"
                              "ffffffffc0000000 t nf_hook\t[nf_tables]\n"
                              "ffffffffc0000040 t nf_other\t[nf_tables]\n"
                              "ffffffffc0000080 t bpf_prog_12_x\t[bpf]\n";

static void expect(const struct kallsyms *k, uint64_t addr, const char *name, const char *module)
{
	const char *got_name = NULL, *got_module = NULL;
	assert_int_equal(kallsyms_find(k, addr, &got_name, &got_module), name != NULL);
	if (name)
		assert_string_equal(got_name, name);
	if (module)
		assert_string_equal(got_module, module);
	else
		assert_null(got_module);
}

static void finds_functions_and_modules(void **state)
{
	(void)state;
	bool hidden;
	struct kallsyms *k = read_text(example, &hidden);
	assert_false(hidden);
	expect(k, 0xffffffff80ffffff, NULL, NULL);
	expect(k, 0xffffffff81000000, "srso_alias", NULL); /* not the mark at the same address */
	expect(k, 0xffffffff810000ff, "srso_alias", NULL);
	expect(k, 0xffffffff81000190, "__x64_sys_read", NULL);
	expect(k, 0xffffffff81000200, "weak_one", NULL);
	expect(k, 0xffffffffa0000000, NULL, NULL); /* a gap, not half a gigabyte of weak_one */
	expect(k, 0xffffffffc0000041, "nf_other", "nf_tables");
	expect(k, 0xffffffffc0000081, "bpf_prog_12_x", "bpf");
	kallsyms_destroy(k);
}

static void zeros_are_told(void **state)
{
	(void)state;
	bool hidden = false;
	struct kallsyms *k =
	        read_text("0000000000000000 T _stext\n0000000000000000 T x\n", &hidden);
	assert_true(hidden);
	expect(k, 0, NULL, NULL);
	expect(k, 5, NULL, NULL);
	kallsyms_destroy(k);
	hidden = false;
	k = kallsyms_read("/nonexistent", &hidden);
	assert_true(hidden);
	kallsyms_destroy(k);
}

static void reads_the_running_kernel(void **state)
{
	(void)state;
	bool hidden;
	struct kallsyms *k = kallsyms_read("/proc/kallsyms", &hidden);
	const char *name, *module;
	if (hidden) {
		kallsyms_destroy(k);
		skip();
	}
	FILE *f = fopen("/proc/kallsyms", "r");
	unsigned long long addr = 0;
	char type, text[512];
	int found = 0;
	while (fscanf(f, "%llx %c %511s%*[^\n]", &addr, &type, text) == 3)
		if (type == 'T' && !strcmp(text, "vfs_read")) {
			assert_true(kallsyms_find(k, addr + 1, &name, &module));
			assert_string_equal(name, "vfs_read");
			found = 1;
		}
	fclose(f);
	kallsyms_destroy(k);
	if (!found)
		skip();
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	        cmocka_unit_test(finds_functions_and_modules),
	        cmocka_unit_test(zeros_are_told),
	        cmocka_unit_test(reads_the_running_kernel),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
