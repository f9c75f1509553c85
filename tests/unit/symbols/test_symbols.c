/* SPDX-License-Identifier: Apache-2.0 */
/* Names of this very program, whose functions the compiler and nm know as well. */
#include <fcntl.h>
#include <link.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/auxv.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include <csample/symbols.h>

struct fixture {
	struct strings *strings;
	struct images *images;
	struct symbols *symbols;
	struct image *self;
	uint64_t bias;
};

static int find_bias(struct dl_phdr_info *info, size_t size, void *arg)
{
	(void)size;
	*(uint64_t *)arg = info->dlpi_addr;
	return 1; /* the program comes first */
}

static int setup(void **state)
{
	struct fixture *f = calloc(1, sizeof(*f));
	f->strings = strings_create();
	f->images = images_create(f->strings);
	f->symbols = symbols_create(f->images, f->strings, NULL);
	int fd = open("/proc/self/exe", O_RDONLY | O_CLOEXEC);
	assert_null(images_add(f->images, fd, "/somewhere/program", -1, &f->self));
	symbols_prepare_image(f->symbols, f->self);
	dl_iterate_phdr(find_bias, &f->bias);
	*state = f;
	return 0;
}

static int teardown(void **state)
{
	struct fixture *f = *state;
	symbols_destroy(f->symbols);
	images_destroy(f->images);
	strings_destroy(f->strings);
	free(f);
	return 0;
}

static struct raw_frame native(const struct fixture *f, uint64_t addr)
{
	return (struct raw_frame){.kind = RAW_NATIVE, .owner = f->self->id, .addr = addr};
}

static uint64_t linked(const struct fixture *f, void (*function)(void))
{
	return (uint64_t)(uintptr_t)function - f->bias;
}

static void *volatile sink;

__attribute__((noinline)) static void known_function(void)
{
	sink = (void *)known_function;
}

__attribute__((always_inline)) static inline void *inlined_here(void)
{
	void *here;
#if defined(__x86_64__)
	__asm__ volatile("lea 0(%%rip), %0" : "=r"(here));
#else
	__asm__ volatile("adr %0, ." : "=r"(here));
#endif
	return here;
}
enum { INLINED_LINE = __LINE__ - 6 }; /* of the instruction */

__attribute__((noinline)) static void *calls_inlined(void)
{
	return inlined_here();
}
enum { CALL_LINE = __LINE__ - 2 };

static void names_a_function_with_file_and_line(void **state)
{
	struct fixture *f = *state;
	struct frame out[8];
	assert_int_equal(symbols_name(f->symbols, native(f, linked(f, known_function)), out, 8), 1);
	assert_string_equal(out[0].function, "known_function");
	assert_string_equal(out[0].module, "/somewhere/program");
	assert_int_equal(out[0].kind, FRAME_NATIVE);
	assert_non_null(out[0].file);
	assert_non_null(strstr(out[0].file, "test_symbols.c"));
	assert_true(out[0].line > 60 && out[0].line < INLINED_LINE);
}

static void each_inlined_function_has_its_own_line(void **state)
{
	struct fixture *f = *state;
	struct frame out[8];
	uint64_t addr = (uint64_t)(uintptr_t)calls_inlined() - f->bias;
	struct raw_frame raw = native(f, addr);
	raw.flags = RAW_RETURN; /* the address behind the instruction */
	assert_int_equal(symbols_name(f->symbols, raw, out, 8), 2);
	assert_string_equal(out[0].function, "inlined_here");
	assert_int_equal(out[0].kind, FRAME_INLINED);
	assert_in_range(out[0].line, INLINED_LINE - 2, INLINED_LINE + 2);
	assert_string_equal(out[1].function, "calls_inlined");
	assert_int_equal(out[1].kind, FRAME_NATIVE);
	assert_int_equal(out[1].line, CALL_LINE);
	/* With room for one it is the one that exists. */
	assert_int_equal(symbols_name(f->symbols, raw, out, 1), 1);
	assert_string_equal(out[0].function, "calls_inlined");
}

static void looks_up_by_the_symbol_table(void **state)
{
	struct fixture *f = *state;
	const char *name = NULL;
	uint64_t start = 0, addr = linked(f, known_function);
	assert_true(symbols_lookup_name(f->symbols, f->self, addr + 1, &name, &start));
	assert_string_equal(name, "known_function");
	assert_int_equal(start, addr);
	assert_false(symbols_lookup_name(f->symbols, f->self, 0, &name, &start));
}

static void return_addresses_belong_to_the_call(void **state)
{
	struct fixture *f = *state;
	struct frame out[8];
	struct raw_frame raw = native(f, linked(f, known_function));
	raw.flags = RAW_RETURN;
	size_t n = symbols_name(f->symbols, raw, out, 8);
	assert_string_not_equal(out[n - 1].function, "known_function");
}

static void what_is_not_known_says_where_it_is(void **state)
{
	struct fixture *f = *state;
	struct frame out[8];
	assert_int_equal(symbols_name(f->symbols, native(f, 0x10), out, 8), 1);
	assert_string_equal(out[0].function, "program+0x10");
	assert_null(out[0].file);
	struct raw_frame raw = {.kind = RAW_NATIVE, .owner = 99, .addr = 0x20};
	assert_int_equal(symbols_name(f->symbols, raw, out, 8), 1);
	assert_string_equal(out[0].function, "[unknown module]+0x20");
}

static void names_anonymous_code_and_marks(void **state)
{
	struct fixture *f = *state;
	struct frame out[2];
	struct raw_frame raw = {.kind = RAW_ANON, .owner = 1, .addr = 0x7f00};
	symbols_name(f->symbols, raw, out, 2);
	assert_string_equal(out[0].function, "[anon]+0x7f00");
	raw.aux = (uintptr_t)intern(f->strings, "/memfd:jit (deleted)");
	symbols_name(f->symbols, raw, out, 2);
	assert_string_equal(out[0].function, "memfd:jit (deleted)+0x7f00");
	raw = (struct raw_frame){.kind = RAW_MARK,
	                         .aux = (uintptr_t)intern(f->strings, "[truncated]")};
	symbols_name(f->symbols, raw, out, 2);
	assert_string_equal(out[0].function, "[truncated]");
	assert_int_equal(out[0].kind, FRAME_MARK);
	raw = (struct raw_frame){
	        .kind = RAW_THREAD, .owner = 42, .aux = (uintptr_t)intern(f->strings, "gc")};
	symbols_name(f->symbols, raw, out, 2);
	assert_string_equal(out[0].function, "gc (42)");
}

static void names_the_vdso(void **state)
{
	struct fixture *f = *state;
	const uint8_t *vdso = (const uint8_t *)getauxval(AT_SYSINFO_EHDR);
	if (!vdso)
		skip();
	const ElfW(Ehdr) *eh = (const void *)vdso;
	struct image *img;
	assert_null(images_add_memory(f->images, vdso,
	                              eh->e_shoff + (size_t)eh->e_shnum * eh->e_shentsize, "[vdso]",
	                              &img));
	size_t named = 0;
	struct frame out[4];
	for (uint64_t addr = 0; addr < img->size; addr += 16) {
		symbols_name(f->symbols,
		             (struct raw_frame){.kind = RAW_NATIVE, .owner = img->id, .addr = addr},
		             out, 4);
		assert_string_equal(out[0].module, "[vdso]");
		named += strstr(out[0].function, "clock_gettime") != NULL;
	}
	assert_true(named > 0);
}

static void says_where_names_come_from(void **state)
{
	struct fixture *f = *state;
	struct symbols_source source;
	symbols_source(f->symbols, f->self, &source);
	assert_true(source.has_functions && source.has_lines && source.has_inlines);
	assert_string_equal(source.origin, "symtab");
}

static void anonymous_code_is_named_by_its_perf_map(void **state)
{
	struct fixture *f = *state;
	char dir[] = "/tmp/csample-test-XXXXXX", path[64];
	assert_non_null(mkdtemp(dir));
	snprintf(path, sizeof(path), "%s/tmp", dir);
	assert_int_equal(mkdir(path, 0700), 0);
	snprintf(path, sizeof(path), "%s/tmp/perf-7.map", dir);
	FILE *out = fopen(path, "w");
	fputs("7f00 100 LazyCompile:*fib a.js:1\n", out);
	fclose(out);
	int root_fd = open(dir, O_PATH | O_CLOEXEC);
	symbols_add_process(f->symbols, 2000000001, root_fd, 7, getuid());
	close(root_fd);
	/* Opened when the process was added: what happens to its root later does not matter. */
	char command[64];
	snprintf(command, sizeof(command), "rm -rf %s", dir);
	assert_int_equal(system(command), 0);
	struct frame frames[2];
	struct raw_frame raw = {.kind = RAW_ANON, .owner = 2000000001, .addr = 0x7f10};
	assert_int_equal(symbols_name(f->symbols, raw, frames, 2), 1);
	assert_string_equal(frames[0].function, "LazyCompile:*fib a.js:1");
	raw.owner = 2000000002;
	symbols_name(f->symbols, raw, frames, 2);
	assert_string_equal(frames[0].function, "[anon]+0x7f10");
}

/* A service that starts a process each second for a month. */
static void names_of_what_came_and_went_leave_nothing(void **state)
{
	struct fixture *f = *state;
	struct frame out[1];
	struct raw_frame raw = {.aux = (uintptr_t)intern(f->strings, "sh")};
	static const enum raw_kind kinds[] = {RAW_PROCESS, RAW_THREAD, RAW_ANON};
	size_t bytes = 0;
	for (uint32_t i = 0; i < 30000; i++) {
		raw.kind = kinds[i % 3];
		raw.owner = raw.addr = i;
		assert_int_equal(symbols_name(f->symbols, raw, out, 1), 1);
		if (i % 1000)
			continue;
		passed_strings_free(strings_take_passing(f->strings));
		bytes = bytes ? bytes : strings_bytes(f->strings);
		assert_int_equal(strings_bytes(f->strings), bytes);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	        cmocka_unit_test_setup_teardown(names_a_function_with_file_and_line, setup,
	                                        teardown),
	        cmocka_unit_test_setup_teardown(each_inlined_function_has_its_own_line, setup,
	                                        teardown),
	        cmocka_unit_test_setup_teardown(looks_up_by_the_symbol_table, setup, teardown),
	        cmocka_unit_test_setup_teardown(return_addresses_belong_to_the_call, setup,
	                                        teardown),
	        cmocka_unit_test_setup_teardown(what_is_not_known_says_where_it_is, setup,
	                                        teardown),
	        cmocka_unit_test_setup_teardown(names_anonymous_code_and_marks, setup, teardown),
	        cmocka_unit_test_setup_teardown(names_of_what_came_and_went_leave_nothing, setup,
	                                        teardown),
	        cmocka_unit_test_setup_teardown(names_the_vdso, setup, teardown),
	        cmocka_unit_test_setup_teardown(says_where_names_come_from, setup, teardown),
	        cmocka_unit_test_setup_teardown(anonymous_code_is_named_by_its_perf_map, setup,
	                                        teardown),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
