/* SPDX-License-Identifier: Apache-2.0 */
/* What the file of node or libnode says of its V8: the version, the constants it exports for
 * debuggers (v8dbg_*, they survive strip), and where the embedded builtins are. */
#include <gelf.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <csample/log.h>
#include <csample/mem.h>

#include "node.h"

#define MAX_SYMBOLS  2000000u
#define MAX_BUILTINS 16384u
/* Code without unwind information, at least: the embedded builtins are 1.2 MB and more. */
#define MIN_GAP 524288u

static const char version_prefix[] = "_ZN2v88internal7Version";
static const char *const version_parts[4] = {"6major_E", "6minor_E", "6build_E", "6patch_E"};

#define AT(member) offsetof(struct v8_layout, member)
/* clang-format off */
/* Exported names up to the type of the field, which changes with the headers; and ours. */
static const struct exported {
	const char *prefix;
	size_t at;
	bool is_field;
} exported[] = {
	{ "class_JSFunction__shared__", AT(function_shared), true },
	{ "class_SharedFunctionInfo__name_or_scope_info__", AT(shared.name), true },
	{ "class_SharedFunctionInfo__script_or_debug_info__", AT(shared.script), true },
	{ "class_SharedFunctionInfo__script__", AT(shared.script), true },
	{ "class_BytecodeArray__data__", AT(bytecode.first), false },
	{ "class_Code__flags__", AT(code.flags), true },
	{ "class_Code__instruction_size__", AT(code.size), true },
	{ "class_Code__instruction_start__Address", AT(code.start), true },
	{ "class_Code__source_position_table__", AT(code.positions), true },
	{ "class_InstructionStream__instruction_start__", AT(code.header), false },
	{ "FirstNonstringType", AT(type.nonstring), false },
	{ "FirstJSFunctionType", AT(type.function_first), false },
	{ "LastJSFunctionType", AT(type.function_last), false },
	{ "type_SharedFunctionInfo__", AT(type.shared), false },
	{ "type_SharedFunctionInfoWrapper__", AT(type.shared_wrapper), false },
	{ "type_ScopeInfo__", AT(type.scope_info), false },
	{ "type_Script__", AT(type.script), false },
	{ "type_DebugInfo__", AT(type.debug_info), false },
	{ "type_BytecodeArray__", AT(type.bytecode_array), false },
	{ "type_InterpreterData__", AT(type.interpreter_data), false },
	{ "type_BaselineData__", AT(type.baseline_data), false },
	{ "type_UncompiledDataWithPreparseData__", AT(type.uncompiled_first), false },
	{ "type_Code__", AT(type.code), false },
	{ "type_InstructionStream__", AT(type.instructions), false },
	{ "type_ByteArray__", AT(type.byte_array), false },
	{ "type_TrustedByteArray__", AT(type.trusted_byte_array), false },
	{ "type_FixedArray__", AT(type.fixed_array), false },
	{ "type_ProtectedFixedArray__", AT(type.protected_fixed_array), false },
	{ "type_TrustedFixedArray__", AT(type.trusted_fixed_array), false },
	{ "frametype_WasmFrame", AT(wasm_frame), false },
	{ "type_WeakFixedArray__", AT(type.weak_fixed_array), false },
	{ "type_ProtectedWeakFixedArray__", AT(type.protected_weak_fixed_array), false },
	{ "type_TrustedWeakFixedArray__", AT(type.trusted_weak_fixed_array), false },
	{ "type_AccessorPair__", AT(type.accessor_pair), false },
};
/* Where each is the same in all releases we know. */
static const struct { const char *name; int32_t value; } constants[] = {
	{ "SmiTag", 0 }, { "SmiShiftSize", 31 }, { "HeapObjectTag", 1 }, { "TaggedSize", 8 },
	{ "off_fp_function", -16 }, { "off_fp_context", -8 }, { "class_Map__instance_type__uint16_t", 12 },
	{ "class_Script__name__Object", 16 }, { "class_Script__line_ends__Object", 56 },
	{ "class_String__length__int32_t", 12 },
};
/* clang-format on */

const char v8_idle[] = "(idle)";

/* What a profile should tell apart from the program, by the functions it begins in; the names are
 * those of V8's own profiler. */
static const struct {
	const char *prefix, *title;
} works[] = {
        {"_ZN2v88internal4Heap14CollectGarbageE", "(garbage collector)"},
        {"_ZN2v88internal17ConcurrentMarking3RunE", "(garbage collector)"},
        {"_ZN2v88internal17ConcurrentMarking8RunMajorE", "(garbage collector)"},
        {"_ZN2v88internal17ConcurrentMarking8RunMinorE", "(garbage collector)"},
        {"_ZN2v88internal18ScavengerCollector7JobTask3RunE", "(garbage collector)"},
        {"_ZN2v88internal7Sweeper10SweeperJob3RunE", "(garbage collector)"},
        {"_ZN2v88internal27OptimizingCompileDispatcher11CompileNextE", "(compiler)"},
        {"_ZN2v88internal37OptimizingCompileTaskExecutor11CompileNextE", "(compiler)"},
        {"_ZN2v88internal8Compiler7CompileE", "(compiler)"},
        {"_ZN2v88internal8Compiler16CompileOptimizedE", "(compiler)"},
        {"uv__io_poll", v8_idle},
};

const char *const v8_landmarks[] = {
        "v8dbg_*",
        "Builtins_*",
        "_ZN2v88internal7Version6major_E",
        "_ZN2v88internal7Version6minor_E",
        "_ZN2v88internal7Version6build_E",
        "_ZN2v88internal7Version6patch_E",
        "_ZN4node11per_process8metadataE",
        "_ZN2v88internal4Heap14CollectGarbageE*",
        "uv__io_poll",
        NULL,
};

bool v8_layout_take(struct v8_layout *l, const char *name, int32_t value)
{
	if (value < 0 || value > 0xffff)
		return false;
	for (size_t i = 0; i < ARRAY_SIZE(exported); i++) {
		const struct exported *e = &exported[i];
		if (strncmp(name, e->prefix, strlen(e->prefix)) != 0)
			continue;
		/* A field's width stays the row's, or a pointer's. */
		struct field *f = (struct field *)((char *)l + e->at);
		uint32_t *number = (uint32_t *)((char *)l + e->at);
		if (!e->is_field)
			*number = (uint32_t)value;
		else
			*f = (struct field){(uint32_t)value, f->width ? f->width : 8};
		return true;
	}
	return false;
}

const struct v8_layout *v8_layout_find(unsigned major, unsigned minor, unsigned build,
                                       bool *exact_ret)
{
	/* The newest that is not newer; for one older than all, the oldest. */
	unsigned wanted = major << 24 | minor << 16 | build;
	const struct v8_layout *best = &v8_layouts[0];
	for (unsigned i = 0; i < v8_n_layouts; i++) {
		const struct v8_layout *l = &v8_layouts[i];
		if (((unsigned)l->major << 24 | (unsigned)l->minor << 16 | l->build) <= wanted)
			best = l;
	}
	*exact_ret = best->major == major && best->minor == minor && best->build == build;
	return best;
}

const char *v8_layout_missing(const struct v8_layout *l)
{
	const struct {
		const char *name;
		bool known;
	} needed[] = {
	        {"JSFunction.shared", field_known(l->function_shared)},
	        {"SharedFunctionInfo.data", field_known(l->shared.data)},
	        {"SharedFunctionInfo.name", field_known(l->shared.name)},
	        {"SharedFunctionInfo.script", field_known(l->shared.script)},
	        {"ScopeInfo", l->scope.variables >= 32},
	        {"BytecodeArray.positions", field_known(l->bytecode.positions)},
	        {"BytecodeArray.first", l->bytecode.first >= 16},
	        {"Code.deopt", field_known(l->code.deopt)},
	        {"Code.positions", field_known(l->code.positions)},
	        {"Code.flags", field_known(l->code.flags)},
	        {"Code.size", field_known(l->code.size)},
	        {"Code.header", l->code.header && l->code.alignment},
	        {"kinds", l->kind.baseline && l->kind.turbofan},
	        {"deoptimization data", l->deopt.literals && l->deopt.shared && l->deopt.inlining},
	        {"bytecode sizes", l->bytecodes && l->n_bytecodes},
	        {"type of strings", l->type.nonstring},
	        {"type of JSFunction",
	         l->type.function_first && l->type.function_last >= l->type.function_first},
	        {"type of SharedFunctionInfo", l->type.shared},
	        {"type of ScopeInfo", l->type.scope_info},
	        {"type of Script", l->type.script},
	        {"type of BytecodeArray", l->type.bytecode_array},
	        {"type of Code", l->type.code && l->type.instructions},
	        {"type of ByteArray", l->type.byte_array},
	        {"type of FixedArray", l->type.fixed_array},
	};
	for (size_t i = 0; i < ARRAY_SIZE(needed); i++)
		if (!needed[i].known)
			return needed[i].name;
	return NULL;
}

typedef void visit_symbol(void *arg, const char *name, const GElf_Sym *sym);

static void each_symbol(struct image *img, GElf_Word type, visit_symbol *visit, void *arg)
{
	for (Elf_Scn *scn = NULL; img->elf && (scn = elf_nextscn(img->elf, scn));) {
		GElf_Shdr sh;
		if (!gelf_getshdr(scn, &sh) || sh.sh_type != type || !sh.sh_entsize)
			continue;
		Elf_Data *data = elf_getdata(scn, NULL);
		uint64_t n = sh.sh_size / sh.sh_entsize;
		GElf_Sym sym;
		for (uint64_t i = 0; data && i < n && i < MAX_SYMBOLS; i++) {
			if (!gelf_getsym(data, (int)i, &sym))
				break;
			const char *name = elf_strptr(img->elf, sh.sh_link, sym.st_name);
			if (name && *name)
				visit(arg, name, &sym);
		}
	}
}

static bool int_at(const struct image *img, uint64_t vaddr, int32_t *ret)
{
	const uint8_t *p = image_bytes(img, vaddr, sizeof(*ret));
	if (p)
		memcpy(ret, p, sizeof(*ret));
	return p != NULL;
}

bool v8_recognise(struct image *img)
{
	/* Asked of each image: the names are searched as one text first. */
	for (Elf_Scn *scn = NULL; img->elf && (scn = elf_nextscn(img->elf, scn));) {
		GElf_Shdr sh;
		if (!gelf_getshdr(scn, &sh) || sh.sh_type != SHT_DYNSYM)
			continue;
		Elf_Scn *names = elf_getscn(img->elf, sh.sh_link);
		Elf_Data *data = names ? elf_getdata(names, NULL) : NULL;
		if (data && data->d_buf &&
		    memmem(data->d_buf, data->d_size, version_prefix, strlen(version_prefix)))
			return true;
	}
	return false;
}

static void take_version(void *arg, const char *name, const GElf_Sym *sym)
{
	struct {
		struct image *img;
		struct v8_image *v8;
		unsigned found;
	} *a = arg;
	int32_t value;
	if (strncmp(name, version_prefix, sizeof(version_prefix) - 1) != 0)
		return;
	for (unsigned i = 0; i < 4; i++)
		if (!strcmp(name + sizeof(version_prefix) - 1, version_parts[i]) &&
		    int_at(a->img, sym->st_value, &value) && value >= 0 && value < 65536) {
			a->v8->version[i] = (unsigned)value;
			a->found |= 1u << i;
		}
}

struct taking {
	struct image *img;
	struct v8_image *v8;
	struct v8_layout *layout;
	const char *wrong; /* a constant that is not as it must be */
};

static void take_exported(void *arg, const char *name, const GElf_Sym *sym)
{
	struct taking *t = arg;
	int32_t value;
	if (strncmp(name, "v8dbg_", 6) != 0 || !int_at(t->img, sym->st_value, &value))
		return;
	name += 6;
	for (size_t i = 0; i < ARRAY_SIZE(constants); i++)
		if (!strcmp(name, constants[i].name) && value != constants[i].value)
			t->wrong = constants[i].name;
	t->v8->taken += v8_layout_take(t->layout, name, value);
}

struct wanted {
	const char *name;
	uint64_t vaddr;
};

static void match_symbol(void *arg, const char *name, const GElf_Sym *sym)
{
	struct wanted *w = arg;
	if (sym->st_shndx != SHN_UNDEF && !strcmp(name, w->name))
		w->vaddr = sym->st_value;
}

bool v8_symbol(struct image *img, const char *name, uint64_t *ret)
{
	struct wanted w = {name, 0};
	each_symbol(img, SHT_DYNSYM, match_symbol, &w);
	if (!w.vaddr)
		each_symbol(img, SHT_SYMTAB, match_symbol, &w);
	if (w.vaddr)
		*ret = w.vaddr;
	return w.vaddr != 0;
}

static void take_builtin(void *arg, const char *name, const GElf_Sym *sym)
{
	struct v8_image *v8 = arg;
	if (strncmp(name, "Builtins_", 9) != 0 || !sym->st_size || v8->builtins.n >= MAX_BUILTINS)
		return;
	*vec_add(&v8->builtins) =
	        (struct v8_builtin){sym->st_value, sym->st_value + sym->st_size, name + 9};
}

static void take_work(void *arg, const char *name, const GElf_Sym *sym)
{
	struct v8_image *v8 = arg;
	if (GELF_ST_TYPE(sym->st_info) != STT_FUNC || !sym->st_size)
		return;
	for (size_t i = 0; i < ARRAY_SIZE(works); i++) {
		const char *prefix = works[i].prefix;
		bool whole = *prefix != '_';
		if ((whole ? strcmp(name, prefix) : strncmp(name, prefix, strlen(prefix))) != 0 ||
		    v8->work.n >= MAX_BUILTINS)
			continue;
		*vec_add(&v8->work) = (struct v8_builtin){
		        sym->st_value, sym->st_value + sym->st_size, works[i].title};
	}
}

static int by_start(const void *a, const void *b)
{
	const struct v8_builtin *x = a, *y = b;
	return x->start < y->start ? -1 : x->start > y->start;
}

/* The widest stretch of .text without unwind information, from the sorted table of .eh_frame_hdr:
 * what V8's build embeds has none. LSB 5.0 10.6.2; the encodings that all linkers write. */
static void find_gap(struct image *img, struct v8_image *v8)
{
	const uint8_t *h = image_section_bytes(img, &img->eh_frame_hdr);
	size_t size = img->eh_frame_hdr.size;
	uint32_t n, length;
	int32_t start, fde, next;
	uint64_t base = img->eh_frame_hdr.vaddr, widest = MIN_GAP;
	if (!h || size < 12 || h[0] != 1 || h[2] != 0x03 || h[3] != 0x3b)
		return;
	memcpy(&n, h + 8, 4);
	for (uint64_t i = 0; i + 1 < n && 12 + (i + 2) * 8 <= size; i++) {
		const uint8_t *entry = h + 12 + i * 8;
		memcpy(&start, entry, 4);
		memcpy(&fde, entry + 4, 4);
		memcpy(&next, entry + 8, 4);
		if (next < start || (uint64_t)((int64_t)next - start) < widest)
			continue;
		const uint8_t *p = image_bytes(img, base + (uint64_t)(int64_t)fde, 16);
		if (!p)
			continue;
		memcpy(&length, p + 12, 4);
		uint64_t from = base + (uint64_t)(int64_t)start + length,
		         to = base + (uint64_t)(int64_t)next;
		if (from >= to || to - from < widest || from < img->text.vaddr ||
		    to > img->text.vaddr + img->text.size)
			continue;
		widest = to - from;
		v8->code_start = from;
		v8->code_end = to;
	}
}

static void sort_ranges(struct v8_builtin *items, size_t n)
{
	if (n)
		qsort(items, n, sizeof(*items), by_start);
}

static void find_functions(struct image *img, struct v8_image *v8)
{
	each_symbol(img, SHT_SYMTAB, take_work, v8);
	each_symbol(img, SHT_SYMTAB, take_builtin, v8);
	if (!v8->work.n)
		each_symbol(img, SHT_DYNSYM, take_work, v8);
	sort_ranges(v8->work.items, v8->work.n);
	if (!v8->builtins.n) {
		find_gap(img, v8);
		return;
	}
	sort_ranges(v8->builtins.items, v8->builtins.n);
	v8->code_start = v8->builtins.items[0].start;
	v8->code_end = v8->builtins.items[v8->builtins.n - 1].end;
}

static const struct v8_builtin *range_at(const struct v8_builtin *items, size_t n, uint64_t vaddr)
{
	size_t low = 0, high = n;
	while (low < high) {
		size_t mid = low + (high - low) / 2;
		if (items[mid].start <= vaddr)
			low = mid + 1;
		else
			high = mid;
	}
	return low && vaddr < items[low - 1].end ? &items[low - 1] : NULL;
}

const struct v8_builtin *v8_builtin_at(const struct v8_image *v, uint64_t vaddr)
{
	return range_at(v->builtins.items, v->builtins.n, vaddr);
}

const char *v8_work_at(const struct v8_image *v, uint64_t vaddr)
{
	const struct v8_builtin *w = range_at(v->work.items, v->work.n, vaddr);
	return w ? w->name : NULL;
}

struct err *v8_image_read(struct image *img, struct v8_image *ret, struct v8_layout *layout)
{
	struct {
		struct image *img;
		struct v8_image *v8;
		unsigned found;
	} version = {img, ret, 0};
	bool exact;
	*ret = (struct v8_image){0};
	each_symbol(img, SHT_DYNSYM, take_version, &version);
	if (version.found != 15)
		return err_new(ERR_UNSUPPORTED, "V8 of an unknown version");
	const unsigned *v = ret->version;
	*layout = *v8_layout_find(v[0], v[1], v[2], &exact);
	struct taking t = {img, ret, layout, NULL};
	each_symbol(img, SHT_DYNSYM, take_exported, &t);
	const char *missing = v8_layout_missing(layout);
	if (!ret->taken || t.wrong || missing)
		return err_new(ERR_UNSUPPORTED, "V8 %u.%u.%u.%u %s%s", v[0], v[1], v[2], v[3],
		               !ret->taken ? "without its constants (v8dbg_*)"
		               : t.wrong   ? "is built in another way: "
		                           : "without ",
		               !ret->taken ? ""
		               : t.wrong   ? t.wrong
		                           : missing);
	ret->is_unknown = !exact;
	if (!exact)
		log_debug(LOG_DECODE, "%s: V8 %u.%u.%u is not known, taken for %u.%u.%u", img->path,
		          v[0], v[1], v[2], layout->major, layout->minor, layout->build);
	find_functions(img, ret);
	return NULL;
}

void v8_image_deinit(struct v8_image *v)
{
	vec_free(&v->work);
	vec_free(&v->builtins);
}
