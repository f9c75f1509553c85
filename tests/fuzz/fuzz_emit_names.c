/* SPDX-License-Identifier: Apache-2.0 */
/* Any bytes as names of any kind of frame, in every format: the SVG stays well-formed XML, a
 * collapsed line stays one stack, and pprof can be unpacked and holds valid UTF-8.
 *
 * The input is NUL-terminated names, each with a byte before it that says what it is the name of.
 */
#include <inttypes.h>
#include <profile.pb-c.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <zlib.h>

#include <csample/format.h>
#include <csample/mem.h>
#include <csample/profile.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define MUST(condition)                                                                 \
	do {                                                                            \
		if (!(condition)) {                                                     \
			fprintf(stderr, "%s:%d: %s\n", __FILE__, __LINE__, #condition); \
			abort();                                                        \
		}                                                                       \
	} while (0)

/* The code point at s, which moves on; aborts on what is no UTF-8. */
static uint32_t code_point(const char **s)
{
	const unsigned char *p = (const unsigned char *)*s;
	size_t more = p[0] < 0x80 ? 0 : p[0] < 0xe0 ? 1 : p[0] < 0xf0 ? 2 : 3;
	static const uint32_t least[] = {0, 0x80, 0x800, 0x10000};
	MUST(p[0] < 0x80 || (p[0] >= 0xc2 && p[0] < 0xf5));
	uint32_t cp = more ? p[0] & (0x3fu >> more) : p[0];
	for (size_t i = 1; i <= more; i++) {
		MUST((p[i] & 0xc0) == 0x80);
		cp = cp << 6 | (p[i] & 0x3f);
	}
	MUST(cp >= least[more] && cp <= 0x10ffff && (cp < 0xd800 || cp >= 0xe000));
	*s += more + 1;
	return cp;
}

/* Character data up to end, by XML 1.0's productions Char and Reference. */
static void check_text(const char *s, const char *end, bool references)
{
	while (s < end) {
		if (*s == '&' && references) {
			const char *semicolon = memchr(s, ';', (size_t)(end - s));
			static const char *const known[] = {"&amp;", "&lt;", "&gt;",  "&quot;",
			                                    "&#39;", "&#9;", "&#10;", "&#13;"};
			bool found = false;
			MUST(semicolon);
			for (size_t i = 0; i < ARRAY_SIZE(known); i++)
				found |= !strncmp(s, known[i], strlen(known[i]));
			MUST(found);
			s = semicolon + 1;
			continue;
		}
		uint32_t cp = code_point(&s);
		MUST(cp >= 0x20 || cp == '\t' || cp == '\n' || cp == '\r');
		MUST(cp != 0xfffe && cp != 0xffff);
	}
}

/* The attributes of a tag: name="value", apart by white space. Returns where the tag's ">" is. */
static const char *check_attributes(const char *s)
{
	for (;;) {
		s += strspn(s, " \n");
		if (*s == '>' || *s == '/')
			return s;
		size_t n = strspn(s, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ-");
		MUST(n && s[n] == '=' && s[n + 1] == '"');
		const char *value = s + n + 2, *quote = strchr(value, '"');
		MUST(quote && !memchr(value, '<', (size_t)(quote - value)));
		check_text(value, quote, true);
		s = quote + 1;
	}
}

/* As much of XML as the SVG uses. */
static void check_xml(const char *s)
{
	static const char declaration[] = "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n";
	char open[16][16];
	size_t depth = 0;
	MUST(!strncmp(s, declaration, strlen(declaration)));
	s += strlen(declaration);
	while (*s) {
		const char *tag = strchr(s, '<');
		if (!tag) {
			MUST(!depth && !strcmp(s, "\n"));
			return;
		}
		check_text(s, tag, true);
		s = tag + 1;
		if (!strncmp(s, "![CDATA[", 8)) {
			const char *end = strstr(s, "]]>");
			MUST(end);
			check_text(s + 8, end, false);
			s = end + 3;
			continue;
		}
		bool closing = *s == '/';
		s += closing;
		size_t n = strspn(s, "abcdefghijklmnopqrstuvwxyz");
		MUST(n && n < sizeof(open[0]));
		if (closing) {
			MUST(depth && !strncmp(open[depth - 1], s, n) && !open[depth - 1][n]);
			MUST(s[n] == '>');
			depth--;
			s += n + 1;
			continue;
		}
		const char *end = check_attributes(s + n);
		if (*end != '/') {
			MUST(depth < ARRAY_SIZE(open));
			snprintf(open[depth++], sizeof(open[0]), "%.*s", (int)n, s);
		}
		s = end + (*end == '/');
		MUST(*s++ == '>');
	}
	MUST(false); /* the document does not end in a line feed */
}

static void check_collapsed(const char *s, uint64_t samples)
{
	uint64_t sum = 0;
	while (*s) {
		const char *end = strchr(s, '\n');
		MUST(end);
		const char *count = memrchr(s, ' ', (size_t)(end - s));
		MUST(count && count > s);
		char *after;
		sum += strtoull(count + 1, &after, 10);
		MUST(after == end);
		for (const char *p = s; p < end;) {
			uint32_t cp = code_point(&p);
			MUST(cp >= 0x20 && (cp < 0x7f || cp >= 0xa0) && cp != 0x2028 &&
			     cp != 0x2029);
		}
		s = end + 1;
	}
	MUST(sum == samples);
}

static void check_pprof(const char *gz, size_t len, uint64_t samples)
{
	uLong cap = 64 * len + 65536;
	_cleanup_free_ uint8_t *plain = mem_alloc(cap);
	z_stream z = {.next_in = (uint8_t *)gz,
	              .avail_in = (uInt)len,
	              .next_out = plain,
	              .avail_out = (uInt)cap};
	MUST(inflateInit2(&z, 15 + 16) == Z_OK);
	int status = inflate(&z, Z_FINISH);
	size_t n = z.total_out;
	inflateEnd(&z);
	MUST(status == Z_STREAM_END);
	Perftools__Profiles__Profile *pb = perftools__profiles__profile__unpack(NULL, n, plain);
	MUST(pb);
	for (size_t i = 0; i < pb->n_string_table; i++)
		for (const char *s = pb->string_table[i]; *s;)
			code_point(&s);
	uint64_t sum = 0;
	for (size_t i = 0; i < pb->n_sample; i++)
		sum += (uint64_t)pb->sample[i]->value[0];
	MUST(sum == samples);
	perftools__profiles__profile__free_unpacked(pb, NULL);
}

/* Grows the profile by what one name is the name of. */
static void add_name(struct profile *p, uint8_t what, const char *name, uint32_t *node)
{
	struct frame frames[2] = {{.kind = what % FRAME_KINDS, .function = name},
	                          {.kind = FRAME_NATIVE, .function = "caller"}};
	struct location loc = {.frames = frames, .n_frames = 1 + (what >> 3 & 1)};
	if (what & 0x10)
		frames[0].module = frames[0].file = name;
	if (what & 0x20)
		p->meta.title = p->meta.command = p->meta.note = name;
	if (what & 0x40)
		loc.raw = (struct raw_frame){
		        .kind = RAW_THREAD, .owner = what, .aux = (uintptr_t)name};
	*node = profile_child(p, *node, profile_add_location(p, &loc));
	if (what & 0x80) {
		profile_add_to_node(p, *node, (uint64_t[PROFILE_VALUES]){1 + what % 3, what % 5});
		*node = 0;
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct strings *strings = strings_create();
	struct profile *p = profile_create(strings);
	uint32_t node = 0;
	for (size_t at = 0; at + 1 < size;) {
		size_t len = strnlen((const char *)data + at + 1, size - at - 1);
		add_name(p, data[at], intern_n(strings, (const char *)data + at + 1, len), &node);
		at += len + 2;
	}
	profile_add_to_node(p, node, (uint64_t[PROFILE_VALUES]){1, 1});
	/* Its time too, for those formats that have nothing else. */
	p->max_samples = 1;
	struct profile_thread thread = {.pid = 1, .tid = 1};
	profile_add_sample(p, &(struct profile_sample){.time_ns = 1,
	                                               .node = node,
	                                               .thread = profile_add_thread(p, &thread),
	                                               .values = {1, 1}});
	for (const struct format *const *f = formats; *f; f++) {
		static const struct emit_options options[] = {
		        {0}, {.functions = true, .annotate = true, .min_width_px = 1000}};
		for (size_t i = 0; i < ARRAY_SIZE(options); i++) {
			char *text = NULL;
			size_t len = 0;
			FILE *out = open_memstream(&text, &len);
			MUST(!(*f)->write(p, &options[i], out));
			fclose(out);
			if (!strcmp((*f)->name, "svg"))
				check_xml(text);
			else if (!strcmp((*f)->name, "collapsed"))
				check_collapsed(text, p->total[0]);
			else if (!strcmp((*f)->name, "pprof"))
				check_pprof(text, len, p->total[0]);
			free(text);
		}
	}
	profile_destroy(p);
	strings_destroy(strings);
	return 0;
}
