/* SPDX-License-Identifier: Apache-2.0 */
/* Selectors in PromQL's form. */
#define PCRE2_CODE_UNIT_WIDTH 8
#include <pcre2.h>
#include <stdlib.h>
#include <string.h>

#include <csample/mem.h>
#include <csample/store.h>
#include <csample/vec.h>

#define MAX_TEXT     16384
#define MAX_MATCHERS 64
#define MATCH_LIMIT  1000000 /* of backtracking: then it does not match */

enum matcher_kind { EQUAL, NOT_EQUAL, MATCHES, NOT_MATCHES };

struct matcher {
	enum matcher_kind kind;
	char *name, *value;
	pcre2_code *code;
};

struct selector {
	VEC(struct matcher) matchers;
	pcre2_match_context *context;
};

struct parser {
	const char *text, *at;
	struct selector *s;
};

static struct err *expected(const struct parser *p, const char *what)
{
	const char *found = *p->at ? p->at : "the end";
	return err_new(ERR_USAGE, "selector '%s': %s expected at %s%.16s%s", p->text, what,
	               *p->at ? "'" : "", found, *p->at ? "'" : "");
}

static void skip_blanks(struct parser *p)
{
	p->at += strspn(p->at, " \t\r\n");
}

/* Of a type or label; "" if there is none. Free it. */
static char *take_name(struct parser *p, bool with_colons)
{
	static const char letters[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ_"
	                              "0123456789:";
	size_t len = 0;
	if (*p->at && !strchr("0123456789", *p->at))
		len = strspn(p->at, letters);
	if (!with_colons && len > strcspn(p->at, ":"))
		len = strcspn(p->at, ":");
	char *name = mem_strndup(p->at, len);
	p->at += len;
	return name;
}

static void add_code_point(struct strbuf *b, unsigned long c)
{
	if (c < 0x80) {
		strbuf_addc(b, (char)c);
	} else if (c < 0x800) {
		strbuf_addc(b, (char)(0xc0 | c >> 6));
		strbuf_addc(b, (char)(0x80 | (c & 0x3f)));
	} else {
		if (c < 0x10000) {
			strbuf_addc(b, (char)(0xe0 | c >> 12));
		} else {
			strbuf_addc(b, (char)(0xf0 | c >> 18));
			strbuf_addc(b, (char)(0x80 | (c >> 12 & 0x3f)));
		}
		strbuf_addc(b, (char)(0x80 | (c >> 6 & 0x3f)));
		strbuf_addc(b, (char)(0x80 | (c & 0x3f)));
	}
}

/* What follows a backslash, as in Go's strings; false: nothing that is known. */
static bool take_escape(struct parser *p, char quote, struct strbuf *b)
{
	static const char letters[] = "abfnrtv\\", bytes[] = "\a\b\f\n\r\t\v\\";
	char c = *p->at;
	const char *simple = c ? strchr(letters, c) : NULL;
	if (simple || c == quote) {
		strbuf_addc(b, simple ? bytes[simple - letters] : c);
		p->at++;
		return true;
	}
	bool octal = c >= '0' && c <= '7';
	size_t digits = octal ? 3 : c == 'x' ? 2 : c == 'u' ? 4 : c == 'U' ? 8 : 0;
	const char *set = octal ? "01234567" : "0123456789abcdefABCDEF";
	const char *from = p->at + !octal;
	if (!digits || strspn(from, set) < digits)
		return false;
	char number[16];
	memcpy(number, from, digits);
	number[digits] = '\0';
	unsigned long value = strtoul(number, NULL, octal ? 8 : 16);
	bool is_byte = octal || c == 'x';
	if (!value || value > (is_byte ? 0xffUL : 0x10ffffUL) ||
	    (value >= 0xd800 && value < 0xe000))
		return false;
	if (is_byte)
		strbuf_addc(b, (char)value);
	else
		add_code_point(b, value);
	p->at = from + digits;
	return true;
}

static struct err *take_value(struct parser *p, char **ret)
{
	char quote = *p->at;
	struct strbuf b = {0};
	if (quote != '"' && quote != '\'' && quote != '`')
		return expected(p, "a value in quotes");
	const char *begin = p->at++;
	strbuf_add(&b, "");
	while (*p->at && *p->at != quote) {
		if (*p->at != '\\' || quote == '`') {
			strbuf_addc(&b, *p->at++);
			continue;
		}
		p->at++;
		if (!take_escape(p, quote, &b)) {
			p->at--;
			strbuf_free(&b);
			return expected(p, "an escape that is known (\\\\ for a backslash)");
		}
	}
	if (!*p->at) {
		p->at = begin;
		strbuf_free(&b);
		return expected(p, "a closing quote for what begins");
	}
	p->at++;
	*ret = b.s;
	return NULL;
}

static struct err *compile(struct parser *p, struct matcher *m)
{
	int code;
	PCRE2_SIZE at;
	/* Prometheus: the whole value, and a dot is any character. */
	uint32_t options = PCRE2_ANCHORED | PCRE2_ENDANCHORED | PCRE2_UTF | PCRE2_DOTALL;
	m->code = pcre2_compile((PCRE2_SPTR)m->value, PCRE2_ZERO_TERMINATED, options, &code, &at,
	                        NULL);
	if (m->code)
		return NULL;
	char why[128] = "";
	pcre2_get_error_message(code, (PCRE2_UCHAR *)why, sizeof(why));
	return err_new(ERR_USAGE, "selector '%s': '%s' is no regular expression: %s (at %zu)",
	               p->text, m->value, why, (size_t)at);
}

static struct err *add_matcher(struct parser *p, char *name, enum matcher_kind kind, char *value)
{
	struct matcher *m = vec_add(&p->s->matchers);
	*m = (struct matcher){.kind = kind, .name = name, .value = value};
	if (p->s->matchers.n > MAX_MATCHERS)
		return err_new(ERR_USAGE, "a selector of more than %d conditions", MAX_MATCHERS);
	return kind == MATCHES || kind == NOT_MATCHES ? compile(p, m) : NULL;
}

static struct err *take_matcher(struct parser *p)
{
	static const struct {
		const char *text;
		enum matcher_kind kind;
	} operators[] = {{"=~", MATCHES}, {"!~", NOT_MATCHES}, {"!=", NOT_EQUAL}, {"=", EQUAL}};
	_cleanup_free_ char *name = take_name(p, false);
	if (!name[0])
		return expected(p, "the name of a label or '}'");
	skip_blanks(p);
	for (size_t i = 0; i < ARRAY_SIZE(operators); i++) {
		size_t len = strlen(operators[i].text);
		if (strncmp(p->at, operators[i].text, len) != 0)
			continue;
		char *value = NULL;
		p->at += len;
		skip_blanks(p);
		struct err *err = take_value(p, &value);
		return err ? err : add_matcher(p, mem_strdup(name), operators[i].kind, value);
	}
	return expected(p, "=, !=, =~ or !~");
}

static struct err *take_all(struct parser *p)
{
	skip_blanks(p);
	char *type = take_name(p, true);
	struct err *err = NULL;
	if (type[0])
		err = add_matcher(p, mem_strdup("__name__"), EQUAL, mem_strdup(type));
	bool named = type[0];
	free(type);
	skip_blanks(p);
	if (!err && !*p->at && named)
		return NULL;
	if (!err && *p->at != '{')
		return expected(p, named ? "'{'" : "a type (process_cpu) or '{'");
	p->at++;
	while (!err) {
		skip_blanks(p);
		if (*p->at == '}')
			break;
		err = take_matcher(p);
		skip_blanks(p);
		if (!err && *p->at == ',')
			p->at++;
		else if (!err && *p->at != '}')
			err = expected(p, "',' or '}'");
	}
	if (err)
		return err;
	p->at++;
	skip_blanks(p);
	return *p->at ? expected(p, "the end") : NULL;
}

struct err *selector_parse(const char *text, struct selector **ret)
{
	if (strlen(text) > MAX_TEXT)
		return err_new(ERR_USAGE, "a selector of more than %d bytes", MAX_TEXT);
	struct selector *s = mem_zalloc(sizeof(*s));
	struct parser p = {.text = text, .at = text, .s = s};
	s->context = pcre2_match_context_create(NULL);
	if (s->context)
		pcre2_set_match_limit(s->context, MATCH_LIMIT);
	struct err *err = take_all(&p);
	if (err) {
		selector_free(s);
		return err;
	}
	*ret = s;
	return NULL;
}

void selector_free(struct selector *s)
{
	if (!s)
		return;
	for (size_t i = 0; i < s->matchers.n; i++) {
		free(s->matchers.items[i].name);
		free(s->matchers.items[i].value);
		pcre2_code_free(s->matchers.items[i].code);
	}
	vec_free(&s->matchers);
	pcre2_match_context_free(s->context);
	free(s);
}

static bool fits(const struct selector *s, const struct matcher *m, const char *value)
{
	if (m->kind == EQUAL || m->kind == NOT_EQUAL)
		return !strcmp(value, m->value);
	pcre2_match_data *data = pcre2_match_data_create(1, NULL);
	int r = data ? pcre2_match(m->code, (PCRE2_SPTR)value, strlen(value), 0, 0, data,
	                           s->context)
	             : -1;
	pcre2_match_data_free(data);
	return r >= 0;
}

bool selector_matches(const struct selector *s, const struct store_profile *p)
{
	for (size_t i = 0; i < s->matchers.n; i++) {
		const struct matcher *m = &s->matchers.items[i];
		const char *value = strcmp(m->name, "__name__") ? "" : p->type;
		for (size_t l = 0; l < p->n_labels; l++)
			if (!strcmp(p->labels[l].name, m->name))
				value = p->labels[l].value;
		if (fits(s, m, value) == (m->kind == NOT_EQUAL || m->kind == NOT_MATCHES))
			return false;
	}
	return true;
}

bool selector_equal(const struct selector *s, size_t i, const char **name_ret,
                    const char **value_ret)
{
	for (size_t m = 0; m < s->matchers.n; m++) {
		if (s->matchers.items[m].kind != EQUAL || i--)
			continue;
		*name_ret = s->matchers.items[m].name;
		*value_ret = s->matchers.items[m].value;
		return true;
	}
	return false;
}
