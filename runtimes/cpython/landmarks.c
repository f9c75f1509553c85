/* SPDX-License-Identifier: Apache-2.0 */
#include "landmarks.h"

#include <gelf.h>
#include <string.h>

#include <csample/mem.h>

#define MAX_SYMBOLS 4000000
#define MAX_STRINGS (256u << 20)
#define MAX_DYNAMIC 4096
#define MAX_TEXT    (64u << 20)

static const struct {
	const char *name;
	size_t member;
} names[] = {
        {"_PyRuntime", offsetof(struct landmarks, runtime)},
        {"Py_Version", offsetof(struct landmarks, version)},
        {"PyCode_Type", offsetof(struct landmarks, code_type)},
        {"PyType_Type", offsetof(struct landmarks, type_type)},
        {"_PyThreadState_Current", offsetof(struct landmarks, current)},
        {"interp_head", offsetof(struct landmarks, head)},
        {"PyInterpreterState_Head", offsetof(struct landmarks, first_call)},
};

struct table {
	const uint8_t *symbols;
	size_t n;
	const char *strings;
	size_t strings_len;
};

/* Does the string table hold this name as the whole or the end of a string? Far quicker than to go
 * through the symbols, and nearly all files do not. */
static bool mentions(const struct table *t, const char *name)
{
	return t->strings_len && memmem(t->strings, t->strings_len, name, strlen(name) + 1);
}

static void note_symbol(const struct table *t, const Elf64_Sym *sym, struct landmarks *ret)
{
	unsigned type = ELF64_ST_TYPE(sym->st_info);
	if (sym->st_shndx == SHN_UNDEF || !sym->st_value || sym->st_name >= t->strings_len ||
	    (type != STT_OBJECT && type != STT_FUNC && type != STT_NOTYPE))
		return;
	const char *name = t->strings + sym->st_name;
	if (name[0] != '_' && name[0] != 'P' && name[0] != 'i')
		return;
	for (size_t i = 0; i < ARRAY_SIZE(names); i++) {
		size_t len = strlen(names[i].name) + 1;
		if (t->strings_len - sym->st_name < len || memcmp(name, names[i].name, len) != 0)
			continue;
		memcpy((char *)ret + names[i].member, &sym->st_value, sizeof(uint64_t));
		return;
	}
}

static void search(const struct table *t, struct landmarks *ret)
{
	if (!mentions(t, "_PyRuntime") && !mentions(t, "PyInterpreterState_Head"))
		return;
	for (size_t i = 0; i < t->n; i++) {
		Elf64_Sym sym;
		memcpy(&sym, t->symbols + i * sizeof(sym), sizeof(sym));
		note_symbol(t, &sym, ret);
	}
}

/* .dynsym by way of the program headers, which no stripping removes. It has no length: by custom
 * .dynstr follows it. */
static bool dynamic_table(struct image *img, struct table *ret)
{
	size_t n_headers, n = 0;
	const Elf64_Dyn *dyn = NULL;
	if (!img->elf || elf_getphdrnum(img->elf, &n_headers))
		return false;
	for (size_t i = 0; i < n_headers && !dyn; i++) {
		GElf_Phdr ph;
		if (!gelf_getphdr(img->elf, (int)i, &ph) || ph.p_type != PT_DYNAMIC)
			continue;
		n = ph.p_filesz / sizeof(*dyn);
		n = n > MAX_DYNAMIC ? MAX_DYNAMIC : n;
		dyn = (const void *)image_bytes(img, ph.p_vaddr, n * sizeof(*dyn));
	}
	uint64_t symtab = 0, strtab = 0, strsz = 0;
	for (size_t i = 0; dyn && i < n; i++) {
		Elf64_Dyn d;
		memcpy(&d, &dyn[i], sizeof(d));
		if (d.d_tag == DT_NULL)
			break;
		if (d.d_tag == DT_SYMTAB)
			symtab = d.d_un.d_ptr;
		else if (d.d_tag == DT_STRTAB)
			strtab = d.d_un.d_ptr;
		else if (d.d_tag == DT_STRSZ)
			strsz = d.d_un.d_val;
	}
	if (!symtab || strtab <= symtab || strsz > MAX_STRINGS)
		return false;
	size_t count = (strtab - symtab) / sizeof(Elf64_Sym);
	*ret = (struct table){.n = count > MAX_SYMBOLS ? MAX_SYMBOLS : count, .strings_len = strsz};
	ret->symbols = image_bytes(img, symtab, ret->n * sizeof(Elf64_Sym));
	ret->strings = (const char *)image_bytes(img, strtab, strsz);
	return ret->symbols && ret->strings;
}

static bool section_bytes(const struct image *img, const GElf_Shdr *sh, const uint8_t **ret)
{
	if (sh->sh_type == SHT_NOBITS || sh->sh_offset > img->size ||
	    sh->sh_size > img->size - sh->sh_offset)
		return false;
	*ret = img->data + sh->sh_offset;
	return true;
}

static bool symbol_table(const struct image *img, unsigned type, struct table *ret)
{
	for (Elf_Scn *scn = NULL; img->elf && (scn = elf_nextscn(img->elf, scn));) {
		GElf_Shdr sh, strings;
		const uint8_t *symbols, *text;
		if (!gelf_getshdr(scn, &sh) || sh.sh_type != type ||
		    !gelf_getshdr(elf_getscn(img->elf, sh.sh_link), &strings) ||
		    !section_bytes(img, &sh, &symbols) || !section_bytes(img, &strings, &text) ||
		    strings.sh_size > MAX_STRINGS)
			continue;
		size_t n = sh.sh_size / sizeof(Elf64_Sym);
		*ret = (struct table){symbols, n > MAX_SYMBOLS ? MAX_SYMBOLS : n,
		                      (const char *)text, strings.sh_size};
		return true;
	}
	return false;
}

void landmarks_find_exported(struct image *img, struct landmarks *ret)
{
	struct table t;
	*ret = (struct landmarks){0};
	if (symbol_table(img, SHT_DYNSYM, &t) || dynamic_table(img, &t))
		search(&t, ret);
}

void landmarks_find(struct image *img, struct landmarks *ret)
{
	struct table t;
	struct landmarks exported;
	landmarks_find_exported(img, &exported);
	*ret = exported;
	if (exported.runtime && exported.code_type && exported.type_type)
		return; /* no need for the long table */
	*ret = (struct landmarks){0};
	if (symbol_table(img, SHT_SYMTAB, &t))
		search(&t, ret);
	for (size_t i = 0; i < ARRAY_SIZE(names); i++) {
		uint64_t v;
		memcpy(&v, (char *)&exported + names[i].member, sizeof(v));
		if (v)
			memcpy((char *)ret + names[i].member, &v, sizeof(v));
	}
}

bool landmarks_section(const struct image *img, const char *name, struct image_section *ret)
{
	size_t index;
	if (!img->elf || elf_getshdrstrndx(img->elf, &index))
		return false;
	for (Elf_Scn *scn = NULL; (scn = elf_nextscn(img->elf, scn));) {
		GElf_Shdr sh;
		const char *found;
		if (!gelf_getshdr(scn, &sh) || !(sh.sh_flags & SHF_ALLOC) || !sh.sh_addr)
			continue;
		if (!(found = elf_strptr(img->elf, index, sh.sh_name)) || strcmp(found, name) != 0)
			continue;
		*ret = (struct image_section){sh.sh_addr, sh.sh_offset, sh.sh_size};
		return true;
	}
	return false;
}

static bool is_program(const struct image *img)
{
	size_t n;
	if (img->is_exec)
		return true;
	if (!img->elf || elf_getphdrnum(img->elf, &n))
		return false;
	for (size_t i = 0; i < n; i++) {
		GElf_Phdr ph;
		if (gelf_getphdr(img->elf, (int)i, &ph) && ph.p_type == PT_INTERP)
			return true;
	}
	return false;
}

/* Is this string somewhere in the bytes? */
static bool holds(const uint8_t *bytes, size_t len, const char *after_first, char first)
{
	size_t wanted = strlen(after_first) + 1;
	const uint8_t *end = bytes + len, *hit = bytes;
	while ((hit = memmem(hit, (size_t)(end - hit), after_first, wanted))) {
		if (hit > bytes && hit[-1] == (uint8_t)first)
			return true;
		hit++;
	}
	return false;
}

bool landmarks_look_like_interpreter(struct image *img)
{
	/* A member of code objects, what `class` compiles to, a frozen module, an exception, a
	 * setting. Without their first letters, or csample itself would look like one. */
	static const struct {
		char first;
		const char *rest;
	} texts[] = {{'c', "o_firstlineno"},
	             {'_', "_build_class__"},
	             {'<', "frozen importlib._bootstrap>"},
	             {'G', "eneratorExit"},
	             {'P', "YTHONHASHSEED"}};
	if (!is_program(img))
		return false;
	for (size_t i = 0; i < ARRAY_SIZE(texts); i++) {
		size_t budget = MAX_TEXT;
		bool found = false;
		for (size_t k = 0; k < img->n_segments && !found; k++) {
			const struct image_segment *s = &img->segments[k];
			size_t len = s->filesz < budget ? s->filesz : budget;
			const uint8_t *bytes = image_bytes(img, s->vaddr, len);
			budget -= len;
			found = bytes && holds(bytes, len, texts[i].rest, texts[i].first);
		}
		if (!found)
			return false;
	}
	return true;
}
