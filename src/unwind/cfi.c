/* SPDX-License-Identifier: Apache-2.0 */
#include "cfi.h"

#include <dwarf.h>
#include <string.h>

/* libdw's dwarf.h has the DWARF constants, but not those of the LSB's .eh_frame. */
enum {
	PE_ABSPTR = 0x00,
	PE_ULEB = 0x01,
	PE_UDATA2 = 0x02,
	PE_UDATA4 = 0x03,
	PE_UDATA8 = 0x04,
	PE_SLEB = 0x09,
	PE_SDATA2 = 0x0a,
	PE_SDATA4 = 0x0b,
	PE_SDATA8 = 0x0c,
	PE_PCREL = 0x10,
	PE_DATAREL = 0x30,
	PE_INDIRECT = 0x80,
	PE_OMIT = 0xff,
};

/* A hostile file may hold one FDE of a gigabyte; the largest seen in real ones have 40,000. */
#define MAX_INSTRUCTIONS (256 * 1024)
#define MAX_REMEMBERED   16

bool cfi_pointer(struct bytes *b, uint8_t encoding, uint64_t vaddr, uint64_t data, uint64_t *ret)
{
	uint64_t v;
	if (encoding == PE_OMIT || (encoding & PE_INDIRECT))
		return false;
	switch (encoding & 0x0f) {
	case PE_ABSPTR:
	case PE_UDATA8:
	case PE_SDATA8:
		v = bytes_u64(b);
		break;
	case PE_ULEB:
		v = bytes_uleb(b);
		break;
	case PE_SLEB:
		v = (uint64_t)bytes_sleb(b);
		break;
	case PE_UDATA2:
		v = bytes_u16(b);
		break;
	case PE_SDATA2:
		v = (uint64_t)(int16_t)bytes_u16(b);
		break;
	case PE_UDATA4:
		v = bytes_u32(b);
		break;
	case PE_SDATA4:
		v = (uint64_t)(int32_t)bytes_u32(b);
		break;
	default:
		return false;
	}
	switch (encoding & 0x70) {
	case PE_ABSPTR:
		break;
	case PE_PCREL:
		v += vaddr;
		break;
	case PE_DATAREL:
		v += data;
		break;
	default:
		return false;
	}
	*ret = v;
	return !b->bad;
}

/* The head all entries share. */
struct entry {
	uint64_t id_at, id; /* offset and value of the CIE pointer; 0 (eh) or ~0: it is a CIE */
	bool is_cie;
	struct bytes body; /* after the id */
	uint64_t next;
};

static bool parse_entry(const struct cfi_section *s, uint64_t off, struct entry *ret)
{
	if (off >= s->size)
		return false;
	struct bytes b = bytes_over(s->data + off, s->size - off);
	uint64_t len = bytes_u32(&b);
	bool is_64 = len == 0xffffffff;
	if (is_64)
		len = bytes_u64(&b);
	if (b.bad || !len || len > bytes_left(&b))
		return false;
	ret->id_at = (uint64_t)(b.p - s->data);
	b.end = b.p + len;
	ret->next = ret->id_at + len;
	/* .eh_frame keeps four bytes here even in the long form. */
	bool wide = is_64 && !s->is_eh;
	ret->id = wide ? bytes_u64(&b) : bytes_u32(&b);
	ret->is_cie = s->is_eh ? ret->id == 0 : ret->id == (wide ? UINT64_MAX : 0xffffffff);
	ret->body = b;
	return !b.bad;
}

/* Reads the data of augmentation "z...": the encoding of addresses and the signal flag. */
static bool parse_augmentation(const char *aug, struct bytes *b, struct cfi_fde *ret)
{
	uint64_t len = bytes_uleb(b);
	const uint8_t *data = bytes_take(b, len);
	if (!data)
		return false;
	struct bytes d = bytes_over(data, len);
	for (const char *c = aug + 1; *c; c++) {
		uint64_t ignored;
		uint8_t encoding;
		switch (*c) {
		case 'R':
			ret->encoding = bytes_u8(&d);
			break;
		case 'L':
			bytes_u8(&d);
			break;
		case 'P':
			/* A personality routine is no concern of ours; only its size is. */
			encoding = bytes_u8(&d);
			if (!cfi_pointer(&d, encoding & 0x0f, 0, 0, &ignored))
				return false;
			break;
		case 'S':
			ret->is_signal = true;
			break;
		case 'B': /* aarch64: return addresses are signed with key B */
		case 'G': /* aarch64: memory tagging */
			break;
		default:
			return true; /* unknown, but its length is known: the rest is skipped */
		}
	}
	return !d.bad;
}

static bool parse_cie(const struct cfi_section *s, uint64_t off, struct cfi_fde *ret,
                      bool *has_augmentation)
{
	struct entry e;
	if (!parse_entry(s, off, &e) || !e.is_cie)
		return false;
	struct bytes *b = &e.body;
	uint8_t version = bytes_u8(b);
	const char *aug = bytes_cstr(b);
	if (!aug || (version != 1 && version != 3 && version != 4))
		return false;
	if (version == 4) {
		uint8_t address_size = bytes_u8(b), segment_size = bytes_u8(b);
		if (address_size != 8 || segment_size)
			return false;
	}
	ret->code_align = bytes_uleb(b);
	ret->data_align = bytes_sleb(b);
	ret->ra_column = version == 1 ? bytes_u8(b) : bytes_uleb(b);
	ret->encoding = PE_ABSPTR;
	ret->is_signal = false;
	*has_augmentation = *aug == 'z';
	if (*aug == 'z' ? !parse_augmentation(aug, b, ret) : *aug != '\0')
		return false;
	ret->initial = *b;
	return !b->bad && ret->ra_column < REGS_MAX;
}

bool cfi_parse_fde(const struct cfi_section *s, uint64_t off, struct cfi_fde *ret)
{
	struct entry e;
	if (!parse_entry(s, off, &e) || e.is_cie)
		return false;
	/* .eh_frame: distance back from here; .debug_frame: offset in the section. */
	uint64_t cie = s->is_eh ? e.id_at - e.id : e.id;
	bool has_augmentation;
	if (cie >= s->size || !parse_cie(s, cie, ret, &has_augmentation))
		return false;
	struct bytes *b = &e.body;
	uint64_t at = s->vaddr + (uint64_t)(b->p - s->data);
	uint64_t len;
	if (!cfi_pointer(b, ret->encoding, at, 0, &ret->start) ||
	    !cfi_pointer(b, ret->encoding & 0x0f, 0, 0, &len))
		return false;
	ret->end = ret->start + len;
	if (has_augmentation)
		bytes_take(b, bytes_uleb(b));
	ret->program = *b;
	ret->program_vaddr = s->vaddr + (uint64_t)(b->p - s->data);
	return !b->bad && ret->end > ret->start;
}

void cfi_scan(const struct cfi_section *s, uint64_t off, cfi_found *found, void *arg)
{
	struct entry e;
	struct cfi_fde fde;
	for (; parse_entry(s, off, &e); off = e.next)
		if (!e.is_cie && cfi_parse_fde(s, off, &fde))
			found(arg, fde.start, off);
}

struct machine {
	const struct cfi_fde *fde;
	struct cfi_row *row;
	const struct cfi_row *initial; /* what DW_CFA_restore goes back to; NULL within the CIE */
	uint64_t loc, target;
	bool past; /* loc has gone beyond target */
	size_t n_remembered;
	struct cfi_row remembered[MAX_REMEMBERED];
};

static void set_column(struct machine *m, uint64_t reg, enum cfi_where where, int64_t off)
{
	if (reg < REGS_MAX) /* vector registers do not matter here */
		m->row->columns[reg] = (struct cfi_column){.where = where, .off = off};
}

static void set_expr(struct machine *m, struct bytes *b, uint64_t reg, enum cfi_where where)
{
	uint64_t len = bytes_uleb(b);
	const uint8_t *p = bytes_take(b, len);
	struct cfi_column column = {.where = where, .expr = {p, (uint32_t)len}};
	if (!p || len > UINT32_MAX)
		return;
	if (reg == UINT64_MAX)
		m->row->cfa = column;
	else if (reg < REGS_MAX)
		m->row->columns[reg] = column;
}

static void restore(struct machine *m, uint64_t reg)
{
	if (reg < REGS_MAX)
		m->row->columns[reg] = m->initial ? m->initial->columns[reg]
		                                  : (struct cfi_column){.where = CFI_DEFAULT};
}

static void set_cfa(struct machine *m, uint64_t reg, int64_t off)
{
	m->row->cfa = (struct cfi_column){.where = CFI_IS_CFA, .off = off};
	m->row->cfa_reg = reg;
}

static void advance(struct machine *m, uint64_t units)
{
	m->loc += units * m->fde->code_align;
	m->past = m->loc > m->target;
}

static int64_t scaled(const struct machine *m, uint64_t factored)
{
	return (int64_t)(factored * (uint64_t)m->fde->data_align);
}

/* The instructions of DWARF 5, 6.4.2.1, 6.4.2.5 and 6.4.2.4. */
static bool move_location(struct machine *m, struct bytes *b, uint8_t op)
{
	uint64_t loc;
	switch (op) {
	case DW_CFA_nop:
		return true;
	case DW_CFA_set_loc:
		if (!cfi_pointer(b, m->fde->encoding,
		                 m->fde->program_vaddr + (uint64_t)(b->p - m->fde->program.p), 0,
		                 &loc))
			return false;
		m->loc = loc;
		m->past = loc > m->target;
		return true;
	case DW_CFA_advance_loc1:
		advance(m, bytes_u8(b));
		return true;
	case DW_CFA_advance_loc2:
		advance(m, bytes_u16(b));
		return true;
	case DW_CFA_advance_loc4:
		advance(m, bytes_u32(b));
		return true;
	case DW_CFA_MIPS_advance_loc8:
		advance(m, bytes_u64(b));
		return true;
	case DW_CFA_remember_state:
		if (m->n_remembered == MAX_REMEMBERED)
			return false;
		m->remembered[m->n_remembered++] = *m->row;
		return true;
	case DW_CFA_restore_state:
		if (!m->n_remembered)
			return false;
		*m->row = m->remembered[--m->n_remembered];
		return true;
	case DW_CFA_GNU_args_size: /* arguments pushed: CFA instructions tell of them too */
		bytes_uleb(b);
		return true;
#if defined(__aarch64__)
	case DW_CFA_GNU_window_save: /* here DW_CFA_AARCH64_negate_ra_state, see arch_strip() */
		return true;
#endif
	default:
		return false;
	}
}

/* 6.4.2.2. */
static bool define_cfa(struct machine *m, struct bytes *b, uint8_t op)
{
	uint64_t reg;
	switch (op) {
	case DW_CFA_def_cfa:
		reg = bytes_uleb(b);
		set_cfa(m, reg, (int64_t)bytes_uleb(b));
		return true;
	case DW_CFA_def_cfa_sf:
		reg = bytes_uleb(b);
		set_cfa(m, reg, scaled(m, (uint64_t)bytes_sleb(b)));
		return true;
	case DW_CFA_def_cfa_register:
		set_cfa(m, bytes_uleb(b), m->row->cfa.off);
		return true;
	case DW_CFA_def_cfa_offset:
		set_cfa(m, m->row->cfa_reg, (int64_t)bytes_uleb(b));
		return true;
	case DW_CFA_def_cfa_offset_sf:
		set_cfa(m, m->row->cfa_reg, scaled(m, (uint64_t)bytes_sleb(b)));
		return true;
	case DW_CFA_def_cfa_expression:
		set_expr(m, b, UINT64_MAX, CFI_IS_EXPR);
		return true;
	default:
		return move_location(m, b, op);
	}
}

/* 6.4.2.3. */
static bool define_column(struct machine *m, struct bytes *b, uint8_t op)
{
	uint64_t reg;
	switch (op) {
	case DW_CFA_offset_extended:
		reg = bytes_uleb(b);
		set_column(m, reg, CFI_AT_CFA, scaled(m, bytes_uleb(b)));
		return true;
	case DW_CFA_offset_extended_sf:
		reg = bytes_uleb(b);
		set_column(m, reg, CFI_AT_CFA, scaled(m, (uint64_t)bytes_sleb(b)));
		return true;
	case DW_CFA_GNU_negative_offset_extended:
		reg = bytes_uleb(b);
		set_column(m, reg, CFI_AT_CFA, -scaled(m, bytes_uleb(b)));
		return true;
	case DW_CFA_val_offset:
		reg = bytes_uleb(b);
		set_column(m, reg, CFI_IS_CFA, scaled(m, bytes_uleb(b)));
		return true;
	case DW_CFA_val_offset_sf:
		reg = bytes_uleb(b);
		set_column(m, reg, CFI_IS_CFA, scaled(m, (uint64_t)bytes_sleb(b)));
		return true;
	case DW_CFA_restore_extended:
		restore(m, bytes_uleb(b));
		return true;
	case DW_CFA_undefined:
		set_column(m, bytes_uleb(b), CFI_UNDEFINED, 0);
		return true;
	case DW_CFA_same_value:
		set_column(m, bytes_uleb(b), CFI_SAME, 0);
		return true;
	case DW_CFA_register:
		reg = bytes_uleb(b);
		set_column(m, reg, CFI_REGISTER, (int64_t)bytes_uleb(b));
		return true;
	case DW_CFA_expression:
		reg = bytes_uleb(b);
		set_expr(m, b, reg, CFI_AT_EXPR);
		return true;
	case DW_CFA_val_expression:
		reg = bytes_uleb(b);
		set_expr(m, b, reg, CFI_IS_EXPR);
		return true;
	default:
		return define_cfa(m, b, op);
	}
}

static bool execute(struct machine *m, struct bytes b)
{
	for (unsigned n = 0; bytes_left(&b) && !m->past; n++) {
		if (n == MAX_INSTRUCTIONS)
			return false;
		uint8_t op = bytes_u8(&b), low = op & 0x3f;
		bool known = true;
		switch (op & 0xc0) {
		case DW_CFA_advance_loc:
			advance(m, low);
			break;
		case DW_CFA_offset:
			set_column(m, low, CFI_AT_CFA, scaled(m, bytes_uleb(&b)));
			break;
		case DW_CFA_restore:
			restore(m, low);
			break;
		default:
			known = define_column(m, &b, op);
		}
		if (!known || b.bad)
			return false;
	}
	return true;
}

bool cfi_run(const struct cfi_fde *fde, uint64_t vaddr, struct cfi_row *ret)
{
	if (vaddr < fde->start || vaddr >= fde->end)
		return false;
	struct machine m;
	m.fde = fde;
	m.row = ret;
	m.initial = NULL;
	m.loc = fde->start;
	m.target = UINT64_MAX;
	m.past = false;
	m.n_remembered = 0;
	memset(ret, 0, sizeof(*ret));
	ret->ra_column = fde->ra_column;
	ret->is_signal = fde->is_signal;
	if (!execute(&m, fde->initial))
		return false;
	struct cfi_row initial = *ret;
	m.initial = &initial;
	m.loc = fde->start;
	m.target = vaddr;
	m.n_remembered = 0;
	return execute(&m, fde->program) && ret->cfa.where != CFI_DEFAULT;
}
