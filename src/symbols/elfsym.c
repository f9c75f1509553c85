/* SPDX-License-Identifier: Apache-2.0 */
#include "elfsym.h"

#include <gelf.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include <csample/mem.h>
#include <csample/vec.h>

#define MAX_TABLES   4
#define MAX_SYMBOLS  ((size_t)1 << 30)
#define MAX_NAME     65535
#define RADIX_BITS   11
#define RADIX_SLOTS  (1 << RADIX_BITS)
#define MAX_LOOKBACK 16
/* Without .symtab, what lies behind a function without a size is most likely a static function that
 * nobody names: a wrong name is worse than none. */
#define MAX_DYNSYM_GUESS 1024

/* A function. ref: which table in the upper two bits, index of the symbol in the others. */
struct sym {
	uint64_t addr;
	uint32_t size; /* 0 until finish() guessed it */
	uint32_t ref;
};

struct table {
	const uint8_t *syms; /* Elf64_Sym, unaligned if the file says so */
	size_t n;
	struct bytes names;
	bool is_dynsym;
};

struct range {
	uint64_t start, end;
};

struct elfsym {
	struct table tables[MAX_TABLES];
	size_t n_tables;
	struct sym *syms;
	size_t n;
	size_t mapped_bytes;    /* of syms */
	VEC(struct range) code; /* executable sections, while the index is made */
};

static uint32_t make_ref(size_t table, size_t index)
{
	return (uint32_t)(table << 30 | index);
}

static Elf64_Sym get_sym(const struct elfsym *index, uint32_t ref)
{
	Elf64_Sym sym;
	memcpy(&sym, index->tables[ref >> 30].syms + (ref & (MAX_SYMBOLS - 1)) * sizeof(sym),
	       sizeof(sym));
	return sym;
}

/* Bytes of the name, "@VERSION" cut off; 0: no name. */
static size_t get_name(const struct table *t, uint32_t st_name, const char **ret)
{
	struct bytes b = t->names;
	if (!bytes_take(&b, st_name))
		return 0;
	size_t max = bytes_left(&b) < MAX_NAME ? bytes_left(&b) : MAX_NAME;
	const char *name = (const char *)b.p;
	size_t len = strnlen(name, max);
	if (len == max)
		return 0;
	const char *at = len ? memchr(name + 1, '@', len - 1) : NULL;
	*ret = name;
	return at ? (size_t)(at - name) : len;
}

static void add_code_sections(struct elfsym *index, const struct elf_file *f)
{
	size_t n = 0;
	for (Elf_Scn *scn = NULL; (scn = elf_nextscn(f->elf, scn)) && n < 65536; n++) {
		GElf_Shdr sh;
		if (gelf_getshdr(scn, &sh) && (sh.sh_flags & SHF_EXECINSTR) && sh.sh_size &&
		    sh.sh_addr + sh.sh_size > sh.sh_addr)
			*vec_add(&index->code) =
			        (struct range){sh.sh_addr, sh.sh_addr + sh.sh_size};
	}
}

/* End of the executable section that holds addr; 0: none does. */
static uint64_t code_end(const struct elfsym *index, uint64_t addr)
{
	for (size_t i = 0; i < index->code.n; i++)
		if (addr - index->code.items[i].start <
		    index->code.items[i].end - index->code.items[i].start)
			return index->code.items[i].end;
	return 0;
}

static bool add_table(struct elfsym *index, const struct elfsym_source *src)
{
	Elf64_Shdr sh, str;
	struct bytes syms, names;
	if (!src->file || !elf_file_section(src->file, src->section, &sh, &syms) ||
	    sh.sh_entsize != sizeof(Elf64_Sym))
		return false;
	GElf_Shdr *found = gelf_getshdr(elf_getscn(src->file->elf, sh.sh_link), &str);
	if (!found || str.sh_type != SHT_STRTAB || str.sh_offset > src->file->size ||
	    str.sh_size > src->file->size - str.sh_offset)
		return false;
	names = bytes_over(src->file->data + str.sh_offset, str.sh_size);
	size_t n = bytes_left(&syms) / sizeof(Elf64_Sym);
	index->tables[index->n_tables++] = (struct table){
	        .syms = syms.p,
	        .n = n < MAX_SYMBOLS ? n : MAX_SYMBOLS,
	        .names = names,
	        .is_dynsym = !strcmp(src->section, ".dynsym"),
	};
	add_code_sections(index, src->file);
	return n > 1;
}

static bool is_function(const struct elfsym *index, const struct table *t, const Elf64_Sym *sym)
{
	unsigned type = ELF64_ST_TYPE(sym->st_info);
	if (sym->st_shndx == SHN_UNDEF || sym->st_shndx == SHN_ABS || !sym->st_name)
		return false;
	if (type == STT_FUNC || type == STT_GNU_IFUNC)
		return true;
	if (type != STT_NOTYPE || !code_end(index, sym->st_value))
		return false;
	/* Assembly without .type; but not the assembler's own marks ($x and $d of AArch64). */
	const char *name;
	size_t len = get_name(t, sym->st_name, &name);
	return len && name[0] != '$' && !(len > 1 && name[0] == '.' && name[1] == 'L');
}

static void collect(struct elfsym *index)
{
	for (size_t t = 0; t < index->n_tables; t++) {
		const struct table *table = &index->tables[t];
		for (size_t i = 1; i < table->n; i++) {
			Elf64_Sym sym = get_sym(index, make_ref(t, i));
			if (!is_function(index, table, &sym))
				continue;
			index->syms[index->n++] = (struct sym){
			        sym.st_value,
			        sym.st_size < UINT32_MAX ? (uint32_t)sym.st_size : UINT32_MAX,
			        make_ref(t, i)};
		}
	}
}

/* Least significant digit first, as many digits as the addresses have: half a million symbols sort
 * in a few milliseconds, and stably. scratch has the size of the index. */
static void sort(struct elfsym *index, struct sym *scratch)
{
	uint64_t min = UINT64_MAX, max = 0;
	for (size_t i = 0; i < index->n; i++) {
		min = index->syms[i].addr < min ? index->syms[i].addr : min;
		max = index->syms[i].addr > max ? index->syms[i].addr : max;
	}
	struct sym *from = index->syms, *to = scratch;
	for (unsigned shift = 0; shift < 64 && (max - min) >> shift; shift += RADIX_BITS) {
		size_t at[RADIX_SLOTS] = {0};
		for (size_t i = 0; i < index->n; i++)
			at[(from[i].addr - min) >> shift & (RADIX_SLOTS - 1)]++;
		for (size_t i = 0, sum = 0; i < RADIX_SLOTS; i++) {
			size_t n = at[i];
			at[i] = sum;
			sum += n;
		}
		for (size_t i = 0; i < index->n; i++)
			to[at[(from[i].addr - min) >> shift & (RADIX_SLOTS - 1)]++] = from[i];
		struct sym *swap = from;
		from = to;
		to = swap;
	}
	if (from != index->syms)
		memcpy(index->syms, from, index->n * sizeof(*from));
}

/* Underscores in front are how libraries mark the aliases behind their public names; those of
 * mangled names (_Z, _R, _D) mean nothing. */
static size_t underscores(const char *name, size_t len)
{
	size_t n = 0;
	while (n < len && name[n] == '_')
		n++;
	return n == 1 && len > 1 && strchr("ZRD", name[1]) ? 0 : n;
}

/* Should b be shown rather than a, which has the same address? The public name of a function wins:
 * "write" over "__write", though that one is the global and the other the weak symbol. */
static bool is_better(const struct elfsym *index, const struct sym *a, const struct sym *b)
{
	Elf64_Sym sa = get_sym(index, a->ref), sb = get_sym(index, b->ref);
	if (!a->size != !b->size)
		return b->size != 0;
	bool notype_a = ELF64_ST_TYPE(sa.st_info) == STT_NOTYPE;
	bool notype_b = ELF64_ST_TYPE(sb.st_info) == STT_NOTYPE;
	if (notype_a != notype_b)
		return notype_a;
	unsigned bind_a = ELF64_ST_BIND(sa.st_info), bind_b = ELF64_ST_BIND(sb.st_info);
	if ((bind_a == STB_LOCAL) != (bind_b == STB_LOCAL))
		return bind_a == STB_LOCAL;
	const char *name_a, *name_b;
	size_t len_a = get_name(&index->tables[a->ref >> 30], sa.st_name, &name_a);
	size_t len_b = get_name(&index->tables[b->ref >> 30], sb.st_name, &name_b);
	if (!len_a || !len_b)
		return !len_a && len_b;
	size_t under_a = underscores(name_a, len_a), under_b = underscores(name_b, len_b);
	if (under_a != under_b)
		return under_b < under_a;
	if (bind_a != bind_b)
		return bind_a == STB_WEAK;
	if (len_a != len_b)
		return len_b < len_a;
	return memcmp(name_b, name_a, len_a) < 0;
}

/* One symbol per address; labels inside sized functions go. */
static void dedupe(struct elfsym *index)
{
	size_t n = 0;
	uint64_t sized_end = 0;
	for (size_t i = 0; i < index->n; i++) {
		struct sym s = index->syms[i];
		for (; i + 1 < index->n && index->syms[i + 1].addr == s.addr; i++)
			if (is_better(index, &s, &index->syms[i + 1]))
				s = index->syms[i + 1];
		if (!s.size && s.addr < sized_end)
			continue;
		if (s.addr + s.size > sized_end)
			sized_end = s.addr + s.size;
		index->syms[n++] = s;
	}
	index->n = n;
}

/* Functions without a size reach to the next one, never past their section. */
static void guess_sizes(struct elfsym *index)
{
	for (size_t i = 0; i < index->n; i++) {
		struct sym *s = &index->syms[i];
		if (s->size)
			continue;
		uint64_t end = code_end(index, s->addr);
		if (i + 1 < index->n && (!end || index->syms[i + 1].addr < end))
			end = index->syms[i + 1].addr;
		uint64_t size = end > s->addr ? end - s->addr : 1;
		if (index->tables[s->ref >> 30].is_dynsym && size > MAX_DYNSYM_GUESS)
			size = MAX_DYNSYM_GUESS;
		s->size = size < UINT32_MAX ? (uint32_t)size : UINT32_MAX;
	}
}

static void *map(size_t bytes)
{
	void *p = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	return p == MAP_FAILED ? NULL : p;
}

/* Returns what the index has too much to the system. */
static void shrink(struct elfsym *index)
{
	size_t want = index->n ? index->n * sizeof(*index->syms) : 1;
	void *p = mremap(index->syms, index->mapped_bytes, want, MREMAP_MAYMOVE);
	if (p != MAP_FAILED) {
		index->syms = p;
		index->mapped_bytes = want;
	}
}

struct elfsym *elfsym_create(const struct elfsym_source *sources, size_t n)
{
	struct elfsym *index = mem_zalloc(sizeof(*index));
	size_t most = 0;
	for (size_t i = 0; i < n && index->n_tables < MAX_TABLES; i++)
		if (add_table(index, &sources[i]))
			most += index->tables[index->n_tables - 1].n;
	/* Straight from the system and back to it: malloc would keep what the sort leaves behind.
	 */
	size_t bytes = (most ? most : 1) * sizeof(*index->syms);
	index->syms = map(bytes);
	struct sym *scratch = map(bytes);
	if (index->syms && scratch) {
		index->mapped_bytes = bytes;
		collect(index);
		sort(index, scratch);
		dedupe(index);
		guess_sizes(index);
		shrink(index);
	} else if (index->syms) {
		index->mapped_bytes = bytes;
	}
	if (scratch)
		munmap(scratch, bytes);
	vec_free(&index->code);
	return index;
}

void elfsym_destroy(struct elfsym *index)
{
	if (!index)
		return;
	if (index->syms)
		munmap(index->syms, index->mapped_bytes);
	free(index);
}

size_t elfsym_count(const struct elfsym *index)
{
	return index->n;
}

bool elfsym_find(const struct elfsym *index, uint64_t vaddr, struct elfsym_name *ret)
{
	size_t lo = 0, hi = index->n;
	while (lo < hi) {
		size_t mid = lo + (hi - lo) / 2;
		if (index->syms[mid].addr <= vaddr)
			lo = mid + 1;
		else
			hi = mid;
	}
	/* Functions may hold others (hand-written assembly): the nearest start that reaches. */
	for (size_t back = 0; lo > 0 && back < MAX_LOOKBACK; back++) {
		const struct sym *s = &index->syms[--lo];
		if (vaddr - s->addr >= s->size)
			continue;
		Elf64_Sym sym = get_sym(index, s->ref);
		ret->len = get_name(&index->tables[s->ref >> 30], sym.st_name, &ret->name);
		ret->start = s->addr;
		return ret->len != 0;
	}
	return false;
}
