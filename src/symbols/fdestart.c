/* SPDX-License-Identifier: Apache-2.0 */
#include "fdestart.h"

#include <string.h>

#define DW_EH_PE_UDATA4  0x03
#define DW_EH_PE_SDATA4  0x0b
#define DW_EH_PE_PCREL   0x10
#define DW_EH_PE_DATAREL 0x30

static int32_t word_at(const uint8_t *p)
{
	int32_t v;
	memcpy(&v, p, sizeof(v));
	return v;
}

/* The pairs (start of function, place of its FDE), relative to the header, sorted; n of them. */
static const uint8_t *search_table(const struct image *img, uint64_t *n_ret)
{
	const struct image_section *section = &img->eh_frame_hdr;
	const uint8_t *p =
	        section->size >= 12 ? image_bytes(img, section->vaddr, section->size) : NULL;
	if (!p || p[0] != 1 || p[1] != (DW_EH_PE_PCREL | DW_EH_PE_SDATA4) ||
	    p[2] != DW_EH_PE_UDATA4 || p[3] != (DW_EH_PE_DATAREL | DW_EH_PE_SDATA4))
		return NULL;
	*n_ret = (uint32_t)word_at(p + 8);
	return *n_ret && *n_ret <= (section->size - 12) / 8 ? p + 12 : NULL;
}

/* Does the FDE say so too? Its encoding is the CIE's to tell; only the usual one is understood, and
 * any other cannot give the same start by chance. */
static bool fde_holds(const struct image *img, uint64_t fde, uint64_t start, uint64_t vaddr)
{
	const uint8_t *p = image_bytes(img, fde, 16);
	if (!p || fde + 8 + (uint64_t)(int64_t)word_at(p + 8) != start)
		return false;
	return vaddr - start < (uint32_t)word_at(p + 12);
}

bool fde_start(const struct image *img, uint64_t vaddr, uint64_t *start_ret)
{
	uint64_t n, base = img->eh_frame_hdr.vaddr;
	const uint8_t *table = search_table(img, &n);
	if (!table)
		return false;
	uint64_t low = 0;
	for (uint64_t high = n; low < high;) {
		uint64_t middle = low + (high - low) / 2;
		uint64_t start = base + (uint64_t)(int64_t)word_at(table + middle * 8);
		if (start <= vaddr)
			low = middle + 1;
		else
			high = middle;
	}
	if (!low)
		return false;
	const uint8_t *pair = table + (low - 1) * 8;
	uint64_t start = base + (uint64_t)(int64_t)word_at(pair);
	if (!fde_holds(img, base + (uint64_t)(int64_t)word_at(pair + 4), start, vaddr))
		return false;
	*start_ret = start;
	return true;
}
