/* SPDX-License-Identifier: Apache-2.0 */
/* Unwind tables of any content: parsed, run, made into rules and stepped by, and through libunwind
 * where rules do not do. The first bytes choose registers; the rest is .eh_frame and .debug_frame.
 */
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "../../src/unwind/generic.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

struct run {
	struct cfi_section section;
	struct generic *generic;
	struct walk walk;
	unsigned budget;
};

static void at_function(void *arg, uint64_t start, uint64_t off)
{
	struct run *run = arg;
	struct cfi_fde fde;
	static const uint64_t offsets[] = {0, 1, 4, 64, 4096};
	if (!run->budget || !cfi_parse_fde(&run->section, off, &fde))
		return;
	for (size_t i = 0; i < sizeof(offsets) / sizeof(offsets[0]); i++) {
		struct cfi_row row;
		union rule_buf buf;
		struct walk w = run->walk;
		if (!run->budget || !cfi_run(&fde, start + offsets[i], &row))
			continue;
		run->budget--;
		rule_from_row(&row, start, &buf.rule);
		if (buf.rule.kind == RULE_FRAME) {
			walk_step(&w, &buf.rule);
			w = run->walk;
		}
		/* A sound row may go to libunwind whether it needs to or not. */
		if (buf.rule.kind == RULE_LIBUNWIND)
			generic_step(run->generic, &w, &row);
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static uint64_t words[512];
	static struct snapshot snap;
	static struct maps maps;
	static struct generic *generic;
	if (size < 8 || size > 65536)
		return 0;
	if (!generic)
		generic = generic_create();
	for (size_t i = 0; i < 512; i++)
		words[i] = i % 3 ? 0x7ff000000000 + i * 8 : ((uint64_t)data[i % 8] << 8);
	struct run run = {.generic = generic, .budget = 64};
	run.walk = (struct walk){.snap = &snap,
	                         .maps = &maps,
	                         .stack = (const uint8_t *)words,
	                         .stack_addr = 0x7ff000000000,
	                         .stack_len = sizeof(words),
	                         .is_exact = data[0] & 1};
	for (unsigned i = 0; i < ARCH_REGS; i++)
		if (i == REG_SP || i == REG_PC || !(data[1 + i % 4] >> (i % 8) & 1))
			regs_set(&run.walk.regs, i, 0x7ff000000000 + 128 + i * 8 + data[5 + i % 3]);
	for (int eh = 0; eh < 2; eh++) {
		/* A copy of its own, so that a read behind it is seen. */
		uint8_t *copy = malloc(size - 8 ? size - 8 : 1);
		memcpy(copy, data + 8, size - 8);
		run.section = (struct cfi_section){copy, size - 8, 0x1000, eh};
		cfi_scan(&run.section, 0, at_function, &run);
		free(copy);
	}
	return 0;
}
