/* SPDX-License-Identifier: Apache-2.0 */
/* A heap that lies: every address leads somewhere into the input, so that sizes, types, tables and
 * links are whatever it says. */
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <csample/mem.h>

#include "../../runtimes/cpython/objects.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define BASE     0x10000u
#define MAX_WORK 40000 /* reads that all calls for one address may do */

struct heap {
	struct rmem rm;
	const uint8_t *bytes;
	size_t size;
	unsigned reads;
};

static struct err *read_heap(struct rmem *rm, uint64_t addr, void *buf, size_t len)
{
	struct heap *h = (struct heap *)rm;
	if (++h->reads > MAX_WORK)
		abort();
	if (addr < BASE || len > 4 * h->size + 4096) /* some addresses lead nowhere */
		return &err_fault;
	for (size_t i = 0; i < len; i++)
		((uint8_t *)buf)[i] = h->bytes[(addr - BASE + i) % h->size];
	return NULL;
}

static void visit(void *arg, const char *name, const char *repr, bool is_argument)
{
	(void)is_argument;
	if (!name || !repr || strlen(repr) > 1u << 20)
		abort();
	++*(unsigned *)arg;
}

static void try_all(struct py *py, struct rmem *rm, uint64_t addr)
{
	struct rmem_budget budget;
	struct frame frames[16];
	struct strbuf b = {0};
	struct snapshot snap = {.time_ns = addr};
	unsigned shown = 0;
	uint64_t value;
	bool hopeless;
	py_repr(py, rm, addr, &b);
	if (b.len > 1u << 20)
		abort();
	strbuf_clear(&b);
	uint32_t entry = py_code_entry(py, &snap, addr);
	if (entry) {
		py_code_line(py->codes, entry, (int64_t)addr % 512);
		py_code_qualify(py, &snap, entry, addr);
	}
	py_frame_locals(py, &snap, addr, addr, visit, &shown);
	if (shown > 1024)
		abort();
	py_find_qualname(py, &snap, addr, &b, &hopeless);
	rmem_budget_init(&budget, rm, NULL, 4096); /* as their callers do */
	py_await_chain(py, &budget.rm, addr, frames, 16);
	py_attribute(py, &budget.rm, addr, "_name", NULL, &value);
	strbuf_free(&b);
}

/* The first byte says which release, the rest is the heap. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	if (size < 65)
		return 0;
	struct heap heap = {.rm = {.read = read_heap}, .bytes = data + 1, .size = size - 1};
	struct strings *strings = strings_create();
	struct target target = {.rm = &heap.rm, .strings = strings};
	struct py py = {.base = {.target = &target},
	                .layout = py_layouts[data[0] % py_n_layouts],
	                .codes = py_codes_create(strings),
	                .strings = strings};
	for (uint64_t at = 0; at < 256 && at < size; at += 64) {
		heap.reads = 0;
		try_all(&py, &heap.rm, BASE + at);
	}
	py_codes_refresh(&py);
	py_codes_destroy(py.codes);
	strings_destroy(strings);
	return 0;
}
