/* SPDX-License-Identifier: Apache-2.0 */
/* This very program's functions, as its unwind information knows them. */
#include <fcntl.h>
#include <link.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "../../../src/symbols/fdestart.h"

static struct strings *strings;
static struct images *images;
static struct image *self;
static uint64_t bias;

static int find_bias(struct dl_phdr_info *info, size_t size, void *arg)
{
	(void)size;
	*(uint64_t *)arg = info->dlpi_addr;
	return 1;
}

static int setup(void **state)
{
	(void)state;
	strings = strings_create();
	images = images_create(strings);
	int fd = open("/proc/self/exe", O_RDONLY | O_CLOEXEC);
	assert_null(images_add(images, fd, "/somewhere/program", -1, &self));
	dl_iterate_phdr(find_bias, &bias);
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	images_destroy(images);
	strings_destroy(strings);
	return 0;
}

#if defined(__x86_64__)
#define NOPS "nop\n\tnop\n\tnop\n\tnop\n\t"
#define RET  "ret\n\t"
#else
#define NOPS "nop\n\t"
#define RET  "ret\n\t"
#endif
/* One with a frame description, one without, and one with again. */
void described(void);
void undescribed(void);
void described_again(void);
__asm__(".text\n.globl described\n.type described, %function\ndescribed:\n\t.cfi_startproc\n\t" NOPS
                RET ".cfi_endproc\n.size described, .-described\n"
        ".globl undescribed\n.type undescribed, %function\nundescribed:\n\t" NOPS RET
        ".size undescribed, .-undescribed\n"
        ".globl described_again\n.type described_again, "
        "%function\ndescribed_again:\n\t.cfi_startproc\n\t" NOPS RET
        ".cfi_endproc\n.size described_again, .-described_again\n");

static uint64_t linked(void (*function)(void))
{
	return (uint64_t)(uintptr_t)function - bias;
}

static void all_of_a_function_begins_where_it_does(void **state)
{
	(void)state;
	uint64_t start = 0;
	for (uint64_t at = linked(described); at < linked(undescribed); at++) {
		assert_true(fde_start(self, at, &start));
		assert_int_equal(start, linked(described));
	}
	assert_true(fde_start(self, linked(described_again) + 1, &start));
	assert_int_equal(start, linked(described_again));
}

static void what_is_not_described_is_not_known(void **state)
{
	(void)state;
	uint64_t start = 42;
	for (uint64_t at = linked(undescribed); at < linked(described_again); at++)
		assert_false(fde_start(self, at, &start));
	assert_false(fde_start(self, 0, &start));
	assert_false(fde_start(self, UINT64_MAX, &start));
	assert_int_equal(start, 42);
}

/* Whatever stands in the section, nothing outside the file is read. */
static void damage_is_survived(void **state)
{
	(void)state;
	uint8_t *copy = test_malloc(self->size);
	memcpy(copy, self->data, self->size);
	struct image damaged = *self;
	damaged.data = copy;
	uint64_t start, random = 1;
	for (unsigned i = 0; i < 2000; i++) {
		random = random * 6364136223846793005u + 1442695040888963407u;
		uint64_t at = self->eh_frame_hdr.offset + (random >> 33) % self->eh_frame_hdr.size;
		copy[at] = (uint8_t)(random >> 20);
		fde_start(&damaged, linked(described), &start);
	}
	damaged.eh_frame_hdr.size = UINT64_MAX;
	assert_false(fde_start(&damaged, linked(described), &start));
	test_free(copy);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	        cmocka_unit_test(all_of_a_function_begins_where_it_does),
	        cmocka_unit_test(what_is_not_described_is_not_known),
	        cmocka_unit_test(damage_is_survived),
	};
	return cmocka_run_group_tests(tests, setup, teardown);
}
