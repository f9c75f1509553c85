/* SPDX-License-Identifier: Apache-2.0 */
#include "imagesyms.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <csample/log.h>
#include <csample/mem.h>

#include "debugfile.h"
#include "gopclntab.h"
#include "minidebug.h"
#include "plt.h"
#include "unpack.h"

struct image_symbols {
	struct image *img;
	struct elf_file *self;
	struct elf_file *debug; /* separate debug file; NULL: none */
	bool needs_crc;
	uint32_t crc;
	struct elf_file *alt; /* of the file that has the DWARF */
	bool wants_alt;
	struct elf_file *mini; /* what .gnu_debugdata holds */
	bool tried_mini;
	bool tried_network;
	struct elfsym *index; /* NULL: not made yet */
	struct plt *plt;      /* likewise */
	struct gopclntab *go; /* NULL: not a Go program, or not tried yet */
	bool tried_go;
	struct elf_file *unpacked,
	        *unpacked_alt; /* of the DWARF's file and of alt; NULL: not needed */
	struct dwarf_info *dwarf;
	bool tried_dwarf;
};

static void destroy(struct image *img)
{
	struct image_symbols *is = img->symbols_data;
	if (!is)
		return;
	dwarf_info_destroy(is->dwarf);
	elfsym_destroy(is->index);
	plt_destroy(is->plt);
	gopclntab_destroy(is->go);
	elf_file_close(is->unpacked);
	elf_file_close(is->unpacked_alt);
	elf_file_close(is->mini);
	elf_file_close(is->alt);
	elf_file_close(is->debug);
	elf_file_close(is->self);
	free(is);
	img->symbols_data = NULL;
}

/* The file with the DWARF; NULL: none. */
static struct elf_file *dwarf_file(const struct image_symbols *is)
{
	if (elf_file_has_dwarf(is->self))
		return is->self;
	return is->debug && elf_file_has_dwarf(is->debug) ? is->debug : NULL;
}

static void find_alt(struct image_symbols *is)
{
	struct elf_file *f = dwarf_file(is);
	if (f && !is->alt)
		is->alt = debug_file_find_alt(is->img, f, &is->wants_alt);
}

struct image_symbols *image_symbols_get(struct image *img)
{
	if (img->symbols_data)
		return img->symbols_data;
	struct image_symbols *is = mem_zalloc(sizeof(*is));
	is->img = img;
	is->self = elf_file_of_image(img);
	img->symbols_data = is;
	img->free_symbols = destroy;
	if (!elf_file_has_dwarf(is->self) || !elf_file_has_symtab(is->self))
		is->debug = debug_file_find(img, is->self, &is->needs_crc, &is->crc);
	if (is->debug)
		log_debug(LOG_SYMBOLS, "%s: debug file %s", img->path, is->debug->path);
	find_alt(is);
	return is;
}

/* Reads all of a debug file that has no build id to prove that it is ours; hence late. */
static void prove_debug_file(struct image_symbols *is)
{
	if (!is->needs_crc)
		return;
	is->needs_crc = false;
	if (debug_file_check_crc(is->debug, is->crc))
		return;
	log_debug(LOG_SYMBOLS, "%s: checksum is not the one %s asks for", is->debug->path,
	          is->img->path);
	elf_file_close(is->debug);
	is->debug = NULL;
}

static void make_index(struct image_symbols *is)
{
	prove_debug_file(is);
	struct elfsym_source sources[3];
	size_t n = 0;
	if (elf_file_has_symtab(is->self)) {
		sources[n++] = (struct elfsym_source){is->self, ".symtab"};
	} else if (is->debug && elf_file_has_symtab(is->debug)) {
		sources[n++] = (struct elfsym_source){is->debug, ".symtab"};
	} else {
		if (!is->tried_mini)
			is->mini = minidebug_unpack(is->self);
		is->tried_mini = true;
		sources[n++] = (struct elfsym_source){is->self, ".dynsym"};
		if (is->mini)
			sources[n++] = (struct elfsym_source){is->mini, ".symtab"};
	}
	is->index = elfsym_create(sources, n);
	log_debug(LOG_SYMBOLS, "%s: %zu functions", is->img->path, elfsym_count(is->index));
}

bool image_symbols_lookup(struct image_symbols *is, uint64_t vaddr, struct elfsym_name *ret)
{
	if (!is->index)
		make_index(is);
	return elfsym_find(is->index, vaddr, ret);
}

static void code_bounds(const struct image *img, uint64_t *start_ret, uint64_t *end_ret)
{
	uint64_t start = UINT64_MAX, end = 0;
	for (size_t i = 0; i < img->n_segments; i++) {
		const struct image_segment *s = &img->segments[i];
		if (!(s->flags & PF_X))
			continue;
		if (s->vaddr < start)
			start = s->vaddr;
		if (s->vaddr + s->memsz > end)
			end = s->vaddr + s->memsz;
	}
	*start_ret = start;
	*end_ret = end;
}

/* One question to the servers for each image; what comes may bring symbols as well. */
static void ask_network(struct image_symbols *is)
{
	if (is->tried_network || !is->img->build_id_len)
		return;
	is->tried_network = true;
	struct elf_file *f =
	        debuginfod_find(is->img->build_id, is->img->build_id_len, is->img->path);
	if (!f)
		return;
	elfsym_destroy(is->index); /* it may point into the file that goes */
	is->index = NULL;
	elf_file_close(is->debug);
	is->debug = f;
	is->needs_crc = false;
	find_alt(is);
}

static void find_alt_by_network(struct image_symbols *is)
{
	const uint8_t *id;
	size_t len;
	if (is->wants_alt && !is->alt && debug_file_alt_build_id(dwarf_file(is), &id, &len))
		is->alt = debuginfod_find(id, len, is->img->path);
}

/* f itself, or what replaces it because it is packed; NULL: that failed. */
static struct elf_file *unpacked(struct elf_file *f, struct elf_file **unpacked_ret)
{
	if (!f || !elf_file_is_packed(f))
		return f;
	*unpacked_ret = elf_file_unpack(f);
	elf_file_drop_pages(f);
	return *unpacked_ret;
}

static void load_dwarf(struct image_symbols *is, bool use_network)
{
	is->tried_dwarf = true;
	prove_debug_file(is);
	if (!dwarf_file(is) && use_network)
		ask_network(is);
	if (dwarf_file(is) && use_network)
		find_alt_by_network(is);
	struct elf_file *f = dwarf_file(is);
	/* Without its supplementary file most names of such DWARF are missing, and libdw would look
	 * for the file by itself, anywhere. */
	if (!f || (is->wants_alt && !is->alt))
		return;
	uint64_t start, end;
	code_bounds(is->img, &start, &end);
	f = unpacked(f, &is->unpacked);
	struct elf_file *alt = unpacked(is->alt, &is->unpacked_alt);
	if (f && !alt == !is->alt)
		is->dwarf = dwarf_info_create(f, alt, start, end);
}

/* "memcpy@plt" for a stub. */
static const char *stub_name(struct image_symbols *is, struct strings *strings, uint64_t vaddr)
{
	struct plt_target target;
	struct elfsym_name sym;
	if (!is->plt)
		is->plt = plt_create(is->self);
	if (!plt_find(is->plt, vaddr, &target))
		return NULL;
	if (!target.name) {
		if (!image_symbols_lookup(is, target.addr, &sym))
			return NULL;
		target.name = sym.name;
		target.len = sym.len;
	}
	_cleanup_free_ char *name = mem_asprintf("%.*s@plt", (int)target.len, target.name);
	return intern(strings, name);
}

static struct gopclntab *go_table(struct image_symbols *is)
{
	if (!is->tried_go)
		is->go = gopclntab_of_file(is->self);
	is->tried_go = true;
	return is->go;
}

size_t image_symbols_find(struct image_symbols *is, struct strings *strings, uint64_t vaddr,
                          bool use_network, struct code_frame *out, size_t max)
{
	/* Go's own table first: it is complete, and its DWARF is packed. */
	const struct gopclntab *go = go_table(is);
	size_t n = go ? gopclntab_find(go, strings, vaddr, out, max) : 0;
	if (n)
		return n;
	if (!is->tried_dwarf)
		load_dwarf(is, use_network);
	n = is->dwarf ? dwarf_info_find(is->dwarf, strings, vaddr, out, max) : 0;
	/* The symbol table knows the function's name as the linker left it: with .cold, with the
	 * alias that people use. */
	struct elfsym_name sym;
	const char *name = NULL;
	if (image_symbols_lookup(is, vaddr, &sym))
		name = intern_n(strings, sym.name, sym.len);
	else if (!n)
		name = stub_name(is, strings, vaddr);
	if (!n && name) {
		out[0] = (struct code_frame){0};
		n = 1;
	}
	if (name)
		out[n - 1].name = name;
	return n;
}

void image_symbols_origin(struct image_symbols *is, struct image_origin *ret)
{
	*ret = (struct image_origin){0};
	prove_debug_file(is);
	const struct elf_file *dwarf = dwarf_file(is);
	bool self_symtab = elf_file_has_symtab(is->self);
	ret->has_functions = dwarf || self_symtab || is->debug ||
	                     elf_file_has_section(is->self, ".dynsym") ||
	                     elf_file_has_section(is->self, ".gnu_debugdata");
	ret->has_lines = ret->has_inlines = dwarf && (!is->wants_alt || is->alt);
	const char *text = "none";
	if (go_table(is)) {
		ret->has_functions = ret->has_lines = ret->has_inlines = true;
		snprintf(ret->text, sizeof(ret->text), "gopclntab");
		return;
	}
	if (is->debug && (!self_symtab || dwarf == is->debug)) {
		snprintf(ret->text, sizeof(ret->text), "debug file %s", is->debug->path);
		return;
	}
	if (self_symtab)
		text = "symtab";
	else if (elf_file_has_section(is->self, ".gnu_debugdata"))
		text = "minidebuginfo";
	else if (elf_file_has_section(is->self, ".dynsym"))
		text = "dynsym";
	snprintf(ret->text, sizeof(ret->text), "%s", text);
}

void image_symbols_drop_pages(struct image_symbols *is)
{
	elf_file_drop_pages(is->self);
	if (is->debug)
		elf_file_drop_pages(is->debug);
	if (is->alt)
		elf_file_drop_pages(is->alt);
	if (is->unpacked)
		elf_file_drop_pages(is->unpacked);
	if (is->unpacked_alt)
		elf_file_drop_pages(is->unpacked_alt);
}
