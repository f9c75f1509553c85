/* SPDX-License-Identifier: Apache-2.0 */
/* libunwind as an evaluator of rows.
 *
 * It never sees the target's unwind tables: our interpreter has found the row and judged its
 * expressions, and libunwind is given a CIE and an FDE made for this row alone, in an address range
 * no target can have. So what libunwind does with hostile tables (endless jumps in expressions,
 * sizes it believes) does not matter, nor which of its releases finds which table; and since no two
 * targets share an address there, its caches, which go by address only, are off. What it adds is
 * the whole of DWARF's expression language. A step costs a few microseconds; rows that need it are
 * rare (see expr.c). */
#include <dwarf.h>
#include <libunwind.h>
#include <stdlib.h>
#include <string.h>

#include <csample/mem.h>

#include "generic.h"

/* Public symbol without a public declaration; perf declares it in the same way. */
#define dwarf_search_unwind_table UNW_OBJ(dwarf_search_unwind_table)
int dwarf_search_unwind_table(unw_addr_space_t as, unw_word_t ip, unw_dyn_info_t *di,
                              unw_proc_info_t *pi, int need_unwind_info, void *arg);

#define TABLE_SIZE 4096
/* Not canonical on x86_64, not a user address on aarch64. */
#define PC_BASE    0x8000000000000000ULL
#define TABLE_BASE (PC_BASE + 0x10000)

struct generic {
	unw_addr_space_t as;
	struct walk *walk; /* during a step */
	unw_word_t pc;
	_Alignas(8) uint8_t table[TABLE_SIZE]; /* search table of one entry, CIE, FDE */
	size_t len;
	size_t fde;
};

static void put(struct generic *g, const void *p, size_t n)
{
	if (n <= TABLE_SIZE - g->len)
		memcpy(g->table + g->len, p, n);
	g->len = n <= TABLE_SIZE - g->len ? g->len + n : TABLE_SIZE; /* full: the step is refused */
}

static void put_u8(struct generic *g, uint8_t v)
{
	put(g, &v, 1);
}

static void put_u32(struct generic *g, uint32_t v)
{
	put(g, &v, 4);
}

static void put_u64(struct generic *g, uint64_t v)
{
	put(g, &v, 8);
}

static void put_uleb(struct generic *g, uint64_t v)
{
	for (; v > 0x7f; v >>= 7)
		put_u8(g, (uint8_t)(v | 0x80));
	put_u8(g, (uint8_t)v);
}

static void put_sleb(struct generic *g, int64_t v)
{
	for (; v < -64 || v > 63; v >>= 7)
		put_u8(g, (uint8_t)(v | 0x80));
	put_u8(g, (uint8_t)(v & 0x7f));
}

static void put_expr(struct generic *g, struct cfi_expr expr)
{
	put_uleb(g, expr.len);
	put(g, expr.p, expr.len);
}

static void put_column(struct generic *g, unsigned reg, const struct cfi_column *c)
{
	switch (c->where) {
	case CFI_DEFAULT:
		return;
	case CFI_SAME:
		put_u8(g, DW_CFA_same_value);
		put_uleb(g, reg);
		return;
	case CFI_UNDEFINED:
		put_u8(g, DW_CFA_undefined);
		put_uleb(g, reg);
		return;
	case CFI_AT_CFA:
		put_u8(g, DW_CFA_offset_extended_sf);
		put_uleb(g, reg);
		put_sleb(g, c->off);
		return;
	case CFI_IS_CFA:
		put_u8(g, DW_CFA_val_expression);
		put_uleb(g, reg);
		put_uleb(g, 10); /* the CFA is on the stack already */
		put_u8(g, DW_OP_const8s);
		put_u64(g, (uint64_t)c->off);
		put_u8(g, DW_OP_plus);
		return;
	case CFI_REGISTER:
		put_u8(g, DW_CFA_register);
		put_uleb(g, reg);
		put_uleb(g, (uint64_t)c->off);
		return;
	case CFI_AT_EXPR:
	case CFI_IS_EXPR:
		put_u8(g, c->where == CFI_AT_EXPR ? DW_CFA_expression : DW_CFA_val_expression);
		put_uleb(g, reg);
		put_expr(g, c->expr);
		return;
	}
}

static void patch_length(struct generic *g, size_t at)
{
	while (g->len % 8 && g->len < TABLE_SIZE)
		put_u8(g, DW_CFA_nop);
	uint32_t len = (uint32_t)(g->len - at - 4);
	memcpy(g->table + at, &len, 4);
}

static bool make_table(struct generic *g, const struct cfi_row *row)
{
	static const uint8_t head[] = {1, 'z',     'R', 0, 1,
	                               1, ARCH_RA, 1,   0 /* absolute addresses */};
	g->len = 8;
	size_t cie = g->len;
	put_u32(g, 0);
	put_u32(g, 0);
	put(g, head, sizeof(head));
	if (row->cfa.where == CFI_IS_EXPR) {
		put_u8(g, DW_CFA_def_cfa_expression);
		put_expr(g, row->cfa.expr);
	} else {
		put_u8(g, DW_CFA_def_cfa_sf);
		put_uleb(g, row->cfa_reg);
		put_sleb(g, row->cfa.off);
	}
	for (unsigned i = 0; i < ARCH_REGS; i++)
		put_column(g, i, &row->columns[i]);
	patch_length(g, cie);
	g->fde = g->len;
	put_u32(g, 0);
	put_u32(g, (uint32_t)(g->fde + 4 - cie));
	put_u64(g, g->pc);
	put_u64(g, 1);
	put_u8(g, 0);
	patch_length(g, g->fde);
	int32_t entry[2] = {(int32_t)(g->pc - TABLE_BASE), (int32_t)g->fde};
	memcpy(g->table, entry, sizeof(entry));
	return g->len < TABLE_SIZE;
}

static int find_proc_info(unw_addr_space_t as, unw_word_t ip, unw_proc_info_t *pi,
                          int need_unwind_info, void *arg)
{
	struct generic *g = arg;
	unw_dyn_info_t di;
	memset(&di, 0, sizeof(di));
	if (ip != g->pc)
		return -UNW_ENOINFO;
	di.format = UNW_INFO_FORMAT_REMOTE_TABLE;
	di.start_ip = ip;
	di.end_ip = ip + 1;
	di.u.rti.segbase = TABLE_BASE;
	di.u.rti.table_data = TABLE_BASE;
	di.u.rti.table_len = 8 / sizeof(unw_word_t);
	return dwarf_search_unwind_table(as, ip, &di, pi, need_unwind_info, arg);
}

static void put_unwind_info(unw_addr_space_t as, unw_proc_info_t *pi, void *arg)
{
	(void)as;
	(void)pi;
	(void)arg; /* libunwind frees its own */
}

static int get_dyn_info_list_addr(unw_addr_space_t as, unw_word_t *addr, void *arg)
{
	(void)as;
	(void)addr;
	(void)arg;
	return -UNW_ENOINFO;
}

static int access_mem(unw_addr_space_t as, unw_word_t addr, unw_word_t *val, int write, void *arg)
{
	struct generic *g = arg;
	(void)as;
	if (write)
		return -UNW_EINVAL;
	if (addr - TABLE_BASE < TABLE_SIZE) {
		if (addr - TABLE_BASE > TABLE_SIZE - sizeof(*val))
			return -UNW_EINVAL;
		memcpy(val, g->table + (addr - TABLE_BASE), sizeof(*val));
		return 0;
	}
	uint64_t v;
	if (!walk_read(g->walk, addr, &v))
		return -UNW_EINVAL;
	*val = v;
	return 0;
}

/* libunwind numbers the general registers as DWARF does on both machines. */
static int access_reg(unw_addr_space_t as, unw_regnum_t reg, unw_word_t *val, int write, void *arg)
{
	struct generic *g = arg;
	(void)as;
	if (write || reg < 0 || reg >= ARCH_REGS)
		return -UNW_EBADREG;
	if (reg == REG_PC)
		*val = g->pc;
	else if (regs_known(&g->walk->regs, (unsigned)reg))
		*val = g->walk->regs.r[reg];
	else
		return -UNW_EBADREG;
	return 0;
}

static int access_fpreg(unw_addr_space_t as, unw_regnum_t reg, unw_fpreg_t *val, int write,
                        void *arg)
{
	(void)as;
	(void)reg;
	(void)val;
	(void)write;
	(void)arg;
	return -UNW_EBADREG;
}

static int resume(unw_addr_space_t as, unw_cursor_t *cursor, void *arg)
{
	(void)as;
	(void)cursor;
	(void)arg;
	return -UNW_EINVAL;
}

struct generic *generic_create(void)
{
	static unw_accessors_t accessors = {
	        .find_proc_info = find_proc_info,
	        .put_unwind_info = put_unwind_info,
	        .get_dyn_info_list_addr = get_dyn_info_list_addr,
	        .access_mem = access_mem,
	        .access_reg = access_reg,
	        .access_fpreg = access_fpreg,
	        .resume = resume,
	};
	struct generic *g = mem_zalloc(sizeof(*g));
	g->as = unw_create_addr_space(&accessors, 0);
	if (!g->as) {
		free(g);
		return NULL;
	}
	unw_set_caching_policy(g->as, UNW_CACHE_NONE);
	return g;
}

void generic_destroy(struct generic *g)
{
	if (!g)
		return;
	unw_destroy_addr_space(g->as);
	free(g);
}

bool generic_step(struct generic *g, struct walk *w, const struct cfi_row *row)
{
	unw_cursor_t cursor;
	unw_word_t pc, cfa, v;
	struct regs next = {0};
	g->walk = w;
	/* An expression may use the low bits of the pc, as the one of PLT stubs does. */
	g->pc = PC_BASE + (w->regs.r[REG_PC] - !w->is_exact) % 4096;
	w->end = STACK_BAD_CFI; /* unless a read says otherwise */
	if (!make_table(g, row) || unw_init_remote(&cursor, g->as, g) || unw_step(&cursor) < 0 ||
	    unw_get_reg(&cursor, UNW_REG_IP, &pc) || unw_get_reg(&cursor, UNW_REG_SP, &cfa))
		return false;
	if (!row->is_signal && cfa < w->regs.r[REG_SP] + ARCH_MIN_FRAME)
		return walk_fail(w, STACK_LOOP);
	for (unsigned i = 0; i < ARCH_REGS; i++) {
		const struct cfi_column *c = &row->columns[i];
		bool kept = c->where == CFI_DEFAULT && !(ARCH_CALLEE_SAVED & BIT(i));
		if (c->where != CFI_UNDEFINED && !kept && i != REG_SP && i != REG_PC &&
		    !unw_get_reg(&cursor, (int)i, &v))
			regs_set(&next, i, v);
	}
	regs_set(&next, REG_PC, arch_strip(pc));
	regs_set(&next, REG_SP, cfa);
	w->regs = next;
	w->cfa = cfa;
	w->is_exact = row->is_signal;
	return true;
}
