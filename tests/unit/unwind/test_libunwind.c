/* SPDX-License-Identifier: Apache-2.0 */
/* Our interpreter, rules and steps against libunwind's own reading of the same tables, at thousands
 * of addresses of the libraries of this machine: one step each, from registers and a stack made up.
 */
#include <dlfcn.h>
#include <fcntl.h>
#include <libunwind.h>
#include <link.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include <csample/bytes.h>

#include "../../../src/unwind/generic.h"
#include "../../../src/unwind/tables.h"
#include "../../../src/unwind/walk.h"
#include "cfi_text.h"

#define dwarf_search_unwind_table UNW_OBJ(dwarf_search_unwind_table)
int dwarf_search_unwind_table(unw_addr_space_t as, unw_word_t ip, unw_dyn_info_t *di,
                              unw_proc_info_t *pi, int need_unwind_info, void *arg);

#define WORDS   8192
#define SAMPLES 4000

struct machine {
	struct image *img;
	struct regs regs;
	bool sets_sp;
	uint64_t stack_addr;
	uint64_t words[WORDS];
};

static uint64_t random_state = 88172645463325252ULL;
static uint64_t random_next(void)
{
	random_state ^= random_state << 13;
	random_state ^= random_state >> 7;
	random_state ^= random_state << 17;
	return random_state;
}

static int find_proc_info(unw_addr_space_t as, unw_word_t ip, unw_proc_info_t *pi, int need,
                          void *arg)
{
	struct machine *m = arg;
	const uint8_t *p = image_section_bytes(m->img, &m->img->eh_frame_hdr);
	struct bytes b = bytes_over(p, m->img->eh_frame_hdr.size);
	unw_dyn_info_t di = {0};
	bytes_u64(&b);
	di.format = UNW_INFO_FORMAT_REMOTE_TABLE;
	di.end_ip = UINT64_MAX;
	di.u.rti.segbase = m->img->eh_frame_hdr.vaddr + BIAS;
	di.u.rti.table_len = bytes_u32(&b); /* in words; an entry is one */
	di.u.rti.table_data = di.u.rti.segbase + 12;
	return dwarf_search_unwind_table(as, ip, &di, pi, need, arg);
}

static void put_unwind_info(unw_addr_space_t as, unw_proc_info_t *pi, void *arg)
{
	(void)as, (void)pi, (void)arg;
}

static int no_dynamic_info(unw_addr_space_t as, unw_word_t *addr, void *arg)
{
	(void)as, (void)addr, (void)arg;
	return -UNW_ENOINFO;
}

static int access_mem(unw_addr_space_t as, unw_word_t addr, unw_word_t *val, int write, void *arg)
{
	struct machine *m = arg;
	(void)as;
	uint64_t at = addr - m->stack_addr;
	const void *p = at <= sizeof(m->words) - 8 ? (const uint8_t *)m->words + at
	                                           : image_bytes(m->img, addr - BIAS, 8);
	uint8_t last[8] = {0};
	if (!p &&
	    !write) /* libunwind reads whole words, also the one across the end of a segment */
		for (size_t i = 0; i < 8; i++) {
			const uint8_t *one = image_bytes(m->img, addr - BIAS + i, 1);
			if (one)
				last[i] = *one, p = last;
		}
	if (!p || write)
		return -UNW_EINVAL;
	memcpy(val, p, 8);
	return 0;
}

static int access_reg(unw_addr_space_t as, unw_regnum_t reg, unw_word_t *val, int write, void *arg)
{
	struct machine *m = arg;
	(void)as;
	if (write || reg < 0 || !regs_known(&m->regs, (unsigned)reg))
		return -UNW_EBADREG;
	*val = m->regs.r[reg];
	return 0;
}

static int access_fpreg(unw_addr_space_t as, unw_regnum_t reg, unw_fpreg_t *val, int write,
                        void *arg)
{
	(void)as, (void)reg, (void)val, (void)write, (void)arg;
	return -UNW_EBADREG;
}

static int no_resume(unw_addr_space_t as, unw_cursor_t *cursor, void *arg)
{
	(void)as, (void)cursor, (void)arg;
	return -UNW_EINVAL;
}

/* Bases of CFAs point into the stack; so do the words there, for expressions that read one. A
 * return address is any word of code. */
static void make_up(struct machine *m, uint64_t pc, const struct mapping *code)
{
	m->stack_addr = 0x7ff000000000;
	for (size_t i = 0; i < WORDS; i++)
		m->words[i] =
		        i % 2 ? code->start + random_next() % (code->end - code->start)
		              : m->stack_addr + WORDS * 4 + random_next() % (WORDS * 2) / 8 * 8;
	m->regs.valid = 0;
	for (unsigned i = 0; i < ARCH_REGS; i++)
		regs_set(&m->regs, i, m->stack_addr + WORDS * 4 + random_next() % 512 * 8);
	regs_set(&m->regs, REG_SP, m->stack_addr + WORDS * 2);
	regs_set(&m->regs, REG_PC, pc);
}

struct sums {
	unsigned same, both_fail, differ;
};

/* Our step, in its parts; false where the stack would end. */
static bool step(struct machine *m, const struct scene *s, struct generic *generic, struct walk *w)
{
	struct cfi_fde fde;
	struct cfi_row row;
	union rule_buf buf;
	size_t bytes = 0;
	m->sets_sp = false;
	uint64_t vaddr = m->regs.r[REG_PC] - BIAS;
	*w = (struct walk){.snap = &s->snap,
	                   .maps = &s->maps,
	                   .stack = (const uint8_t *)m->words,
	                   .stack_addr = m->stack_addr,
	                   .stack_len = sizeof(m->words),
	                   .regs = m->regs,
	                   .is_exact = true};
	if (!tables_find(tables_of(m->img, &bytes), vaddr, &fde) || !cfi_run(&fde, vaddr, &row))
		return walk_fail(w, STACK_BAD_CFI);
	rule_from_row(&row, vaddr, &buf.rule);
	m->sets_sp = (buf.rule.flags & RULE_SETS_SP) && !(buf.rule.flags & RULE_SIGNAL);
	if (buf.rule.kind == RULE_FRAME)
		return walk_step(w, &buf.rule);
	if (buf.rule.kind == RULE_LIBUNWIND)
		return generic_step(generic, w, &row);
	return walk_fail(w, buf.rule.kind == RULE_ROOT ? STACK_ROOT : STACK_BAD_CFI);
}

static bool same_registers(const struct walk *w, unw_cursor_t *c)
{
	for (unsigned i = 0; i < ARCH_REGS; i++) {
		unw_word_t v = 0;
		if (!(ARCH_CALLEE_SAVED & BIT(i)))
			continue;
		bool known = !unw_get_reg(c, (int)i, &v);
		if (known != regs_known(&w->regs, i) || (known && v != w->regs.r[i]))
			return false;
	}
	return true;
}

static void compare(struct machine *m, struct scene *s, struct generic *generic,
                    unw_addr_space_t as, struct sums *sums)
{
	unw_cursor_t c;
	unw_word_t pc = 0, cfa = 0;
	struct walk w;
	bool ours = step(m, s, generic, &w);
	bool theirs = !unw_init_remote(&c, as, m) && unw_step(&c) >= 0 &&
	              !unw_get_reg(&c, UNW_REG_IP, &pc) && pc && !unw_get_reg(&c, UNW_REG_SP, &cfa);
	/* Roots; a CFA below the stack pointer, which we refuse; and longjmp, where libunwind takes
	 * the CFA for the stack pointer although that has a rule of its own. */
	if (m->sets_sp || (!ours && (!theirs || w.end == STACK_ROOT || w.end == STACK_LOOP))) {
		sums->both_fail++;
		return;
	}
	bool equal =
	        ours && theirs && w.cfa == cfa && w.regs.r[REG_PC] == pc && same_registers(&w, &c);
	sums->same += equal;
	sums->differ += !equal;
	if (!equal)
		print_message("%s+0x%llx: %d, CFA %llx against %d, %llx\n", m->img->path,
		              (unsigned long long)(m->regs.r[REG_PC] - BIAS), ours,
		              (unsigned long long)w.cfa, theirs, (unsigned long long)cfa);
}

static void crosscheck(const char *path)
{
	static struct machine m;
	static struct file empty;
	static unw_accessors_t accessors = {
	        .find_proc_info = find_proc_info,
	        .put_unwind_info = put_unwind_info,
	        .get_dyn_info_list_addr = no_dynamic_info,
	        .access_mem = access_mem,
	        .access_reg = access_reg,
	        .access_fpreg = access_fpreg,
	        .resume = no_resume,
	};
	struct scene s;
	file_init(&empty);
	scene_init(&s, &empty);
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	struct err *err = images_add(s.images, fd, path, -1, &m.img);
	const uint8_t *hdr = err ? NULL : image_section_bytes(m.img, &m.img->eh_frame_hdr);
	if (!hdr) {
		err_free(err);
		scene_deinit(&s);
		skip();
		return;
	}
	for (size_t i = 0; i < m.img->n_segments; i++) {
		const struct image_segment *seg = &m.img->segments[i];
		if (!(seg->flags & PF_X))
			continue;
		s.mappings[0].start = seg->vaddr + BIAS;
		s.mappings[0].end = seg->vaddr + seg->filesz + BIAS;
		s.mappings[0].image = m.img;
	}
	s.maps.n = 1;
	struct generic *generic = generic_create();
	unw_addr_space_t as = unw_create_addr_space(&accessors, 0);
	struct bytes b = bytes_over(hdr, m.img->eh_frame_hdr.size);
	bytes_u64(&b);
	uint32_t n = bytes_u32(&b);
	struct sums sums = {0};
	for (unsigned i = 0; i < SAMPLES; i++) {
		/* Somewhere in the first bytes of some function, where rows change. */
		struct bytes e = b;
		bytes_take(&e, random_next() % n * 8);
		uint64_t start =
		        m.img->eh_frame_hdr.vaddr + (uint64_t)(int32_t)bytes_u32(&e) + BIAS;
		make_up(&m, start + random_next() % (i % 2 ? 24 : 400), &s.mappings[0]);
		/* Between functions libunwind guesses; so may we, but not the same. */
		unw_proc_info_t pi;
		if (!unw_get_proc_info_by_ip(as, m.regs.r[REG_PC], &pi, &m))
			compare(&m, &s, generic, as, &sums);
	}
	print_message("%s: %u the same, %u not to be had, %u differ\n", path, sums.same,
	              sums.both_fail, sums.differ);
	generic_destroy(generic);
	unw_destroy_addr_space(as);
	scene_deinit(&s);
	assert_true(sums.same > SAMPLES / 2);
	assert_int_equal(sums.differ, 0);
}

/* The path of the library that a symbol comes from. */
static void of_symbol(const char *library, const char *symbol)
{
	void *handle = dlopen(library, RTLD_LAZY);
	Dl_info info;
	if (!handle || !dladdr(dlsym(handle, symbol), &info)) {
		skip();
		return;
	}
	char *path = realpath(info.dli_fname, NULL);
	crosscheck(path);
	free(path);
}

static void libc(void **state)
{
	(void)state;
	of_symbol("libc.so.6", "getpid");
}

static void libstdcxx(void **state)
{
	(void)state;
	of_symbol("libstdc++.so.6", "__cxa_throw");
}

static void libcrypto(void **state)
{
	(void)state;
	of_symbol("libcrypto.so.3", "RAND_bytes");
}

static void of_path(const char *path)
{
	char *real = realpath(path, NULL);
	if (!real) {
		skip();
		return;
	}
	crosscheck(real);
	free(real);
}

static void loader(void **state)
{
	(void)state;
	of_path("/lib64/ld-linux-x86-64.so.2");
}

static void python(void **state)
{
	(void)state;
	of_path("/usr/bin/python3");
}

static void elfutils(void **state)
{
	(void)state;
	of_symbol("libdw.so.1", "dwarf_begin");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	        cmocka_unit_test(libc),   cmocka_unit_test(libstdcxx), cmocka_unit_test(libcrypto),
	        cmocka_unit_test(loader), cmocka_unit_test(elfutils),  cmocka_unit_test(python),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
