/* SPDX-License-Identifier: Apache-2.0 */
#include "plt.h"

#include <gelf.h>
#include <stdlib.h>
#include <string.h>

#include <csample/mem.h>
#include <csample/vec.h>

#define MAX_NAME  65535
#define MAX_SLOTS ((size_t)1 << 20)

/* A word of the global offset table that is filled with a function's address. */
struct slot {
	uint64_t addr;
	uint32_t sym; /* of .dynsym; 0: addend is the address of a resolver */
	uint64_t addend;
};

struct stubs {
	uint64_t addr;
	struct bytes bytes;
	uint32_t entry_size;
};

struct plt {
	uint16_t machine;
	struct bytes syms, names; /* .dynsym, .dynstr */
	VEC(struct slot) slots;   /* sorted */
	VEC(struct slot) jumps;   /* as .rela.plt has them */
	VEC(struct stubs) stubs;
};

static bool bytes_of(const struct elf_file *f, const GElf_Shdr *sh, struct bytes *ret)
{
	if (sh->sh_type == SHT_NOBITS || sh->sh_offset > f->size ||
	    sh->sh_size > f->size - sh->sh_offset)
		return false;
	*ret = bytes_over(f->data + sh->sh_offset, sh->sh_size);
	return true;
}

static bool fills_slot(uint16_t machine, uint64_t type, bool *indirect_ret)
{
	if (machine == EM_AARCH64) {
		*indirect_ret = type == R_AARCH64_IRELATIVE;
		return *indirect_ret || type == R_AARCH64_JUMP_SLOT || type == R_AARCH64_GLOB_DAT;
	}
	*indirect_ret = type == R_X86_64_IRELATIVE;
	return *indirect_ret || type == R_X86_64_JUMP_SLOT || type == R_X86_64_GLOB_DAT;
}

static void read_relocations(struct plt *p, struct bytes b, bool is_plt)
{
	while (bytes_left(&b) >= sizeof(Elf64_Rela) && p->slots.n < MAX_SLOTS) {
		struct slot s = {.addr = bytes_u64(&b)};
		uint64_t info = bytes_u64(&b);
		s.addend = bytes_u64(&b);
		s.sym = (uint32_t)ELF64_R_SYM(info);
		bool indirect;
		if (!fills_slot(p->machine, ELF64_R_TYPE(info), &indirect))
			continue;
		if (indirect)
			s.sym = 0;
		else
			s.addend = 0;
		*vec_add(&p->slots) = s;
		if (is_plt)
			*vec_add(&p->jumps) = s;
	}
}

static int compare_slots(const void *a, const void *b)
{
	const struct slot *x = a, *y = b;
	return x->addr < y->addr ? -1 : x->addr > y->addr;
}

static void read_section(struct plt *p, const struct elf_file *f, const char *name,
                         const GElf_Shdr *sh)
{
	struct bytes b;
	if (!bytes_of(f, sh, &b))
		return;
	if (sh->sh_type == SHT_DYNSYM)
		p->syms = b;
	else if (!strcmp(name, ".dynstr"))
		p->names = b;
	else if (sh->sh_type == SHT_RELA && (sh->sh_flags & SHF_ALLOC))
		read_relocations(p, b, !strcmp(name, ".rela.plt"));
	else if ((sh->sh_flags & SHF_EXECINSTR) &&
	         (!strncmp(name, ".plt", 4) || !strcmp(name, ".iplt")))
		*vec_add(&p->stubs) = (struct stubs){sh->sh_addr, b,
		                                     sh->sh_entsize == 8 || sh->sh_entsize == 32
		                                             ? (uint32_t)sh->sh_entsize
		                                             : 16};
}

struct plt *plt_create(const struct elf_file *f)
{
	struct plt *p = mem_zalloc(sizeof(*p));
	size_t strndx, n = 0;
	GElf_Ehdr eh;
	if (elf_getshdrstrndx(f->elf, &strndx) || !gelf_getehdr(f->elf, &eh))
		return p;
	p->machine = eh.e_machine;
	for (Elf_Scn *scn = NULL; (scn = elf_nextscn(f->elf, scn)) && n < 65536; n++) {
		GElf_Shdr sh;
		const char *name =
		        gelf_getshdr(scn, &sh) ? elf_strptr(f->elf, strndx, sh.sh_name) : NULL;
		if (name)
			read_section(p, f, name, &sh);
	}
	if (p->slots.n)
		qsort(p->slots.items, p->slots.n, sizeof(*p->slots.items), compare_slots);
	return p;
}

void plt_destroy(struct plt *p)
{
	if (!p)
		return;
	vec_free(&p->slots);
	vec_free(&p->jumps);
	vec_free(&p->stubs);
	free(p);
}

static bool name_of(const struct plt *p, const struct slot *slot, struct plt_target *ret)
{
	*ret = (struct plt_target){.addr = slot->addend};
	if (!slot->sym)
		return slot->addend != 0;
	struct bytes sym = p->syms, name = p->names;
	bytes_take(&sym, (size_t)slot->sym * sizeof(Elf64_Sym));
	if (!bytes_take(&name, bytes_u32(&sym)) || sym.bad)
		return false;
	size_t max = bytes_left(&name) < MAX_NAME ? bytes_left(&name) : MAX_NAME;
	ret->name = (const char *)name.p;
	ret->len = strnlen(ret->name, max);
	return ret->len && ret->len < max;
}

static bool find_slot(const struct plt *p, uint64_t addr, struct plt_target *ret)
{
	struct slot key = {.addr = addr};
	const struct slot *s =
	        p->slots.n ? bsearch(&key, p->slots.items, p->slots.n, sizeof(key), compare_slots)
	                   : NULL;
	return s && name_of(p, s, ret);
}

/* jmp *disp32(%rip), after endbr64 or with bnd before it; or the lazy half of a stub, which pushes
 * the number of its relocation. */
static bool find_x86(const struct plt *p, const struct stubs *stubs, uint64_t at,
                     struct plt_target *ret)
{
	uint64_t entry = at / stubs->entry_size * stubs->entry_size;
	struct bytes b = stubs->bytes;
	bytes_take(&b, entry);
	const uint8_t *code = bytes_take(&b, stubs->entry_size);
	if (!code)
		return false;
	bool pushes = false;
	uint32_t number = 0;
	for (uint32_t i = 0; i + 5 < stubs->entry_size; i++) {
		int32_t value;
		if (code[i] == 0xff && code[i + 1] == 0x25) {
			memcpy(&value, code + i + 2, sizeof(value));
			return find_slot(p, stubs->addr + entry + i + 6 + (uint64_t)(int64_t)value,
			                 ret);
		}
		if (!pushes && code[i] == 0x68) {
			memcpy(&number, code + i + 1, sizeof(number));
			pushes = true;
		}
	}
	return pushes && number < p->jumps.n && name_of(p, &p->jumps.items[number], ret);
}

/* adrp x16, page; ldr x17, [x16, #offset], with bti before it or not. */
static bool find_aarch64(const struct plt *p, const struct stubs *stubs, uint64_t at,
                         struct plt_target *ret)
{
	for (uint64_t back = 0; back <= 5; back++) {
		/* From the instruction behind a bti down to the start of the stub. */
		uint64_t pos = (at & ~(uint64_t)3) + 4 - 4 * back;
		struct bytes b = stubs->bytes;
		if (pos > bytes_left(&b)) /* wrapped as well */
			continue;
		bytes_take(&b, pos);
		uint32_t adrp = bytes_u32(&b), ldr = bytes_u32(&b);
		if (b.bad || (adrp & 0x9f00001f) != 0x90000010 || (ldr & 0xffc003ff) != 0xf9400211)
			continue;
		if (back == 0 && pos - 4 == (at & ~(uint64_t)3)) {
			struct bytes bti = stubs->bytes;
			bytes_take(&bti, pos - 4);
			if (bytes_u32(&bti) != 0xd503245f)
				continue; /* belongs to the next stub */
		}
		int64_t pages = (int64_t)((uint64_t)((adrp >> 5 & 0x7ffff) << 2 | (adrp >> 29 & 3))
		                          << 43) >>
		                43;
		uint64_t page = ((stubs->addr + pos) & ~(uint64_t)4095) + (uint64_t)pages * 4096;
		return find_slot(p, page + (uint64_t)(ldr >> 10 & 0xfff) * 8, ret);
	}
	return false;
}

bool plt_find(const struct plt *p, uint64_t vaddr, struct plt_target *ret)
{
	for (size_t i = 0; i < p->stubs.n; i++) {
		const struct stubs *stubs = &p->stubs.items[i];
		if (vaddr - stubs->addr < bytes_left(&stubs->bytes))
			return p->machine == EM_AARCH64
			               ? find_aarch64(p, stubs, vaddr - stubs->addr, ret)
			               : find_x86(p, stubs, vaddr - stubs->addr, ret);
	}
	return false;
}
