/* SPDX-License-Identifier: Apache-2.0 */
/* For tests: CFI written down by hand, a small ELF file around it, and a stack to unwind. */
#ifndef TESTS_UNIT_UNWIND_CFI_TEXT_H
#define TESTS_UNIT_UNWIND_CFI_TEXT_H

#include <elf.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <csample/image.h>
#include <csample/unwinder.h>

/* The file is one segment, linked at LINKED: ELF header, code, .eh_frame. */
#define LINKED      ((uint64_t)0x1000)
#define CODE_AT     0x1000u /* offset in the file: address as linked 0x2000 */
#define CODE_SIZE   0x1000u
#define FRAMES_AT   0x2000u
#define FRAMES_SIZE 0x1000u
#define FILE_SIZE   0x3000u
#define CODE        (LINKED + CODE_AT)

struct file {
	uint8_t bytes[FILE_SIZE];
	size_t frames; /* used of .eh_frame */
	size_t cie;
};

static inline void file_put(struct file *f, const void *p, size_t n)
{
	if (n)
		memcpy(f->bytes + FRAMES_AT + f->frames, p, n);
	f->frames += n;
}

static inline void file_end_entry(struct file *f, size_t at)
{
	while (f->frames % 8)
		f->bytes[FRAMES_AT + f->frames++] = 0;
	uint32_t len = (uint32_t)(f->frames - at - 4);
	memcpy(f->bytes + FRAMES_AT + at, &len, 4);
}

/* A CIE of x86_64: code alignment 1, data alignment -8, addresses absolute, then instructions. */
static inline void file_cie(struct file *f, const char *aug, const void *program, size_t n)
{
	uint8_t zero[8] = {0}, numbers[] = {1, 0x78, 16}, version = 1, data[] = {1, 0};
	f->cie = f->frames;
	file_put(f, zero, 8);
	file_put(f, &version, 1);
	file_put(f, aug, strlen(aug) + 1);
	file_put(f, numbers, 3);
	file_put(f, data, 2); /* one byte of augmentation: the encoding of addresses */
	file_put(f, program, n);
	file_end_entry(f, f->cie);
}

static inline void file_fde(struct file *f, uint64_t start, uint64_t len, const void *program,
                            size_t n)
{
	size_t at = f->frames;
	uint32_t back = (uint32_t)(at + 4 - f->cie), none = 0;
	uint8_t aug = 0;
	file_put(f, &none, 4);
	file_put(f, &back, 4);
	file_put(f, &start, 8);
	file_put(f, &len, 8);
	file_put(f, &aug, 1);
	file_put(f, program, n);
	file_end_entry(f, at);
}

static inline void file_init(struct file *f)
{
	static const uint8_t usual[] = {0x0c, 7, 8, 0x90, 1}; /* CFA = rsp + 8, rip at CFA - 8 */
	memset(f, 0, sizeof(*f));
	memset(f->bytes + CODE_AT, 0x90, CODE_SIZE);
	file_cie(f, "zR", usual, sizeof(usual));
}

/* Puts code at an address as linked. */
static inline void file_code(struct file *f, uint64_t vaddr, const void *code, size_t n)
{
	memcpy(f->bytes + (vaddr - LINKED), code, n);
}

/* Adds the headers: one segment, and .eh_frame as a section, without .eh_frame_hdr. */
static inline struct image *file_image(struct file *f, struct images *images)
{
	static const char names[] = "\0.eh_frame\0.shstrtab";
	const uint64_t names_at = FRAMES_AT + FRAMES_SIZE - 64, table_at = names_at - 3 * 64;
	Elf64_Ehdr eh = {
	        .e_ident = {ELFMAG0, ELFMAG1, ELFMAG2, ELFMAG3, ELFCLASS64, ELFDATA2LSB, 1},
	        .e_type = ET_DYN,
	        .e_machine = EM_X86_64,
	        .e_version = 1,
	        .e_phoff = 64,
	        .e_shoff = table_at,
	        .e_ehsize = 64,
	        .e_phentsize = 56,
	        .e_phnum = 1,
	        .e_shentsize = 64,
	        .e_shnum = 3,
	        .e_shstrndx = 2};
	Elf64_Phdr ph = {.p_type = PT_LOAD,
	                 .p_flags = PF_R | PF_X,
	                 .p_vaddr = LINKED,
	                 .p_filesz = FILE_SIZE,
	                 .p_memsz = FILE_SIZE};
	Elf64_Shdr sh[3] = {{0},
	                    {.sh_name = 1,
	                     .sh_type = SHT_PROGBITS,
	                     .sh_addr = LINKED + FRAMES_AT,
	                     .sh_offset = FRAMES_AT,
	                     .sh_size = f->frames},
	                    {.sh_name = 11,
	                     .sh_type = SHT_STRTAB,
	                     .sh_offset = names_at,
	                     .sh_size = sizeof(names)}};
	memcpy(f->bytes, &eh, sizeof(eh));
	memcpy(f->bytes + 64, &ph, sizeof(ph));
	memcpy(f->bytes + table_at, sh, sizeof(sh));
	memcpy(f->bytes + names_at, names, sizeof(names));
	struct image *img = NULL;
	struct err *err = images_add_memory(images, f->bytes, FILE_SIZE, "made.so", &img);
	err_free(err);
	return img;
}

/* A process that has the file at BIAS, a stack, and a page of code without a file. */
#define BIAS         ((uint64_t)0x10000000)
#define STACK_START  0x7ff000000000u
#define STACK_END    0x7ff000100000u
#define ANON         0x40000000u
#define STACK_COPIED 4096u

struct scene {
	struct strings *strings;
	struct images *images;
	struct unwinder *unwinder;
	struct mapping mappings[3];
	struct maps maps;
	struct snapshot snap;
	struct stack stack;
	uint64_t words[STACK_COPIED / 8];
	uint64_t sp;
};

static inline void scene_init(struct scene *s, struct file *f)
{
	memset(s, 0, sizeof(*s));
	s->strings = strings_create();
	s->images = images_create(s->strings);
	s->unwinder = unwinder_create(NULL, NULL);
	s->mappings[0] = (struct mapping){.start = BIAS + LINKED,
	                                  .end = BIAS + LINKED + FILE_SIZE,
	                                  .readable = true,
	                                  .executable = true,
	                                  .name = intern(s->strings, "made.so"),
	                                  .image = file_image(f, s->images),
	                                  .bias = BIAS};
	s->mappings[1] = (struct mapping){.start = ANON,
	                                  .end = ANON + 4096,
	                                  .executable = true,
	                                  .name = intern(s->strings, "")};
	s->mappings[2] = (struct mapping){.start = STACK_START,
	                                  .end = STACK_END,
	                                  .readable = true,
	                                  .writable = true,
	                                  .name = intern(s->strings, "[stack]")};
	s->maps = (struct maps){s->mappings, 3, 1};
	s->sp = STACK_START + 0x8000;
	s->snap.bytes = (uint8_t *)s->words;
	s->snap.n_regions = 1;
	s->snap.regions[0] = (struct region){s->sp, STACK_COPIED, 0};
	regs_set(&s->snap.regs, REG_SP, s->sp);
	stack_init(&s->stack);
}

static inline void scene_deinit(struct scene *s)
{
	stack_deinit(&s->stack);
	unwinder_destroy(s->unwinder);
	images_destroy(s->images);
	strings_destroy(s->strings);
}

/* From pc, given as linked. */
static inline void scene_unwind(struct scene *s, uint64_t pc)
{
	regs_set(&s->snap.regs, REG_PC, pc + BIAS);
	stack_reset(&s->stack);
	unwind(s->unwinder, &s->maps, 1, &s->snap, &s->stack);
}

#endif
