/* SPDX-License-Identifier: Apache-2.0 */
/* Core files, made here; real ones are in tests/e2e/test_core.py. */
#include <elf.h>
#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/procfs.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include <csample/core.h>
#include <csample/mem.h>
#include <csample/strbuf.h>

#if defined(__x86_64__)
#define OWN_MACHINE EM_X86_64
#else
#define OWN_MACHINE EM_AARCH64
#endif
#define BASE  0x10000000u
#define STACK 0x20000000u
#define FILED 0x30000000u

struct both {
	struct strings *strings;
	struct images *images;
};

static int setup(void **state)
{
	struct both *b = mem_zalloc(sizeof(*b));
	b->strings = strings_create();
	b->images = images_create(b->strings);
	*state = b;
	return 0;
}

static int teardown(void **state)
{
	struct both *b = *state;
	images_destroy(b->images);
	strings_destroy(b->strings);
	free(b);
	return 0;
}

static int file_of(const void *bytes, size_t len)
{
	int fd = memfd_create("core", MFD_CLOEXEC);
	assert_true(fd >= 0);
	assert_int_equal(write(fd, bytes, len), len);
	return fd;
}

static void add_note(struct strbuf *b, uint32_t type, const void *desc, size_t len)
{
	const uint32_t head[] = {5, (uint32_t)len, type};
	strbuf_addn(b, (const char *)head, sizeof(head));
	strbuf_addn(b, "CORE\0\0\0", 8);
	strbuf_addn(b, desc, len);
	while (b->len % 4)
		strbuf_addc(b, 0);
}

static void add_status(struct strbuf *b, pid_t tid, int signal, uint64_t sp)
{
	struct elf_prstatus st = {.pr_pid = tid, .pr_cursig = (short)signal};
	struct user_regs_struct u = {0};
#if defined(__x86_64__)
	u.rsp = sp;
	u.rip = BASE + 0x10;
	u.rbp = 77;
	u.orig_rax = (unsigned long long)-1;
#else
	u.sp = sp;
	u.pc = BASE + 0x10;
	u.regs[29] = 77;
#endif
	memcpy(&st.pr_reg, &u, sizeof(u));
	add_note(b, NT_PRSTATUS, &st, sizeof(st));
}

/* count, page size, {start, end, page}..., names. */
static void add_files(struct strbuf *b, const char *path)
{
	struct strbuf d = {0};
	const uint64_t words[] = {1, 4096, FILED, FILED + 0x2000, 0};
	strbuf_addn(&d, (const char *)words, sizeof(words));
	strbuf_addn(&d, path, strlen(path) + 1);
	add_note(b, NT_FILE, d.s, d.len);
	strbuf_free(&d);
}

/* Two threads, a page of memory of "A", half a page of "B" of a page, a file at path. */
static void make_core(struct strbuf *out, const char *path)
{
	struct strbuf notes = {0};
	struct elf_prpsinfo info = {.pr_pid = 500, .pr_fname = "prog", .pr_psargs = "prog -x  "};
	add_status(&notes, 502, SIGSEGV, STACK + 8);
	add_note(&notes, NT_PRPSINFO, &info, sizeof(info));
	add_status(&notes, 500, 0, STACK + 16);
	add_files(&notes, path);
	Elf64_Ehdr eh = {.e_ident = {ELFMAG0, ELFMAG1, ELFMAG2, ELFMAG3, ELFCLASS64, ELFDATA2LSB,
	                             EV_CURRENT},
	                 .e_type = ET_CORE,
	                 .e_machine = OWN_MACHINE,
	                 .e_version = EV_CURRENT,
	                 .e_phoff = sizeof(eh),
	                 .e_ehsize = sizeof(eh),
	                 .e_phentsize = sizeof(Elf64_Phdr),
	                 .e_phnum = 4};
	uint64_t at = sizeof(eh) + 4 * sizeof(Elf64_Phdr);
	Elf64_Phdr ph[4] = {
	        {.p_type = PT_NOTE, .p_offset = at, .p_filesz = notes.len},
	        {.p_type = PT_LOAD,
	         .p_flags = PF_R | PF_W,
	         .p_vaddr = STACK,
	         .p_memsz = 0x1000,
	         .p_filesz = 0x800},
	        {.p_type = PT_LOAD,
	         .p_flags = PF_R | PF_X,
	         .p_vaddr = BASE,
	         .p_memsz = 0x1000,
	         .p_filesz = 0x1000},
	        {.p_type = PT_LOAD, .p_flags = PF_R, .p_vaddr = FILED, .p_memsz = 0x2000},
	};
	ph[1].p_offset = at + notes.len;
	ph[2].p_offset = ph[1].p_offset + 0x800;
	strbuf_addn(out, (const char *)&eh, sizeof(eh));
	strbuf_addn(out, (const char *)ph, sizeof(ph));
	strbuf_addn(out, notes.s, notes.len);
	for (int i = 0; i < 0x800; i++)
		strbuf_addc(out, 'B');
	for (int i = 0; i < 0x1000; i++)
		strbuf_addc(out, 'A');
	strbuf_free(&notes);
}

static void reads_threads_and_memory(void **state)
{
	struct both *b = *state;
	struct strbuf bytes = {0};
	struct core *core = NULL;
	char buf[16] = "";
	make_core(&bytes, "/nonexistent/data");
	assert_null(core_open_fd(file_of(bytes.s, bytes.len), "core", NULL, b->images, b->strings,
	                         &core));
	assert_int_equal(core->n_threads, 2);
	assert_int_equal(core->threads[0].tid, 500); /* the main one first */
	assert_int_equal(core->threads[1].tid, 502);
	assert_int_equal(core->threads[1].regs.r[REG_SP], STACK + 8);
	assert_int_equal(core->threads[1].regs.r[REG_PC], BASE + 0x10);
	assert_int_equal(core->threads[1].regs.r[REG_FP], 77);
	assert_int_equal(core->threads[1].syscall, -1);
	assert_string_equal(core_signal_name(core, 502), "SIGSEGV");
	assert_null(core_signal_name(core, 500));
	assert_false(core->is_cut);
	struct target *t = core->target;
	assert_int_equal(t->pid, 500);
	assert_string_equal(t->comm, "prog");
	assert_string_equal(t->name, "prog");
	assert_string_equal(t->command, "prog -x");
	assert_int_equal(t->maps.n, 3);
	assert_int_equal(t->maps.items[0].start, BASE);
	assert_true(t->maps.items[0].executable && !t->maps.items[0].writable);
	assert_true(t->maps.items[1].writable);
	assert_string_equal(t->maps.items[2].name, "/nonexistent/data");
	assert_null(rmem_read(t->rm, STACK + 0x7f8, buf, 8));
	assert_memory_equal(buf, "BBBBBBBB", 8);
	assert_ptr_equal(rmem_read(t->rm, STACK + 0x7f9, buf, 8), &err_fault); /* not kept */
	assert_ptr_equal(rmem_read(t->rm, FILED, buf, 1), &err_fault);         /* no file */
	assert_ptr_equal(rmem_read(t->rm, BASE - 1, buf, 2), &err_fault);
	assert_ptr_equal(rmem_read(t->rm, UINT64_MAX - 3, buf, 8), &err_fault);
	pid_t *tids = NULL;
	size_t n = 0;
	assert_null(target_threads(t, &tids, &n));
	assert_int_equal(n, 2);
	assert_int_equal(tids[0], 500);
	free(tids);
	char name[32];
	assert_true(target_thread_name(t, 500, name, sizeof(name)));
	assert_string_equal(name, "prog");
	assert_false(target_thread_name(t, 502, name, sizeof(name)));
	assert_false(target_alive(t));
	assert_null(target_refresh_maps(t));
	core_close(core);
	strbuf_free(&bytes);
}

static enum err_kind kind_of(struct both *b, const void *bytes, size_t len, const char *exe)
{
	struct core *core = NULL;
	struct err *err =
	        core_open_fd(file_of(bytes, len), "core", exe, b->images, b->strings, &core);
	assert_non_null(err);
	enum err_kind kind = err->kind;
	assert_non_null(strstr(err->msg, "core"));
	err_free(err);
	return kind;
}

static void refuses_what_is_no_core(void **state)
{
	struct both *b = *state;
	struct strbuf bytes = {0};
	make_core(&bytes, "/x");
	assert_int_equal(kind_of(b, "hello", 5, NULL), ERR_FORMAT);
	assert_int_equal(kind_of(b, "\x28\xb5\x2f\xfd....", 8, NULL), ERR_FORMAT);
	assert_int_equal(kind_of(b, bytes.s, sizeof(Elf64_Ehdr) - 1, NULL), ERR_FORMAT);
	assert_int_equal(kind_of(b, bytes.s, 200, NULL), ERR_FORMAT);
	assert_int_equal(kind_of(b, bytes.s, bytes.len, "/nonexistent/core-exe"), ERR_FORMAT);
	Elf64_Ehdr eh;
	memcpy(&eh, bytes.s, sizeof(eh));
	eh.e_machine = EM_RISCV;
	memcpy(bytes.s, &eh, sizeof(eh));
	assert_int_equal(kind_of(b, bytes.s, bytes.len, NULL), ERR_UNSUPPORTED);
	eh.e_machine = OWN_MACHINE;
	eh.e_type = ET_DYN;
	memcpy(bytes.s, &eh, sizeof(eh));
	assert_int_equal(kind_of(b, bytes.s, bytes.len, NULL), ERR_FORMAT);
	strbuf_free(&bytes);
}

static void a_cut_core_keeps_what_it_has(void **state)
{
	struct both *b = *state;
	struct strbuf bytes = {0};
	struct core *core = NULL;
	char c = 0;
	make_core(&bytes, "/x");
	assert_null(core_open_fd(file_of(bytes.s, bytes.len - 0x1000), "core", NULL, b->images,
	                         b->strings, &core));
	assert_true(core->is_cut);
	assert_null(rmem_read(core->target->rm, STACK, &c, 1));
	assert_int_equal(c, 'B');
	assert_ptr_equal(rmem_read(core->target->rm, BASE, &c, 1), &err_fault);
	core_close(core);
	strbuf_free(&bytes);
}

/* This very program as the file behind the core's mapping, which the core itself does not hold. */
static void files_fill_what_the_core_leaves_out(void **state)
{
	struct both *b = *state;
	struct strbuf bytes = {0};
	struct core *core = NULL;
	char exe[4096], magic[4] = "";
	ssize_t len = readlink("/proc/self/exe", exe, sizeof(exe) - 1);
	assert_true(len > 0);
	exe[len] = '\0';
	make_core(&bytes, exe);
	/* The image's second page is code, or it is not found at all. */
	assert_null(core_open_fd(file_of(bytes.s, bytes.len), "core", NULL, b->images, b->strings,
	                         &core));
	const struct mapping *m = &core->target->maps.items[2];
	assert_string_equal(m->name, exe);
	/* Without a mapping of code the file is not looked at: its place is not known. */
	assert_null(m->image);
	assert_ptr_equal(rmem_read(core->target->rm, FILED, magic, 4), &err_fault);
	core_close(core);
	/* Now as code. */
	Elf64_Phdr ph;
	size_t at = sizeof(Elf64_Ehdr) + 3 * sizeof(ph);
	memcpy(&ph, bytes.s + at, sizeof(ph));
	ph.p_flags = PF_R | PF_X;
	memcpy(bytes.s + at, &ph, sizeof(ph));
	assert_null(core_open_fd(file_of(bytes.s, bytes.len), "core", NULL, b->images, b->strings,
	                         &core));
	m = &core->target->maps.items[2];
	assert_non_null(m->image);
	assert_string_equal(m->image->path, exe);
	assert_null(rmem_read(core->target->rm, FILED, magic, 4));
	assert_memory_equal(magic, ELFMAG, 4);
	core_close(core);
	strbuf_free(&bytes);
}

/* The first page is in the core, and it is not that of the file. */
static void a_file_that_was_replaced_is_not_used(void **state)
{
	struct both *b = *state;
	struct strbuf bytes = {0};
	struct core *core = NULL;
	char exe[4096], page[0x2000];
	ssize_t len = readlink("/proc/self/exe", exe, sizeof(exe) - 1);
	assert_true(len > 0);
	exe[len] = '\0';
	int fd = open(exe, O_RDONLY | O_CLOEXEC);
	assert_int_equal(read(fd, page, sizeof(page)), sizeof(page));
	close(fd);
	make_core(&bytes, exe);
	Elf64_Phdr ph;
	size_t at = sizeof(Elf64_Ehdr) + 3 * sizeof(ph);
	memcpy(&ph, bytes.s + at, sizeof(ph));
	ph.p_flags = PF_R | PF_X;
	ph.p_offset = bytes.len;
	ph.p_filesz = 0x1000;
	memcpy(bytes.s + at, &ph, sizeof(ph));
	strbuf_addn(&bytes, page, 0x1000);
	for (int replaced = 0; replaced < 2; replaced++) {
		assert_null(core_open_fd(file_of(bytes.s, bytes.len), "core", NULL, b->images,
		                         b->strings, &core));
		assert_int_equal(core->target->maps.items[2].image == NULL, replaced);
		core_close(core);
		/* A byte of the build id, wherever in that page it is. */
		char *id =
		        memmem(bytes.s + ph.p_offset, 0x1000, "\4\0\0\0\x14\0\0\0\3\0\0\0GNU", 16);
		if (!id)
			skip();
		id[16] ^= 1;
	}
	strbuf_free(&bytes);
}

/* Any byte of headers and notes damaged: no crash, and what is opened can be read. */
static void survives_damage(void **state)
{
	struct both *b = *state;
	struct strbuf bytes = {0};
	make_core(&bytes, "/x");
	size_t head = bytes.len - 0x1800;
	for (size_t i = 0; i < head; i++) {
		struct core *core = NULL;
		char c = bytes.s[i], byte;
		bytes.s[i] = (char)(i % 2 ? 0xff : c ^ 0x40);
		struct err *err = core_open_fd(file_of(bytes.s, bytes.len), "core", NULL, b->images,
		                               b->strings, &core);
		for (size_t k = 0; !err && k < core->target->maps.n; k++) {
			const struct mapping *m = &core->target->maps.items[k];
			rmem_read(core->target->rm, m->end - 1, &byte, 1);
			assert_true(m->start < m->end);
			assert_true(!k || m->start >= m[-1].end);
		}
		err_free(err);
		core_close(core);
		bytes.s[i] = c;
	}
	strbuf_free(&bytes);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	        cmocka_unit_test_setup_teardown(reads_threads_and_memory, setup, teardown),
	        cmocka_unit_test_setup_teardown(refuses_what_is_no_core, setup, teardown),
	        cmocka_unit_test_setup_teardown(a_cut_core_keeps_what_it_has, setup, teardown),
	        cmocka_unit_test_setup_teardown(files_fill_what_the_core_leaves_out, setup,
	                                        teardown),
	        cmocka_unit_test_setup_teardown(a_file_that_was_replaced_is_not_used, setup,
	                                        teardown),
	        cmocka_unit_test_setup_teardown(survives_damage, setup, teardown),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
