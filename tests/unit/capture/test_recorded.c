/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <csample/recorded.h>

static struct snapshot example(uint8_t *bytes)
{
	struct snapshot snap = {
	        .pid = 7,
	        .tid = 8,
	        .time_ns = 123456789012345,
	        .cpu_ns = 10,
	        .by = BY_ASLEEP,
	        .syscall = 202,
	        .n_regions = 2,
	        .n_bytes = 12,
	        .bytes = bytes,
	};
	snap.regions[0] = (struct region){0x7ffe0000, 8, 0};
	snap.regions[1] = (struct region){0x1000, 4, 8};
	regs_set(&snap.regs, REG_SP, 0x7ffe0000);
	regs_set(&snap.regs, REG_PC, 0x401000);
	return snap;
}

static FILE *file_with(size_t cut)
{
	uint8_t bytes[] = "stackbytmore";
	struct snapshot snap = example(bytes);
	char *text = NULL;
	size_t len = 0;
	FILE *f = open_memstream(&text, &len);
	assert_null(recorded_write(f, &snap));
	fclose(f);
	FILE *in = tmpfile();
	assert_int_equal(fwrite(text, 1, len - cut, in), len - cut);
	rewind(in);
	free(text);
	return in;
}

static void reads_what_it_wrote(void **state)
{
	(void)state;
	FILE *in = file_with(0);
	struct snapshot snap;
	uint8_t *bytes = NULL;
	assert_null(recorded_read(in, &snap, &bytes));
	assert_int_equal(snap.tid, 8);
	assert_int_equal(snap.time_ns, 123456789012345);
	assert_int_equal(snap.by, BY_ASLEEP);
	assert_int_equal(snap.syscall, 202);
	assert_int_equal(snap.regs.r[REG_PC], 0x401000);
	assert_false(regs_known(&snap.regs, 0));
	assert_memory_equal(snapshot_at(&snap, 0x1000, 4), "more", 4);
	assert_memory_equal(snapshot_at(&snap, 0x7ffe0002, 6), "ackbyt", 6);
	assert_null(snapshot_at(&snap, 0x7ffe0002, 7));
	assert_null(snapshot_at(&snap, 0xfff, 2));
	free(bytes);
	assert_ptr_equal(recorded_read(in, &snap, &bytes), &err_gone);
	fclose(in);
}

static void refuses_what_is_cut_or_foreign(void **state)
{
	(void)state;
	struct snapshot snap;
	uint8_t *bytes = NULL;
	for (size_t cut = 1; cut < 100; cut += 7) {
		FILE *in = file_with(cut);
		struct err *err = recorded_read(in, &snap, &bytes);
		assert_non_null(err);
		assert_int_equal(err->kind, ERR_FORMAT);
		err_free(err);
		fclose(in);
	}
	FILE *in = tmpfile();
	for (int i = 0; i < 500; i++)
		fputc('x', in);
	rewind(in);
	struct err *err = recorded_read(in, &snap, &bytes);
	assert_int_equal(err->kind, ERR_FORMAT);
	err_free(err);
	fclose(in);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	        cmocka_unit_test(reads_what_it_wrote),
	        cmocka_unit_test(refuses_what_is_cut_or_foreign),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
