/* SPDX-License-Identifier: Apache-2.0 */
/* Many parts in one read, of our own memory. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cmocka.h>

#include <csample/rmem.h>

#define PARTS 200 /* more than one call takes */

static uint8_t source[PARTS * 16], copy[PARTS][8];

static void make_parts(struct rmem_part parts[PARTS])
{
	for (size_t i = 0; i < sizeof(source); i++)
		source[i] = (uint8_t)(i * 7 + i / 256);
	memset(copy, 0, sizeof(copy));
	for (size_t i = 0; i < PARTS; i++)
		parts[i] = (struct rmem_part){(uintptr_t)&source[16 * i + i % 8], copy[i], 8};
}

static void expect_first(size_t n)
{
	for (size_t i = 0; i < n; i++)
		assert_memory_equal(copy[i], &source[16 * i + i % 8], 8);
}

static struct err *read_one(struct rmem *rm, uint64_t addr, void *buf, size_t len)
{
	(void)rm;
	if (!addr)
		return &err_fault;
	memcpy(buf, (void *)(uintptr_t)addr, len);
	return NULL;
}

static void read_up_to(struct rmem *rm, uint64_t hole)
{
	struct rmem_part parts[PARTS];
	make_parts(parts);
	assert_int_equal(rmem_read_many(rm, parts, PARTS), PARTS);
	expect_first(PARTS);
	const size_t holes[] = {0, 1, 63, 64, 65, 130, PARTS - 1};
	for (size_t i = 0; i < sizeof(holes) / sizeof(holes[0]); i++) {
		make_parts(parts);
		parts[holes[i]].addr = hole;
		assert_int_equal(rmem_read_many(rm, parts, PARTS), holes[i]);
		expect_first(holes[i]);
	}
	assert_int_equal(rmem_read_many(rm, parts, 0), 0);
}

/* The hole begins in the middle of a part. */
static void parts_are_read_up_to_what_cannot_be(void **state)
{
	struct rmem_live live;
	size_t page = (size_t)sysconf(_SC_PAGESIZE);
	uint8_t *two =
	        mmap(NULL, 2 * page, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	(void)state;
	assert_ptr_not_equal(two, MAP_FAILED);
	assert_int_equal(mprotect(two + page, page, PROT_NONE), 0);
	rmem_live_init(&live, getpid());
	read_up_to(&live.rm, (uintptr_t)two + page - 4);
	rmem_live_deinit(&live);
	munmap(two, 2 * page);
}

static void a_memory_that_reads_one_by_one_does_too(void **state)
{
	struct rmem rm = {.read = read_one};
	(void)state;
	read_up_to(&rm, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	        cmocka_unit_test(parts_are_read_up_to_what_cannot_be),
	        cmocka_unit_test(a_memory_that_reads_one_by_one_does_too),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
