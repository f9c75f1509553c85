/* SPDX-License-Identifier: Apache-2.0 */
/* Finds in a Go program what its function table leaves to the linker: runtime.firstmoduledata,
 * which starts with a pointer to the table. */
#include <gelf.h>
#include <string.h>

#include <csample/mem.h>

#include "gopclntab.h"

/* Of moduledata, Go's src/runtime/symtab.go: pcHeader, funcnametab, and so on are the same since
 * 1.16; the others moved when coverage counters came. */
enum {
	MODULE_FUNCNAMETAB = 8,
	MODULE_TEXT = 176,
	MODULE_GOFUNC_1_18 = 304,
	MODULE_GOFUNC_1_20 = 320,
	MODULE_BYTES = 328,
};

#define HEADER_NAMES_1_18 32 /* funcnameOffset in the header; 8 less before text start came */
#define HEADER_TEXT       24

struct search {
	const struct elf_file *f;
	uint64_t table;           /* address of the function table, as linked */
	uint64_t names;           /* of the names in it: the second pointer of moduledata */
	uint64_t found;           /* address of moduledata */
	struct bytes relocations; /* .rela.dyn or .rela; empty: none */
};

static bool next_section(const struct elf_file *f, Elf_Scn **scn, GElf_Shdr *sh, const char **name,
                         struct bytes *bytes)
{
	size_t strndx;
	if (elf_getshdrstrndx(f->elf, &strndx))
		return false;
	while ((*scn = elf_nextscn(f->elf, *scn))) {
		*name = gelf_getshdr(*scn, sh) ? elf_strptr(f->elf, strndx, sh->sh_name) : NULL;
		if (!*name || sh->sh_type == SHT_NOBITS || sh->sh_offset > f->size ||
		    sh->sh_size > f->size - sh->sh_offset)
			continue;
		*bytes = bytes_over(f->data + sh->sh_offset, sh->sh_size);
		return true;
	}
	return false;
}

/* In position-independent programs, pointers are in the relocations, and zero in the file. */
static bool relocated(const struct search *s, uint64_t addr, uint64_t *ret)
{
	for (struct bytes b = s->relocations; bytes_left(&b) >= sizeof(Elf64_Rela);) {
		uint64_t at = bytes_u64(&b), info = bytes_u64(&b), addend = bytes_u64(&b);
		uint64_t type = ELF64_R_TYPE(info);
		if (at == addr && (type == R_X86_64_RELATIVE || type == R_AARCH64_RELATIVE)) {
			*ret = addend;
			return true;
		}
	}
	return false;
}

static bool word_in_file(const struct elf_file *f, uint64_t addr, uint64_t *ret)
{
	Elf_Scn *scn = NULL;
	GElf_Shdr sh;
	const char *name;
	struct bytes b;
	while (next_section(f, &scn, &sh, &name, &b)) {
		if (!(sh.sh_flags & SHF_ALLOC) || addr - sh.sh_addr >= sh.sh_size)
			continue;
		bytes_take(&b, addr - sh.sh_addr);
		*ret = bytes_u64(&b);
		return !b.bad;
	}
	return false;
}

static uint64_t word_at(const struct search *s, uint64_t addr)
{
	uint64_t word = 0;
	if (!relocated(s, addr, &word) && !word_in_file(s->f, addr, &word))
		return 0;
	return word;
}

static void scan_words(struct search *s, const GElf_Shdr *sh, struct bytes b)
{
	uint64_t addr = sh->sh_addr, last = 0;
	for (; bytes_left(&b) >= 8 && !s->found; addr += 8) {
		uint64_t word = bytes_u64(&b);
		if (last == s->table && word == s->names)
			s->found = addr - MODULE_FUNCNAMETAB;
		last = word;
	}
}

static void scan_relocations(struct search *s, struct bytes b)
{
	uint64_t last_at = 0, last = 0;
	while (bytes_left(&b) >= sizeof(Elf64_Rela) && !s->found) {
		uint64_t at = bytes_u64(&b);
		bytes_u64(&b);
		uint64_t addend = bytes_u64(&b);
		if (last == s->table && addend == s->names && at == last_at + MODULE_FUNCNAMETAB) {
			s->relocations = b;
			s->found = last_at;
		}
		last_at = at;
		last = addend;
	}
}

static void find_module(struct search *s)
{
	Elf_Scn *scn = NULL;
	GElf_Shdr sh;
	const char *name;
	struct bytes b;
	while (!s->found && next_section(s->f, &scn, &sh, &name, &b)) {
		if (sh.sh_type == SHT_RELA && (sh.sh_flags & SHF_ALLOC)) {
			struct bytes whole = b;
			scan_relocations(s, b);
			s->relocations = s->found ? whole : s->relocations;
		} else if (sh.sh_type == SHT_PROGBITS && (sh.sh_flags & SHF_WRITE)) {
			scan_words(s, &sh, b);
		}
	}
}

static struct bytes bytes_at(const struct elf_file *f, uint64_t addr)
{
	Elf_Scn *scn = NULL;
	GElf_Shdr sh;
	const char *name;
	struct bytes b;
	while (next_section(f, &scn, &sh, &name, &b)) {
		if (!(sh.sh_flags & SHF_ALLOC) || addr - sh.sh_addr >= sh.sh_size)
			continue;
		bytes_take(&b, addr - sh.sh_addr);
		return b;
	}
	return (struct bytes){0};
}

static struct go_module read_module(struct search *s, uint32_t magic)
{
	struct go_module m = {0};
	find_module(s);
	if (s->found) {
		uint64_t gofunc = word_at(s, s->found + (magic == 0xfffffff0 ? MODULE_GOFUNC_1_18
		                                                             : MODULE_GOFUNC_1_20));
		m.text = word_at(s, s->found + MODULE_TEXT);
		m.gofunc = bytes_at(s->f, gofunc);
	}
	return m;
}

struct gopclntab *gopclntab_of_file(const struct elf_file *f)
{
	Elf64_Shdr sh;
	struct bytes table, b;
	if (!elf_file_section(f, ".gopclntab", &sh, &table) &&
	    !elf_file_section(f, ".data.rel.ro.gopclntab", &sh, &table))
		return NULL;
	b = table;
	uint32_t magic = bytes_u32(&b);
	b = table;
	bytes_take(&b, magic == 0xfffffffa ? HEADER_NAMES_1_18 - 8 : HEADER_NAMES_1_18);
	struct search s = {.f = f, .table = sh.sh_addr, .names = sh.sh_addr + bytes_u64(&b)};
	struct go_module module = read_module(&s, magic);
	/* Without it, where the text starts: in the header, which says nothing since 1.26. */
	b = table;
	bytes_take(&b, HEADER_TEXT);
	Elf64_Shdr text;
	struct bytes code;
	if (!module.text && !bytes_u64(&b) && elf_file_section(f, ".text", &text, &code))
		module.text = text.sh_addr;
	return gopclntab_create(table, module);
}
