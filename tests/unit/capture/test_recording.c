/* SPDX-License-Identifier: Apache-2.0 */
/* What is recorded is there again: memory, maps, what matters of an image, names, a thread. */
#include <fcntl.h>
#include <gelf.h>
#include <libelf.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <zlib.h>

#include <cmocka.h>

#include <csample/mem.h>
#include <csample/recording.h>

#define MEMORY 0x10000u

extern const uint64_t recorded_marker;
const uint64_t recorded_marker = 0x1122334455667788;

/* Functions of which only those with frames, the first and the last are kept. */
#define CODE(name)                                \
	int name(int x);                          \
	__attribute__((noinline)) int name(int x) \
	{                                         \
		return x + __LINE__;              \
	}
/* clang-format off */
CODE(code_a)
CODE(code_b)
CODE(code_c)
CODE(code_d)
CODE(code_e)
/* clang-format on */
static int (*const codes[])(int) = {code_a, code_b, code_c, code_d, code_e};

/* A page of 0, 1, 2, ... */
static struct err *read_page(struct rmem *rm, uint64_t addr, void *buf, size_t len)
{
	(void)rm;
	if (addr < MEMORY || len > 8192 || addr - MEMORY > 8192 - len)
		return &err_fault;
	for (size_t i = 0; i < len; i++)
		((uint8_t *)buf)[i] = (uint8_t)(addr + i);
	return NULL;
}

struct world {
	struct strings *strings;
	struct images *images;
	struct rmem rm;
	struct mapping mapping[2];
	pid_t tids[2];
	struct target target;
	struct image *img;
	char path[64];
};

static int setup(void **state)
{
	struct world *w = mem_zalloc(sizeof(*w));
	w->strings = strings_create();
	w->images = images_create(w->strings);
	int fd = open("/proc/self/exe", O_RDONLY | O_CLOEXEC);
	assert_null(images_add(w->images, fd, "/bin/prog", -1, &w->img));
	w->rm.read = read_page;
	w->tids[0] = 41;
	w->tids[1] = 42;
	w->mapping[0] = (struct mapping){.start = 0x1000,
	                                 .end = 0x3000,
	                                 .offset = 0x1000,
	                                 .readable = true,
	                                 .executable = true,
	                                 .name = intern(w->strings, "/bin/prog"),
	                                 .image = w->img,
	                                 .bias = 0x7000};
	w->mapping[1] = (struct mapping){.start = MEMORY,
	                                 .end = MEMORY + 8192,
	                                 .readable = true,
	                                 .writable = true,
	                                 .name = intern(w->strings, "[heap]")};
	w->target = (struct target){.pid = 41,
	                            .ns_pid = 7,
	                            .comm = "prog",
	                            .command = (char *)"prog -x",
	                            .proc_fd = -1,
	                            .maps = {w->mapping, 2, 1},
	                            .rm = &w->rm,
	                            .images = w->images,
	                            .strings = w->strings,
	                            .tids = w->tids,
	                            .n_tids = 2};
	snprintf(w->path, sizeof(w->path), "/tmp/csample-test-%d", (int)getpid());
	*state = w;
	return 0;
}

static int teardown(void **state)
{
	struct world *w = *state;
	unlink(w->path);
	images_destroy(w->images);
	strings_destroy(w->strings);
	free(w);
	return 0;
}

static void record(struct world *w)
{
	static const char *const symbols[] = {"recorded_marker", NULL};
	uint8_t bytes[] = "stackbytmore", buf[64];
	struct snapshot snap = {.pid = 41, .tid = 42, .n_regions = 1, .n_bytes = 8, .bytes = bytes};
	snap.regions[0] = (struct region){0x7000, 8, 0};
	regs_set(&snap.regs, REG_SP, 0x7000);
	struct stack stack;
	stack_init(&stack);
	stack_push(&stack,
	           (struct raw_frame){.kind = RAW_NATIVE, .owner = w->img->id, .addr = 0x1234},
	           0x7010);
	stack_push(&stack, (struct raw_frame){.kind = RAW_ANON, .owner = 41, .addr = 0x99}, 0);
	stack.end = STACK_ROOT;
	struct recorder *r = recorder_create(&w->target);
	assert_null(rmem_read(w->target.rm, MEMORY + 4090, buf, 12)); /* across a page's end */
	assert_null(rmem_read(w->target.rm, MEMORY + 16, buf, 4));
	assert_ptr_equal(rmem_read(w->target.rm, 1, buf, 4), &err_fault);
	recorder_add_name(r, w->img, 0x1234, "function", 0x1200);
	assert_null(recorder_add_thread(r, &snap, &stack));
	assert_null(recorder_write(r, w->path, symbols));
	recorder_destroy(r);
	assert_ptr_equal(w->target.rm, &w->rm);
	stack_deinit(&stack);
}

static uint64_t symbol_value(struct image *img, const char *wanted, size_t *n_ret)
{
	uint64_t value = 0;
	for (Elf_Scn *scn = NULL; (scn = elf_nextscn(img->elf, scn));) {
		GElf_Shdr sh;
		GElf_Sym sym;
		if (!gelf_getshdr(scn, &sh) || sh.sh_type != SHT_SYMTAB)
			continue;
		Elf_Data *data = elf_getdata(scn, NULL);
		for (int i = 1; data && gelf_getsym(data, i, &sym); i++) {
			const char *name = elf_strptr(img->elf, sh.sh_link, sym.st_name);
			++*n_ret;
			if (name && !strcmp(name, wanted))
				value = sym.st_value;
		}
	}
	return value;
}

static void what_was_recorded_is_there_again(void **state)
{
	struct world *w = *state;
	struct strings *strings = strings_create();
	struct images *images = images_create(strings);
	struct recording *r = NULL;
	uint8_t buf[16];
	record(w);
	assert_null(recording_load(w->path, images, strings, &r));
	struct target *t = r->target;
	assert_int_equal(t->pid, 41);
	assert_int_equal(t->ns_pid, 7);
	assert_string_equal(t->command, "prog -x");
	assert_int_equal(t->n_tids, 2);
	assert_int_equal(t->maps.n, 2);
	const struct mapping *m = &t->maps.items[0];
	assert_true(m->executable && !m->writable && m->bias == 0x7000 && m->start == 0x1000);
	assert_string_equal(t->maps.items[1].name, "[heap]");
	assert_null(t->maps.items[1].image);

	assert_null(rmem_read(t->rm, MEMORY + 4090, buf, 12));
	assert_int_equal(buf[11], (uint8_t)(MEMORY + 4101));
	assert_null(rmem_read(t->rm, MEMORY + 18, buf, 2));
	assert_ptr_equal(rmem_read(t->rm, MEMORY + 18, buf, 3), &err_fault);
	assert_ptr_equal(rmem_read(t->rm, MEMORY + 4089, buf, 1), &err_fault);
	assert_ptr_equal(rmem_read(t->rm, 0, buf, 1), &err_fault);

	struct image *img = m->image;
	size_t n = 0, n_real = 0;
	assert_non_null(img);
	assert_string_equal(img->build_id_hex, w->img->build_id_hex);
	uint64_t marker = symbol_value(img, "recorded_marker", &n);
	assert_true(marker && marker == symbol_value(w->img, "recorded_marker", &n_real));
	assert_int_equal(n, 1);
	assert_true(n_real > 10);
	assert_memory_equal(image_bytes(img, marker, 8), &recorded_marker, 8);
	assert_true(img->size < 16384 && img->n_segments >= w->img->n_segments);

	assert_int_equal(r->n_threads, 1);
	const struct recorded_thread *th = &r->threads[0];
	assert_int_equal(th->snap.tid, 42);
	assert_memory_equal(snapshot_at(&th->snap, 0x7000, 8), "stackbyt", 8);
	assert_int_equal(th->stack.n, 2);
	assert_int_equal(th->stack.end, STACK_ROOT);
	assert_int_equal(th->stack.frames[0].owner, img->id);
	assert_int_equal(th->stack.cfas[0], 0x7010);
	assert_int_equal(th->stack.frames[1].kind, RAW_ANON);
	const char *name;
	uint64_t start;
	assert_true(recording_name(r, img, 0x1234, &name, &start));
	assert_string_equal(name, "function");
	assert_int_equal(start, 0x1200);
	assert_false(recording_name(r, img, 0x1235, &name, &start));
	recording_destroy(r);
	images_destroy(images);
	strings_destroy(strings);
}

static void landmarks_that_begin_alike(void **state)
{
	struct world *w = *state;
	static const char *const names[] = {"code_a", "code_b", "code_c", "code_d", "code_e"};
	static const char *const symbols[] = {"code_*", "recorded_mark*", NULL};
	struct stack stack;
	struct recording *r = NULL;
	struct strings *strings = strings_create();
	struct images *images = images_create(strings);
	size_t n = 0, first = 0, last = 0;
	uint64_t addr[5], marker;
	for (size_t i = 0; i < 5; i++) {
		addr[i] = symbol_value(w->img, names[i], &n);
		assert_true(addr[i] && codes[i](1));
		first = addr[i] < addr[first] ? i : first;
		last = addr[i] > addr[last] ? i : last;
	}
	size_t middle = 0;
	while (middle == first || middle == last)
		middle++;
	struct snapshot snap = {.pid = 41, .tid = 42};
	stack_init(&stack);
	stack_push(&stack,
	           (struct raw_frame){
	                   .kind = RAW_NATIVE, .owner = w->img->id, .addr = addr[middle] + 1},
	           0x7010);
	struct recorder *recorder = recorder_create(&w->target);
	assert_null(recorder_add_thread(recorder, &snap, &stack));
	assert_null(recorder_write(recorder, w->path, symbols));
	recorder_destroy(recorder);
	assert_null(recording_load(w->path, images, strings, &r));
	struct image *img = r->target->maps.items[0].image;
	n = 0;
	marker = symbol_value(img, "recorded_marker", &n);
	assert_int_equal(n, 4); /* this and three functions */
	assert_memory_equal(image_bytes(img, marker, 8), &recorded_marker, 8);
	for (size_t i = 0; i < 5; i++)
		if (i == first || i == last || i == middle)
			assert_int_equal(symbol_value(img, names[i], &n), addr[i]);
	recording_destroy(r);
	stack_deinit(&stack);
	images_destroy(images);
	strings_destroy(strings);
}

/* Every cut, and every byte turned: an error or something that can be looked at, never a crash. */
static void survives_damage(void **state)
{
	struct world *w = *state;
	static uint8_t bytes[1 << 16];
	record(w);
	gzFile gz = gzopen(w->path, "rb");
	int n = gzread(gz, bytes, sizeof(bytes));
	gzclose(gz);
	assert_true(n > 100 && n < (int)sizeof(bytes));
	for (int i = 0; i < 2 * n; i += 3) {
		struct strings *strings = strings_create();
		struct images *images = images_create(strings);
		struct recording *r = NULL;
		uint8_t byte;
		size_t len = i < n ? (size_t)i : (size_t)n;
		bytes[i % n] ^= i < n ? 0 : 0x81;
		struct err *err = recording_read(bytes, len, images, strings, &r);
		assert_true(err || i >= n || i == 0 || r->target->tids);
		if (!err)
			rmem_read(r->target->rm, MEMORY + 16, &byte, 1);
		bytes[i % n] ^= i < n ? 0 : 0x81;
		err_free(err);
		recording_destroy(r);
		images_destroy(images);
		strings_destroy(strings);
	}
	struct recording *r = NULL;
	struct err *err = recording_read((const uint8_t *)"hello", 5, w->images, w->strings, &r);
	assert_int_equal(err->kind, ERR_FORMAT);
	err_free(err);
	err = recording_load("/nonexistent/recording", w->images, w->strings, &r);
	assert_int_equal(err->kind, ERR_SYS);
	err_free(err);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	        cmocka_unit_test_setup_teardown(what_was_recorded_is_there_again, setup, teardown),
	        cmocka_unit_test_setup_teardown(landmarks_that_begin_alike, setup, teardown),
	        cmocka_unit_test_setup_teardown(survives_damage, setup, teardown),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
