/* SPDX-License-Identifier: Apache-2.0 */
#include "nocfi.h"

#include <gelf.h>
#include <libelf.h>
#include <string.h>

#include <csample/mem.h>

#include "depth.h"

/* Code this far behind the entry point still belongs to it: glibc's and musl's are under 48 bytes.
 */
#define ENTRY_SIZE    64
#define MAX_INIT_SIZE 64
#define MAX_DYNAMIC   256
/* Words of the stack, and functions that the calls found there go to, that are tried for a frame.
 */
#define MAX_FRAME_WORDS 2048
#define MAX_STARTS      16

/* Functions nobody calls, by the names their C libraries and runtimes give them: musl src/thread
 * and crt, glibc sysdeps/unix/sysv/linux, Go src/runtime/asm_*.s before 1.17 (later ones: go.c). */
/* clang-format off */
static const char *const root_names[] = {
	"_start", "_start_c", "_dlstart", "_dlstart_c", "_dl_start_user",
	"clone", "__clone", "clone3", "__clone3", "thread_start",
	"runtime.goexit", "runtime.goexit.abi0", "runtime.rt0_go", "runtime.rt0_go.abi0",
	"runtime.mstart", "runtime.mstart.abi0", "runtime.mcall", "runtime.morestack",
	"runtime.systemstack", "runtime.asmcgocall.abi0",
};
/* clang-format on */

/* Does img have these n bytes of code at vaddr? */
static bool has_code(const struct image *img, uint64_t vaddr, const void *code, size_t n)
{
	const uint8_t *p = image_bytes(img, vaddr, n);
	return p && !memcmp(p, code, n);
}
#define HAS_CODE(img, vaddr, ...) \
	has_code(img, vaddr, (const uint8_t[]){__VA_ARGS__}, sizeof((const uint8_t[]){__VA_ARGS__}))

static void frame_rule(struct rule *r, uint8_t flags, unsigned cfa_reg, int32_t cfa_off)
{
	*r = (struct rule){.kind = RULE_FRAME,
	                   .flags = flags,
	                   .cfa_reg = (uint8_t)cfa_reg,
	                   .cfa_off = cfa_off};
}

#if defined(__x86_64__)

/* struct rt_sigframe of Linux, arch/x86/include/asm/sigframe.h, seen from the stack pointer once
 * the handler has returned: struct ucontext with its registers from offset 40 on. By DWARF number.
 */
static const uint16_t sigframe[ARCH_REGS] = {144, 136, 152, 128, 112, 104, 120, 160, 40,
                                             48,  56,  64,  72,  80,  88,  96,  168};

bool nocfi_sigreturn(const struct image *img, uint64_t vaddr, bool is_exact, struct rule *ret)
{
	/* mov $15, %rax or %eax; syscall. A thread may be before either, or in the system call. */
	static const uint8_t wide[] = {0x48, 0xc7, 0xc0, 15, 0, 0, 0, 0x0f, 0x05};
	static const uint8_t narrow[] = {0xb8, 15, 0, 0, 0, 0x0f, 0x05};
	bool at_start = has_code(img, vaddr, wide, 9) || has_code(img, vaddr, narrow, 7);
	if (!at_start &&
	    !(is_exact &&
	      (has_code(img, vaddr - 7, wide, 9) || has_code(img, vaddr - 9, wide, 9) ||
	       has_code(img, vaddr - 5, narrow, 7) || has_code(img, vaddr - 7, narrow, 7))))
		return false;
	frame_rule(ret, RULE_SIGNAL | RULE_DEREF, REG_SP, sigframe[REG_SP]);
	for (unsigned i = 0; i < ARCH_REGS; i++)
		rule_add_slot(ret, i, SLOT_AT_REG, REG_SP, sigframe[i]);
	rule_finish(ret);
	return true;
}

/* A thread's start function returns to code that ends the thread: mov %eax, %edi; mov $60, %eax;
 * syscall. glibc's clone3 and musl's __clone have no CFI there, on purpose or for lack of it. */
static bool exits(const struct image *img, uint64_t vaddr)
{
	if (HAS_CODE(img, vaddr, 0x48, 0x89, 0xc7))
		vaddr += 3;
	else if (HAS_CODE(img, vaddr, 0x89, 0xc7))
		vaddr += 2;
	else
		return false;
	return HAS_CODE(img, vaddr, 0xb8, 60, 0, 0, 0, 0x0f, 0x05) ||
	       HAS_CODE(img, vaddr, 0x31, 0xc0, 0xb0, 60, 0x0f, 0x05);
}

static bool in_section(const struct image_section *s, uint64_t vaddr)
{
	return vaddr - s->vaddr < s->size && s->vaddr;
}

/* PLT stubs of linkers that write no CFI for them (lld): jmp *slot; push index; jmp to the first
 * stub, which is push; jmp *resolver. Returns what is on the stack above the return address, or -1.
 */
static int plt_depth(const struct image *img, uint64_t vaddr)
{
	if (in_section(&img->plt_sec, vaddr))
		return 0;
	if (!in_section(&img->plt, vaddr))
		return -1;
	uint64_t at = (vaddr - img->plt.vaddr) % 16, stub = vaddr - at;
	if (HAS_CODE(img, stub, 0xff, 0x35)) /* the first: the index is pushed already */
		return at < 6 ? 8 : 16;
	if (HAS_CODE(img, stub, 0xff, 0x25))
		return at < 11 ? 0 : 8;
	if (HAS_CODE(img, stub, 0xf3, 0x0f, 0x1e, 0xfa, 0x68))
		return at < 9 ? 0 : 8;
	return -1;
}

/* Bytes between the stack pointer and the return address where the very next instructions tell; and
 * whether the saved frame pointer is one of them. */
static int depth_by_code(const struct image *img, uint64_t vaddr, bool *saved_fp)
{
	*saved_fp = false;
	if (HAS_CODE(img, vaddr, 0xc3) || HAS_CODE(img, vaddr, 0xf3, 0xc3) ||             /* ret */
	    HAS_CODE(img, vaddr, 0xff, 0x25) || HAS_CODE(img, vaddr, 0xf2, 0xff, 0x25) || /* stub */
	    HAS_CODE(img, vaddr, 0xf3, 0x0f, 0x1e, 0xfa) || /* endbr64 */
	    HAS_CODE(img, vaddr, 0x55, 0x48, 0x89, 0xe5))   /* push %rbp; mov %rsp, %rbp */
		return 0;
	*saved_fp = HAS_CODE(img, vaddr - 1, 0x55, 0x48, 0x89, 0xe5) || /* at the mov */
	            HAS_CODE(img, vaddr, 0x5d, 0xc3);                   /* pop %rbp; ret */
	return *saved_fp ? 8 : plt_depth(img, vaddr);
}

static bool leaf_rule(const struct image *img, uint64_t vaddr, struct rule *ret)
{
	bool saved_fp;
	int depth = depth_by_code(img, vaddr, &saved_fp);
	if (depth < 0)
		return false;
	frame_rule(ret, RULE_CHECK_CALL, REG_SP, depth + 8);
	rule_add_slot(ret, REG_PC, SLOT_AT_CFA, 0, -8);
	if (saved_fp)
		rule_add_slot(ret, REG_FP, SLOT_AT_CFA, 0, -16);
	rule_finish(ret);
	return true;
}

#elif defined(__aarch64__)

/* struct rt_sigframe of Linux, arch/arm64/kernel/signal.c: siginfo 128, ucontext 176 up to its
 * sigcontext, in that fault_address, then x0-x30, sp, pc. */
bool nocfi_sigreturn(const struct image *img, uint64_t vaddr, bool is_exact, struct rule *ret)
{
	/* mov x8, #139; svc #0 */
	static const uint8_t code[] = {0x68, 0x11, 0x80, 0xd2, 0x01, 0x00, 0x00, 0xd4};
	if (!has_code(img, vaddr, code, sizeof(code)) &&
	    !(is_exact && (has_code(img, vaddr - 4, code, sizeof(code)) ||
	                   has_code(img, vaddr - 8, code, sizeof(code)))))
		return false;
	frame_rule(ret, RULE_SIGNAL | RULE_DEREF, REG_SP, 312 + 8 * REG_SP);
	for (unsigned i = 0; i < ARCH_REGS; i++)
		rule_add_slot(ret, i, SLOT_AT_REG, REG_SP, (int32_t)(312 + 8 * i));
	rule_finish(ret);
	return true;
}

static bool exits(const struct image *img, uint64_t vaddr)
{
	/* mov x8, #93; svc #0 */
	return HAS_CODE(img, vaddr, 0xa8, 0x0b, 0x80, 0xd2, 0x01, 0x00, 0x00, 0xd4);
}

static bool leaf_rule(const struct image *img, uint64_t vaddr, struct rule *ret)
{
	if (!HAS_CODE(img, vaddr, 0xc0, 0x03, 0x5f, 0xd6)) /* ret */
		return false;
	frame_rule(ret, RULE_CHECK_CALL, REG_SP, 0);
	rule_add_slot(ret, REG_PC, SLOT_IS_REG, REG_LR, 0);
	rule_finish(ret);
	return true;
}

#endif

static bool is_root_name(const char *name)
{
	for (size_t i = 0; i < ARRAY_SIZE(root_names); i++)
		if (!strcmp(name, root_names[i]))
			return true;
	return false;
}

static bool depth_from(struct walk *w, const struct image *img, uint64_t start, uint64_t vaddr,
                       struct depth *d, struct rule *ret)
{
	return depth_at(img, start, vaddr, !w->is_exact, d) && depth_rule(d, ret);
}

/* The functions the dynamic loader calls by the dynamic section, DT_INIT and DT_FINI: crti.o and
 * crtn.o have no CFI for them. */
static bool rule_from_init(struct walk *w, const struct image *img, uint64_t vaddr,
                           struct rule *ret)
{
	struct depth d;
	for (Elf_Scn *scn = NULL; (scn = elf_nextscn(img->elf, scn));) {
		GElf_Shdr sh;
		GElf_Dyn dyn;
		if (!gelf_getshdr(scn, &sh) || sh.sh_type != SHT_DYNAMIC)
			continue;
		Elf_Data *data = elf_getdata(scn, NULL);
		for (int i = 0; data && i < MAX_DYNAMIC && gelf_getdyn(data, i, &dyn); i++)
			if ((dyn.d_tag == DT_INIT || dyn.d_tag == DT_FINI) &&
			    vaddr - dyn.d_un.d_ptr < MAX_INIT_SIZE)
				return depth_from(w, img, dyn.d_un.d_ptr, vaddr, &d, ret);
	}
	return false;
}

static bool is_in_entry(const struct walk *w, uint64_t ra)
{
	const struct mapping *m = walk_code(w, ra);
	return m && m->image && m->image->entry && ra - m->bias - m->image->entry < ENTRY_SIZE;
}

/* Functions that calls found on the stack go to. Those that start before pc come first, the nearest
 * at their head: pc is most likely in that one. */
struct starts {
	uint64_t pc, at[MAX_STARTS];
	unsigned n;
};

static void add_start(struct starts *s, uint64_t start)
{
	unsigned i = 0;
	if (start - s->pc + DEPTH_MAX_CODE > (uint64_t)2 * DEPTH_MAX_CODE)
		return;
	/* A start behind pc has a large distance here. */
	while (i < s->n && s->pc - s->at[i] < s->pc - start)
		i++;
	if (i == MAX_STARTS || (i < s->n && s->at[i] == start))
		return;
	unsigned moved = (s->n < MAX_STARTS ? s->n : MAX_STARTS - 1) - i;
	memmove(s->at + i + 1, s->at + i, moved * sizeof(s->at[0]));
	s->at[i] = start;
	s->n = i + moved + 1;
}

/* The words of the stack that could be this frame's return address, as functions they would have
 * called. True: only one can be, and it is in the entry point; *slot is where. */
static bool find_starts(struct walk *w, struct starts *starts, unsigned *slot)
{
	uint64_t sp = w->regs.r[REG_SP], ra, target;
	bool first = true;
	for (*slot = 0; *slot < MAX_FRAME_WORDS; ++*slot) {
		if (!walk_read(w, sp + 8 * (uint64_t)*slot, &ra)) {
			w->wants_more = w->end == STACK_SHORT;
			return false;
		}
		if (first && walk_code(w, ra) && walk_is_after_call(w, ra)) {
			first = false;
			if (is_in_entry(w, ra))
				return true;
		}
		if (walk_call_target(w, ra, &target))
			add_start(starts, target);
	}
	return false;
}

/* Where no symbol tells the start of the function, a call of it does: the return address of this
 * frame is somewhere up the stack. It is the one after a direct call to code from which pc is
 * reached at just the depth of its slot; or, if nothing before it can be one, that of the entry
 * point: musl gets from there to main's caller by jumps. */
static bool rule_by_caller(struct walk *w, const struct image *img, uint64_t vaddr,
                           struct rule *ret)
{
	uint64_t pc = w->regs.r[REG_PC], ra, target;
	struct starts starts = {.pc = pc};
	unsigned slot;
	if (find_starts(w, &starts, &slot)) {
		struct depth d = {.sp = (int32_t)slot * 8, .fp = DEPTH_UNKNOWN};
		return depth_rule(&d, ret);
	}
	for (unsigned i = 0; i < starts.n; i++) {
		struct depth d;
		if (!depth_from(w, img, starts.at[i] - (pc - vaddr), vaddr, &d, ret) ||
		    !regs_known(&w->regs, ret->cfa_reg))
			continue;
		uint64_t cfa = w->regs.r[ret->cfa_reg] + (uint64_t)(int64_t)ret->cfa_off;
		if (walk_read(w, cfa - 8, &ra) && walk_call_target(w, ra, &target) &&
		    target == starts.at[i])
			return true;
	}
	return false;
}

void nocfi_rule(struct walk *w, struct image *img, uint64_t vaddr, unwinder_namer *namer,
                void *namer_arg, struct rule *ret)
{
	const char *name = NULL;
	uint64_t start = 0;
	struct depth d;
	*ret = (struct rule){.kind = RULE_ROOT};
	if (nocfi_sigreturn(img, vaddr, w->is_exact, ret))
		return;
	if (img->entry && vaddr - img->entry < ENTRY_SIZE)
		return;
	if (!w->is_exact && exits(img, vaddr))
		return;
	bool named = namer && namer(namer_arg, img, vaddr - !w->is_exact, &name, &start);
	if (named && !w->is_exact && is_root_name(name))
		return;
	if (w->is_exact && leaf_rule(img, vaddr, ret))
		return;
	if (named && depth_from(w, img, start, vaddr, &d, ret))
		return;
	if (!rule_from_init(w, img, vaddr, ret) && !rule_by_caller(w, img, vaddr, ret))
		*ret = (struct rule){.kind = RULE_NO_CFI};
}

/* Is there something further up that looks like the frame of a caller? */
static bool has_calls_above(struct walk *w)
{
	uint64_t sp = w->regs.r[REG_SP], word, target;
	for (unsigned i = 0; i < MAX_FRAME_WORDS && walk_read(w, sp + 8 * (uint64_t)i, &word); i++)
		if (walk_call_target(w, word, &target))
			return true;
	return false;
}

bool nocfi_step(struct walk *w)
{
	uint64_t fp = w->regs.r[REG_FP], sp = w->regs.r[REG_SP], next, ra;
	if (!regs_known(&w->regs, REG_FP))
		return walk_fail(w, STACK_NO_RULE);
	/* psABI: zero marks the outermost frame; but it may as well be any value, at a leaf or
	 * where frame pointers are not kept. */
	if (!fp)
		return walk_fail(w, w->is_exact || has_calls_above(w) ? STACK_NO_RULE : STACK_ROOT);
	if (fp % 8 || fp < sp)
		return walk_fail(w, STACK_NO_RULE);
	if (!walk_read(w, fp, &next) || !walk_read(w, fp + 8, &ra))
		return walk_fail(w, w->end == STACK_SHORT ? STACK_SHORT : STACK_NO_RULE);
	ra = arch_strip(ra);
	if (!ra && !next)
		return walk_fail(w, w->is_exact || has_calls_above(w) ? STACK_NO_RULE : STACK_ROOT);
	if (!walk_is_after_call(w, ra))
		return walk_fail(w, STACK_NO_RULE);
	w->regs.valid = 0; /* what else the function saved is not known */
	regs_set(&w->regs, REG_PC, ra);
	regs_set(&w->regs, REG_FP, next);
	w->regs.r[REG_SP] = w->cfa = fp + 16;
#if defined(__x86_64__)
	/* The frame record is at the top of the frame; on aarch64 it is at the bottom, and the
	 * stack pointer of the caller stays unknown. */
	regs_set(&w->regs, REG_SP, fp + 16);
#endif
	w->is_exact = false;
	return true;
}
