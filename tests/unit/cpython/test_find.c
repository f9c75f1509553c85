/* SPDX-License-Identifier: Apache-2.0 */
/* This program is the target: it has the symbols of an interpreter and, in its data, what the
 * layout of a release says of one. Real interpreters are found in tests/e2e/test_python_find.py. */
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include <csample/mem.h>
#include <csample/target.h>

#include "../../../runtimes/cpython/cpython.h"

#define RECORDED "tests/unit/cpython/debugoffsets.txt"
#define MAX_LINE 4096

/* What landmarks.c looks for. Py_Version is 0 in the file, so that memory counts. */
_Alignas(16) uint8_t _PyRuntime[4096] __attribute__((section(".PyRuntime"))) = {1};
uint32_t Py_Version = 0;
_Alignas(16) uint64_t PyCode_Type[8] = {1};
_Alignas(16) uint64_t PyType_Type[8] = {1};
uint64_t _PyThreadState_Current = 1;
uint64_t interp_head = 1;
void PyInterpreterState_Head(void);
void PyInterpreterState_Head(void)
{
}

/* Py_GetVersion()'s buffer: in .bss. */
char version_text[128];

/* Of 3.15: 226 KB. */
_Alignas(16) static uint8_t interp[300000], thread[4096];

static struct target target;
static struct rmem_live memory;
static struct image *self;
static struct images *images;
static struct strings *strings;
static uint64_t bias;

static char *read_all(const char *path, size_t *len)
{
	FILE *f = fopen(path, "r");
	char *text = NULL;
	size_t cap = 0;
	*len = 0;
	if (!f)
		return NULL;
	for (size_t n = 1; n; *len += n) {
		cap += MAX_LINE;
		text = mem_realloc_array(text, cap, 1);
		n = fread(text + *len, 1, cap - *len, f);
	}
	fclose(f);
	return text;
}

static int set_up(void **state)
{
	(void)state;
	size_t len;
	strings = strings_create();
	images = images_create(strings);
	int fd = open("/proc/self/exe", O_RDONLY | O_CLOEXEC);
	if (fd < 0 || images_add(images, fd, "/tmp/host", -1, &self))
		return -1;
	rmem_live_init(&memory, getpid());
	target = (struct target){.pid = getpid(),
	                         .rm = &memory.rm,
	                         .images = images,
	                         .strings = strings,
	                         .proc_fd = 0};
	char *text = read_all("/proc/self/maps", &len);
	maps_parse(text, len, strings, &target.maps);
	free(text);
	/* Any byte that comes from the file tells the bias. */
	for (size_t i = 0; i < target.maps.n; i++) {
		struct mapping *m = &target.maps.items[i];
		if ((uint64_t)_PyRuntime >= m->start && (uint64_t)_PyRuntime < m->end)
			image_bias(self, m->start, m->offset, m->executable, &bias);
	}
	return 0;
}

static int tear_down(void **state)
{
	(void)state;
	maps_deinit(&target.maps);
	rmem_live_deinit(&memory);
	images_destroy(images);
	strings_destroy(strings);
	return 0;
}

static void set(void *object, struct field f, uint64_t v)
{
	if (field_known(f))
		memcpy((uint8_t *)object + f.at, &v, f.width);
}

/* An interpreter of this release with one thread, as it is while it runs. */
static void build(const struct py_layout *l, uint32_t hexversion)
{
	memset(_PyRuntime, 0, sizeof(_PyRuntime));
	memset(interp, 0, sizeof(interp));
	memset(thread, 0, sizeof(thread));
	memset(PyCode_Type, 0, sizeof(PyCode_Type));
	memset(version_text, 0, sizeof(version_text));
	target.start_time = 0;
	Py_Version = hexversion;
	interp_head = (uint64_t)interp;
	_PyThreadState_Current = 0;
	set(_PyRuntime, l->runtime.interpreters_head, (uint64_t)interp);
	set(interp, l->interp.threads_head, (uint64_t)thread);
	set(interp, l->interp.modules, (uint64_t)interp);
	set(thread, l->thread.interp, (uint64_t)interp);
	set(PyCode_Type, l->object.type, (uint64_t)PyType_Type);
}

/* The same with _Py_DebugOffsets, of the recorded process with this minor version. */
static void build_self_described(int minor)
{
	char line[MAX_LINE], hex[MAX_LINE];
	unsigned of, micro, byte;
	FILE *f = fopen(RECORDED, "r");
	assert_non_null(f);
	build(py_layout_find(PYVER(3, minor), false), 0);
	while (fgets(line, sizeof(line), f)) {
		if (sscanf(line, "3.%u.%u %4095s", &of, &micro, hex) != 3 || (int)of != minor)
			continue;
		uint8_t *to = _PyRuntime;
		for (const char *p = hex; sscanf(p, "%2x", &byte) == 1; p += 2)
			*to++ = (uint8_t)byte;
		break;
	}
	fclose(f);
}

static struct py_roots roots;
static struct py_layout layout;

static bool find(void)
{
	bool ready = true;
	roots = (struct py_roots){0};
	struct err *err = py_find(&target, self, bias, &roots, &layout, &ready);
	if (err)
		fail_msg("%s", err->msg);
	return ready;
}

static void expect_unsupported(const char *text)
{
	bool ready = true;
	struct err *err = py_find(&target, self, bias, &roots, &layout, &ready);
	assert_non_null(err);
	assert_int_equal(err->kind, ERR_UNSUPPORTED);
	assert_false(ready);
	if (!strstr(err->msg, text))
		fail_msg("'%s' lacks '%s'", err->msg, text);
	err_free(err);
}

static void files_are_recognised(void **state)
{
	(void)state;
	struct image *img;
	assert_true(py_recognise(self));
	int fd = open("/bin/sh", O_RDONLY | O_CLOEXEC);
	assert_null(images_add(images, fd, "/bin/sh", -1, &img));
	assert_false(py_recognise(img));
}

static void every_release_is_found(void **state)
{
	(void)state;
	for (int minor = 6; minor <= 12; minor++) {
		const struct py_layout *l = py_layout_find(PYVER(3, minor), false);
		uint32_t hex = 0x030004f0 | (uint32_t)minor << 16;
		build(l, hex);
		assert_true(find());
		assert_int_equal(roots.hexversion, hex);
		assert_memory_equal(&layout, l, sizeof(*l));
		assert_int_equal(roots.code_type, (uint64_t)PyCode_Type);
		if (minor == 6) {
			assert_int_equal(roots.runtime, 0);
			assert_int_equal(roots.head, (uint64_t)&interp_head);
			assert_int_equal(roots.current, (uint64_t)&_PyThreadState_Current);
		} else {
			assert_int_equal(roots.runtime, (uint64_t)_PyRuntime);
			assert_int_equal(roots.head,
			                 (uint64_t)_PyRuntime + l->runtime.interpreters_head.at);
		}
	}
	for (int minor = 13; minor <= 15; minor++) {
		build_self_described(minor);
		assert_true(find());
		assert_int_equal(roots.hexversion >> 16, PYVER(3, minor));
		assert_int_equal(roots.runtime, (uint64_t)_PyRuntime);
		assert_int_equal(layout.version, PYVER(3, minor));
	}
}

/* What is not there yet, or no more, is no error and not ready. */
static void too_early_and_too_late(void **state)
{
	(void)state;
	for (int minor = 6; minor <= 15; minor++) {
		const struct py_layout *l = py_layout_find(PYVER(3, minor), false);
		uint32_t hex = 0x030004f0 | (uint32_t)minor << 16;
		for (int what = 0; what < 4; what++) {
			if (minor >= 13)
				build_self_described(minor);
			else
				build(l, hex);
			assert_true(find());
			if (what == 0) {
				interp_head = 0;
				set(_PyRuntime, l->runtime.interpreters_head, 0);
			} else if (what == 1) {
				set(interp, l->interp.threads_head, 0);
			} else if (what == 2) {
				set(interp, l->interp.modules, 0);
				assert_true(find()); /* it has run for long */
				target.start_time = UINT64_MAX / 2;
			} else if (minor == 6) {
				continue; /* does not tell that it is finalizing */
			} else {
				set(_PyRuntime, l->runtime.finalizing, (uint64_t)thread);
			}
			assert_false(find());
		}
	}
}

/* The heap is often younger than the list of mappings: what is not in it may be an interpreter. */
static void mappings_may_be_older(void **state)
{
	(void)state;
	size_t n = target.maps.n;
	for (int minor = 6; minor <= 12; minor++) {
		build(py_layout_find(PYVER(3, minor), false), 0x030004f0 | (uint32_t)minor << 16);
		target.maps.n = 0;
		bool found = find();
		target.maps.n = n;
		assert_true(found);
	}
}

static void another_layout_is_refused_when_it_stays(void **state)
{
	(void)state;
	const struct py_layout *l = py_layout_find(PYVER(3, 11), false);
	const uint64_t nowhere[] = {0x10, 0xffff800000000000, (uint64_t)thread + 1,
	                            (uint64_t) "text"};
	build(l, 0x030b02f0);
	set(thread, l->thread.interp, (uint64_t)thread);
	expect_unsupported("CPython 3.11.2: its memory");
	target.start_time = UINT64_MAX / 2; /* has just started: perhaps it comes */
	assert_false(find());
	for (size_t i = 0; i < ARRAY_SIZE(nowhere); i++) {
		build(l, 0x030b02f0);
		set(interp, l->interp.threads_head, nowhere[i]);
		expect_unsupported("its memory");
		build(l, 0x030b02f0);
		set(_PyRuntime, l->runtime.interpreters_head, nowhere[i]);
		expect_unsupported("its memory");
	}
}

static void builds_with_other_objects_are_refused(void **state)
{
	(void)state;
	build(py_layout_find(PYVER(3, 7), false), 0x030710f0);
	memset(PyCode_Type, 0, sizeof(PyCode_Type));
	PyCode_Type[1] = 7; /* the reference count, behind two pointers */
	PyCode_Type[3] = (uint64_t)PyType_Type;
	expect_unsupported("CPython 3.7.16: a build with Py_TRACE_REFS");
	/* Before the interpreter is there, types are not either. */
	set(_PyRuntime, py_layout_find(PYVER(3, 7), false)->runtime.interpreters_head, 0);
	assert_false(find());
}

static void releases_without_a_row_are_named(void **state)
{
	(void)state;
	static const struct {
		uint32_t hex;
		const char *text;
	} releases[] = {
	        {0x020712f0, "CPython 2.7.18: csample knows 3.6 to 3.15; native frames only"},
	        {0x030503f0, "CPython 3.5.3: csample knows 3.6 to 3.15; native frames only"},
	        {0x03630000 | 0xf0, "CPython 3.99.0: csample knows"},
	};
	for (size_t i = 0; i < ARRAY_SIZE(releases); i++) {
		build(py_layout_find(PYVER(3, 11), false), releases[i].hex);
		expect_unsupported(releases[i].text);
	}
	build_self_described(15);
	_PyRuntime[8 + 2] = 14; /* says 3.14, tells as 3.15 */
	expect_unsupported("CPython 3.14.2: its _Py_DebugOffsets");
}

/* With a warning, as far as it describes itself. */
static void a_newer_release_is_read(void **state)
{
	(void)state;
	build_self_described(15);
	_PyRuntime[8 + 2] = 16;
	assert_true(find());
	assert_int_equal(roots.hexversion >> 16, PYVER(3, 16));
	assert_int_equal(layout.version, PYVER(3, 16));
	assert_int_equal(roots.head, (uint64_t)_PyRuntime + layout.runtime.interpreters_head.at);
}

static void the_version_is_in_the_text(void **state)
{
	(void)state;
	build(py_layout_find(PYVER(3, 9), false), 0);
	assert_false(find()); /* nobody has asked for it yet */
	strcpy(version_text + 37, "3.9.18 (main, May  9 2026, 07:33:49) \n[GCC 12.2.0]");
	assert_true(find());
	assert_int_equal(roots.hexversion, 0x030912f0);
	assert_int_equal(layout.version, PYVER(3, 9));
}

static void fields_that_moved_in_a_patch_are_unknown(void **state)
{
	(void)state;
	build(py_layout_find(PYVER(3, 7), false), 0x030703f0);
	assert_true(find());
	assert_false(field_known(layout.runtime.lock_holder));
	assert_false(field_known(layout.runtime.lock_locked));
	assert_false(field_known(layout.runtime.tstate_current));
	build(py_layout_find(PYVER(3, 7), false), 0x030704f0);
	assert_true(find());
	assert_true(field_known(layout.runtime.lock_holder));
}

/* Each word of the roots in turn something else: an answer, and none out of bounds. */
static void mutated_memory_is_survived(void **state)
{
	(void)state;
	static const uint64_t values[] = {0, 1, 8, 0x7fffffffffff, 0xffff800000000000, ~0ull};
	unsigned answers[3] = {0};
	target.proc_fd = -1; /* as of a core file: nobody waits for it to change */
	for (size_t at = 0; at < 1024; at += 8) {
		for (size_t k = 0; k < ARRAY_SIZE(values); k++) {
			bool ready = false;
			build_self_described(14);
			memcpy(_PyRuntime + at, &values[k], sizeof(values[k]));
			struct err *err = py_find(&target, self, bias, &roots, &layout, &ready);
			answers[err ? 2 : ready]++;
			assert_false(err && ready);
			if (!err && ready)
				assert_null(py_layout_missing(&layout));
			err_free(err);
		}
	}
	target.proc_fd = 0;
	assert_true(answers[0] && answers[1] && answers[2]);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	        cmocka_unit_test(files_are_recognised),
	        cmocka_unit_test(every_release_is_found),
	        cmocka_unit_test(too_early_and_too_late),
	        cmocka_unit_test(mappings_may_be_older),
	        cmocka_unit_test(another_layout_is_refused_when_it_stays),
	        cmocka_unit_test(builds_with_other_objects_are_refused),
	        cmocka_unit_test(releases_without_a_row_are_named),
	        cmocka_unit_test(a_newer_release_is_read),
	        cmocka_unit_test(the_version_is_in_the_text),
	        cmocka_unit_test(fields_that_moved_in_a_patch_are_unknown),
	        cmocka_unit_test(mutated_memory_is_survived),
	};
	return cmocka_run_group_tests(tests, set_up, tear_down);
}
