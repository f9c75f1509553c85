/* SPDX-License-Identifier: Apache-2.0 */
#include "excerpt.h"

#include <elf.h>
#include <gelf.h>
#include <libelf.h>
#include <stdlib.h>
#include <string.h>

#include <csample/mem.h>
#include <csample/vec.h>

#define SMALL_SECTION 1024
#define SYMBOL_BYTES  16
#define MAX_SECTIONS  128
#define MAX_GAP       64 /* between symbols whose bytes become one segment */
#define MAX_SEGMENTS  (IMAGE_MAX_SEGMENTS - 16)

struct piece {
	uint64_t vaddr, len;
};

/* The file under construction; offsets in content are relative to its beginning. */
struct excerpt {
	const struct image *img;
	const char *const *symbols;
	const uint64_t *addrs;
	size_t n_addrs;
	struct strbuf content, names; /* after the headers; .shstrtab */
	VEC(Elf64_Phdr) segments;
	VEC(struct piece) pieces; /* wanted of the image's bytes */
	VEC(Elf64_Shdr) sections;
	bool found; /* one of the symbols, or of the sections */
};

static uint64_t add_content(struct excerpt *x, const void *bytes, size_t len)
{
	while (x->content.len % 8)
		strbuf_addc(&x->content, 0);
	uint64_t at = x->content.len;
	strbuf_addn(&x->content, bytes, len);
	return at;
}

static uint32_t add_name(struct excerpt *x, const char *name)
{
	uint32_t at = (uint32_t)x->names.len;
	strbuf_addn(&x->names, name, strlen(name) + 1);
	return at;
}

static void want_bytes(struct excerpt *x, uint64_t vaddr, uint64_t len)
{
	*vec_add(&x->pieces) = (struct piece){vaddr, len};
}

/* len bytes of the image at vaddr, found there again in a segment of their own. */
static void add_bytes(struct excerpt *x, uint64_t vaddr, size_t len)
{
	const uint8_t *p = image_bytes(x->img, vaddr, len);
	if (!p || x->segments.n >= IMAGE_MAX_SEGMENTS)
		return;
	*vec_add(&x->segments) = (Elf64_Phdr){.p_type = PT_LOAD,
	                                      .p_flags = PF_R,
	                                      .p_offset = add_content(x, p, len),
	                                      .p_vaddr = vaddr,
	                                      .p_filesz = len};
}

static int by_address(const void *a, const void *b)
{
	const struct piece *x = a, *y = b;
	return (x->vaddr > y->vaddr) - (x->vaddr < y->vaddr);
}

static void add_pieces(struct excerpt *x)
{
	if (!x->pieces.n)
		return;
	qsort(x->pieces.items, x->pieces.n, sizeof(*x->pieces.items), by_address);
	struct piece whole = x->pieces.items[0];
	for (size_t i = 1; i < x->pieces.n; i++) {
		const struct piece *p = &x->pieces.items[i];
		uint64_t from = p->vaddr - whole.vaddr;
		if (from > whole.len + MAX_GAP ||
		    !image_bytes(x->img, whole.vaddr, from + p->len)) {
			add_bytes(x, whole.vaddr, whole.len);
			whole = *p;
		} else if (from + p->len > whole.len) {
			whole.len = from + p->len;
		}
	}
	add_bytes(x, whole.vaddr, whole.len);
}

static void add_segments(struct excerpt *x)
{
	for (size_t i = 0; i < x->img->n_segments && i < MAX_SEGMENTS; i++) {
		const struct image_segment *s = &x->img->segments[i];
		*vec_add(&x->segments) = (Elf64_Phdr){.p_type = PT_LOAD,
		                                      .p_flags = s->flags,
		                                      .p_vaddr = s->vaddr,
		                                      .p_memsz = s->memsz};
	}
	if (!x->img->build_id_len)
		return;
	uint8_t note[16 + BUILD_ID_MAX] = {0};
	const uint32_t head[] = {4, (uint32_t)x->img->build_id_len, NT_GNU_BUILD_ID};
	memcpy(note, head, sizeof(head));
	memcpy(note + 12, "GNU", 4);
	memcpy(note + 16, x->img->build_id, x->img->build_id_len);
	size_t len = 16 + ((x->img->build_id_len + 3) & ~(size_t)3);
	*vec_add(&x->segments) = (Elf64_Phdr){.p_type = PT_NOTE,
	                                      .p_flags = PF_R,
	                                      .p_offset = add_content(x, note, len),
	                                      .p_filesz = len,
	                                      .p_align = 4};
}

/* The wanted name that says so, by number; -1: none. */
static int wanted(const struct excerpt *x, const char *name, bool *all_ret)
{
	for (int i = 0; x->symbols && x->symbols[i]; i++) {
		size_t len = strlen(x->symbols[i]);
		*all_ret = len && x->symbols[i][len - 1] == '*';
		if (*all_ret ? !strncmp(x->symbols[i], name, len - 1)
		             : !strcmp(x->symbols[i], name))
			return i;
	}
	return -1;
}

static bool is_wanted(const struct excerpt *x, const char *name)
{
	bool all;
	return wanted(x, name, &all) >= 0;
}

static const char *symbol_at(const struct excerpt *x, Elf_Data *data, const GElf_Shdr *sh, size_t i,
                             GElf_Sym *ret)
{
	if (!data || !gelf_getsym(data, (int)i, ret) || ret->st_shndx == SHN_UNDEF)
		return NULL;
	return elf_strptr(x->img->elf, sh->sh_link, ret->st_name);
}

/* The functions whose names begin as wanted: where the first and the last are. */
struct range {
	uint64_t first, last;
};

static void find_ranges(const struct excerpt *x, Elf_Data *data, const GElf_Shdr *sh,
                        struct range *ranges)
{
	for (size_t i = 1; i < sh->sh_size / sizeof(Elf64_Sym); i++) {
		GElf_Sym sym;
		bool all;
		const char *name = symbol_at(x, data, sh, i, &sym);
		int k = name ? wanted(x, name, &all) : -1;
		if (k < 0 || !all || !sym.st_size)
			continue;
		if (!ranges[k].first || sym.st_value < ranges[k].first)
			ranges[k].first = sym.st_value;
		if (sym.st_value > ranges[k].last)
			ranges[k].last = sym.st_value;
	}
}

static bool is_kept(const struct excerpt *x, const char *name, const GElf_Sym *sym,
                    const struct range *ranges)
{
	bool all;
	int k = wanted(x, name, &all);
	if (k < 0 || !all || GELF_ST_TYPE(sym->st_info) != STT_FUNC)
		return k >= 0;
	for (size_t i = 0; i < x->n_addrs; i++) /* a call may be the last of its bytes */
		if (x->addrs[i] - sym->st_value <= sym->st_size)
			return true;
	return sym->st_value == ranges[k].first || sym->st_value == ranges[k].last;
}

/* The wanted ones of a symbol table, and its strings. */
static void add_symbols(struct excerpt *x, Elf_Scn *scn, const GElf_Shdr *sh, const char *name,
                        const char *strings_name)
{
	struct strbuf table = {0}, strings = {0};
	Elf_Data *data = elf_getdata(scn, NULL);
	Elf64_Sym none = {0};
	size_t n_symbols = 0;
	while (x->symbols && x->symbols[n_symbols])
		n_symbols++;
	_cleanup_free_ struct range *ranges = mem_zalloc((n_symbols + 1) * sizeof(*ranges));
	find_ranges(x, data, sh, ranges);
	strbuf_addn(&table, (const char *)&none, sizeof(none));
	strbuf_addc(&strings, 0);
	for (size_t i = 1; data && i < sh->sh_size / sizeof(none); i++) {
		GElf_Sym sym;
		const char *symbol = symbol_at(x, data, sh, i, &sym);
		if (!symbol || !is_kept(x, symbol, &sym, ranges))
			continue;
		Elf64_Sym out = sym;
		out.st_name = (uint32_t)strings.len;
		strbuf_addn(&strings, symbol, strlen(symbol) + 1);
		strbuf_addn(&table, (const char *)&out, sizeof(out));
		size_t size = sym.st_size < SYMBOL_BYTES ? sym.st_size : SYMBOL_BYTES;
		if (GELF_ST_TYPE(sym.st_info) == STT_OBJECT && size)
			want_bytes(x, sym.st_value, size);
	}
	if (strings.len > 1) {
		x->found = true;
		uint64_t at = add_content(x, strings.s, strings.len);
		*vec_add(&x->sections) = (Elf64_Shdr){.sh_name = add_name(x, strings_name),
		                                      .sh_type = SHT_STRTAB,
		                                      .sh_offset = at,
		                                      .sh_size = strings.len,
		                                      .sh_addralign = 1};
		uint32_t link = (uint32_t)x->sections.n - 1;
		at = add_content(x, table.s, table.len);
		*vec_add(&x->sections) = (Elf64_Shdr){.sh_name = add_name(x, name),
		                                      .sh_type = sh->sh_type,
		                                      .sh_offset = at,
		                                      .sh_size = table.len,
		                                      .sh_link = link,
		                                      .sh_info = 1,
		                                      .sh_addralign = 8,
		                                      .sh_entsize = sizeof(none)};
	}
	strbuf_free(&table);
	strbuf_free(&strings);
}

static void add_sections(struct excerpt *x)
{
	*vec_add(&x->sections) = (Elf64_Shdr){.sh_name = add_name(x, "")};
	size_t shstrndx = 0;
	if (elf_getshdrstrndx(x->img->elf, &shstrndx))
		return;
	for (Elf_Scn *scn = NULL; (scn = elf_nextscn(x->img->elf, scn));) {
		GElf_Shdr sh;
		if (!gelf_getshdr(scn, &sh) || x->sections.n > MAX_SECTIONS)
			continue;
		const char *name = elf_strptr(x->img->elf, shstrndx, sh.sh_name);
		if (!name)
			continue;
		if (sh.sh_type == SHT_DYNSYM)
			add_symbols(x, scn, &sh, name, ".dynstr");
		else if (sh.sh_type == SHT_SYMTAB)
			add_symbols(x, scn, &sh, name, ".strtab");
		if (sh.sh_type != SHT_PROGBITS && sh.sh_type != SHT_NOBITS)
			continue;
		if (!(sh.sh_flags & SHF_ALLOC))
			continue;
		bool wanted = is_wanted(x, name);
		x->found |= wanted;
		Elf64_Shdr out = {.sh_name = add_name(x, name),
		                  .sh_type = SHT_NOBITS,
		                  .sh_flags = sh.sh_flags,
		                  .sh_addr = sh.sh_addr,
		                  .sh_size = sh.sh_size,
		                  .sh_addralign = sh.sh_addralign};
		*vec_add(&x->sections) = out;
		if (wanted && sh.sh_type == SHT_PROGBITS && sh.sh_size <= SMALL_SECTION)
			want_bytes(x, sh.sh_addr, sh.sh_size);
	}
}

bool excerpt_image(const struct image *img, const char *const *symbols, const uint64_t *addrs,
                   size_t n_addrs, struct strbuf *b)
{
	struct excerpt x = {.img = img, .symbols = symbols, .addrs = addrs, .n_addrs = n_addrs};
	add_segments(&x);
	add_sections(&x);
	add_pieces(&x);
	Elf64_Shdr names = {.sh_name = add_name(&x, ".shstrtab"), .sh_type = SHT_STRTAB};
	names.sh_size = x.names.len;
	names.sh_offset = add_content(&x, x.names.s, x.names.len);
	*vec_add(&x.sections) = names;
	uint64_t headers = sizeof(Elf64_Ehdr) + x.segments.n * sizeof(Elf64_Phdr) +
	                   x.sections.n * sizeof(Elf64_Shdr);
	Elf64_Ehdr eh = {
	        .e_ident = {ELFMAG0, ELFMAG1, ELFMAG2, ELFMAG3, ELFCLASS64, ELFDATA2LSB,
	                    EV_CURRENT},
	        .e_type = img->is_exec ? ET_EXEC : ET_DYN,
	        .e_machine = img->machine,
	        .e_version = EV_CURRENT,
	        .e_entry = img->entry,
	        .e_phoff = sizeof(eh),
	        .e_shoff = sizeof(eh) + x.segments.n * sizeof(Elf64_Phdr),
	        .e_ehsize = sizeof(eh),
	        .e_phentsize = sizeof(Elf64_Phdr),
	        .e_phnum = (uint16_t)x.segments.n,
	        .e_shentsize = sizeof(Elf64_Shdr),
	        .e_shnum = (uint16_t)x.sections.n,
	        .e_shstrndx = (uint16_t)(x.sections.n - 1),
	};
	strbuf_addn(b, (const char *)&eh, sizeof(eh));
	for (size_t i = 0; i < x.segments.n; i++) {
		x.segments.items[i].p_offset += x.segments.items[i].p_filesz ? headers : 0;
		strbuf_addn(b, (const char *)&x.segments.items[i], sizeof(Elf64_Phdr));
	}
	for (size_t i = 0; i < x.sections.n; i++) {
		x.sections.items[i].sh_offset += x.sections.items[i].sh_type ? headers : 0;
		strbuf_addn(b, (const char *)&x.sections.items[i], sizeof(Elf64_Shdr));
	}
	strbuf_addn(b, x.content.s, x.content.len);
	strbuf_free(&x.content);
	strbuf_free(&x.names);
	vec_free(&x.pieces);
	vec_free(&x.segments);
	vec_free(&x.sections);
	return x.found;
}
