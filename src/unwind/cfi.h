/* SPDX-License-Identifier: Apache-2.0 */
/* Call frame information: DWARF 5 section 6.4, and .eh_frame as the LSB has it. Pure functions over
 * the bytes of a file, which may be anything: each answer is "no" or is inside the file. */
#ifndef UNWIND_CFI_H
#define UNWIND_CFI_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <csample/bytes.h>
#include <csample/snapshot.h>

/* A run of bytes that holds CIEs and FDEs, and the address it is linked at. */
struct cfi_section {
	const uint8_t *data;
	size_t size;
	uint64_t vaddr;
	bool is_eh; /* .eh_frame; else .debug_frame */
};

struct cfi_fde {
	uint64_t start, end; /* addresses as linked */
	uint64_t code_align;
	int64_t data_align;
	uint64_t ra_column;
	bool is_signal;         /* augmentation S: a frame the kernel made */
	uint8_t encoding;       /* DW_EH_PE_* of addresses */
	struct bytes initial;   /* instructions of the CIE */
	struct bytes program;   /* of the FDE */
	uint64_t program_vaddr; /* address of its first byte, for DW_CFA_set_loc */
};

enum cfi_where {
	CFI_DEFAULT, /* not mentioned: what the psABI says of the register */
	CFI_SAME,
	CFI_UNDEFINED,
	CFI_AT_CFA,   /* in memory at CFA + off */
	CFI_IS_CFA,   /* it is CFA + off */
	CFI_REGISTER, /* in another register, number off */
	CFI_AT_EXPR,  /* in memory where the expression says */
	CFI_IS_EXPR,
};

struct cfi_expr {
	const uint8_t *p;
	uint32_t len;
};

struct cfi_column {
	enum cfi_where where;
	int64_t off;
	struct cfi_expr expr;
};

/* One row of the table: how to find the caller's registers at one address. */
struct cfi_row {
	struct cfi_column cfa; /* CFI_IS_CFA: register reg + off; CFI_IS_EXPR */
	uint64_t cfa_reg;
	struct cfi_column columns[REGS_MAX];
	uint64_t ra_column; /* < REGS_MAX */
	bool is_signal;
};

/* Parses the FDE at offset off of s, with its CIE. */
bool cfi_parse_fde(const struct cfi_section *s, uint64_t off, struct cfi_fde *ret);
/* The row that holds at vaddr, which the FDE must cover. */
bool cfi_run(const struct cfi_fde *fde, uint64_t vaddr, struct cfi_row *ret);

/* Calls found() for each FDE from offset off on; stops at the terminator, the end, or damage. */
typedef void cfi_found(void *arg, uint64_t start, uint64_t off);
void cfi_scan(const struct cfi_section *s, uint64_t off, cfi_found *found, void *arg);

/* A pointer in one of the DW_EH_PE_ encodings, at address vaddr. Relative to data with
 * DW_EH_PE_datarel. False for encodings that need what a file alone does not tell. */
bool cfi_pointer(struct bytes *b, uint8_t encoding, uint64_t vaddr, uint64_t data, uint64_t *ret);

#endif
