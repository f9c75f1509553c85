/* SPDX-License-Identifier: Apache-2.0 */
/* What is in the picture. That it is XML and works in browsers: tests/e2e. */
#include <inttypes.h>

#include "shape.h"

/* The x, width and class of the frame whose title begins with these words; fails without one. */
static void frame(const char *svg, const char *title, double *x, double *width, char *class)
{
	char needle[256], kind;
	snprintf(needle, sizeof(needle), "<title>%s", title);
	const char *at = strstr(svg, needle);
	if (!at)
		fail_msg("no frame '%s'", title);
	while (strncmp(at, "<rect ", 6))
		at--;
	assert_int_equal(
	        sscanf(at, "<rect class=\"%c%*d\" x=\"%lf\" width=\"%lf\"", &kind, x, width), 3);
	if (class)
		*class = kind;
}

static void widths_are_time(void **state)
{
	(void)state;
	values(CALL(0, 1, NATIVE("a")), 3, 250);
	values(CALL(0, 2, NATIVE("b")), 1, 750);
	size_t len;
	_cleanup_free_ char *svg = written("svg", (struct emit_options){0}, &len);
	double x, width;
	frame(svg, "all (4 samples, 100.00%)", &x, &width, NULL);
	assert_true(x == 0 && width == 1000000);
	frame(svg, "a (3 samples, 25.00%)\n0.25 \xc2\xb5s, self 0.25 \xc2\xb5s", &x, &width, NULL);
	assert_true(x == 0 && width == 250000);
	frame(svg, "b (1 sample, 75.00%)", &x, &width, NULL);
	assert_true(x == 250000 && width == 750000);
}

/* A profile read from collapsed text knows no time. */
static void widths_are_samples_without_time(void **state)
{
	(void)state;
	values(CALL(0, 1, NATIVE("a")), 1, 0);
	values(CALL(0, 2, NATIVE("b")), 3, 0);
	size_t len;
	_cleanup_free_ char *svg = written("svg", (struct emit_options){0}, &len);
	double x, width;
	frame(svg, "b (3 samples, 75.00%)\nnative<", &x, &width, NULL);
	assert_true(x == 250000 && width == 750000);
}

static void kinds_have_their_colours_and_legend(void **state)
{
	(void)state;
	static const struct {
		enum frame_kind kind;
		char class;
		const char *legend;
	} kinds[] = {{FRAME_NATIVE, 'n', "native"},
	             {FRAME_INLINED, 'i', "inlined"},
	             {FRAME_KERNEL, 'k', "kernel"},
	             {FRAME_PYTHON, 'p', "Python"},
	             {FRAME_JAVASCRIPT, 'j', "JavaScript"},
	             {FRAME_MARK, 'm', "[\xe2\x80\xa6] not code"}};
	char name[2] = "A", legend[64];
	for (size_t i = 0; i < ARRAY_SIZE(kinds); i++) {
		size_t len;
		name[0] = (char)('A' + i);
		values(CALL(0, 1 + i, {.kind = kinds[i].kind, .function = name}), 1, 1);
		_cleanup_free_ char *svg = written("svg", (struct emit_options){0}, &len);
		double x, width;
		char class = 0, title[8];
		snprintf(title, sizeof(title), "%s (", name);
		frame(svg, title, &x, &width, &class);
		assert_int_equal(class, kinds[i].class);
		for (size_t k = 0; k < ARRAY_SIZE(kinds);
		     k++) { /* of those present, and no others */
			snprintf(legend, sizeof(legend), "\">%s</text>", kinds[k].legend);
			const char *found = strstr(strstr(svg, "<g id=\"legend\">"), legend);
			assert_int_equal(found != NULL, k <= i);
		}
	}
}

static void tooltips_say_where(void **state)
{
	(void)state;
	uint32_t main =
	        CALL(0, 1, {.function = "main", .module = "/bin/a&b", .file = "/m.c", .line = 3});
	values(CALL(main, 2, {.function = "f", .module = "/bin/a&b", .file = "/f.c", .line = 10}),
	       1, 1);
	values(CALL(main, 3, {.function = "f", .module = "/bin/a&b", .file = "/f.c", .line = 12}),
	       1, 1);
	values(CALL(main, 4, {.function = "f", .module = "/bin/a&b", .file = "/g.h", .line = 1}), 1,
	       1);
	size_t len;
	_cleanup_free_ char *svg = written("svg", (struct emit_options){0}, &len);
	assert_non_null(strstr(svg, "\nnative, /bin/a&amp;b\n/m.c:3</title>"));
	assert_non_null(strstr(svg, "\nnative, /bin/a&amp;b\n/f.c:10\xe2\x80\x93"
	                            "12 and other files</title>"));
}

static void narrow_frames_are_dropped_and_counted(void **state)
{
	(void)state;
	values(CALL(0, 1, NATIVE("wide")), 1, 999000);
	for (uint64_t i = 0; i < 1000; i++) {
		char name[16];
		snprintf(name, sizeof(name), "narrow%" PRIu64, i);
		values(CALL(0, 2 + i, NATIVE(name)), 1, 1);
	}
	size_t len;
	_cleanup_free_ char *svg = written("svg", (struct emit_options){0}, &len);
	assert_null(strstr(svg, "narrow5"));
	assert_non_null(strstr(
	        svg, ">1,000 frames narrower than 0.1 px of 1200 left out, and what they call"));
	assert_non_null(strstr(svg, "data-dropped=\"1000\""));
	_cleanup_free_ char *all =
	        written("svg", (struct emit_options){.min_width_px = 0.0001}, &len);
	assert_non_null(strstr(all, "narrow5"));
	assert_null(strstr(all, "left out, and what they call"));
}

static void heading_tells_all(void **state)
{
	(void)state;
	p->meta = (struct profile_meta){
	        .title = "a <title>",
	        .command = "cmd \"quoted\" &\n more",
	        .event = "wall",
	        .value_type = "wall",
	        .note = "a \x1b[31mnote",
	        .pid = 42,
	        .rate_hz = 99.5,
	        .start_unix_ns = 1700000000123456789,
	        .duration_ns = 3725000000000,
	        .lost = 1234,
	};
	values(CALL(0, 1, NATIVE("main")), 12345, 150000000000);
	size_t len;
	_cleanup_free_ char *svg = written("svg", (struct emit_options){0}, &len);
	static const char *const texts[] = {
	        ">a &lt;title&gt;</text>",
	        ">cmd &quot;quoted&quot; &amp;  more</text>",
	        ">a ^[[31mnote</text>",
	        ">pid 42 \xc2\xb7 wall, 99.5 Hz \xc2\xb7 duration 1 h 02 min \xc2\xb7 12,345 "
	        "samples "
	        "\xc2\xb7 150.0 s of wall time \xc2\xb7 1,234 lost \xc2\xb7 2023-11-14 22:13:20 "
	        "UTC</text>",
	};
	for (size_t i = 0; i < ARRAY_SIZE(texts); i++)
		if (!strstr(svg, texts[i]))
			fail_msg("no %s", texts[i]);
}

/* Neighbours differ in shade whatever their names. */
static void neighbours_differ(void **state)
{
	(void)state;
	for (uint64_t i = 0; i < 200; i++) {
		char name[16];
		snprintf(name, sizeof(name), "f%" PRIu64, i);
		values(CALL(0, 1 + i, NATIVE(name)), 1, 1);
	}
	size_t len, n = 0;
	_cleanup_free_ char *svg = written("svg", (struct emit_options){0}, &len);
	char before = 0;
	const char *row = strstr(strstr(svg, "class=\"row\"") + 1, "class=\"row\"");
	for (const char *at = row; (at = strstr(at, "<rect class=\"n")); at += 14, n++) {
		if (n == 200)
			break; /* the legend's */
		assert_int_not_equal(at[14], before);
		before = at[14];
	}
	assert_int_equal(n, 200);
}

static void deepest_stack(void **state)
{
	(void)state;
	uint32_t node = 0;
	for (int i = 0; i < STACK_MAX_FRAMES; i++)
		node = CALL(node, 1, NATIVE("recurse"));
	values(node, 3, 3);
	size_t len, n = 0;
	_cleanup_free_ char *svg = written("svg", (struct emit_options){0}, &len);
	for (const char *at = svg; (at = strstr(at, "<g class=\"row\"")); at++)
		n++;
	assert_int_equal(n, STACK_MAX_FRAMES + 1);
}

static void nothing(void **state)
{
	(void)state;
	size_t len;
	_cleanup_free_ char *svg = written("svg", (struct emit_options){0}, &len);
	double x, width;
	frame(svg, "all (0 samples, 0.00%)", &x, &width, NULL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	        cmocka_unit_test_setup_teardown(widths_are_time, setup, teardown),
	        cmocka_unit_test_setup_teardown(widths_are_samples_without_time, setup, teardown),
	        cmocka_unit_test_setup_teardown(kinds_have_their_colours_and_legend, setup,
	                                        teardown),
	        cmocka_unit_test_setup_teardown(tooltips_say_where, setup, teardown),
	        cmocka_unit_test_setup_teardown(narrow_frames_are_dropped_and_counted, setup,
	                                        teardown),
	        cmocka_unit_test_setup_teardown(heading_tells_all, setup, teardown),
	        cmocka_unit_test_setup_teardown(neighbours_differ, setup, teardown),
	        cmocka_unit_test_setup_teardown(deepest_stack, setup, teardown),
	        cmocka_unit_test_setup_teardown(nothing, setup, teardown),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
