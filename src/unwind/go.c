/* SPDX-License-Identifier: Apache-2.0 */
/* The layout follows Go's src/runtime/symtab.go and runtime2.go of the releases named in rows[]:
 *
 *   pcHeader → functab [entry, offset of _func]... → _func.pcsp → pctab: pairs of varints
 *                                                                (value delta, pc delta)
 */
#include "go.h"

#include <gelf.h>
#include <libelf.h>
#include <stdlib.h>
#include <string.h>

#include <csample/bytes.h>
#include <csample/mem.h>

#include "arch.h"

#define MAX_FUNCTIONS  (8u << 20)
#define MAX_STEPS      (64 * 1024) /* pcsp pairs of one function */
#define MAX_RELOCS     (4u << 20)
#define MODULE_TEXT_AT 176 /* moduledata.text, Go 1.16 to 1.26 */

#if defined(__x86_64__)
#define PC_QUANTUM 1
#else
#define PC_QUANTUM 4
#endif

struct go_layout {
	uint32_t magic;
	uint8_t word;             /* bytes of a functab field: offsets from text, or addresses */
	uint8_t header_words;     /* of pcHeader after its first eight bytes */
	uint8_t pcsp, flag, size; /* where fields of _func are */
};

static const struct go_layout rows[] = {
        {.magic = 0xfffffffa, 8, 7, .pcsp = 20, .flag = 41, .size = 44}, /* 1.16, 1.17 */
        {.magic = 0xfffffff0, 4, 8, .pcsp = 16, .flag = 37, .size = 40}, /* 1.18, 1.19 */
        {.magic = 0xfffffff1, 4, 8, .pcsp = 16, .flag = 41, .size = 44}, /* 1.20 to 1.26 */
};

enum { FLAG_TOP_FRAME = 1, FLAG_SP_WRITE = 2 }; /* Go's internal/abi/symtab.go */

struct go_functions {
	const struct go_layout *layout;
	uint64_t text;        /* what entries are relative to */
	uint64_t n;           /* functab has one more, the end */
	struct bytes functab; /* starts at functab; offsets of _func count from here */
	struct bytes pctab;
};

static bool find_section(const struct image *img, const char *name, struct image_section *ret)
{
	size_t names = 0;
	if (!img->elf || elf_getshdrstrndx(img->elf, &names))
		return false;
	for (Elf_Scn *scn = NULL; (scn = elf_nextscn(img->elf, scn));) {
		GElf_Shdr sh;
		if (!gelf_getshdr(scn, &sh) || sh.sh_type == SHT_NOBITS)
			continue;
		const char *s = elf_strptr(img->elf, names, sh.sh_name);
		if (s && !strcmp(s, name)) {
			*ret = (struct image_section){sh.sh_addr, sh.sh_offset, sh.sh_size};
			return image_section_bytes(img, ret) != NULL;
		}
	}
	return false;
}

/* The addend of the relocation of the word at vaddr, or (if by_addend) the address of the first
 * word whose relocation has the addend vaddr. Position-independent programs keep pointers this way.
 */
static bool find_reloc(const struct image *img, uint64_t vaddr, bool by_addend, uint64_t *ret)
{
	for (Elf_Scn *scn = NULL; (scn = elf_nextscn(img->elf, scn));) {
		GElf_Shdr sh;
		if (!gelf_getshdr(scn, &sh) || sh.sh_type != SHT_RELA || !sh.sh_entsize)
			continue;
		Elf_Data *data = elf_getdata(scn, NULL);
		size_t n = sh.sh_size / sh.sh_entsize;
		for (size_t i = 0; data && i < n && i < MAX_RELOCS; i++) {
			GElf_Rela rela;
			if (!gelf_getrela(data, (int)i, &rela))
				break;
			if ((by_addend ? (uint64_t)rela.r_addend : rela.r_offset) == vaddr) {
				*ret = by_addend ? rela.r_offset : (uint64_t)rela.r_addend;
				return true;
			}
		}
	}
	return false;
}

/* Where runtime.text is. From Go 1.26 on the table does not say, and linkers other than Go's put C
 * start files before it; runtime.moduledata, which begins with the table's address, knows. */
static uint64_t find_text(const struct image *img, uint64_t table_vaddr, uint64_t in_header)
{
	if (in_header)
		return in_header;
	uint64_t module, text = 0;
	if (find_reloc(img, table_vaddr, true, &module) &&
	    find_reloc(img, module + MODULE_TEXT_AT, false, &text))
		return text;
	static const char *const homes[] = {".go.module", ".noptrdata", ".data"};
	for (size_t h = 0; h < ARRAY_SIZE(homes); h++) {
		struct image_section s;
		if (!find_section(img, homes[h], &s))
			continue;
		const uint8_t *p = image_section_bytes(img, &s);
		for (size_t at = 0; at + MODULE_TEXT_AT + 8 <= s.size; at += 8) {
			uint64_t word;
			memcpy(&word, p + at, 8);
			memcpy(&text, p + at + MODULE_TEXT_AT, 8);
			if (word == table_vaddr && text >= img->text.vaddr &&
			    text - img->text.vaddr < img->text.size)
				return text;
		}
	}
	return img->text.vaddr;
}

static uint64_t word(struct bytes *b, unsigned width)
{
	return width == 8 ? bytes_u64(b) : bytes_u32(b);
}

static bool read_header(const struct image *img, const struct image_section *s,
                        struct go_functions *go)
{
	const uint8_t *p = image_section_bytes(img, s);
	struct bytes b = bytes_over(p, s->size);
	uint32_t magic = bytes_u32(&b);
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++)
		if (rows[i].magic == magic)
			go->layout = &rows[i];
	uint16_t pad = bytes_u16(&b);
	uint8_t quantum = bytes_u8(&b), ptr_size = bytes_u8(&b);
	if (!go->layout || pad || quantum != PC_QUANTUM || ptr_size != 8)
		return false;
	go->n = bytes_u64(&b);
	bytes_u64(&b); /* files */
	uint64_t text = go->layout->header_words == 8 ? bytes_u64(&b) : 0;
	bytes_u64(&b); /* function names */
	bytes_u64(&b); /* compilation units */
	bytes_u64(&b); /* files */
	uint64_t pctab = bytes_u64(&b), functab = bytes_u64(&b);
	if (b.bad || pctab > s->size || functab > s->size || !go->n || go->n > MAX_FUNCTIONS)
		return false;
	go->pctab = bytes_over(p + pctab, s->size - pctab);
	go->functab = bytes_over(p + functab, s->size - functab);
	go->text = go->layout->word == 8 ? 0 : find_text(img, s->vaddr, text);
	return (2 * go->n + 1) * go->layout->word <= s->size - functab;
}

struct go_functions *go_functions_create(const struct image *img)
{
	struct image_section s;
	if (!find_section(img, ".gopclntab", &s) &&
	    !find_section(img, ".data.rel.ro.gopclntab", &s))
		return NULL;
	struct go_functions *go = mem_zalloc(sizeof(*go));
	if (!read_header(img, &s, go)) {
		free(go);
		return NULL;
	}
	return go;
}

void go_functions_destroy(struct go_functions *go)
{
	free(go);
}

/* Field i of functab: entries at even i, offsets of _func at odd ones. */
static uint64_t functab(const struct go_functions *go, uint64_t i)
{
	struct bytes b = go->functab;
	bytes_take(&b, i * go->layout->word);
	return word(&b, go->layout->word);
}

/* Runs through the pairs until the pc delta passes offset. */
static bool sp_delta(const struct go_functions *go, uint64_t pcsp, uint64_t offset, int64_t *ret)
{
	struct bytes b = go->pctab;
	bytes_take(&b, pcsp);
	int64_t value = -1;
	uint64_t at = 0;
	for (unsigned n = 0; n < MAX_STEPS; n++) {
		uint32_t delta = (uint32_t)bytes_uleb(&b);
		if (b.bad || (!delta && n))
			return false;
		value += (int32_t)(delta & 1 ? ~(delta >> 1) : delta >> 1);
		at += bytes_uleb(&b) * PC_QUANTUM;
		if (offset < at) {
			*ret = value;
			return true;
		}
	}
	return false;
}

bool go_functions_find(const struct go_functions *go, uint64_t vaddr, struct go_frame *ret)
{
	uint64_t at = vaddr - go->text, lo = 0, hi = go->n;
	if (at < functab(go, 0) || at >= functab(go, 2 * go->n))
		return false;
	while (hi - lo > 1) {
		uint64_t mid = lo + (hi - lo) / 2;
		if (functab(go, 2 * mid) <= at)
			lo = mid;
		else
			hi = mid;
	}
	uint64_t entry = functab(go, 2 * lo);
	struct bytes b = go->functab;
	const uint8_t *func = NULL;
	if (bytes_take(&b, functab(go, 2 * lo + 1)))
		func = bytes_take(&b, go->layout->size);
	if (!func)
		return false;
	uint32_t pcsp;
	memcpy(&pcsp, func + go->layout->pcsp, sizeof(pcsp));
	*ret = (struct go_frame){
	        .start = go->text + entry,
	        .is_top = func[go->layout->flag] & FLAG_TOP_FRAME,
	        .switches_stack = func[go->layout->flag] & FLAG_SP_WRITE,
	};
	if (!pcsp || !sp_delta(go, pcsp, at - entry, &ret->sp_delta) || ret->sp_delta < 0)
		ret->sp_delta = -1;
	return true;
}
