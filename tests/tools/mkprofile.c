/* SPDX-License-Identifier: Apache-2.0 */
/* Makes a profile of known shape and writes it in a format, so that formats are tested without a
 * target.
 *
 * mkprofile [options] < TEXT: a stack a line, root first, then its samples and, if wanted, its
 * time:
 *
 *     main;work;add 12
 *
 *     main|n|/bin/app|/src/main.c|10;inner|i||/src/inner.h|3 7/69000000
 *
 * A frame is function|kind|module|file|line|address; all but the function may be left out. Kinds: n
 * native, i inlined (into the frame before it), k kernel, p Python, j JavaScript, m mark, t thread
 * (of which address is the tid). \xHH is a byte.
 *
 * Behind these a line may have the end of the time it stands for, ns, and a thread's number and
 * name: 7/69000000@120000000,4243,worker: then the profile has a timeline.
 *
 * mkprofile --many STACKS,SAMPLES,DEPTH: that many random stacks instead. How much CPU time adding
 * and writing took goes to stderr. */
#include <getopt.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <csample/format.h>
#include <csample/hash.h>
#include <csample/mem.h>
#include <csample/profile.h>
#include <csample/vec.h>

#define MAX_FRAMES 8192

static struct profile *p;
static struct strings *strings;
static uint64_t ns_per_sample = 10000000;

static void die(struct err *err)
{
	fprintf(stderr, "mkprofile: %s\n", err->msg);
	exit(1);
}

static double now(void)
{
	struct timespec t;
	clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
	return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

/* \xHH becomes the byte. */
static char *unescape(char *s)
{
	char *to = s;
	for (char *from = s; *from; to++) {
		char hex[3] = {0};
		if (from[0] == '\\' && from[1] == 'x' && from[2] && from[3]) {
			memcpy(hex, from + 2, 2);
			*to = (char)strtoul(hex, NULL, 16);
			from += 4;
		} else {
			*to = *from++;
		}
	}
	*to = '\0';
	return s;
}

static struct frame parse_frame(char *text, char *kind, uint64_t *address)
{
	static const char kinds[FRAME_KINDS + 1] = "nikpjm";
	char *fields[6] = {0};
	for (size_t i = 0; i < ARRAY_SIZE(fields) && text; i++)
		fields[i] = strsep(&text, "|");
	*kind = fields[1] && fields[1][0] ? fields[1][0] : 'n';
	*address = fields[5] ? strtoull(fields[5], NULL, 0) : 0;
	const char *at = strchr(kinds, *kind);
	return (struct frame){
	        .kind = at ? (enum frame_kind)(at - kinds) : FRAME_MARK,
	        .function = intern(strings, unescape(fields[0])),
	        .module = fields[2] && fields[2][0] ? intern(strings, unescape(fields[2])) : NULL,
	        .file = fields[3] && fields[3][0] ? intern(strings, unescape(fields[3])) : NULL,
	        .line = fields[4] ? (uint32_t)strtoul(fields[4], NULL, 10) : 0,
	};
}

/* One location: a frame and what was inlined into it, which follows it in the text. */
static uint32_t add_location(const struct frame *frames, size_t n, char kind, uint64_t address)
{
	struct frame innermost_first[64];
	struct location loc = {
	        .raw.kind = RAW_NATIVE, .address = address, .frames = innermost_first};
	uint64_t hash = hash_mix(address, (uint64_t)kind);
	for (size_t i = 0; i < n && i < ARRAY_SIZE(innermost_first); i++) {
		const struct frame *f = &frames[n - 1 - i];
		innermost_first[i] = *f;
		loc.n_frames++;
		hash = hash_mix(hash ^ (uintptr_t)f->function, f->line);
		hash = hash_mix(hash ^ (uintptr_t)f->module, (uintptr_t)f->file ^ f->kind);
	}
	loc.raw.addr = hash;
	if (kind == 't')
		loc.raw = (struct raw_frame){.kind = RAW_THREAD,
		                             .owner = (uint32_t)address,
		                             .aux = (uintptr_t)frames[0].function};
	if (frames[0].module && kind != 't') {
		struct profile_mapping mapping = {
		        .start = 0x400000,
		        .limit = 0x500000,
		        .file = frames[0].module,
		        .build_id = intern(strings, "0123456789abcdef0123456789abcdef01234567"),
		        .has_functions = true,
		};
		loc.mapping = profile_mapping(p, &mapping);
	}
	return profile_add_location(p, &loc);
}

static void add_sample(char *text, uint32_t node, const uint64_t values[PROFILE_VALUES])
{
	char *end;
	struct profile_sample sample = {.node = node, .values = {values[0], values[1]}};
	sample.time_ns = strtoull(text, &end, 10);
	struct profile_thread thread = {.pid = 4242, .process = intern(strings, "app")};
	thread.tid = *end ? (int32_t)strtol(end + 1, &end, 10) : 4242;
	thread.name = intern(strings, *end ? unescape(end + 1) : "main");
	while (sample.thread < p->n_threads && p->threads[sample.thread].tid != thread.tid)
		sample.thread++;
	if (sample.thread == p->n_threads)
		profile_add_thread(p, &thread);
	p->max_samples = PROFILE_MAX_SAMPLES;
	profile_add_sample(p, &sample);
}

static void add_line(char *line)
{
	static struct frame frames[MAX_FRAMES];
	char *count = strrchr(line, ' '); /* no spaces behind it, in a thread's name neither */
	if (!count)
		die(err_new(ERR_FORMAT, "no count: %s", line));
	*count++ = '\0';
	char *end;
	uint64_t values[PROFILE_VALUES] = {strtoull(count, &end, 10)};
	values[1] = *end == '/' ? strtoull(end + 1, &end, 10) : values[0] * ns_per_sample;
	uint32_t node = 0;
	size_t n = 0;
	char kind = 0, next_kind;
	uint64_t address = 0, next_address;
	for (char *text = line[0] ? line : NULL; text && n < MAX_FRAMES;) {
		struct frame f = parse_frame(strsep(&text, ";"), &next_kind, &next_address);
		if (n && next_kind != 'i') {
			node = profile_child(p, node, add_location(frames, n, kind, address));
			n = 0;
		}
		if (!n) {
			kind = next_kind;
			address = next_address;
		}
		frames[n++] = f;
	}
	if (n)
		node = profile_child(p, node, add_location(frames, n, kind, address));
	profile_add_to_node(p, node, values);
	char *at = strchr(end, '@');
	if (at)
		add_sample(at + 1, node, values);
}

static uint64_t random_state = 1;
static uint64_t random_u64(void)
{
	return hash_u64(random_state++);
}

/* Names every random frame as a function of a large program would be. */
static size_t name_random(void *arg, const struct location *loc, struct frame *out, size_t max)
{
	(void)arg;
	(void)max;
	char name[128];
	snprintf(name, sizeof(name),
	         "project::module_%" PRIu64 "::Type<%" PRIu64 ">::method_%" PRIu64,
	         loc->raw.addr / 16 % 7, loc->raw.addr / 16 % 13, loc->raw.addr / 16);
	out[0] = (struct frame){
	        .kind = FRAME_NATIVE,
	        .function = intern(strings, name),
	        .module = intern(strings, "/usr/lib/libproject.so.1"),
	        .file = intern(strings, "/usr/src/project/module/source.cc"),
	        .line = (uint32_t)(loc->raw.addr % 1000),
	};
	return 1;
}

/* A step down from a function: few callees are likely, many are possible. */
static uint64_t callee(uint64_t function, size_t depth)
{
	uint64_t r = random_u64(), choice = (r >> 32) % 100 < 90 ? r % 3 : r % 24;
	return hash_u64(function * 31 + depth + choice * 1000003) % 5000;
}

static void add_many(size_t n_stacks, size_t n_samples, size_t depth)
{
	struct raw_frame *frames = mem_zalloc(n_stacks * depth * sizeof(*frames));
	size_t *lens = mem_zalloc(n_stacks * sizeof(*lens));
	for (size_t i = 0; i < n_stacks; i++) {
		uint64_t function = 1;
		lens[i] = depth / 2 + random_u64() % (depth / 2 + 1);
		for (size_t d = 0; d < lens[i]; d++) {
			frames[i * depth + lens[i] - 1 - d] = (struct raw_frame){
			        .kind = RAW_NATIVE, .owner = 1, .addr = function * 16 + (d & 3)};
			function = callee(function, d);
		}
	}
	static const uint64_t values[PROFILE_VALUES] = {1, 10000000};
	double start = now();
	for (size_t i = 0; i < n_samples; i++) {
		size_t s = i < n_stacks ? i : random_u64() % n_stacks;
		profile_add(p, &frames[s * depth], lens[s], values);
	}
	double added = now();
	profile_name(p, name_random, NULL);
	fprintf(stderr,
	        "%zu samples, %zu nodes, %zu locations: %.3f us CPU a sample, naming %.3f s\n",
	        n_samples, p->n_nodes, p->n_locations, (added - start) / (double)n_samples * 1e6,
	        now() - added);
	free(frames);
	free(lens);
}

static void read_text(void)
{
	char *line = NULL;
	size_t cap = 0;
	ssize_t len;
	while ((len = getline(&line, &cap, stdin)) > 0) {
		if (line[len - 1] == '\n')
			line[--len] = '\0';
		if (len)
			add_line(line);
	}
	free(line);
}

enum { TITLE = 256, COMMAND, NOTE, LOST, RATE, MANY, MIN_WIDTH };

int main(int argc, char **argv)
{
	static const struct option options[] = {
	        {"output", 1, 0, 'o'},          {"format", 1, 0, 'f'},
	        {"functions", 0, 0, 'F'},       {"annotate", 0, 0, 'a'},
	        {"inverted", 0, 0, 'i'},        {"full-filenames", 0, 0, 'l'},
	        {"title", 1, 0, TITLE},         {"command", 1, 0, COMMAND},
	        {"note", 1, 0, NOTE},           {"lost", 1, 0, LOST},
	        {"rate", 1, 0, RATE},           {"many", 1, 0, MANY},
	        {"min-width", 1, 0, MIN_WIDTH}, {0},
	};
	struct emit_options opt = {0};
	const char *path = "-", *format_name = NULL, *many = NULL;
	strings = strings_create();
	p = profile_create(strings);
	p->meta = (struct profile_meta){
	        .event = "cpu", .value_type = "cpu", .pid = 4242, .rate_hz = 100};
	p->meta.start_unix_ns = 1700000000000000000;
	p->meta.duration_ns = 30000000000;
	for (int c; (c = getopt_long(argc, argv, "o:f:", options, NULL)) >= 0;) {
		/* clang-format off */
		switch (c) {
		case 'o': path = optarg; break;
		case 'f': format_name = optarg; break;
		case 'F': opt.functions = true; break;
		case 'a': opt.annotate = true; break;
		case 'i': opt.inverted = true; break;
		case 'l': opt.full_filenames = true; break;
		case TITLE: p->meta.title = unescape(optarg); break;
		case COMMAND: p->meta.command = unescape(optarg); break;
		case NOTE: p->meta.note = unescape(optarg); break;
		case LOST: p->meta.lost = strtoull(optarg, NULL, 10); break;
		case RATE: p->meta.rate_hz = strtod(optarg, NULL); break;
		case MANY: many = optarg; break;
		case MIN_WIDTH: opt.min_width_px = strtod(optarg, NULL); break;
		default: return 2;
		}
		/* clang-format on */
	}
	const struct format *format =
	        format_name ? format_by_name(format_name) : format_by_path(path);
	if (!format) {
		char list[128];
		format_list(list, sizeof(list));
		die(err_new(ERR_USAGE, "no such format; there are %s", list));
	}
	size_t shape[3];
	if (!many)
		read_text();
	else if (sscanf(many, "%zu,%zu,%zu", &shape[0], &shape[1], &shape[2]) == 3)
		add_many(shape[0], shape[1], shape[2]);
	struct output *o;
	struct err *err = output_open(path, &o);
	if (err)
		die(err);
	double start = now();
	err = format->write(p, &opt, output_stream(o));
	if (err)
		output_abort(o);
	else
		err = output_commit(o);
	if (err)
		die(err);
	if (many)
		fprintf(stderr, "%s: written in %.3f s CPU\n", format->name, now() - start);
	profile_destroy(p);
	strings_destroy(strings);
	return 0;
}
