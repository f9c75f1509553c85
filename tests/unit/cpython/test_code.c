/* SPDX-License-Identifier: Apache-2.0 */
#include <time.h>

#include "python.h"

struct shown {
	uint64_t addr;
	int32_t first;
	char *name, *file, *lines;
};

static struct shown parse(char *line)
{
	struct shown s = {.addr = strtoull(strsep(&line, "\t"), NULL, 16)};
	s.first = atoi(strsep(&line, "\t"));
	s.name = strsep(&line, "\t");
	s.file = strsep(&line, "\t");
	s.lines = strsep(&line, "\t");
	return s;
}

static uint64_t now_ns(void)
{
	struct timespec ts;
	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (uint64_t)ts.tv_sec * 1000000000u + (uint64_t)ts.tv_nsec;
}

static unsigned compare_lines(struct python *p, const struct shown *s, uint32_t entry)
{
	unsigned wrong = 0;
	assert_int_equal(py_code_line(p->py.codes, entry, -1), s->first);
	for (char *save = NULL, *span = strtok_r(s->lines, " ", &save); span;
	     span = strtok_r(NULL, " ", &save)) {
		unsigned at, line;
		assert_int_equal(sscanf(span, "%u:%u", &at, &line), 2);
		if (py_code_line(p->py.codes, entry, at) != line)
			wrong++;
	}
	return wrong;
}

static void expect_code(struct python *p, const struct shown *s)
{
	struct snapshot snap = {.time_ns = now_ns()};
	struct frame f;
	uint32_t entry = py_code_entry(&p->py, &snap, s->addr);
	if (!entry)
		fail_msg("%s at %lx is no code", s->name, (long)s->addr);
	py_describe(&p->py.base, (struct raw_frame){.addr = entry, .aux = 5}, &f);
	assert_string_equal(f.function, s->name);
	assert_string_equal(f.file, s->file);
	assert_int_equal(f.line, 5);
	assert_int_equal(f.kind, FRAME_PYTHON);
	assert_int_equal(compare_lines(p, s, entry), 0);
}

static void each_code_has_its_name_file_and_lines(void **state)
{
	struct python *p = python_start(*state, SCRIPTS "code.py");
	static char line[1 << 20];
	unsigned compared = 0;
	for (; python_line(p, line, sizeof(line)); compared++) {
		struct shown s = parse(line);
		expect_code(p, &s);
	}
	assert_true(compared > 100);
}

/* The next of the same shape may be at the same addresses: the old name must never come back. */
static void memory_used_again_is_another_code(void **state)
{
	struct python *p = python_start(*state, SCRIPTS "reuse.py");
	static char line[4096];
	unsigned rounds = 0, again = 0;
	for (uint64_t last = 0; fgets(line, sizeof(line), p->from); rounds++) {
		line[strcspn(line, "\n")] = '\0';
		struct shown s = parse(line);
		/* Late enough not to be answered from trust alone. */
		struct snapshot snap = {.time_ns = now_ns() + (rounds + 1) * 1000000000ull};
		struct frame f;
		uint32_t entry = py_code_entry(&p->py, &snap, s.addr);
		if (!entry) /* what was there is gone; from now on it is the new one */
			entry = py_code_entry(&p->py, &snap, s.addr);
		assert_int_not_equal(entry, 0);
		py_describe(&p->py.base, (struct raw_frame){.addr = entry}, &f);
		assert_string_equal(f.function, s.name);
		again += s.addr == last;
		last = s.addr;
		assert_null(python_line(p, line, sizeof(line)));
		python_go_on(p);
	}
	assert_int_equal(rounds, 40);
	print_message("%s: %u times in the same memory\n", (char *)*state, again);
}

static void a_guard_of_another_time_is_not_believed(void **state)
{
	struct python *p = python_start(*state, SCRIPTS "reuse.py");
	static char line[4096];
	assert_non_null(python_line(p, line, sizeof(line)));
	struct shown s = parse(line);
	uint8_t bytes[PY_CODE_GUARD_BYTES];
	struct snapshot snap = {.time_ns = now_ns(), .n_regions = 1, .bytes = bytes};
	snap.regions[0] = (struct region){s.addr, p->py.layout.code.size, 0};
	assert_null(rmem_read(p->target.rm, s.addr, bytes, p->py.layout.code.size));
	uint32_t entry = py_code_entry(&p->py, &snap, s.addr);
	assert_int_not_equal(entry, 0);
	assert_int_equal(py_code_entry(&p->py, &snap, s.addr), entry);
	bytes[p->py.layout.code.filename.at] ^= 1;
	assert_int_equal(py_code_entry(&p->py, &snap, s.addr), 0);
	bytes[p->py.layout.code.filename.at] ^= 1;
	assert_int_equal(py_code_entry(&p->py, &snap, s.addr),
	                 entry); /* the same text is one code */
	assert_int_equal(py_code_entry(&p->py, &snap, s.addr + 8), 0);
	assert_int_equal(py_code_entry(&p->py, &snap, 0x10), 0);
}

/* Where the guard cannot tell, what the pause copied of the name has the last word. */
static void contents_of_another_time_are_not_believed(void **state)
{
	struct python *p = python_start(*state, SCRIPTS "reuse.py");
	static char line[4096];
	static uint8_t bytes[2048];
	assert_non_null(python_line(p, line, sizeof(line)));
	struct shown s = parse(line);
	struct snapshot snap = {.time_ns = now_ns(), .n_regions = 1, .bytes = bytes};
	snap.regions[0] = (struct region){s.addr, p->py.layout.code.size, 0};
	assert_null(rmem_read(p->target.rm, s.addr, bytes, p->py.layout.code.size));
	size_t n = py_code_contents(&p->py.layout, bytes, snap.regions + 1);
	if (release_number(*state) >= PYVER(3, 11)) {
		assert_int_equal(n, 0);
		return;
	}
	assert_int_equal(n, PY_CODE_CONTENTS);
	for (size_t i = 1; i <= n; i++) {
		struct region *r = &snap.regions[i];
		r->at = 256 + 256 * (uint32_t)i;
		r->len = (uint32_t)py_read_upto(p->target.rm, r->addr, bytes + r->at, r->len);
	}
	snap.n_regions = (uint16_t)(1 + n);
	uint8_t *name = bytes + snap.regions[1].at;
	name[p->py.layout.str.ascii_data] ^= 1; /* name_000 would be oame_000 */
	assert_int_equal(py_code_entry(&p->py, &snap, s.addr), 0);
	name[p->py.layout.str.ascii_data] ^= 1;
	uint32_t entry = py_code_entry(&p->py, &snap, s.addr);
	assert_int_not_equal(entry, 0);
	assert_int_equal(py_code_entry(&p->py, &snap, s.addr), entry);
	name[0] ^= 1; /* a reference count may change */
	assert_int_equal(py_code_entry(&p->py, &snap, s.addr), entry);
	name[p->py.layout.str.ascii_data] ^= 1;
	assert_int_equal(py_code_entry(&p->py, &snap, s.addr), 0);
}

static void code_settles_when_it_is_old_and_unchanged(void **state)
{
	struct python *p = python_start(*state, SCRIPTS "reuse.py");
	static char line[4096];
	assert_non_null(python_line(p, line, sizeof(line)));
	struct shown s = parse(line);
	struct snapshot snap = {.time_ns = now_ns()};
	assert_int_not_equal(py_code_entry(&p->py, &snap, s.addr), 0);
	py_codes_refresh(&p->py);
	assert_false(py_code_is_settled(p->py.codes, s.addr));
	while (!py_code_is_settled(p->py.codes, s.addr)) {
		nanosleep(&(struct timespec){0, 20000000}, NULL);
		py_codes_refresh(&p->py);
	}
	assert_true(now_ns() - snap.time_ns >= 1000000000u);
	python_kill(p);
	py_codes_refresh(&p->py);
	assert_false(py_code_is_settled(p->py.codes, s.addr));
}

/* Counts the calls of another address space. */
struct counting {
	struct rmem rm, *of;
	unsigned calls;
};

static struct err *count_read(struct rmem *rm, uint64_t addr, void *buf, size_t len)
{
	struct counting *c = (struct counting *)rm;
	c->calls++;
	return c->of->read(c->of, addr, buf, len);
}

static size_t count_read_many(struct rmem *rm, const struct rmem_part *parts, size_t n)
{
	struct counting *c = (struct counting *)rm;
	c->calls++;
	return c->of->read_many(c->of, parts, n);
}

static void settle(struct python *p, const uint64_t *addrs, size_t n)
{
	for (size_t i = 0; i < n;) {
		i += py_code_is_settled(p->py.codes, addrs[i]);
		nanosleep(&(struct timespec){0, 1000000}, NULL);
		py_codes_refresh(&p->py);
	}
}

static uint32_t entry_now(struct python *p, uint64_t addr)
{
	struct snapshot snap = {.time_ns = now_ns()};
	return py_code_entry(&p->py, &snap, addr);
}

/* Longer ago than what was seen is believed for. */
static void let_trust_end(void)
{
	for (uint64_t then = now_ns(); now_ns() - then < 60000000;)
		nanosleep(&(struct timespec){0, 10000000}, NULL);
}

static void settled_code_is_looked_at_together(void **state)
{
	struct python *p = python_start(*state, SCRIPTS "code.py");
	static char line[1 << 20];
	uint64_t addrs[100];
	uint32_t entries[100];
	size_t n = 0;
	while (n < 100 && python_line(p, line, sizeof(line))) {
		addrs[n] = parse(line).addr;
		n += entry_now(p, addrs[n]) != 0;
	}
	assert_int_equal(n, 100);
	settle(p, addrs, n);
	for (size_t i = 0; i < n; i++)
		entries[i] = entry_now(p, addrs[i]);
	let_trust_end();
	struct counting counting = {{count_read, count_read_many}, p->target.rm, 0};
	p->target.rm = &counting.rm;
	for (size_t i = 0; i < n; i++)
		assert_int_equal(entry_now(p, addrs[i]), entries[i]);
	assert_in_range(counting.calls, 1, 10);
}

static void settled_code_that_changes_is_noticed_among_others(void **state)
{
	struct python *p = python_start(*state, SCRIPTS "reuse.py");
	static char line[4096];
	assert_non_null(python_line(p, line, sizeof(line)));
	struct shown before = parse(line);
	assert_int_not_equal(entry_now(p, before.addr), 0);
	settle(p, &before.addr, 1);
	uint32_t entry = entry_now(p, before.addr);
	let_trust_end();
	assert_int_equal(entry_now(p, before.addr), entry); /* it is one of those used lately */
	while (python_line(p, line, sizeof(line)))
		;
	python_go_on(p);
	assert_non_null(python_line(p, line, sizeof(line)));
	struct shown after = parse(line);
	assert_int_equal(after.addr, before.addr);
	let_trust_end();
	struct frame f;
	assert_int_equal(entry_now(p, after.addr), 0); /* of which of the two, who knows */
	entry = entry_now(p, after.addr);
	py_describe(&p->py.base, (struct raw_frame){.addr = entry}, &f);
	assert_string_equal(f.function, after.name);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	        PYTHON_TESTS(each_code_has_its_name_file_and_lines),
	        PYTHON_TESTS(memory_used_again_is_another_code),
	        PYTHON_TESTS(a_guard_of_another_time_is_not_believed),
	        PYTHON_TESTS(contents_of_another_time_are_not_believed),
	        {"code_settles_when_it_is_old_and_unchanged",
	         code_settles_when_it_is_old_and_unchanged, NULL, NULL, "3.11"},
	        {"settled_code_is_looked_at_together", settled_code_is_looked_at_together, NULL,
	         NULL, "3.11"},
	        {"settled_code_that_changes_is_noticed_among_others 3.11",
	         settled_code_that_changes_is_noticed_among_others, NULL, NULL, "3.11"},
	        {"settled_code_that_changes_is_noticed_among_others 3.8",
	         settled_code_that_changes_is_noticed_among_others, NULL, NULL, "3.8"},
	};
	return cmocka_run_group_tests_name("code", tests, NULL, python_end);
}
