/* SPDX-License-Identifier: Apache-2.0 */
/* %t, %p and %n are ours, as in async-profiler; the other letters are strftime's, of local time,
 * those whose text can be told again when old files are looked for. */
#include "pattern.h"

#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <csample/mem.h>
#include <csample/strbuf.h>
#include <csample/vec.h>

/* What the text of a conversion looks like: so many characters of a set. */
struct shape {
	char letter;
	const char *set; /* NULL: anything */
	size_t min, max;
};

#define DIGITS "0123456789"
static const struct shape shapes[] = {
        {'t', NULL, 15, 26}, {'p', DIGITS, 1, 10}, {'n', DIGITS, 1, 20}, {'Y', DIGITS, 4, 4},
        {'m', DIGITS, 2, 2}, {'d', DIGITS, 2, 2},  {'H', DIGITS, 2, 2},  {'M', DIGITS, 2, 2},
        {'S', DIGITS, 2, 2}, {'y', DIGITS, 2, 2},  {'j', DIGITS, 3, 3},  {'I', DIGITS, 2, 2},
        {'G', DIGITS, 4, 4}, {'U', DIGITS, 2, 2},  {'V', DIGITS, 2, 2},  {'W', DIGITS, 2, 2},
        {'u', DIGITS, 1, 1}, {'w', DIGITS, 1, 1},  {'s', DIGITS, 1, 19}, {'z', "+-" DIGITS, 5, 5},
        {'a', NULL, 1, 32},  {'A', NULL, 1, 32},   {'b', NULL, 1, 32},   {'B', NULL, 1, 32},
        {'h', NULL, 1, 32},  {'Z', NULL, 1, 32},
};
/* Those that are short for others. */
static const struct {
	char letter;
	const char *of;
} composites[] = {{'F', "%Y-%m-%d"}, {'T', "%H:%M:%S"}, {'R', "%H:%M"}};

struct piece {
	const struct shape *shape; /* NULL: a character */
	char c;
};

struct pattern {
	char *dir;
	VEC(struct piece) pieces;
	bool varies, has_time;
};

static struct err *add_pieces(struct pattern *p, const char *text);

static struct err *add_conversion(struct pattern *p, char letter)
{
	if (letter == '%') {
		*vec_add(&p->pieces) = (struct piece){.c = '%'};
		return NULL;
	}
	for (size_t i = 0; i < ARRAY_SIZE(composites); i++)
		if (composites[i].letter == letter)
			return add_pieces(p, composites[i].of);
	for (size_t i = 0; i < ARRAY_SIZE(shapes); i++) {
		if (shapes[i].letter != letter)
			continue;
		*vec_add(&p->pieces) = (struct piece){.shape = &shapes[i]};
		p->varies = true;
		p->has_time |= letter == 't';
		return NULL;
	}
	if (!letter)
		return err_new(ERR_USAGE, "a single %% at the end; %%%% is one that stays");
	return err_new(ERR_USAGE,
	               "%%%c is not known; use %%t (time), %%p (process id), %%n (number), or of "
	               "strftime %%Y %%m %%d %%H %%M %%S %%F %%T %%s and the like",
	               letter);
}

static struct err *add_pieces(struct pattern *p, const char *text)
{
	for (; *text; text++) {
		struct err *err = NULL;
		if (*text == '%')
			err = add_conversion(p, *++text);
		else
			*vec_add(&p->pieces) = (struct piece){.c = *text};
		if (err)
			return err;
	}
	return NULL;
}

/* A directory is made once, before; only "%%" may be in its name. */
static struct err *set_dir(struct pattern *p, const char *text, size_t len)
{
	struct strbuf b = {0};
	struct err *err = NULL;
	strbuf_add(&b, "");
	for (size_t i = 0; i < len && !err; i++) {
		if (text[i] == '%' && text[++i] != '%')
			err = err_new(ERR_USAGE,
			              "%%%c in the name of a directory; conversions are "
			              "for the file's own name",
			              text[i]);
		else
			strbuf_addc(&b, text[i]);
	}
	p->dir = b.s;
	return err;
}

struct err *pattern_parse(const char *text, struct pattern **ret)
{
	const char *slash = strrchr(text, '/');
	size_t dir_len = slash ? (size_t)(slash - text) + 1 : 0;
	struct pattern *p = mem_zalloc(sizeof(*p));
	struct err *err = set_dir(p, text, dir_len);
	if (!err && strlen(text + dir_len) > PATTERN_MAX_NAME)
		err = err_new(ERR_USAGE, "the name is longer than %d bytes", PATTERN_MAX_NAME);
	if (!err)
		err = add_pieces(p, text + dir_len);
	if (!err && !p->pieces.n)
		err = err_new(ERR_USAGE,
		              "it names a directory: add a file's name, as prof-%%t.pb.gz");
	if (err) {
		pattern_free(p);
		return err_wrap(err, "'%s'", text);
	}
	*ret = p;
	return NULL;
}

void pattern_free(struct pattern *p)
{
	if (!p)
		return;
	free(p->dir);
	vec_free(&p->pieces);
	free(p);
}

const char *pattern_dir(const struct pattern *p)
{
	return p->dir;
}

bool pattern_varies(const struct pattern *p)
{
	return p->varies;
}

bool pattern_has_time(const struct pattern *p)
{
	return p->has_time;
}

static void expand_piece(const struct piece *piece, const struct pattern_values *v,
                         const struct tm *tm, struct strbuf *b)
{
	char text[64] = "", format[] = {'%', '\0', '\0'};
	if (!piece->shape) {
		strbuf_addc(b, piece->c);
		return;
	}
	switch (piece->shape->letter) {
	case 't':
		strftime(text, sizeof(text), "%Y%m%d-%H%M%S", tm);
		strbuf_add(b, text);
		if (v->again)
			strbuf_addf(b, "-%u", v->again);
		return;
	case 'p':
		strbuf_addf(b, "%lld", (long long)v->pid);
		return;
	case 'n':
		strbuf_addf(b, "%llu", (unsigned long long)v->sequence);
		return;
	default:
		format[1] = piece->shape->letter;
		strftime(text, sizeof(text), format, tm);
		strbuf_add(b, text);
	}
}

struct err *pattern_expand(const struct pattern *p, const struct pattern_values *v,
                           char ret[static PATTERN_MAX_NAME + 1])
{
	struct strbuf b = {0};
	struct tm tm;
	time_t seconds = (time_t)(v->unix_ns / 1000000000);
	localtime_r(&seconds, &tm);
	for (size_t i = 0; i < p->pieces.n; i++)
		expand_piece(&p->pieces.items[i], v, &tm, &b);
	struct err *err = NULL;
	/* Nothing of strftime's gives "/" in the C locale, nor in one that can be named. */
	if (b.len > PATTERN_MAX_NAME || strchr(b.s, '/'))
		err = err_new(ERR_SYS, "'%.64s...': too long for the name of a file", b.s);
	else
		memcpy(ret, b.s, b.len + 1);
	strbuf_free(&b);
	return err;
}

/* %t: 20261121-083000, and -2 and so on. */
static bool is_time(const char *s, size_t len)
{
	static const char form[] = "dddddddd-dddddd";
	for (size_t i = 0; i < sizeof(form) - 1; i++)
		if (form[i] == 'd' ? s[i] < '0' || s[i] > '9' : s[i] != form[i])
			return false;
	if (len == sizeof(form) - 1)
		return true;
	return len > sizeof(form) && s[15] == '-' && strspn(s + 16, DIGITS) >= len - 16;
}

static bool fits(const struct shape *shape, const char *s, size_t len)
{
	if (shape->letter == 't')
		return is_time(s, len);
	if (shape->set)
		return strspn(s, shape->set) >= len;
	return true;
}

/* Which places of the name the pieces so far can lead to: no name makes this slow. */
bool pattern_matches(const struct pattern *p, const char *name)
{
	size_t len = strlen(name);
	bool here[PATTERN_MAX_NAME + 1] = {true};
	if (len > PATTERN_MAX_NAME)
		return false;
	for (size_t i = 0; i < p->pieces.n; i++) {
		const struct piece *piece = &p->pieces.items[i];
		bool next[PATTERN_MAX_NAME + 1] = {false};
		for (size_t at = 0; at <= len; at++) {
			if (!here[at])
				continue;
			if (!piece->shape) {
				if (name[at] == piece->c && at < len)
					next[at + 1] = true;
				continue;
			}
			const struct shape *shape = piece->shape;
			for (size_t n = shape->min; n <= shape->max && at + n <= len; n++)
				if (fits(shape, name + at, n))
					next[at + n] = true;
		}
		memcpy(here, next, sizeof(here));
	}
	return here[len];
}
