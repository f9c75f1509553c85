/* SPDX-License-Identifier: Apache-2.0 */
/* What "perf script" prints of samples with call chains, as stackcollapse-perf.pl reads it too:
 *
 *     comm 1234/1235 [001] 5678.901234:    10101010 cpu-clock:u:
 *             55d0a1b2c3d4 work+0x14 (/bin/app)
 *             55d0a1b2c3e5 main+0x20 (/bin/app)
 *     (an empty line)
 *
 * A sample's period is time where its event is a clock's, and a weight csample has no name for
 * elsewhere: then only samples are counted. Inlined frames end in "(inlined)". */
#include <ctype.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include <csample/mem.h>

#include "emit.h"
#include "readers.h"

struct reader {
	struct profile *p;
	uint64_t period_ns;
	VEC(uint32_t) stack;       /* locations, leaf first */
	VEC(struct frame) inlined; /* innermost first, of the location that follows */
	bool in_sample;
};

static bool is_frame(struct line line)
{
	size_t i = 0;
	while (i < line.len && (line.s[i] == ' ' || line.s[i] == '\t'))
		i++;
	size_t digits = i;
	while (i < line.len && isxdigit((unsigned char)line.s[i]))
		i++;
	return digits && i > digits && i < line.len && line.s[i] == ' ';
}

/* The number that begins at line.s + at, ends before stop; false: none. */
static bool word_number(struct line line, size_t from, size_t to, uint64_t *ret)
{
	return to > from && parse_number(line.s + from, to - from, ret);
}

/* "comm  pid[/tid] [cpu] time: period event:"; comm may hold blanks. Finds the time, which ends in
 * a colon, then the period. */
static bool parse_header(struct reader *r, struct line line)
{
	size_t start = 0;
	bool timed = false;
	r->period_ns = 0;
	for (size_t i = 0; i <= line.len; i++) {
		if (i < line.len && line.s[i] != ' ' && line.s[i] != '\t')
			continue;
		uint64_t number;
		size_t n = i - start;
		const char *word = line.s + start;
		if (n && !timed && word[n - 1] == ':' && isdigit((unsigned char)word[0])) {
			timed = true;
		} else if (n && timed && word_number(line, start, i, &number)) {
			r->period_ns = number;
		} else if (n && timed) {
			bool clock = (n > 9 && !memcmp(word, "cpu-clock", 9)) ||
			             (n > 10 && !memcmp(word, "task-clock", 10));
			if (!clock)
				r->period_ns = 0;
			return true;
		}
		start = i + 1;
	}
	return timed;
}

/* The text between parentheses that ends the line, and where it begins; names may hold both. */
static size_t module_at(struct line line, size_t from)
{
	if (!line.len || line.s[line.len - 1] != ')')
		return line.len;
	for (size_t i = line.len - 1; i > from; i--)
		if (line.s[i] == '(' && line.s[i - 1] == ' ')
			return i;
	return line.len;
}

static void add_location(struct reader *r, uint64_t address, const struct frame *f, const char *all)
{
	if (r->inlined.n >= READ_MAX_FRAMES)
		r->inlined.n = READ_MAX_FRAMES - 1;
	*vec_add(&r->inlined) = *f;
	struct location loc = {
	        .address = address, .n_frames = (uint32_t)r->inlined.n, .frames = r->inlined.items};
	loc.raw = (struct raw_frame){.kind = RAW_ANON, .addr = address, .aux = (uintptr_t)all};
	if (r->inlined.n > 1) /* what is inlined at an address is the same each time */
		loc.raw.owner = 1;
	*vec_add(&r->stack) = profile_add_location(r->p, &loc);
	r->inlined.n = 0;
}

static void parse_frame(struct reader *r, struct line line)
{
	struct strings *strings = r->p->strings;
	size_t at = 0;
	while (at < line.len && isspace((unsigned char)line.s[at]))
		at++;
	uint64_t address = strtoull(line.s + at, NULL, 16); /* ends at the blank that follows */
	while (at < line.len && line.s[at] != ' ')
		at++;
	at++;
	size_t module = module_at(line, at), end = module < line.len ? module - 1 : line.len;
	struct frame f = {.kind = FRAME_NATIVE};
	bool inlined = line.len - module == 9 && !memcmp(line.s + module, "(inlined)", 9);
	if (module < line.len && !inlined)
		f.module = intern_n(strings, line.s + module + 1, line.len - module - 2);
	size_t name = end > at ? end - at : 0;
	for (size_t i = name; i-- > 0;) { /* +0x14 */
		if (name - i > 3 && !memcmp(line.s + at + i, "+0x", 3)) {
			name = i;
			break;
		}
	}
	f.function = name ? intern_n(strings, line.s + at, name) : NULL;
	if (!f.function || !strcmp(f.function, "[unknown]")) {
		char text[512];
		snprintf(text, sizeof(text), "[unknown %s+0x%" PRIx64 "]",
		         f.module ? frame_short_path(f.module) : "", address);
		f.function = intern(strings, text);
	} else {
		f.kind = inlined ? FRAME_INLINED : guess_kind(f.function, f.module, NULL);
	}
	if (inlined && r->inlined.n < READ_MAX_FRAMES - 1)
		*vec_add(&r->inlined) = f;
	else if (!inlined)
		add_location(r, address, &f, intern_n(strings, line.s + at, line.len - at));
}

static struct err *end_sample(struct reader *r)
{
	struct profile *p = r->p;
	uint64_t values[PROFILE_VALUES] = {1, r->period_ns};
	if (!r->in_sample)
		return NULL;
	r->in_sample = false;
	r->inlined.n = 0;
	uint32_t node = 0;
	if (p->n_nodes + r->stack.n > READ_MAX_NODES)
		return err_new(ERR_FORMAT, "more than %zu call paths", READ_MAX_NODES);
	if (p->total[1] + values[1] > INT64_MAX)
		return err_new(ERR_FORMAT, "more time than can be counted");
	for (size_t i = r->stack.n; i-- > 0;)
		node = profile_child(p, node, r->stack.items[i]);
	profile_add_to_node(p, node, values);
	r->stack.n = 0;
	return NULL;
}

/* A header whose next line is a frame; those that are comments may come before. */
static bool perf_is_it(const char *bytes, size_t len)
{
	const char *at = bytes;
	struct reader r = {0};
	bool header = false;
	for (struct line line; (line = next_line(&at, bytes + len)).s;) {
		if (header && is_frame(line))
			return true;
		if (!line.len || line.s[0] == '#')
			continue;
		if (header || !parse_header(&r, line))
			return false;
		header = true;
	}
	return false;
}

static struct err *perf_read(const char *bytes, size_t len, struct profile *p)
{
	struct reader r = {.p = p};
	const char *at = bytes;
	struct err *err = NULL;
	p->meta.value_type = "cpu";
	for (struct line line; !err && (line = next_line(&at, bytes + len)).s;) {
		if (line.len && line.s[0] == '#')
			continue;
		if (r.in_sample && is_frame(line)) {
			parse_frame(&r, line);
			continue;
		}
		err = end_sample(&r);
		r.in_sample = line.len && parse_header(&r, line);
	}
	if (!err)
		err = end_sample(&r);
	if (!err && !p->total[0])
		err = err_new(ERR_FORMAT, "no sample in it");
	vec_free(&r.stack);
	vec_free(&r.inlined);
	return err;
}

const struct format format_perf_script = {
        .name = "perf script",
        .is_it = perf_is_it,
        .read = perf_read,
};
